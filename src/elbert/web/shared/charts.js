/* Charts in SVG: curves over mean depth, and bars. Pointer and keyboard reach every point, and a table holds the same
   numbers. */
import { createChips, createTable, findTicks, formatCount, h, s } from "./dom.js";
import { listSegments, placeName } from "./line_names.js";

let numbered = 0;

/* The corners of markers around (0, 0), by matplotlib's letters; "o" and "." are circles. */
const turn = (points, quarters) =>
  Array.from({ length: quarters }).reduce((turned) => turned.map(([x, y]) => [-y, x]), points);
const onCircle = (count, radii) =>
  Array.from({ length: count }, (_, i) => {
    const [angle, radius] = [(2 * Math.PI * i) / count - Math.PI / 2, radii[i % radii.length]];
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  });
const UP = [
  [0, -1.2],
  [1.1, 0.9],
  [-1.1, 0.9],
];
const PLUS = [0, 1, 2, 3].flatMap((quarters) =>
  turn(
    [
      [-0.45, -1.15],
      [0.45, -1.15],
      [0.45, -0.45],
    ],
    quarters,
  ),
);
const MARKERS = {
  s: [
    [-0.9, -0.9],
    [0.9, -0.9],
    [0.9, 0.9],
    [-0.9, 0.9],
  ],
  "^": UP,
  ">": turn(UP, 1),
  v: turn(UP, 2),
  "<": turn(UP, 3),
  D: onCircle(4, [1.3]),
  d: onCircle(4, [1.3, 0.8]),
  h: onCircle(6, [1.15]),
  "*": onCircle(10, [1.4, 0.6]),
  P: PLUS,
  X: PLUS.map(([x, y]) => [(x - y) * Math.SQRT1_2, (x + y) * Math.SQRT1_2]),
};

/* A marker around (x, y), by matplotlib's letter: markers differ, so that colour is not the only difference. */
export function createSymbol(marker, x, y, r) {
  const corners = MARKERS[marker];
  if (!corners) return s("circle", { class: "symbol", cx: x, cy: y, r: marker === "." ? r * 0.7 : r });
  const points = corners.map(([dx, dy]) => `${(x + dx * r).toFixed(1)},${(y + dy * r).toFixed(1)}`);
  return s("polygon", { class: "symbol", points: points.join(" ") });
}

/* Draw an element in a colour of the page (1 to 8, "-fg"), or in "#rrggbb", darker or lighter as the theme needs. */
export function paint(element, color) {
  if (!String(color).startsWith("#")) element.classList.add(`c${color}`);
  else
    element.style.color = `light-dark(color-mix(in oklab, ${color} 82%, black), color-mix(in oklab, ${color} 62%, white))`;
  return element;
}

/* A frame that draws its chart again when its width changes; draw(svg, width, height) returns {groups}. */
function framed(holder, title, description, draw) {
  const id = `chart-${++numbered}`;
  const tip = h("div", { class: "tip", hidden: true });
  const announcement = h("p", { class: "visually-hidden", "aria-live": "polite" });
  const figure = h("figure", { class: "chart" });
  const stage = h("div", { class: "stage" });
  figure.append(stage, tip, announcement);
  holder.replaceChildren(figure);
  let width = 0;
  let drawn = null;
  function redraw() {
    width = Math.max(Math.round(stage.clientWidth), 240);
    const height = draw.height(width);
    const focused = stage.contains(document.activeElement);
    const svg = s(
      "svg",
      {
        viewBox: `0 0 ${width} ${height}`,
        role: "img",
        tabindex: 0,
        "aria-labelledby": `${id}-t ${id}-d`,
        "aria-keyshortcuts": "ArrowLeft ArrowRight ArrowUp ArrowDown Enter Escape",
      },
      s("title", { id: `${id}-t` }, title),
      s("desc", { id: `${id}-d` }, `${description()} Arrow keys go from point to point.`),
    );
    drawn = draw(svg, width, height);
    stage.replaceChildren(svg);
    selectPoints(svg, drawn.groups, figure, tip, announcement, draw.pick);
    if (focused) svg.focus();
  }
  new ResizeObserver(() => {
    if (Math.abs(stage.clientWidth - width) > 1) redraw();
  }).observe(stage);
  redraw();
  return { figure, redraw };
}

/* Pointer and keys select points: groups of {x, y, lines: [title, ...more], value}. */
function selectPoints(svg, groups, figure, tip, announcement, pick) {
  const filled = groups.filter((group) => group.length);
  const ring = s("circle", { class: "ring", r: 7, visibility: "hidden" });
  svg.append(ring);
  let at = null;

  function show(group, index, isAnnounced) {
    at = [group, index];
    const point = filled[group][index];
    ring.setAttribute("cx", point.x);
    ring.setAttribute("cy", point.y);
    ring.setAttribute("visibility", "visible");
    tip.replaceChildren(h("strong", {}, point.lines[0]), ...point.lines.slice(1).map((line) => h("div", {}, line)));
    tip.hidden = false;
    const scale = svg.clientWidth / svg.viewBox.baseVal.width || 1;
    const [x, y] = [point.x * scale, point.y * scale];
    const left = Math.min(Math.max(x - tip.offsetWidth / 2, 0), Math.max(figure.clientWidth - tip.offsetWidth, 0));
    tip.style.left = `${left}px`;
    tip.style.top = `${y > tip.offsetHeight + 16 ? y - tip.offsetHeight - 14 : y + 16}px`;
    if (isAnnounced) announcement.textContent = point.lines.join(". ");
  }
  function hide() {
    at = null;
    tip.hidden = true;
    ring.setAttribute("visibility", "hidden");
  }
  function nearest(event) {
    const box = svg.getBoundingClientRect();
    const scale = svg.viewBox.baseVal.width / box.width;
    const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    let best = null;
    filled.forEach((group, g) => {
      group.forEach((point, i) => {
        const away = point.wide ? Math.abs(point.x - x) : Math.hypot(point.x - x, point.y - y);
        if (away < (best?.away ?? 36)) best = { away, g, i };
      });
    });
    return best;
  }
  svg.addEventListener("pointermove", (event) => {
    const best = nearest(event);
    if (best) show(best.g, best.i, false);
    else hide();
  });
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("blur", hide);
  svg.addEventListener("click", (event) => {
    const best = nearest(event);
    if (best) show(best.g, best.i, true);
    if (best && pick) pick(filled[best.g][best.i].value);
  });
  svg.addEventListener("keydown", (event) => {
    const moves = {
      ArrowLeft: [0, -1],
      ArrowRight: [0, 1],
      ArrowUp: [-1, 0],
      ArrowDown: [1, 0],
      Home: [0, -1e9],
      End: [0, 1e9],
    };
    if (event.key === "Escape") return hide();
    if (event.key === "Enter" && at && pick) return pick(filled[at[0]][at[1]].value);
    if (!moves[event.key] || !filled.length) return undefined;
    event.preventDefault();
    if (!at) return show(0, 0, true);
    const [down, along] = moves[event.key];
    const group = (at[0] + down + filled.length) % filled.length;
    const x = filled[at[0]][at[1]].x;
    // Another series: its point nearest to where we were.
    const from = down
      ? filled[group].reduce((b, p, i, all) => (Math.abs(p.x - x) < Math.abs(all[b].x - x) ? i : b), 0)
      : at[1];
    return show(group, Math.min(Math.max(from + along, 0), filled[group].length - 1), true);
  });
}

/* Accuracy against cost, which is drawn on a logarithmic scale. spec: {title, describe, height, x: {label, low, high}, y: {label, format}, marks: [{x, label}],
   references: [{y, label}], series: [{name, kind: "step" | "line" | "points", color, dash, strong, open, shown, cloud,
   points: [{x, y, label, value}]}], pick(value)}. Colours are those of paint. */
export function createCurveChart(holder, spec) {
  const chosen = new Map(); // series that the reader switched on or off
  const visible = (one) => chosen.get(one.name) ?? one.shown !== false;
  const draw = (svg, width, height) => drawCurves(svg, width, height, spec, spec.series.filter(visible));
  draw.height = (width) => spec.height?.(width) ?? Math.round(Math.min(Math.max(width * 0.5, 260), 440));
  draw.pick = spec.pick;
  const frame = framed(holder, spec.title, spec.describe, draw);
  const legend = h("ul", { class: "legend", "aria-label": "Series shown" });
  const table = h("details", { class: "no-print" });
  const inside = h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `${spec.title}, as a table` });
  const help = h("p", { class: "muted hint no-print" }, "Choose a name to show or hide its curve.");
  frame.figure.append(legend, help, table);

  function toggle(one, button) {
    chosen.set(one.name, !visible(one));
    button.setAttribute("aria-pressed", String(visible(one)));
    frame.redraw();
  }
  function names() {
    legend.replaceChildren(
      ...spec.series
        .filter((one) => one.name)
        .map((one) => {
          const button = h(
            "button",
            {
              type: "button",
              "aria-pressed": String(visible(one)),
              class: one.open && "open",
              onclick: () => toggle(one, button),
            },
            key(one),
            h("span", {}, one.name),
          );
          return h("li", {}, button);
        }),
    );
  }
  /* Hundreds of rows, so they are made when the reader opens the table. */
  function fillTable() {
    const rows = spec.series.flatMap((one) => one.points.map((point) => ({ one, point })));
    inside.replaceChildren(
      ...(table.open
        ? [
            createTable(
              null,
              [
                { head: "Series", cell: ({ one }) => one.name },
                { head: spec.x.label, number: true, cell: ({ point }) => point.x.toFixed(2) },
                { head: spec.y.label, number: true, cell: ({ point }) => spec.y.format(point.y) },
                { head: "What", cell: ({ point }) => point.label },
              ],
              rows,
            ),
          ]
        : []),
    );
  }
  table.append(h("summary", {}, "The same as a table"), inside);
  table.addEventListener("toggle", fillTable);
  names();
  return {
    update(series) {
      const before = spec.series.map((one) => one.name).join();
      spec.series = series;
      frame.redraw();
      fillTable();
      // The legend stays as it is while only points move: its buttons may have the focus.
      if (before !== series.map((one) => one.name).join()) names();
    },
  };
}

function key(one) {
  const mark = one.kind === "points" || one.strong ? createSymbol(one.marker, 11, 6, 4.5) : null;
  const line =
    one.kind === "points"
      ? null
      : s("line", {
          x1: 0,
          x2: 22,
          y1: 6,
          y2: 6,
          stroke: "currentColor",
          "stroke-width": one.strong ? 3 : 2,
          "stroke-dasharray": one.dash,
        });
  return paint(s("svg", { class: "key", viewBox: "0 0 22 12", "aria-hidden": "true" }, line, mark), one.color);
}

/* Depths on a scale on which every doubling of the speed is one step. */
function depthTicks(low, high, perStep) {
  const found = [];
  for (const value of [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96]
    .filter((v) => v >= low && v <= high)
    .concat(high)) {
    const last = found.at(-1);
    if (last === undefined || Math.log(value / last) * perStep > 26) found.push(value);
    else if (value === high) found[found.length - 1] = high;
  }
  return found;
}

function drawCurves(svg, width, height, spec, shown) {
  const values = shown
    .flatMap((one) => one.points.map((point) => point.y))
    .concat((spec.references ?? []).map((r) => r.y));
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const padding = Math.max((most - least) * 0.08, 0.002);
  const [low, high] = [least - padding, most + padding];
  const edge = { left: 44, right: 14, top: spec.marks?.length ? 34 : 12, bottom: 40 };
  const perStep = (width - edge.left - edge.right) / (Math.log(spec.x.high / spec.x.low) || 1);
  const x = (value) => edge.left + Math.log(value / spec.x.low) * perStep;
  const y = (value) => height - edge.bottom - ((value - low) / (high - low || 1)) * (height - edge.top - edge.bottom);
  const bottom = height - edge.bottom;

  for (const value of findTicks(low, high, height / 60)) {
    svg.append(
      s("line", { class: "grid", x1: edge.left, x2: width - edge.right, y1: y(value), y2: y(value) }),
      s("text", { x: edge.left - 8, y: y(value) + 4, "text-anchor": "end" }, spec.y.format(value)),
    );
  }
  for (const value of depthTicks(spec.x.low, spec.x.high, perStep)) {
    svg.append(
      s("line", { class: "grid", x1: x(value), x2: x(value), y1: bottom, y2: bottom + 4 }),
      s("text", { x: x(value), y: bottom + 17, "text-anchor": "middle" }, String(value)),
    );
  }
  svg.append(
    s(
      "text",
      { class: "axis", x: (edge.left + width - edge.right) / 2, y: height - 4, "text-anchor": "middle" },
      spec.x.label,
    ),
    s("text", { class: "axis", x: 0, y: 10 }, spec.y.label),
  );
  let taken = Infinity; // from right to left; a mark without space for its name keeps its line
  for (const mark of [...(spec.marks ?? [])].sort((a, b) => b.x - a.x)) {
    svg.append(s("line", { class: "grid faint", x1: x(mark.x), x2: x(mark.x), y1: edge.top - 4, y2: bottom }));
    if (taken - x(mark.x) < mark.label.length * 7 + 4) continue;
    taken = x(mark.x);
    svg.append(s("text", { class: "mark", x: x(mark.x), y: edge.top - 9, "text-anchor": "middle" }, mark.label));
  }
  const references = (spec.references ?? []).map((line) => {
    const ends = [edge.left, width - edge.right].map((end) => ({ x: end, y: y(line.y) }));
    svg.append(s("line", { class: "reference", x1: ends[0].x, x2: ends[1].x, y1: ends[0].y, y2: ends[0].y }));
    return { name: line.label, segments: listSegments(ends, false) };
  });

  const groups = [];
  const paths = [];
  for (const one of shown) {
    const at = one.points.map((point) => ({ x: x(point.x), y: y(point.y), point }));
    const group = paint(s("g", { class: `series${one.strong ? " strong" : ""}${one.open ? " open" : ""}` }), one.color);
    for (const [cx, cy] of one.cloud ?? []) {
      if (cy >= low && cy <= high)
        group.append(s("circle", { class: "cloud", cx: x(cx).toFixed(1), cy: y(cy).toFixed(1), r: 1.5 }));
    }
    if (one.kind !== "points" && at.length > 1) {
      const line = at.map((p, i) => {
        if (!i) return `M${p.x.toFixed(1)},${p.y.toFixed(1)}`;
        return one.kind === "step" ? `H${p.x.toFixed(1)}V${p.y.toFixed(1)}` : `L${p.x.toFixed(1)},${p.y.toFixed(1)}`;
      });
      group.append(s("path", { class: "curve", d: line.join(""), "stroke-dasharray": one.dash }));
      paths.push({ name: one.name, color: one.color, segments: listSegments(at, one.kind === "step") });
    }
    const size = one.size ?? (one.kind === "points" ? 5 : 2.5);
    for (const p of at) group.append(createSymbol(one.marker, p.x, p.y, size));
    svg.append(group);
    groups.push(
      at.map((p) => ({
        x: p.x,
        y: p.y,
        value: p.point.value ?? p.point,
        lines: [
          one.name,
          p.point.label,
          `${spec.y.label} ${spec.y.format(p.point.y)}, ${spec.x.label.toLowerCase()} ${p.point.x.toFixed(2)}`,
          ...(p.point.more ?? []),
        ].filter(Boolean),
      })),
    );
  }
  svg.append(
    ...nameLines(paths, references, { left: edge.left + 4, right: width - edge.right, top: edge.top, bottom }),
  );
  return { groups };
}

/* The names of references, and on wide charts those of lines that have a place free of other lines; the legend names
   all. */
function nameLines(paths, references, frame) {
  const lines = paths.flatMap(({ segments }) => segments);
  const taken = [];
  const named = references.map(({ name, segments }) => {
    const free = placeName(name, segments, lines, taken, frame, 8);
    const place = free ?? { x: frame.left, y: segments[0][1] - 5 };
    if (free) taken.push(free);
    return s("text", { class: "mark reference-name", x: place.x, y: place.y }, name);
  });
  if (frame.right < 446) return named;
  const level = references.flatMap(({ segments }) => segments);
  for (const path of paths) {
    const others = paths.filter((other) => other !== path).flatMap(({ segments }) => segments);
    const place = placeName(path.name, path.segments, [...others, ...level], taken, frame);
    if (!place) continue;
    taken.push(place);
    named.push(paint(s("g", {}, s("text", { class: "name", x: place.x, y: place.y }, path.name)), path.color));
  }
  return named;
}

/* Stacked bars. spec: {title, describe, label, columns: [name], stacks: [{name, color, values}], current, pick(index)} */
export function createBarChart(holder, spec) {
  const draw = (svg, width, height) => drawBars(svg, width, height, spec);
  draw.height = () => spec.height ?? 180;
  draw.pick = spec.pick;
  const frame = framed(holder, spec.title, spec.describe, draw);
  const legend = h("p", { class: "legend" }, createChips(spec.stacks.map(({ name, color }) => [name, color])));
  if (spec.stacks.length > 1) frame.figure.append(legend);
  const table = h("details", { class: "no-print" });
  frame.figure.append(table);
  function fillTable() {
    table.replaceChildren(
      h("summary", {}, "The same as a table"),
      h(
        "div",
        { class: "scroll", tabindex: 0, role: "region", "aria-label": `${spec.title}, as a table` },
        createTable(
          null,
          [
            { head: spec.label, cell: (row) => row.name },
            ...spec.stacks.map((one) => ({
              head: one.name,
              number: true,
              cell: (row) => formatCount(one.values[row.i]),
            })),
          ],
          spec.columns.map((name, i) => ({ name, i })),
        ),
      ),
    );
  }
  fillTable();
  return {
    update(stacks) {
      spec.stacks = stacks;
      frame.redraw();
      fillTable();
    },
  };
}

function drawBars(svg, width, height, spec) {
  const totals = spec.columns.map((_, i) => spec.stacks.reduce((sum, one) => sum + one.values[i], 0));
  const all = totals.reduce((a, b) => a + b, 0) || 1;
  const most = Math.max(...totals, 1);
  const [top, bottom] = [18, height - 38];
  const wide = width / spec.columns.length;
  const bar = Math.min(wide * 0.72, 46);
  const groups = [];
  spec.columns.forEach((name, i) => {
    const middle = wide * (i + 0.5);
    let from = bottom;
    for (const one of spec.stacks) {
      const high = (one.values[i] / most) * (bottom - top);
      from -= high;
      svg.append(
        s(
          "g",
          { class: `c${one.color}` },
          s("rect", {
            class: "bar",
            x: middle - bar / 2,
            y: from,
            width: bar,
            height: Math.max(high, 0),
            rx: Math.min(2, high / 2),
          }),
        ),
      );
    }
    const part = `${((100 * totals[i]) / all).toFixed(totals[i] / all < 0.0995 ? 1 : 0)}%`;
    if (totals[i] && wide > 26)
      svg.append(s("text", { class: "bar-count", x: middle, y: from - 5, "text-anchor": "middle" }, part));
    if (wide > 14 || i % 2 === 0) svg.append(s("text", { x: middle, y: bottom + 16, "text-anchor": "middle" }, name));
    groups.push({
      x: middle,
      y: from,
      wide: true,
      value: i,
      lines: [
        `${spec.label} ${name}`,
        ...spec.stacks.map((one) => `${formatCount(one.values[i])} ${one.name}`),
        `${part} of all`,
      ],
    });
  });
  svg.append(
    s("line", { class: "grid", x1: 0, x2: width, y1: bottom, y2: bottom }),
    s("text", { class: "axis", x: width / 2, y: height - 4, "text-anchor": "middle" }, spec.label),
  );
  return { groups: [groups] };
}

const SPEEDUPS = [1.5, 2, 3, 4, 6, 10];
export const createSpeedupMarks = (depths, speedups = SPEEDUPS) =>
  speedups.filter((times) => depths / times >= 1).map((times) => ({ x: depths / times, label: `${times}×` }));
