/* The scores of every depth as drawings: bars of probabilities, lines of labels, the line of a value. */

import { formatShare } from "../policy/answers.js";
import { findTopClass } from "../policy/signals.js";
import { s } from "../shared/dom.js";
import { assignColors, OTHER, selectLabels } from "../shared/label_colors.js";

/* Bars of probabilities; returns the texts on them. */
export function drawStacks(svg, columns, view, { top, high, left, wide }) {
  const texts = [];
  const { shown, others } = selectLabels(view);
  const color = assignColors(view);
  view.steps.forEach((step, m) => {
    const parts = shown.map((c) => [step[c], color(c)]);
    if (others) parts.push([Math.max(1 - parts.reduce((sum, [p]) => sum + p, 0), 0), OTHER]);
    let from = top + high;
    const best = findTopClass(step);
    parts.forEach(([p, n], i) => {
      const tall = p * high;
      from -= tall;
      const bar = s(
        "g",
        { class: `c${n}` },
        s("rect", {
          class: "part",
          x: left(m + 1) + 1,
          y: from,
          width: Math.max(wide - 2, 2),
          height: Math.max(tall - 1, 0),
        }),
      );
      if (shown[i] === best && wide > 34 && tall > 18) {
        const at = { x: left(m + 1) + wide / 2, y: from + tall / 2 + 4, "text-anchor": "middle" };
        const kind = m + 1 > view.exit.depth ? "share after" : "share";
        const text = s("text", { class: kind, ...at }, formatShare(p).replace(" %", ""));
        text.style.setProperty("--i", Math.min(m, view.exit.depth));
        texts.push(text);
      }
      columns[m].append(bar);
    });
  });
  svg.append(
    s("line", { class: "half", x1: left(1), x2: left(view.steps.length + 1), y1: top + high / 2, y2: top + high / 2 }),
  );
  for (const [value, y] of [
    ["1", top + 8],
    ["½", top + high / 2 + 4],
    ["0", top + high],
  ]) {
    svg.append(s("text", { class: "tick", x: left(1) - 6, y, "text-anchor": "end" }, value));
  }
  return texts;
}

/* Lines of probabilities, one a label; no texts on them. */
export function drawLabelLines(svg, columns, view, { top, high, left, middle }) {
  const y = (p) => top + high * (1 - p);
  svg.append(s("line", { class: "half", x1: left(1), x2: left(view.steps.length + 1), y1: y(0.5), y2: y(0.5) }));
  const color = assignColors(view);
  for (const c of selectLabels(view).shown) {
    const points = view.steps.map((step, m) => `${middle(m + 1).toFixed(1)},${y(step[c]).toFixed(1)}`);
    svg.append(s("g", { class: `c${color(c)}` }, s("polyline", { class: "curve", points: points.join(" ") })));
    view.steps.forEach((step, m) => {
      columns[m].append(
        s("g", { class: `c${color(c)}` }, s("circle", { class: "symbol", cx: middle(m + 1), cy: y(step[c]), r: 3 })),
      );
    });
  }
  for (const [value, at] of [
    ["1", y(1) + 8],
    ["½", y(0.5) + 4],
    ["0", y(0)],
  ]) {
    svg.append(s("text", { class: "tick", x: left(1) - 6, y: at, "text-anchor": "end" }, value));
  }
  return [];
}

/* The line of a value, from its least to its largest over the depths; no texts on it. */
export function drawValueLine(svg, columns, view, { top, high, left, middle }) {
  const values = view.steps.map(([value]) => value);
  const [low, most] = [Math.min(...values), Math.max(...values)];
  const y = (value) => top + 4 + (high - 8) * (most > low ? (most - value) / (most - low) : 0.5);
  const points = values.map((value, m) => `${middle(m + 1).toFixed(1)},${y(value).toFixed(1)}`);
  svg.append(s("g", { class: "c1" }, s("polyline", { class: "curve", points: points.join(" ") })));
  values.forEach((value, m) => {
    columns[m].append(s("g", { class: "c1" }, s("circle", { class: "symbol", cx: middle(m + 1), cy: y(value), r: 3 })));
  });
  for (const value of new Set([most, low])) {
    const name = Number(value.toPrecision(3)).toString();
    svg.append(s("text", { class: "tick", x: left(1) - 6, y: y(value) + 4, "text-anchor": "end" }, name));
  }
  return [];
}
