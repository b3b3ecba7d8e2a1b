/* One dial as a row of a form: a slider beside a number, or one button per choice. */
import { h } from "./dom.js";

/**
 * A number. `most` is the end of the slider where the range is longer than one can drag. changed(value) is called for
 * every change to a valid value; an invalid one is replaced by the last valid one when the field is left.
 * @param {{id: string, label: string, low: number, high: number, most?: number, whole: boolean, value: number}} dial
 * @param {(value: number) => void} changed
 * @returns {{row: any, show: (value: number, typing?: any) => void, value: () => number}}
 */
export function createNumberRow({ id, label, low, high, most = high, whole, value: start }, changed) {
  let value = start;
  const range = h("input", { type: "range", id, min: low, max: most, step: whole ? 1 : (high - low) / 100 });
  const named = { id: `${id}-number`, "aria-label": `${label}, as a number` };
  const number = h("input", { type: "number", ...named, min: low, max: high, step: whole ? 1 : "any" });
  const show = (next, typing = null) => {
    value = next;
    for (const input of [range, number]) if (input !== typing) input.value = next;
  };
  for (const input of [range, number]) {
    input.addEventListener("input", () => {
      const entered = input.valueAsNumber;
      if (!(entered >= low && entered <= high) || (whole && !Number.isInteger(entered))) return;
      show(entered, input);
      changed(entered);
    });
    input.addEventListener("change", () => show(value));
  }
  show(start);
  return { row: h("div", { class: "dial" }, h("label", { for: id }, label), number, range), show, value: () => value };
}

/**
 * One of several words, each with what it means.
 * @param {{id: string, label: string, choices: Record<string, string>, value: string}} dial
 * @param {(value: string) => void} changed
 * @returns {{row: any, show: (value: string, typing?: any) => void}}
 */
export function createChoiceRow({ id, label, choices, value }, changed) {
  const help = h("p", { class: "muted hint" });
  const inputs = Object.keys(choices).map((choice) =>
    h("input", { type: "radio", name: id, value: choice, onchange: () => changed(choice) }),
  );
  const show = (chosen) => {
    for (const input of inputs) input.checked = input.value === chosen;
    help.textContent = choices[chosen];
  };
  show(value);
  const row = h(
    "div",
    { class: "dial", role: "radiogroup", "aria-labelledby": `${id}-label` },
    h("span", { id: `${id}-label` }, label),
    h(
      "div",
      { class: "segments" },
      inputs.map((input) => h("label", {}, input, h("span", {}, input.value))),
    ),
    help,
  );
  return { row, show };
}
