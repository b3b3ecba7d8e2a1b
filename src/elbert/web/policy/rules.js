/* The interpreter of policies: five conditions over signals, and the rules made of them. A policy is a list of members;
   a text exits when any member has a rule whose conditions all hold. */
import { POLICIES } from "./table.js";

const f32 = Math.fround;
export const LAST_REASON = "last";
export const COMPARISONS = {
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b,
  "==": (a, b) => a === b,
};

/* Of each condition: the depth at which it breaks, of the last `size` depths up to `depth`; 0 where it holds. */
const BREAKS = {
  at_depth: ({ depth: least }, _, depth) => (depth >= least ? 0 : depth),
  held({ signal, op, bound, size }, signals, depth) {
    const [values, holds] = [signals.read(signal), COMPARISONS[op]];
    for (let i = depth - size; i < depth; i++) if (!holds(values[i], bound)) return i + 1;
    return 0;
  },
  at_start({ signal, op, bound, size }, signals, depth) {
    const start = depth - size;
    return COMPARISONS[op](signals.read(signal)[start], bound) ? 0 : start + 1;
  },
  rising({ signal, size }, signals, depth) {
    const values = signals.read(signal);
    for (let i = depth - size + 1; i < depth; i++) if (!(values[i] >= values[i - 1])) return i + 1;
    return 0;
  },
  spread({ signal, bound, size }, signals, depth) {
    const inside = signals.read(signal).subarray(depth - size, depth);
    return f32(Math.max(...inside) - Math.min(...inside)) <= bound ? 0 : depth;
  },
};

/**
 * The depth (from 1) at which a condition breaks over the depths up to `depth`, all of which exist; 0 where it holds.
 * @param {Condition} condition
 * @param {Signals} signals at the temperatures of the rule
 * @param {number} depth
 * @returns {number}
 */
export const findBreak = (condition, signals, depth) => BREAKS[condition.condition](condition, signals, depth);

/**
 * A condition of the table with plain numbers: `size` depths, and `bound`, the threshold or limit in float32.
 * @param {Record<string, any>} form
 * @param {Record<string, any>} dials
 * @returns {any} a Condition
 */
function settleCondition(form, dials) {
  const settle = (value) => (value?.dial === undefined ? value : dials[value.dial] * value.factor + value.plus);
  const settled = Object.fromEntries(Object.entries(form).map(([name, value]) => [name, settle(value)]));
  const size = settled.times ?? settled.size ?? settled.depth;
  return { ...settled, size, bound: f32(settled.threshold ?? settled.limit) };
}

/**
 * The rules of a member that are in use, as in the table: numbers may be dials.
 * @param {Member} member
 * @returns {RuleForm[]}
 */
export const listForms = (member) =>
  POLICIES.get(member.name).rules.filter(({ when }) => when === null || member.dials[when.dial] === when.choice);

/**
 * The rules of a policy in order, with plain numbers: the first that fires is the reason.
 * @param {Policy} policy
 * @returns {Rule[]}
 */
export function listRules(policy) {
  return policy.flatMap((member) => {
    if (member.policy) {
      const rules = listRules(member.policy);
      return rules.map((rule) => ({ ...rule, temperatures: [member.temperatures, ...rule.temperatures] }));
    }
    return listForms(member).map(({ reason, conditions: forms }) => {
      const conditions = forms.map((form) => settleCondition(form, member.dials));
      return { reason, conditions, size: Math.max(...conditions.map(({ size }) => size)), temperatures: [] };
    });
  });
}

/**
 * The signals that a rule reads: those at its temperatures.
 * @param {Rule} rule
 * @param {Signals} signals
 * @returns {Signals}
 */
export const temperSignals = (rule, signals) =>
  rule.temperatures.length ? rule.temperatures.reduce((found, some) => found.tempered(some), signals) : signals;

/**
 * Whether a rule ends a text at a depth.
 * @param {Rule} rule
 * @param {Signals} signals
 * @param {number} depth
 * @returns {boolean}
 */
export function fires(rule, signals, depth) {
  if (depth < rule.size) return false;
  const tempered = temperSignals(rule, signals);
  for (const condition of rule.conditions) if (findBreak(condition, tempered, depth)) return false;
  return true;
}

/**
 * The exit of a text with these signals; the last depth always answers. `rule` is the index of the rule, -1 for none.
 * @param {Signals} signals
 * @param {Rule[]} rules
 * @returns {Exit}
 */
export function findExit(signals, rules) {
  for (let depth = 1; depth < signals.depths; depth++) {
    for (let rule = 0; rule < rules.length; rule++) {
      if (fires(rules[rule], signals, depth)) return { depth, reason: rules[rule].reason, rule };
    }
  }
  return { depth: signals.depths, reason: LAST_REASON, rule: -1 };
}
