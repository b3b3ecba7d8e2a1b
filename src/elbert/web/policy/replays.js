/* Policies over a loaded evaluation: accuracy, depth, rivals' curves, hard texts. Needs no page.

   An evaluation is {labels, depths, multi_label, texts, label, probabilities[text][depth][class], entropy?[text][depth]}. */
import { findFirst, LAST_REASON, listRules, readValues } from "./rules.js";
import { computeSignals, findTopClass } from "./signals.js";
import { parsePolicy } from "./specs.js";

const half = Math.fround(0.5);

/**
 * Computed once: the signals of every text, which depths are right, and the depth from which the answer stays.
 * @param {Evaluation} evaluation
 * @returns {PreparedEvaluation}
 */
export function prepareEvaluation(evaluation) {
  const { probabilities, label, multi_label: multiLabel, depths } = evaluation;
  const answer = multiLabel
    ? (step) => step.map((p) => (Math.fround(p) > half ? 1 : 0)).join("")
    : (step) => findTopClass(step);
  const truth = multiLabel ? label.map((bits) => bits.map((bit) => (bit ? 1 : 0)).join("")) : label;
  const texts = probabilities.map((steps, i) => {
    const answers = steps.map(answer);
    const right = answers.map((a) => a === truth[i]);
    return {
      signals: computeSignals(steps, { multiLabel, known: { entropy: evaluation.entropy?.[i] } }),
      answers,
      right,
      settled: findSettledDepth(answers),
    };
  });
  const fixed = Array.from({ length: depths }, (_, m) => share(texts, (text) => text.right[m]));
  const signals = joinSignals(
    texts.map((text) => text.signals),
    depths,
  );
  return { depths, texts, signals, fixed, full: fixed[depths - 1] };
}

/* The signals of all texts, one text after the other: a rule is replayed over one array, which is fast. */
function joinSignals(texts, depths) {
  const found = new Map();
  const remember = (key, make) => found.get(key) ?? found.set(key, make()).get(key);
  return {
    depths,
    read: (name) =>
      remember(name, () => {
        const values = new Float32Array(texts.length * depths);
        texts.forEach((signals, i) => {
          values.set(signals.read(name), i * depths);
        });
        return values;
      }),
    tempered: (temperatures) =>
      remember(temperatures.join(), () =>
        joinSignals(
          texts.map((signals) => signals.tempered(temperatures)),
          depths,
        ),
      ),
  };
}

/* The first depth of every text at which a rule holds; the last depth where it never does. */
function findFirsts(rule, { signals, texts, depths }) {
  const values = readValues(rule, signals);
  const from = Math.max(rule.size, 1);
  const firsts = new Uint16Array(texts.length);
  for (let i = 0, before = 0; i < texts.length; i++, before += depths) {
    firsts[i] = findFirst(rule, values, before + from, before + depths) - before;
  }
  return firsts;
}

const share = (texts, holds) => texts.filter(holds).length / texts.length;

/**
 * The depth (from 1) from which all answers are the last one.
 * @param {(string | number)[]} answers
 * @returns {number}
 */
export function findSettledDepth(answers) {
  let depth = answers.length;
  while (depth > 1 && answers[depth - 2] === answers[answers.length - 1]) depth--;
  return depth;
}

/**
 * A policy over all texts: accuracy, cost, and exits by depth and reason. Policies of a sweep share most of their rules:
 * `replayed` holds those that were replayed before.
 * @param {PreparedEvaluation} prepared
 * @param {Policy} policy
 * @param {Map<string, Uint16Array>} [replayed]
 * @returns {PolicyScore}
 */
export function scorePolicy(prepared, policy, replayed = new Map()) {
  const { texts, depths } = prepared;
  const rules = listRules(policy).map((rule) => {
    const key = JSON.stringify([rule.conditions, rule.temperatures]);
    if (!replayed.has(key)) replayed.set(key, findFirsts(rule, prepared));
    return { reason: rule.reason, firsts: replayed.get(key) };
  });
  const rightAt = new Array(depths).fill(0);
  const wrongAt = new Array(depths).fill(0);
  const reasons = new Map();
  let layers = 0;
  let harmed = 0;
  let helped = 0;
  for (let i = 0; i < texts.length; i++) {
    let depth = depths;
    let reason = LAST_REASON;
    for (const rule of rules) {
      if (rule.firsts[i] >= depth) continue; // of several at one depth, the first is the reason
      depth = rule.firsts[i];
      reason = rule.reason;
    }
    const right = texts[i].right[depth - 1];
    const atLast = texts[i].right[depths - 1];
    (right ? rightAt : wrongAt)[depth - 1]++;
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    layers += depth;
    harmed += !right && atLast ? 1 : 0;
    helped += right && !atLast ? 1 : 0;
  }
  const meanDepth = layers / texts.length;
  const accuracy = rightAt.reduce((a, b) => a + b, 0) / texts.length;
  return { accuracy, meanDepth, speedup: depths / meanDepth, rightAt, wrongAt, reasons, harmed, helped };
}

/**
 * Scored specs of one family, in order of mean depth.
 * @param {PreparedEvaluation} prepared
 * @param {string[]} specs
 * @returns {PolicyPoint[]}
 */
export function sweepFamily(prepared, specs) {
  const replayed = new Map();
  const scored = specs.map((spec) => {
    const { accuracy, meanDepth } = scorePolicy(prepared, parsePolicy(spec), replayed);
    return { spec, accuracy, meanDepth };
  });
  return scored.sort((a, b) => a.meanDepth - b.meanDepth || b.accuracy - a.accuracy);
}

/**
 * Of points in order of mean depth, those that no cheaper one equals.
 * @param {PolicyPoint[]} points
 * @returns {PolicyPoint[]}
 */
export function findFront(points) {
  let best = -Infinity;
  return points.filter((p) => {
    const isBetter = p.accuracy > best;
    if (isBetter) best = p.accuracy;
    return isBetter;
  });
}

/**
 * The point of a front that costs at most so much; the cheapest if there is none.
 * @param {PolicyPoint[]} points
 * @param {number} meanDepth
 * @returns {PolicyPoint}
 */
export function findPointAtCost(points, meanDepth) {
  return points.filter((p) => p.meanDepth <= meanDepth + 1e-9).at(-1) ?? points[0];
}

/* Which texts are hard, hardest first, as indices. */
const HARD = {
  late: (texts) =>
    ordered(
      texts,
      (t) => t.settled > 1,
      (t) => -t.settled,
    ),
  wrong: (texts) =>
    ordered(
      texts,
      (t) => !t.right.at(-1),
      (t) => -t.signals.read("confidence").at(-1),
    ),
  overthought: (texts) =>
    ordered(
      texts,
      (t) => !t.right.at(-1) && t.right.some(Boolean),
      (t) => -share(t.right, Boolean),
    ),
};

function ordered(texts, chosen, key) {
  const rows = texts.map((text, i) => ({ i, text })).filter(({ text }) => chosen(text));
  return rows.sort((a, b) => key(a.text) - key(b.text) || a.i - b.i).map(({ i }) => i);
}

/**
 * @param {PreparedEvaluation} prepared
 * @param {string} kind
 * @returns {number[]} indices of texts
 */
export const listHardTexts = (prepared, kind) => HARD[kind](prepared.texts);
