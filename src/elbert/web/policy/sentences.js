/* Rules in words, made of their conditions and the signals of a text: the counterpart of elbert.explain.sentences. Both
   are held to the same file of examples. */
import { formatFloat, formatGeneral } from "./numbers.js";
import { findBreak, listRules, readValues, temperSignals } from "./rules.js";
import { SIGNALS, TABLE } from "./table.js";

const { conditions: WORDS, signs: SIGNS } = TABLE;

/* The words for 1 and 0 where a condition compares a signal that is one of both. */
const findWords = ({ kind, signal }) => (kind === "held" || kind === "at_start" ? SIGNALS.get(signal).words : null);

/* Words of a kind of conditions with the names and numbers of one. */
function fillWords(words, { signal, op, size }, more) {
  const [sign, opposite] = SIGNS[op];
  const found = { signal, sign, opposite, size, ...more };
  return words.replace(/\{(\w+)\}/g, (_, name) => found[name]);
}

/**
 * A condition in short, "gap > 0.2", or what keeps it from holding, "gap ≤ 0.2".
 * @param {Condition} condition
 * @param {boolean} [fails]
 * @returns {string}
 */
export function nameCondition(condition, fails = false) {
  const words = findWords(condition);
  if (words) return words[Boolean(condition.threshold) === fails ? 1 : 0];
  return fillWords(WORDS[condition.kind][fails ? 1 : 0], condition, { threshold: formatGeneral(condition.threshold) });
}

/* The number of depths that a condition reads: one more for a signal that compares with the depth before. */
const countDepths = ({ signal, size }) => (signal ? size + (SIGNALS.get(signal).first === null ? 0 : 1) : 1);

/**
 * The number of depths that a rule covers.
 * @param {Rule} rule
 * @returns {number}
 */
export const countCovered = (rule) => Math.max(...rule.conditions.map(countDepths));

/**
 * A rule in short: "same class, gap > 0.2, 6 depths".
 * @param {Rule} rule
 * @returns {string}
 */
export function nameRule(rule) {
  const covered = countCovered(rule);
  const names = rule.conditions.map((condition) => nameCondition(condition));
  return names.join(", ") + (covered > 1 ? `, ${covered} depths` : "");
}

/**
 * What keeps a rule from firing at a depth, in short, and the depth that breaks it; 0 where none does.
 * @param {Rule} rule
 * @param {Signals} signals
 * @param {number} depth
 * @returns {{state: string, at: number}}
 */
export function describeState(rule, signals, depth) {
  const covered = countCovered(rule);
  if (depth < covered) return { state: `${depth} of ${covered}`, at: 0 };
  const values = readValues(rule, signals);
  for (const [i, condition] of rule.conditions.entries()) {
    const at = findBreak(condition, values[i], depth);
    if (at) return { state: nameCondition(condition, true), at: condition.kind === "spread" ? 0 : at };
  }
  return { state: "holds", at: 0 };
}

/**
 * The signal that a policy compares first with a threshold, by which rule; the first signal without one if it compares
 * none. Signals that are 1 or 0 have no threshold to show.
 * @param {Policy} policy
 * @returns {Gauge}
 */
export function findGauge(policy) {
  for (const rule of listRules(policy)) {
    const compared = rule.conditions.find((one) => ["held", "at_start"].includes(one.kind) && !findWords(one));
    if (compared) return { rule, ...compared, below: compared.op.includes("<"), sign: SIGNS[compared.op][0] };
  }
  return { rule: null, signal: TABLE.signals[0].name, threshold: null, below: false, sign: "" };
}

/* Both numbers as text, the value with 2 decimals or as few more as distinguish it from the threshold. */
function formatPair(value, threshold) {
  if (!Number.isFinite(value)) return [formatFloat(value), formatGeneral(threshold)];
  for (let decimals = 2; decimals < 8; decimals++) {
    const text = value.toFixed(decimals);
    if (Number(text) !== threshold || value === threshold) return [text, formatGeneral(threshold)];
  }
  return [formatFloat(value), formatGeneral(threshold)];
}

/* A condition that holds at a depth, and the depths that it covers: both empty where it asks for nothing. */
function describeCondition(condition, signals, depth) {
  const { kind, signal, size } = condition;
  const [words, shows, start] = [findWords(condition), WORDS[kind][2], depth - size + 1];
  if (size < (kind === "rising" ? 2 : 1)) return ["", ""];
  if (kind === "held" && size > 1 && !words) {
    return [`every ${nameCondition(condition)}`, ` over depths ${start} to ${depth}`];
  }
  const covered = countDepths(condition);
  const span = covered > 1 ? ` over depths ${depth - covered + 1} to ${depth}` : "";
  if (!shows || (kind === "held" && words)) return [nameCondition(condition), span];
  const found = signal ? signals.read(signal).subarray(start - 1, depth) : [depth];
  const number = kind === "spread" ? Math.max(...found) - Math.min(...found) : found[0];
  const [value, threshold] = formatPair(number, condition.threshold);
  return [fillWords(shows, condition, { value, threshold, depth, start }), kind === "spread" ? span : ""];
}

/* Why a rule fires at a depth: "same class over depths 2 to 7, every gap > 0.2". */
function describeRule(rule, signals, depth) {
  const parts = [];
  let before = "";
  for (const condition of rule.conditions) {
    const [text, span] = describeCondition(condition, signals, depth);
    if (!text) continue;
    parts.push(text + (span === before ? "" : span));
    before = span;
  }
  return parts.join(", ") || "its rule holds at every depth";
}

/* Why no rule ended a text before the last depth; the nearest value where there is one threshold. */
function describeNever(rules, signals) {
  const condition = rules.length === 1 && rules[0].conditions.length === 1 ? rules[0].conditions[0] : null;
  if (condition?.kind === "held" && condition.size === 1 && !findWords(condition)) {
    const values = temperSignals(rules[0], signals).read(condition.signal);
    const before = [...values].slice(0, -1).filter(Number.isFinite);
    const isBelow = condition.op.includes("<");
    if (before.length) {
      const [value] = formatPair(isBelow ? Math.min(...before) : Math.max(...before), condition.threshold);
      return `${nameCondition(condition)} at no depth before (${isBelow ? "lowest" : "highest"} ${value})`;
    }
  }
  return "no rule held before";
}

/**
 * Why a text exits where it does, as a clause: "entropy 0.08 < 0.25".
 * @param {Rule[]} rules
 * @param {Signals} signals
 * @param {Exit} exit
 * @returns {string}
 */
export function describeReason(rules, signals, exit) {
  if (!rules.length) return "this policy has no early exit";
  const rule = rules[exit.rule];
  if (!rule) return describeNever(rules, signals);
  const tempered = rule.temperatures.length ? " (at the temperatures of this policy)" : "";
  return describeRule(rule, temperSignals(rule, signals), exit.depth) + tempered;
}

/**
 * One sentence why a text exits: "exited at depth 5 of 6: entropy 0.08 < 0.25".
 * @param {Rule[]} rules
 * @param {Signals} signals
 * @param {Exit} exit
 * @returns {string}
 */
export function describeExit(rules, signals, exit) {
  const last = rules.length && !rules[exit.rule] ? ", the last" : "";
  return `exited at depth ${exit.depth} of ${signals.depths}${last}: ${describeReason(rules, signals, exit)}`;
}
