/* The interpreter of policies: five conditions over signals, and the rules made of them. A policy is a list of members;
   a text exits when any member has a rule whose conditions all hold. */
import { POLICIES } from "./table.js";

export const LAST_REASON = "last";
export const COMPARISONS = {
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b,
  "==": (a, b) => a === b,
};

/**
 * The depth (from 1) at which a condition breaks over the last `size` depths up to `depth`; 0 where it holds.
 * @param {Condition} condition
 * @param {any} values of its signal, by depth
 * @param {number} depth
 * @returns {number}
 */
export function findBreak({ kind, size, compare, bound }, values, depth) {
  const start = depth - size;
  if (kind === "at_depth") return start < 0 ? depth : 0;
  if (kind === "spread") {
    const window = values.subarray(start, depth);
    return compare(Math.fround(Math.max(...window) - Math.min(...window)), bound) ? 0 : depth;
  }
  const isRising = kind === "rising"; // compares neighbours
  const end = kind === "at_start" ? start + 1 : depth;
  for (let i = isRising ? start + 1 : start; i < end; i++) {
    if (!compare(values[i], isRising ? values[i - 1] : bound)) return i + 1;
  }
  return 0;
}

/**
 * The rules of a member that are in use, as in the table: numbers may be dials.
 * @param {Member} member
 * @returns {RuleForm[]}
 */
export const listForms = (member) =>
  POLICIES.get(member.name).rules.filter(({ when }) => when === null || member.dials[when.dial] === when.choice);

/* A condition with plain numbers for those that dials set. */
function settleCondition(condition, dials) {
  const settle = (number) => (typeof number === "object" ? dials[number.dial] * number.factor + number.plus : number);
  const threshold = settle(condition.threshold);
  const compare = COMPARISONS[condition.op];
  return { ...condition, threshold, size: settle(condition.size), compare, bound: Math.fround(threshold) };
}

/**
 * The rules of a policy in order, with plain numbers: the first that fires is the reason.
 * @param {Policy} policy
 * @returns {Rule[]}
 */
export const listRules = (policy) =>
  policy.flatMap((member) => {
    if (member.policy) {
      const temper = (rule) => ({ ...rule, temperatures: [member.temperatures, ...rule.temperatures] });
      return listRules(member.policy).map(temper);
    }
    return listForms(member).map((form) => {
      const conditions = form.conditions.map((condition) => settleCondition(condition, member.dials));
      return { ...form, conditions, size: Math.max(...conditions.map(({ size }) => size)), temperatures: [] };
    });
  });

/**
 * The signals that a rule reads: those at its temperatures.
 * @param {Rule} rule
 * @param {Signals} signals
 * @returns {Signals}
 */
export const temperSignals = (rule, signals) =>
  rule.temperatures.reduce((found, some) => found.tempered(some), signals);

/**
 * The values that each condition of a rule compares.
 * @param {Rule} rule
 * @param {Signals} signals
 * @returns {any[]} Float32Array, by depth; "" for a condition without a signal
 */
export function readValues(rule, signals) {
  const tempered = temperSignals(rule, signals);
  return rule.conditions.map(({ signal }) => signal && tempered.read(signal));
}

/**
 * The first depth, from `from` and before `until`, at which all conditions of a rule hold; else `until`.
 * @param {Rule} rule
 * @param {any[]} values of each condition
 * @param {number} from
 * @param {number} until
 * @returns {number}
 */
export function findFirst({ conditions }, values, from, until) {
  for (let depth = from; depth < until; depth++) {
    let held = 0;
    while (held < conditions.length && !findBreak(conditions[held], values[held], depth)) held++;
    if (held === conditions.length) return depth;
  }
  return until;
}

/**
 * Whether a rule ends a text at a depth.
 * @param {Rule} rule
 * @param {Signals} signals
 * @param {number} depth
 * @returns {boolean}
 */
export const fires = (rule, signals, depth) =>
  depth >= rule.size && findFirst(rule, readValues(rule, signals), depth, depth + 1) === depth;

/**
 * The exit of a text with these signals; the last depth always answers. `rule` is the index of the rule, -1 for none.
 * @param {Signals} signals
 * @param {Rule[]} rules
 * @returns {Exit}
 */
export function findExit(signals, rules) {
  const found = { depth: signals.depths, reason: LAST_REASON, rule: -1 };
  for (const [index, rule] of rules.entries()) {
    const depth = findFirst(rule, readValues(rule, signals), Math.max(rule.size, 1), found.depth);
    if (depth < found.depth) Object.assign(found, { depth, reason: rule.reason, rule: index }); // of equals, the first
  }
  return found;
}
