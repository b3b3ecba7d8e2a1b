/* How the answers of a task look in the explorer and on offline pages: a class, labels, a value, or the tags of words. */

import { findAnswer, formatShare } from "../policy/answers.js";
import { computeSignals } from "../policy/signals.js";
import { formatPlural } from "../shared/dom.js";
import { assignColors, OTHER, selectLabels } from "../shared/label_colors.js";
import { colorTypes, listChanges, listSpans } from "../shared/tag_table.js";
import { drawLabelLines, drawStacks, drawValueLine } from "./score_lanes.js";

const SURE = 0.8; // the score above which a cell of an answer has its full colour

const OPINIONS = ["negative", "positive"]; // the labels of models for which reviews are examples
const REVIEWS = [
  "A charming and often affecting journey.",
  "The plot is thin, but the acting is so warm that I left the cinema smiling.",
  "Not a bad film, just an unnecessary one.",
  "It starts as a delight and ends as homework.",
];

const MESSAGES = [
  "Where can I change my address?",
  "The battery lasts all day, but the screen is too dim.",
  "How far is the moon from the earth?",
  "Please cancel my order and send the money back.",
];

/* One class for each text. listExamples: texts to begin with, by the labels of the model. A step is the probability of
   every label, as the trace of the server has it by name. */
const classForm = {
  listExamples: (labels) => (labels.every((label) => OPINIONS.includes(label.toLowerCase())) ? REVIEWS : MESSAGES),
  hasWords: false,
  hasPairs: true,
  lane: "Probabilities at each depth",
  cells: "Answers",
  nameUnit: () => "",
  draw: drawStacks,
  readStep: (step, labels) => labels.map((label) => step.scores[label]),
  readSignals: ({ steps, entropy }, { multi_label: multiLabel }) =>
    computeSignals(steps, { multiLabel, known: { entropy } }),
  answer(view, depth) {
    const { name, score, index } = findAnswer(view.steps[depth - 1], view.labels, view.multiLabel);
    return { name, score: score === null ? "" : formatShare(score), kind: `c${assignColors(view)(index)}` };
  },
  describe(view, depth) {
    const { name, score } = this.answer(view, depth);
    return score ? `${name} ${score}` : name;
  },
  describeLast(view) {
    const [here, last] = [view.exit.depth, view.steps.length].map((depth) => this.answer(view, depth));
    if (here.name === last.name) return "The last depth gives the same answer.";
    return `The last depth gives ${last.name}${last.score && ` (${last.score})`}.`;
  },
  rival(view, depth) {
    const { name } = this.answer(view, depth);
    return { name, differs: name !== this.answer(view, view.exit.depth).name };
  },
  colorCell: (view, depth) => assignColors(view)(findAnswer(view.steps[depth - 1], view.labels, view.multiLabel).index),
  isUnsure(view, depth) {
    const { score } = findAnswer(view.steps[depth - 1], view.labels, view.multiLabel);
    return score !== null && score <= SURE;
  },
  nameColors(view) {
    const { shown, others } = selectLabels(view);
    const names = shown.map((c) => [view.labels[c], assignColors(view)(c)]);
    return others ? [...names, ["others", OTHER]] : names;
  },
  listColumns: (view) => [
    { head: "Answer", cell: ({ step }) => findAnswer(step, view.labels, view.multiLabel).name },
    ...selectLabels(view).shown.map((c) => ({
      head: view.labels[c],
      number: true,
      cell: ({ step }) => step[c].toFixed(3),
    })),
  ],
};

/* Any number of labels for each text. */
const labelsForm = { ...classForm, lane: "Probability of every label", draw: drawLabelLines };

/* A value for each text; signals are in units of the standard deviation of the training labels. */
const valueForm = {
  ...classForm,
  lane: "Value at each depth",
  cells: "Depths",
  nameUnit: ({ unit }) => (unit === 1 ? "" : ", in standard deviations"),
  draw: drawValueLine,
  readSignals: ({ steps }, { unit }) => computeSignals(steps, { content: "values", scale: unit }),
  answer: (view, depth) => ({ name: view.steps[depth - 1][0].toFixed(3), score: "", kind: "c1" }),
  describeLast(view) {
    const [here, last] = [view.exit.depth, view.steps.length].map((depth) => view.steps[depth - 1][0]);
    return `The last depth gives ${last.toFixed(3)}, ${Math.abs(last - here).toFixed(3)} from this value.`;
  },
  rival: (view, depth) => ({ name: view.steps[depth - 1][0].toFixed(3), differs: false }),
  colorCell: () => OTHER,
  isUnsure: () => false,
  nameColors: () => [],
  listColumns: () => [{ head: "Value", number: true, cell: ({ step }) => step[0].toFixed(3) }],
};

const describeLeast = ({ words, least_settled: least }) =>
  least === null
    ? "no word"
    : `least settled ${words[least].word} (${words[least].tag} ${formatShare(words[least].score)})`;

const MOST_CHANGES = 5;
const describeCount = (count) => (count ? `${formatPlural(count, "tag")} changed` : "no tag changed");

/* A tag for each word. A step is {words: [{word, tag, score}], least_settled, signals}, as the server has it. */
const tagsForm = {
  ...classForm,
  listExamples: () => [
    "book a table for two in new york",
    "play the last song by mozart on spotify",
    "will it rain in paris tomorrow",
  ],
  hasWords: true,
  hasPairs: false,
  lane: "",
  cells: "Blue: tags of the exit",
  readStep: (step) => step,
  /* Signals come with the steps: pages have no probabilities of every tag. Null is infinite. */
  readSignals({ steps }) {
    const found = new Map(
      Object.keys(steps[0]?.signals ?? {}).map((name) => [
        name,
        Float32Array.from(steps, (step) => step.signals[name] ?? Infinity),
      ]),
    );
    const signals = { depths: steps.length, read: (name) => found.get(name), tempered: () => signals };
    return signals;
  },
  answer(view, depth) {
    const spans = listSpans(view.steps[depth - 1]).map(({ type, text }) => `${text}: ${type}`);
    return { name: spans.join(", ") || "no entity", score: "", kind: "c-fg" };
  },
  describe(view, depth) {
    const step = view.steps[depth - 1];
    const count = depth > 1 ? `, ${describeCount(listChanges(view.steps[depth - 2], step).length)}` : "";
    return describeLeast(step) + count;
  },
  describeLast(view) {
    const changes = listChanges(view.steps[view.exit.depth - 1], view.steps.at(-1));
    if (!changes.length) return "The last depth gives the same tags.";
    const more = changes.length > MOST_CHANGES ? `, and ${changes.length - MOST_CHANGES} more` : "";
    return `The last depth gives other tags: ${changes.slice(0, MOST_CHANGES).join(", ")}${more}.`;
  },
  rival(view, depth) {
    const count = listChanges(view.steps[view.exit.depth - 1], view.steps[depth - 1]).length;
    return { name: count ? `${formatPlural(count, "tag")} differ` : "same tags", differs: count > 0 };
  },
  colorCell: (view, depth) => (listChanges(view.steps[view.exit.depth - 1], view.steps[depth - 1]).length ? OTHER : 1),
  isUnsure: () => false,
  nameColors: (view) => colorTypes(view).names,
  listColumns: (view) => [
    { head: "Least settled", cell: ({ step }) => describeLeast(step).replace("least settled ", "") },
    {
      head: "Changed tags",
      cell: ({ depth, step }) => (depth > 1 ? listChanges(view.steps[depth - 2], step).join(", ") || "none" : "–"),
    },
  ],
};

/* By Task.answer_kind. */
export const FORMS = { class: classForm, labels: labelsForm, value: valueForm, tags: tagsForm };
