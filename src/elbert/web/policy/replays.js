/* Policies over a loaded evaluation: score, depth, rivals' curves, hard texts. Needs no page.

   An evaluation is {answers, labels, depths, texts, label}, and of each kind of answers what task_scores.js reads:
   probabilities[text][depth][class], entropy?[text][depth]; for values unit and tolerance; for tags tags[text][depth][word]
   and signals. */
import { findFirst, LAST_REASON, listRules, readValues } from "./rules.js";
import { parsePolicy } from "./specs.js";
import { TASK_SCORES } from "./task_scores.js";

/**
 * Computed once: the signals of every text, how good each depth is, and the depth from which the answer stays.
 * @param {Evaluation} evaluation
 * @returns {PreparedEvaluation}
 */
export function prepareEvaluation(evaluation) {
  const { depths, texts: all } = evaluation;
  const kind = TASK_SCORES[evaluation.answers];
  const areSame = (a, b) => kind.areSame(a, b, evaluation);
  const texts = all.map((_, i) => {
    const text = kind.readText(evaluation, i);
    return { ...text, settled: findSettledDepth(text.answers, areSame) };
  });
  const score = kind.createScore(evaluation);
  const fixed = Array.from({ length: depths }, (_, m) => score(texts.map(({ parts }) => parts[m])));
  const signals = joinSignals(
    texts.map((text) => text.signals),
    depths,
  );
  return { depths, texts, signals, score, areSame, slack: kind.slack(evaluation), fixed, full: fixed[depths - 1] };
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

/**
 * The depth (from 1) from which all answers are the last one.
 * @param {(string | number)[]} answers
 * @param {(a: string | number, b: string | number) => boolean} areSame
 * @returns {number}
 */
export function findSettledDepth(answers, areSame) {
  let depth = answers.length;
  while (depth > 1 && areSame(answers[depth - 2], answers[answers.length - 1])) depth--;
  return depth;
}

/**
 * A policy over all texts: score, cost, and exits by depth and reason. Policies of a sweep share most of their rules:
 * `replayed` holds those that were replayed before.
 * @param {PreparedEvaluation} prepared
 * @param {Policy} policy
 * @param {Map<string, Uint16Array>} [replayed]
 * @returns {PolicyScore}
 */
export function scorePolicy(prepared, policy, replayed = new Map()) {
  const { texts, depths, slack } = prepared;
  const rules = listRules(policy).map((rule) => {
    const key = JSON.stringify([rule.conditions, rule.temperatures]);
    if (!replayed.has(key)) replayed.set(key, findFirsts(rule, prepared));
    return { reason: rule.reason, firsts: replayed.get(key) };
  });
  const exitsAt = new Array(depths).fill(0);
  const rightAt = new Array(depths).fill(0);
  const reasons = new Map();
  const parts = new Array(texts.length);
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
    const { errors, right } = texts[i];
    const worse = errors[depth - 1] - errors[depths - 1];
    parts[i] = texts[i].parts[depth - 1];
    exitsAt[depth - 1]++;
    rightAt[depth - 1] += right?.[depth - 1] ? 1 : 0;
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    layers += depth;
    harmed += worse > slack ? 1 : 0;
    helped += -worse > slack ? 1 : 0;
  }
  const meanDepth = layers / texts.length;
  const score = prepared.score(parts);
  return { score, meanDepth, speedup: depths / meanDepth, exitsAt, rightAt, reasons, harmed, helped };
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
    const { score, meanDepth } = scorePolicy(prepared, parsePolicy(spec), replayed);
    return { spec, score, meanDepth };
  });
  return scored.sort((a, b) => a.meanDepth - b.meanDepth || b.score - a.score);
}

/**
 * Of points in order of mean depth, those that no cheaper one equals.
 * @param {PolicyPoint[]} points
 * @returns {PolicyPoint[]}
 */
export function findFront(points) {
  let best = -Infinity;
  return points.filter((p) => {
    const isBetter = p.score > best;
    if (isBetter) best = p.score;
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

const share = (values) => values.filter(Boolean).length / values.length;

/* Which texts are hard, hardest first, as indices. Right and wrong are known of tasks with such answers only. */
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
      (t) => t.errors.at(-1) > 0,
      (t) => -t.errors.at(-1),
      (t) => (t.right ? -t.signals.read("confidence").at(-1) : 0),
    ),
  overthought: (texts) =>
    ordered(
      texts,
      (t) => t.right && !t.right.at(-1) && t.right.some(Boolean),
      (t) => -share(t.right),
    ),
};

/* Later keys are read where the earlier ones are equal. */
function ordered(texts, chosen, ...keys) {
  const rows = texts.flatMap((text, i) => (chosen(text) ? [[...keys.map((key) => key(text)), i]] : []));
  const compare = (a, b) => {
    const k = a.findIndex((value, at) => value !== b[at]); // the last is the text's place, which differs
    return a[k] - b[k];
  };
  return rows.sort(compare).map((row) => row.at(-1));
}

/**
 * @param {PreparedEvaluation} prepared
 * @param {string} kind
 * @returns {number[]} indices of texts
 */
export const listHardTexts = (prepared, kind) => HARD[kind](prepared.texts);
