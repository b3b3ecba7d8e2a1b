/* Shapes, cells and numbers of the explanation pages. Texts and labels become text nodes, never markup. */
import { h, s } from "../shared/dom.js";

const WIDE = ["exit", "probability"]; // columns that narrow screens hide

export function createLine(x1, y1, x2, y2, kind) {
  return s("line", { x1, y1, x2, y2, class: kind });
}

export function createBox(x, y, width, height, kind) {
  return s("rect", { x, y, width: Math.max(0, width), height: Math.max(0, height), class: kind });
}

export function createText(x, y, text, attributes) {
  return s("text", { x, y, ...attributes }, text);
}

export function formatNumber(value, digits) {
  return value === null || value === undefined ? "–" : value.toFixed(digits);
}

export function formatPercentage(share) {
  return `${(100 * share).toFixed(1)} %`;
}

export function createCell(text, kind) {
  const node = h("td", kind ? { class: kind } : {});
  node.append(text);
  return node;
}

/* Add a head with these column names to a table, and return its empty body. */
export function addTableHead(table, names, numeric) {
  const row = h("tr");
  names.forEach((name, i) => {
    row.append(
      h(
        "th",
        { scope: "col", class: `${numeric.includes(i) ? "number" : ""}${WIDE.includes(name) ? " wide" : ""}` },
        name,
      ),
    );
  });
  table.append(h("thead", null, row), h("tbody"));
  return table.lastChild;
}

/* The mark of a series in its colour, 1 to 8: shapes differ, so that colour is not the only difference. */
export function createMark(x, y, index, size, color) {
  const kind = `mark c${color}`;
  if (index === 1) return s("rect", { x: x - size, y: y - size, width: 2 * size, height: 2 * size, class: kind });
  const points =
    index === 2
      ? [
          [0, -1.3],
          [1.2, 1],
          [-1.2, 1],
        ]
      : [
          [0, -1.5],
          [1.5, 0],
          [0, 1.5],
          [-1.5, 0],
        ];
  if (index === 0) return s("circle", { cx: x, cy: y, r: size, class: kind });
  return s("polygon", { points: points.map(([a, b]) => `${x + a * size},${y + b * size}`).join(" "), class: kind });
}

/* Call draw(width) now, and again whenever the width of the holder changes. */
export function redrawOnResize(holder, draw) {
  let width = 0;
  const again = () => {
    if (holder.clientWidth === width) return;
    width = holder.clientWidth;
    draw(width);
  };
  new ResizeObserver(again).observe(holder);
  again();
}
