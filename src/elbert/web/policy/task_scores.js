/* How the answers of labelled texts are read, compared and scored, by the kind of answer: the counterpart of
   elbert.tasks. Each kind has
   - readText(table, i): the signals of a text, its answers by depth, how far each is from the label (errors), whether it
     is right (null for values), and its parts, from which the score is computed;
   - areSame(a, b, table): whether two answers are the same;
   - slack(table): the difference between errors that does not count;
   - createScore(table): parts of all texts, one each, to the score of the task;
   - isTrace(found, table, i): whether a text of another model's outputs has its answers at all depths. */
import { computeSignals, findTopClass } from "./signals.js";
import { findSpans } from "./spans.js";

const half = Math.fround(0.5);
const sum = (values) => values.reduce((a, b) => a + b, 0);
const isEqual = (a, b) => a === b;
const hasNoSlack = () => 0;

/* Answers are right or wrong, and the score is the share of right ones. */
const gradeWith = (readAnswer, readTruth, multiLabel) => ({
  readText(table, i) {
    const steps = table.probabilities[i];
    const answers = steps.map(readAnswer);
    const right = answers.map((answer) => answer === readTruth(table.label[i]));
    const signals = computeSignals(steps, { multiLabel, known: { entropy: table.entropy?.[i] } });
    return { signals, answers, errors: right.map((one) => (one ? 0 : 1)), right, parts: right };
  },
  areSame: isEqual,
  slack: hasNoSlack,
  createScore: () => (parts) => parts.filter(Boolean).length / parts.length,
  isTrace: hasOutputs,
});

const joinBits = (bits) => bits.map((bit) => (bit ? 1 : 0)).join("");

/* Values, scored by Spearman's correlation with the labels. */
const values = {
  readText(table, i) {
    const answers = table.probabilities[i].map(([value]) => value);
    return {
      signals: computeSignals(table.probabilities[i], { content: "values", scale: table.unit }),
      answers,
      errors: answers.map((value) => Math.abs(value - table.label[i])),
      right: null,
      parts: answers,
    };
  },
  areSame: (a, b, { tolerance }) => Math.fround(Math.abs(Math.fround(a - b))) <= Math.fround(tolerance),
  slack: ({ tolerance }) => tolerance,
  createScore({ label }) {
    const ranks = findRanks(label);
    return (parts) => correlate(findRanks(parts), ranks);
  },
  isTrace: (found, table, i) => found.unit > 0 && found.tolerance >= 0 && hasOutputs(found, table, i),
};

/* Tags of words, scored by the F1 of spans. Signals come from the server; null is infinite. */
const tags = {
  readText(table, i) {
    const name = (c) => (c < 0 ? "O" : table.labels[c]);
    const spell = (indices) => findSpans(indices.map(name)).map(({ type, start, end }) => `${start}-${end} ${type}`);
    const truth = spell(table.label[i]);
    const spans = table.tags[i].map(spell);
    const answers = spans.map((found) => found.join("; "));
    const right = answers.map((answer) => answer === truth.join("; "));
    const trueSpans = new Set(truth);
    return {
      signals: readSignals(table.signals, i),
      answers,
      errors: table.tags[i].map((step) => step.filter((tag, word) => tag !== table.label[i][word]).length),
      right,
      parts: spans.map((found) => [found.filter((span) => trueSpans.has(span)).length, found.length, truth.length]),
    };
  },
  areSame: isEqual,
  slack: hasNoSlack,
  createScore: () => (parts) => {
    const [right, found, truth] = [0, 1, 2].map((k) => sum(parts.map((counts) => counts[k])));
    return found + truth ? (2 * right) / (found + truth) : 0;
  },
  isTrace(found, { label, labels, signals }, i) {
    const isTag = (tag) => Number.isInteger(tag) && tag >= -1 && tag < labels.length;
    return (
      isRow(found.tags?.[i], found.depths) &&
      found.tags[i].every((step) => isRow(step, label[i].length) && step.every(isTag)) &&
      Object.keys(signals).every((name) => isRow(found.signals?.[name]?.[i], found.depths))
    );
  },
};

/* By Task.answer_kind. */
export const TASK_SCORES = {
  class: gradeWith(findTopClass, (label) => label, false),
  labels: gradeWith((step) => joinBits(step.map((p) => Math.fround(p) > half)), joinBits, true),
  value: values,
  tags,
};

const isRow = (row, length) => Array.isArray(row) && row.length === length;

function hasOutputs({ probabilities, depths }, { labels }, i) {
  const steps = probabilities?.[i];
  return isRow(steps, depths) && steps.every((step) => isRow(step, labels.length) && step.every(Number.isFinite));
}

/* Signals that the server computed: by name, [text][depth]. */
function readSignals(known, i) {
  const found = new Map(
    Object.entries(known).map(([name, ofTexts]) => [name, Float32Array.from(ofTexts[i], (value) => value ?? Infinity)]),
  );
  const signals = { depths: [...found.values()][0].length, read: (name) => found.get(name), tempered: () => signals };
  return signals;
}

/**
 * The ranks of values from 1; equal values share their mean rank.
 * @param {number[]} values
 * @returns {number[]}
 */
export function findRanks(values) {
  const sorted = Float64Array.from(values).sort();
  const places = new Map();
  for (let start = 0, end = 0; start < sorted.length; start = end) {
    while (end < sorted.length && sorted[end] === sorted[start]) end++;
    places.set(sorted[start], (start + 1 + end) / 2);
  }
  return values.map((value) => places.get(value));
}

/* Pearson's correlation; 0 where one of both is constant. */
function correlate(a, b) {
  const center = (values) => {
    const mean = sum(values) / values.length;
    return values.map((value) => value - mean);
  };
  const dot = (x, y) => sum(x.map((value, i) => value * y[i]));
  const [x, y] = [center(a), center(b)];
  const spread = Math.sqrt(dot(x, x)) * Math.sqrt(dot(y, y));
  return spread ? dot(x, y) / spread : 0;
}
