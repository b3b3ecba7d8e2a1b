"use strict";
// What both pages draw with. Whatever came from a text or a model goes in as text, never as markup.
const { h: el, s: svg, by: byId } = Dom;
const told = Dom.data();
const WIDE = ["exit", "probability"]; // columns that a phone can spare where they are marked so

function line(x1, y1, x2, y2, kind) {
  return svg("line", { x1, y1, x2, y2, class: kind });
}

function box(x, y, width, height, kind) {
  return svg("rect", { x, y, width: Math.max(0, width), height: Math.max(0, height), class: kind });
}

function words(x, y, text, attributes) {
  return svg("text", { x, y, ...attributes }, text);
}

function number(value, digits) {
  return value === null || value === undefined ? "–" : value.toFixed(digits);
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

function cell(text, kind) {
  const node = el("td", kind ? { class: kind } : {});
  node.append(text);
  return node;
}

function headed(table, names, numeric) {
  const row = el("tr");
  names.forEach((name, i) => row.append(el("th", { scope: "col", class: `${numeric.includes(i) ? "number" : ""}${WIDE.includes(name) ? " wide" : ""}` }, name)));
  table.append(el("thead", null, row), el("tbody"));
  return table.lastChild;
}

// One mark for each series, so that colour is not needed to tell them apart.
function mark(x, y, index, size) {
  const kind = `m${index + 1}`;
  if (index === 1) return svg("rect", { x: x - size, y: y - size, width: 2 * size, height: 2 * size, class: kind });
  const points = index === 2 ? [[0, -1.3], [1.2, 1], [-1.2, 1]] : [[0, -1.5], [1.5, 0], [0, 1.5], [-1.5, 0]];
  if (index === 0) return svg("circle", { cx: x, cy: y, r: size, class: kind });
  return svg("polygon", { points: points.map(([a, b]) => `${x + a * size},${y + b * size}`).join(" "), class: kind });
}

// Draw now, and again whenever the width has changed.
function drawn(holder, draw) {
  let width = 0;
  const again = () => {
    if (holder.clientWidth === width) return;
    width = holder.clientWidth;
    draw(width);
  };
  new ResizeObserver(again).observe(holder);
  again();
}
