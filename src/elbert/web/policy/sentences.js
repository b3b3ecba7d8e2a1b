/* Rules in words, made of their conditions and the signals of a text: the counterpart of elbert.explain.sentences. Both
   are held to the same file of examples. */
import { formatFloat, formatGeneral } from "./numbers.js";
import { findBreak, fires, listRules, temperSignals } from "./rules.js";
import { SIGNALS, TABLE } from "./table.js";

const SIGNS = { "<": "<", "<=": "≤", ">": ">", ">=": "≥", "==": "=" };
const OPPOSITES = { "<": "≥", "<=": ">", ">": "≤", ">=": "<", "==": "≠" };

const wordsOf = ({ signal }) => SIGNALS.get(signal).words;

/**
 * A condition in short, "gap > 0.2", or what keeps it from holding, "gap ≤ 0.2".
 * @param {Condition} condition
 * @param {boolean} [isBroken]
 * @returns {string}
 */
export function nameCondition(condition, isBroken = false) {
  const { condition: kind, signal, op, threshold, limit } = condition;
  if (kind === "at_depth") return `depth ${isBroken ? "<" : "≥"} ${condition.depth}`;
  if (kind === "rising") return `${signal} ${isBroken ? "falls" : "never falls"}`;
  if (kind === "spread") return `${signal} moves ${isBroken ? ">" : "≤"} ${formatGeneral(limit)}`;
  const words = wordsOf(condition);
  if (words !== null) return words[Boolean(threshold) === isBroken ? 1 : 0];
  const first = kind === "at_start" ? "first " : "";
  return `${first}${signal} ${(isBroken ? OPPOSITES : SIGNS)[op]} ${formatGeneral(threshold)}`;
}

/* The number of depths that a condition reads: one more for a signal that compares with the depth before. */
function countDepths({ condition, signal, size }) {
  if (condition === "at_depth") return 1;
  return size + (SIGNALS.get(signal).first === null ? 0 : 1);
}

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
  if (fires(rule, signals, depth)) return { state: "holds", at: 0 };
  const tempered = temperSignals(rule, signals);
  const broken = rule.conditions.find((condition) => findBreak(condition, tempered, depth));
  return {
    state: broken ? nameCondition(broken, true) : "",
    at: broken && broken.condition !== "spread" ? findBreak(broken, tempered, depth) : 0,
  };
}

/**
 * The signal that a policy compares first with a threshold, by which rule; the first signal without one if it compares
 * none. Signals that are 1 or 0 have no threshold to show.
 * @param {Policy} policy
 * @returns {Gauge}
 */
export function findGauge(policy) {
  for (const rule of listRules(policy)) {
    const compared = rule.conditions.find((one) => one.op !== undefined && wordsOf(one) === null);
    if (compared) return { rule, ...compared, below: compared.op.includes("<"), sign: SIGNS[compared.op] };
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
  const { condition: kind, signal, size } = condition;
  if (kind === "at_depth") return [`depth ${depth} ≥ ${condition.depth}`, ""];
  if (!size || (kind === "rising" && size < 2)) return ["", ""];
  const [covered, start] = [countDepths(condition), depth - size + 1];
  const span = covered > 1 ? ` over depths ${depth - covered + 1} to ${depth}` : "";
  if (kind === "rising" || (kind === "held" && wordsOf(condition) !== null)) return [nameCondition(condition), span];
  if (kind === "held" && size > 1) return [`every ${nameCondition(condition)}`, ` over depths ${start} to ${depth}`];
  const values = signals.read(signal).subarray(start - 1, depth);
  if (kind === "spread") {
    const [value, limit] = formatPair(Math.max(...values) - Math.min(...values), condition.limit);
    return [`${signal} moves by ${value} ≤ ${limit}`, span];
  }
  const [value, threshold] = formatPair(values[0], condition.threshold);
  const where = kind === "at_start" ? ` at depth ${start}` : "";
  return [`${signal} ${value} ${SIGNS[condition.op]} ${threshold}${where}`, ""];
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
  if (condition?.condition !== "held" || condition.size !== 1 || wordsOf(condition) !== null)
    return "no rule held before";
  const values = temperSignals(rules[0], signals).read(condition.signal);
  const before = [...values].slice(0, -1).filter(Number.isFinite);
  if (!before.length) return "no rule held before";
  const isBelow = condition.op.includes("<");
  const [value, threshold] = formatPair(isBelow ? Math.min(...before) : Math.max(...before), condition.threshold);
  const nearest = `${isBelow ? "lowest" : "highest"} ${value}`;
  return `${condition.signal} ${SIGNS[condition.op]} ${threshold} at no depth before (${nearest})`;
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
