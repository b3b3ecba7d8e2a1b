/* Sentences about answers, signals and exits, and the signal and window that a policy reads, for the charts. */
import { findTopClass, findWindowBreak, LAST_REASON, listRules } from "./policies.js";
import { printMember } from "./specs.js";

/**
 * @param {number} value
 * @returns {string}
 */
export const formatValue = (value) =>
  value < 0.0995 && value > 0 ? Number(value.toPrecision(2)).toString() : value.toFixed(2);

/**
 * The answer of a step: its class, or for multi-label every label above one half.
 * @param {Step} step
 * @param {string[]} labels
 * @param {boolean} multiLabel
 * @returns {Answer}
 */
export function findAnswer(step, labels, multiLabel) {
  const top = findTopClass(step);
  if (!multiLabel) return { name: labels[top], score: step[top], index: top };
  const above = labels.filter((_, i) => step[i] > 0.5);
  return { name: above.length ? above.join(", ") : "no label", score: null, index: above.length ? top : -1 };
}

/**
 * @param {number} p
 * @returns {string}
 */
export const formatShare = (p) => `${p > 0.995 && p < 1 ? (100 * p).toFixed(1) : Math.round(100 * p)} %`;

/**
 * The signal of the current depth that a policy compares with a threshold, by its first rule that does so.
 * @param {Policy} policy
 * @returns {{signal: string, at: number, below: boolean, temperatures?: number[][]} | null}
 */
export function findThreshold(policy) {
  for (const rule of listRules(policy)) {
    const m = rule.member;
    const temperatures = rule.temperatures;
    if (rule.reason === "entropy")
      return { signal: "entropy", at: m.entropy ?? m.threshold, below: true, temperatures };
    if (m.name === "patient_confidence") return { signal: "entropy", at: m.threshold, below: true, temperatures };
    if (m.name === "confidence" || m.name === "gap")
      return { signal: m.name, at: m.threshold, below: false, temperatures };
    if (m.name === "divergence") return { signal: "divergence", at: m.threshold, below: true, temperatures };
  }
  return null;
}

/**
 * What a policy reads over several depths: {size, name, findBreak(signals, depth) → {why, at}}, or null.
 * @param {Policy} policy
 * @returns {{size: number, name: string, findBreak: (s: Signals, depth: number) => WindowBreak} | null}
 */
export function findWindow(policy) {
  for (const rule of listRules(policy)) {
    const m = rule.member;
    const tempered = (s) => (rule.temperatures ?? []).reduce((signals, one) => signals.tempered(one), s);
    if (rule.reason === "window") {
      return {
        size: m.size,
        name: `window of ${m.size}`,
        findBreak: (s, depth) => findWindowBreak(tempered(s), depth, m),
      };
    }
    const holds = {
      patience: (s, i) => s.same[i] === 1,
      patient_confidence: (s, i) => s.entropy[i] < Math.fround(m.threshold),
      divergence: (s, i) => s.divergence[i] < Math.fround(m.threshold),
    }[m.name];
    if (!holds) continue;
    const size = m.name === "patient_confidence" ? m.times : m.times + 1;
    const first = m.name === "patient_confidence" ? 0 : 1; // a comparison with the depth before spans one more depth
    const why = { patience: "answer", patient_confidence: "unsure", divergence: "moves" }[m.name];
    return {
      size,
      name: printMember(m),
      findBreak(s, depth) {
        if (depth < size) return { why: "filling", at: depth };
        const found = tempered(s);
        for (let i = depth - size + first; i < depth; i++) if (!holds(found, i)) return { why, at: i + 1 };
        return { why: "", at: depth };
      },
    };
  }
  return null;
}

const BROKEN = {
  filling: () => "the window is not full yet",
  margin: (at) => `gap too small at depth ${at}`,
  answer: (at) => `another answer at depth ${at}`,
  fall: (at) => `its probability falls at depth ${at}`,
  range: () => "its probability changes too much",
  unsure: (at) => `entropy too high at depth ${at}`,
  moves: (at) => `still changing at depth ${at}`,
};
/**
 * @param {WindowBreak} found
 * @returns {string}
 */
export const describeBreak = ({ why, at }) => (why ? BROKEN[why](at) : "settled");

/**
 * The reason of an exit as a sentence.
 * @param {View} view
 * @returns {string}
 */
export function describeExit(view) {
  const { exit, signals, policy } = view;
  const rule = listRules(policy).find((one) => one.reason === exit.reason && one.fires(signals, exit.depth));
  if (exit.reason === LAST_REASON || !rule) {
    return listRules(policy).length ? "no rule held before the last depth" : "the policy runs every depth";
  }
  const m = rule.member;
  const tempered = (rule.temperatures ?? []).reduce((found, one) => found.tempered(one), signals);
  const now = (name) => formatValue(tempered[name][exit.depth - 1]);
  const from = (size) => (size > 1 ? `depths ${exit.depth - size + 1} to ${exit.depth}` : `depth ${exit.depth}`);
  return {
    depth: () => `every text exits at depth ${m.depth}`,
    entropy: () => `entropy ${now("entropy")} is below ${formatValue(m.entropy ?? m.threshold)}`,
    confidence: () => `confidence ${now("confidence")} reaches ${formatValue(m.threshold)}`,
    gap: () => `the second label is ${now("gap")} behind, at least ${formatValue(m.threshold)}`,
    patience: () => (m.times ? `the same answer over ${from(m.times + 1)}` : "any answer is accepted"),
    patient_confidence: () => `entropy below ${formatValue(m.threshold)} over ${from(m.times)}`,
    divergence: () => `no change of ${formatValue(m.threshold)} over ${from(m.times + 1)}`,
    window: () =>
      `one answer over ${from(m.size)}${{ agree: "", trend: ", with rising confidence", stable: ", with little change" }[m.rule]}`,
  }[exit.reason]();
}
