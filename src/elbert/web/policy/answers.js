/* Answers and numbers as the pages show them. */
import { findTopClass } from "./signals.js";

/**
 * @param {number} value
 * @returns {string}
 */
export const formatValue = (value) =>
  value < 0.0995 && value > 0 ? Number(value.toPrecision(2)).toString() : value.toFixed(2);

/**
 * @param {number} p
 * @returns {string}
 */
export const formatShare = (p) => `${p > 0.995 && p < 1 ? (100 * p).toFixed(1) : Math.round(100 * p)} %`;

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
