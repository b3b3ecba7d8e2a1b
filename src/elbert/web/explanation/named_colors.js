/* The colour of a label by name, as on the other pages. */
import { assignColors } from "../shared/label_colors.js";

export function assignNamedColors({ labels, steps }) {
  const color = assignColors({ labels, steps: steps.map((step) => labels.map((name) => step.scores[name])) });
  return (name) => color(labels.indexOf(name));
}
