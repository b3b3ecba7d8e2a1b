/* The hard texts of an evaluation: lists that can be filtered, searched and saved. */

import { listHardTexts } from "../policy/replays.js";
import { findExit, listRules } from "../policy/rules.js";
import { printPolicy } from "../policy/specs.js";
import { byId, debounce, formatCount, h } from "../shared/dom.js";
import { formatCsv, saveFile } from "../shared/downloads.js";
import { LABELLED_FORMS } from "./labelled_forms.js";

const PAGE = 12;
const ALL = "all";
const DIFFER = "differ";
/* By kind of list: title and explanation; those of a task with other words are in its form. */
const KINDS = {
  late: ["Settle late", "Texts whose answer keeps changing longest, latest first."],
  wrong: ["Wrong", "Texts that the last depth gets wrong, most confident first."],
  overthought: ["Overthought", "Right at an earlier depth, wrong at the last: the later depths lose the right answer."],
  [DIFFER]: ["A and B differ", "Texts that A and B of the comparison above answer differently."],
  [ALL]: ["All", "All texts, in the order of the file."],
};

const join = (text) => (Array.isArray(text) ? text.join(" / ") : text);

/* pick(index) when a text is chosen. Returns {setPolicy(policy), setDifferent(indices), open(kind)}. */
export function mountHardTexts(table, prepared, pick) {
  const form = LABELLED_FORMS[table.answers];
  const kinds = Object.fromEntries(
    Object.entries({ ...KINDS, wrong: form.wrong ?? KINDS.wrong }).filter(
      ([key]) => form.isGraded || key !== "overthought",
    ),
  );
  const lists = { [ALL]: table.texts.map((_, i) => i), [DIFFER]: [] };
  for (const key of Object.keys(kinds)) lists[key] ??= listHardTexts(prepared, key);
  const lower = table.texts.map((text) => join(text).toLowerCase());
  let kind = "late";
  let shown = PAGE;
  let policy = null;

  const counts = Object.fromEntries(Object.keys(kinds).map((key) => [key, h("span", { class: "muted" })]));
  const buttons = Object.entries(kinds).map(([key, [title]]) =>
    h(
      "button",
      { type: "button", class: "button small", "data-kind": key, onclick: () => choose(key) },
      title,
      " ",
      counts[key],
    ),
  );
  byId("hard-kinds").replaceChildren(...buttons);
  byId("hard-label").replaceChildren(
    h("option", { value: "" }, "any"),
    ...table.labels.map((label, c) => h("option", { value: c }, label)),
  );
  byId("hard-label").parentElement.hidden = !form.hasLabel;
  byId("hard-search").addEventListener(
    "input",
    debounce(120, () => choose(kind)),
  );
  byId("hard-label").addEventListener("change", () => choose(kind));
  byId("hard-save").addEventListener("click", save);
  byId("hard-more").addEventListener("click", () => {
    const before = shown;
    shown += PAGE;
    fill();
    byId("hard").children[before]?.querySelector("button").focus();
  });

  function choose(key) {
    kind = key;
    shown = PAGE;
    fill();
  }

  function select() {
    const words = byId("hard-search").value.trim().toLowerCase();
    const label = byId("hard-label").value;
    return lists[kind].filter(
      (i) => lower[i].includes(words) && (!label || form.hasLabel(table.label[i], Number(label))),
    );
  }

  function fill() {
    const found = select();
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.kind === kind));
    for (const key of Object.keys(kinds)) counts[key].textContent = formatCount(lists[key].length);
    buttons.find((one) => one.dataset.kind === DIFFER).hidden = !lists[DIFFER].length;
    const isFiltered = found.length < lists[kind].length;
    byId("hard-about").textContent = !lists[kind].length
      ? "None."
      : `${kinds[kind][1]}${isFiltered ? ` ${formatCount(found.length)} of ${formatCount(lists[kind].length)} match.` : ""}`;
    byId("hard").replaceChildren(...found.slice(0, shown).map(item));
    byId("hard-more").hidden = found.length <= shown;
    byId("hard-save").disabled = !found.length;
  }

  function item(i) {
    const found = prepared.texts[i];
    const strip = h(
      "span",
      { class: "strip", "aria-hidden": "true" },
      found.right?.map((right) => h("span", { class: right ? "hit" : "miss" })),
    );
    return h(
      "li",
      {},
      h(
        "button",
        { type: "button", class: "hard-text", onclick: () => pick(i) },
        h("span", { class: "quote" }, join(table.texts[i])),
        h(
          "span",
          { class: "facts" },
          found.right && strip,
          h("span", { class: "muted" }, `${form.describeLast(table, i, found)}; settled at depth ${found.settled}`),
        ),
      ),
    );
  }

  /* What is selected, all of it, with the exits of the policy in use. */
  function save() {
    const rules = listRules(policy);
    const isPair = table.texts.some(Array.isArray);
    const names = ["text", ...(isPair ? ["text_pair"] : []), "label", "answer", "exit_depth", "reason"];
    const rows = select().map((i) => {
      const [text, pair] = [table.texts[i]].flat();
      const { signals, settled } = prepared.texts[i];
      const { depth, reason } = findExit(signals, rules);
      const [answer, last] = [depth, prepared.depths].map((at) => form.nameAnswer(table, i, at));
      const more = [last, settled, printPolicy(policy)];
      return [text, ...(isPair ? [pair] : []), form.nameTruth(table, i), answer, depth, reason, ...more];
    });
    saveFile(`${kind}.csv`, "text/csv", formatCsv([...names, "answer_last", "settled", "policy"], rows));
  }

  fill();
  return {
    setPolicy(next) {
      policy = next;
    },
    setDifferent(indices) {
      lists[DIFFER] = indices;
      if (kind === DIFFER && !indices.length) choose("late");
      else fill();
    },
    showDifferent() {
      choose(DIFFER);
      byId("hard-heading").scrollIntoView({ block: "start" });
      buttons.find((one) => one.dataset.kind === DIFFER).focus({ preventScroll: true });
    },
  };
}
