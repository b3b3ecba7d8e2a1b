/* The tags of words, depth by depth: a row for each depth, each word in the colour of its tag there. */

import { findSpans, splitTag } from "../policy/spans.js";
import { createChips, h } from "./dom.js";
import { assignColors, OTHER, selectLabels } from "./label_colors.js";

/* The type of a tag: "city" of B-city and I-city; "" outside all spans. */
export const readType = (tag) => splitTag(tag)[1];

/* The words of a text whose tags differ at two depths: "york O → I-city". */
export const listChanges = (before, now) =>
  now.words
    .map((word, i) => [word.word, before.words[i].tag, word.tag])
    .filter(([, old, tag]) => old !== tag)
    .map(([word, old, tag]) => `${word} ${old} → ${tag}`);

/* The spans of a step: [{type, text}]. */
export const listSpans = ({ words }) =>
  findSpans(words.map(({ tag }) => tag)).map(({ type, start, end }) => ({
    type,
    text: words
      .slice(start, end)
      .map(({ word }) => word)
      .join(" "),
  }));

/**
 * The colours of types, as of labels on the other pages: the class of each, and the types that have one.
 * @param {{labels: string[], steps: {words: {tag: string}[]}[]}} view
 * @returns {{color: (tag: string) => number | null, names: [string, number][]}}
 */
export function colorTypes({ labels, steps }) {
  const types = [...new Set(labels.map(readType))].filter(Boolean);
  const shares = steps.map(({ words }) => {
    const found = words.map(({ tag }) => readType(tag));
    return types.map((type) => found.filter((one) => one === type).length);
  });
  const view = { labels: types, steps: shares };
  const color = assignColors(view);
  const present = (c) => shares.some((counts) => counts[c]);
  const { shown, others } = selectLabels(view);
  const names = shown.filter(present).map((c) => [types[c], color(c)]);
  const hasOthers = others && types.some((_, c) => !shown.includes(c) && present(c));
  return {
    color: (tag) => (tag === "O" ? null : color(types.indexOf(readType(tag)))),
    names: /** @type {[string, number][]} */ (hasOthers ? [...names, ["others", OTHER]] : names),
  };
}

/**
 * A table that shows one text at a time: {labels, steps: [{words, least_settled}], exit: {depth, reason}, first}, where
 * first is the depth of the first step (default: 1).
 * @returns {{element: HTMLElement, show: (view: any) => void}} show(null) hides it
 */
export function mountTagTable() {
  const body = h("tbody");
  const cut = h("tr", { class: "cut" }, h("th", { scope: "row" }), h("td", {}, h("span")));
  const table = h("table", { class: "tags" }, h("caption", { class: "visually-hidden" }, "Tags by depth"), body);
  const scroll = h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": "The tags of every word at every depth" },
    table,
  );
  const key = h(
    "p",
    { class: "muted hint" },
    h("span", { class: "tag-key least" }, "frame"),
    ": the least settled word. ",
    h("span", { class: "tag-key changed" }, "line"),
    ": another tag than at the depth before.",
  );
  const element = h("div", { hidden: true }, scroll, key);
  let steps = null;

  function draw(view) {
    steps = view.steps;
    const first = view.first ?? 1;
    const { color } = colorTypes(view);
    body.replaceChildren(
      ...steps.map((step, m) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, m + first),
          step.words.map(({ word, tag, score }, i) => {
            const c = color(tag);
            const isLeast = i === step.least_settled;
            const isChanged = m > 0 && steps[m - 1].words[i].tag !== tag;
            const kind = `${isLeast ? "least " : ""}${isChanged ? "changed " : ""}${c ? `c${c}` : "outside"}`;
            const notes = `${isLeast ? ", least settled" : ""}${isChanged ? ", changed" : ""}`;
            return h(
              "td",
              { class: kind, title: `depth ${m + first}: ${word} ${tag} ${score.toFixed(2)}${notes}` },
              h("span", { class: "word" }, word),
              h("span", { class: "tag-name" }, tag),
              notes && h("span", { class: "visually-hidden" }, notes),
            );
          }),
        ),
      ),
    );
  }

  return {
    element,
    show(view) {
      element.hidden = !view;
      if (!view) return;
      if (view.steps !== steps) draw(view);
      const { depth, reason } = view.exit;
      const run = depth - (view.first ?? 1) + 1; // rows up to the exit
      const rest = steps.length - run;
      cut.firstChild.textContent = "exit";
      cut.lastChild.firstChild.textContent = `${reason}${rest ? ": the depths below are not computed" : ""}`;
      cut.lastChild.setAttribute("colspan", String(Math.max(steps[0].words.length, 1)));
      const rows = [...body.children].filter((row) => row !== cut);
      rows[run - 1].after(cut);
      rows.forEach((row, m) => {
        row.classList.toggle("after", m >= run);
      });
    },
  };
}

/**
 * The table with the colours of its types above it: all that is in the holder.
 * @param {HTMLElement} holder
 * @returns {{show: (view: any) => void}}
 */
export function mountTagDepths(holder) {
  const legend = h("p", { class: "legend" });
  const table = mountTagTable();
  holder.replaceChildren(legend, table.element);
  return {
    show(view) {
      legend.replaceChildren(...createChips(colorTypes(view).names));
      table.show(view);
    },
  };
}
