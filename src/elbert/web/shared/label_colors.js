/* Colours of labels: the one place, so that a label of a text looks the same on every page. */

const MOST_LABELS = 6; // the rest are drawn as one
const COLORS = 7; // --c1 to --c7 of the style sheet
export const OTHER = 8;

/**
 * The labels with a colour of their own, in order of index, and whether there are others: all of a few labels, else
 * those that are most probable at some depth.
 * @param {{labels: string[], steps: Step[]}} view
 * @returns {{shown: number[], others: boolean}}
 */
export function selectLabels({ labels, steps }) {
  if (labels.length <= COLORS) return { shown: [...labels.keys()], others: false };
  const peak = labels.map((_, c) => Math.max(...steps.map((step) => step[c])));
  const order = [...peak.keys()].sort((a, b) => peak[b] - peak[a]);
  return { shown: order.slice(0, MOST_LABELS).sort((a, b) => a - b), others: true };
}

/**
 * The colour of every label in a view; of two labels, the two that are far apart for every eye. A label of a larger set
 * has the colour of its index, or the next one that is free.
 * @param {{labels: string[], steps: Step[]}} view
 * @returns {(index: number) => number}
 */
export function assignColors(view) {
  if (view.labels.length === 2) return (index) => [2, 1][index] ?? OTHER;
  const colors = new Map();
  for (const index of selectLabels(view).shown) {
    let color = index % COLORS;
    while ([...colors.values()].includes(color + 1)) color = (color + 1) % COLORS;
    colors.set(index, color + 1);
  }
  return (index) => colors.get(index) ?? OTHER;
}
