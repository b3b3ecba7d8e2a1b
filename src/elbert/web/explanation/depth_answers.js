/* How the answers of a task look in an explanation: a class, labels, a value, or the tags of words. */
import { listChanges, listSpans } from "../shared/tag_table.js";
import { formatNumber } from "./drawing.js";
import { assignNamedColors } from "./named_colors.js";

const SIGNALS = ["entropy", "confidence", "gap"]; // of every step; the signal that the policy compares may be another

const classForm = {
  hasWords: false,
  lane: "probability",
  signals: SIGNALS,
  range: () => [0, 1],
  name: (step) => step.label,
  score: (step) => formatNumber(step.score, 3),
  kind: (step, explanation) => `c${assignNamedColors(explanation)(step.label)}`,
  describe: (step) => `${step.label} (${formatNumber(step.score, 3)}).`,
  /* The columns of a depth: name, text, and whether it is a number. */
  columns: [
    ["answer", (step) => step.label, false],
    ["p", (step) => formatNumber(step.score, 3), true],
  ],
  rivalColumns: [
    ["answer", (rival) => rival.label ?? "–", ""],
    ["probability", (rival) => formatNumber(rival.score, 3), "number wide"],
  ],
};

const nameLabels = (step) => step.answer.join(", ") || "no label";

/* Several labels have no common probability. */
const labelsForm = {
  ...classForm,
  name: nameLabels,
  score: () => "",
  describe: (step) => `${nameLabels(step)} (${step.label} ${formatNumber(step.score, 3)}).`,
  columns: [["answer", nameLabels, false], classForm.columns[1]],
};

const valueForm = {
  ...classForm,
  lane: "value",
  signals: ["change"],
  range({ steps }) {
    const values = steps.map((step) => step.score);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return low < high ? [low, high] : [low - 1, high + 1];
  },
  name: (step) => formatNumber(step.score, 3),
  score: () => "",
  kind: () => "c1",
  describe: (step) => `${formatNumber(step.score, 3)}.`,
  columns: [["value", (step) => formatNumber(step.score, 3), true]],
  rivalColumns: [["value", (rival) => formatNumber(rival.score, 3), "number"]],
};

const nameLeast = ({ words, least_settled: least }) =>
  least === null ? "no word" : `${words[least].word} (${words[least].tag} ${formatNumber(words[least].score, 2)})`;

function nameChanges(step, explanation) {
  if (step.depth === 1) return "–";
  return listChanges(explanation.steps[step.depth - 2], step).join(", ") || "none";
}

const tagsForm = {
  ...classForm,
  hasWords: true,
  lane: "",
  name: (step) =>
    listSpans(step)
      .map(({ type, text }) => `${text}: ${type}`)
      .join(", ") || "no entity",
  score: () => "",
  kind: () => "c-fg",
  describe(step, explanation) {
    const changed = step.depth === 1 ? "" : ` Tags changed: ${nameChanges(step, explanation)}.`;
    return `least settled ${nameLeast(step)}.${changed}`;
  },
  columns: [
    ["least settled", nameLeast, false],
    ["tags changed", nameChanges, false],
  ],
  rivalColumns: [["answer", (rival) => rival.label ?? "–", ""]],
};

/* By Task.answer_kind. */
export const FORMS = { class: classForm, labels: labelsForm, value: valueForm, tags: tagsForm };
