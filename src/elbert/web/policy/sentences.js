/* Rules in words, made of their conditions and the signals of a text: the counterpart of elbert.explain.sentences. Both
   are held to the same file of examples. */
import { formatFloat, formatGeneral } from "./numbers.js";
import { findBreak, listRules, readValues, temperSignals } from "./rules.js";
import { SIGNALS, TABLE } from "./table.js";

const { conditions: WORDS, signs: SIGNS } = TABLE;

/* The words for 1 and 0 where a condition compares a signal that is one of both. */
const findFlag = ({ kind, signal }) => (kind === "held" ? SIGNALS.get(signal).words : null);

/* One of the three forms of the words of conditions, with the names and numbers of a condition. */
function fillWords(condition, form, more = {}) {
  const { kind, signal, op, threshold, size } = condition;
  let [short, opposite, holds] = WORDS[kind];
  const flag = findFlag(condition);
  if (flag) {
    [short, opposite] = threshold ? flag : [flag[1], flag[0]];
    holds = `${short}{span}`;
  } else if (kind === "held" && size > 1) holds = `every ${short}{span}`;
  const [sign, contrary] = SIGNS[op];
  const found = { signal, sign, opposite: contrary, threshold: formatGeneral(threshold), size, ...more };
  return [short, opposite, holds][form].replace(/\{(\w+)\}/g, (_, name) => found[name]);
}

/**
 * A condition in short, "gap > 0.2", or what keeps it from holding, "gap ≤ 0.2".
 * @param {Condition} condition
 * @param {boolean} [fails]
 * @returns {string}
 */
export const nameCondition = (condition, fails = false) => fillWords(condition, fails ? 1 : 0);

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
    const compared = rule.conditions.find((one) => ["held", "at_start"].includes(one.kind) && !findFlag(one));
    if (compared) return { rule, ...compared, below: compared.op.includes("<"), sign: SIGNS[compared.op][0] };
  }
  return { rule: null, signal: TABLE.signals[0].name, threshold: null, below: false, sign: "" };
}

/* A value with 2 decimals or as few more as distinguish it from the threshold. */
function formatBeside(value, threshold) {
  for (let decimals = 2; decimals < 8 && Number.isFinite(value); decimals++) {
    const text = value.toFixed(decimals);
    if (Number(text) !== threshold || value === threshold) return text;
  }
  return formatFloat(value);
}

/* Why a condition holds at a depth. */
function describeCondition(condition, signals, depth) {
  const { kind, signal, size, threshold } = condition;
  const start = depth - size + 1;
  const seen = signal ? signals.read(signal).subarray(start - 1, depth) : [depth];
  const value = formatBeside(kind === "spread" ? Math.max(...seen) - Math.min(...seen) : seen[0], threshold);
  const first = findFlag(condition) ? start - 1 : start;
  const span = first < depth ? ` over depths ${first} to ${depth}` : "";
  return fillWords(condition, 2, { value, depth, start, span });
}

/* Why a rule fires at a depth: "same class over depths 2 to 7, every gap > 0.2". */
function describeRule(rule, signals, depth) {
  const parts = [];
  let lastSpan = "";
  for (const condition of rule.conditions) {
    if (condition.size <= (condition.kind === "rising" ? 1 : 0)) continue; // it asks for nothing
    const whole = describeCondition(condition, signals, depth);
    const [text, span = ""] = whole.split(" over depths ");
    parts.push(span === lastSpan ? text : whole);
    lastSpan = span;
  }
  return parts.join(", ") || "its rule holds at every depth";
}

/* Why no rule ended a text before the last depth; the nearest value where there is one threshold. */
function describeNever(rules, signals) {
  const [rule, ...others] = rules;
  const [condition, ...more] = rule.conditions;
  const { kind, size, signal, op, threshold } = condition;
  if (!others.length && !more.length && kind === "held" && size === 1 && !findFlag(condition)) {
    const before = temperSignals(rule, signals).read(signal).slice(0, -1).filter(Number.isFinite);
    const [name, nearest] = op.includes("<") ? ["lowest", Math.min] : ["highest", Math.max];
    const value = formatBeside(nearest(...before), threshold);
    if (before.length) return `${nameCondition(condition)} at no depth before (${name} ${value})`;
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
