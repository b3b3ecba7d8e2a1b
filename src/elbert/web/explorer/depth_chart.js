/* The chart of one text over the depths: probabilities, the signal against its threshold, the window at each depth, and
   the exit. The probabilities are drawn once per text; the exit of the policy is an overlay that moves. */

import { formatValue } from "../policy/answers.js";
import { formatGeneral } from "../policy/numbers.js";
import { COMPARISONS, findExit, LAST_REASON, temperSignals } from "../policy/rules.js";
import { countCovered, describeReason, describeState, findGauge, nameRule } from "../policy/sentences.js";
import { SIGNALS } from "../policy/table.js";
import { createChips, createTable, h, s } from "../shared/dom.js";
import { mountTagTable } from "../shared/tag_table.js";

const still = matchMedia("(prefers-reduced-motion: reduce)");
const capitalize = (word) => word[0].toUpperCase() + word.slice(1);

/**
 * @param {HTMLElement} holder
 * @returns {{show: (view: View, fresh: boolean) => void, again: () => void}}
 */
export function mountDepthChart(holder) {
  const legend = h("p", { class: "legend" });
  const stage = h("div", { class: "stage" });
  const tags = mountTagTable();
  const bars = h("p", { class: "legend" });
  const stages = h("p", { class: "stages" });
  const readout = h("p", { class: "readout", "aria-live": "polite" });
  const table = h("details", { class: "as-table" });
  holder.replaceChildren(
    h("figure", { class: "chart depths" }, legend, tags.element, stage, bars, stages, readout, table),
  );
  let view = null;
  let cursor = null;
  let parts = null;

  new ResizeObserver(() => {
    if (view && parts && Math.abs(stage.clientWidth - parts.width) > 1) draw(false);
  }).observe(stage);

  /* Show a view {form, labels, steps, multiLabel, signals, policy, exit}; `fresh` where another text has come. */
  function show(next, fresh) {
    const others = !view || fresh || next.steps !== view.steps;
    view = next;
    if (others) cursor = null;
    draw(others && fresh);
  }

  function draw(play) {
    const focused = stage.contains(document.activeElement);
    const before = parts;
    parts = picture(view, Math.max(stage.clientWidth, 260), before);
    stage.replaceChildren(parts.svg);
    parts.svg.classList.toggle("playing", play && !still.matches);
    parts.settle(before);
    if (focused) parts.svg.focus({ preventScroll: true });
    listen(parts);
    legend.replaceChildren(...createChips(view.form.nameColors(view)));
    tags.show(view.form.hasWords ? view : null);
    bars.replaceChildren(...nameBars(view));
    point(cursor, false);
    stages.textContent = describeRules(view);
    fillTable();
  }

  function listen({ svg, at }) {
    svg.addEventListener("pointermove", (event) => point(at(event), true));
    svg.addEventListener("pointerleave", () => point(null, true));
    svg.addEventListener("keydown", (event) => {
      const last = view.steps.length;
      const from = cursor ?? view.exit.depth;
      const to = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 1, End: last, Escape: null }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      point(to === null ? null : Math.min(Math.max(to, 1), last), true);
    });
  }

  function point(depth, moved) {
    if (moved && depth === cursor) return;
    cursor = depth;
    parts.point(depth);
    const text = describeDepth(view, depth ?? view.exit.depth);
    if (readout.textContent !== text) readout.textContent = text;
  }

  function fillTable() {
    const open = table.open;
    const { signal, values } = readGauge(view);
    const track = findTrack(view);
    const columns = [
      { head: "Depth", number: true, cell: ({ depth }) => depth },
      ...view.form.listColumns(view),
      {
        head: capitalize(signal),
        number: true,
        cell: ({ depth }) => (Number.isFinite(values[depth - 1]) ? values[depth - 1].toFixed(3) : "–"),
      },
      ...(track
        ? [{ head: nameRule(track), cell: ({ depth }) => describeState(track, view.signals, depth).state }]
        : []),
      { head: "Exit", cell: ({ depth }) => (depth === view.exit.depth ? view.exit.reason : "") },
    ];
    const rows = view.steps.map((step, m) => ({ step, depth: m + 1 }));
    table.replaceChildren(
      h("summary", {}, "All depths as a table"),
      h(
        "div",
        { class: "scroll", tabindex: 0, role: "region", "aria-label": "Every depth, as a table" },
        createTable(null, columns, rows),
      ),
    );
    table.open = open;
  }

  return { show, again: () => view && draw(true) };
}

/* The gauge of the policy with the values of its signal by depth, at the temperatures of its rule. */
function readGauge(view) {
  const gauge = findGauge(view.policy);
  const signals = gauge.rule ? temperSignals(gauge.rule, view.signals) : view.signals;
  return { ...gauge, values: signals.read(gauge.signal) };
}

/* The first rule that covers several depths: drawn as a window at each depth. */
const findTrack = (view) => view.rules.find((rule) => countCovered(rule) > 1);

/* The exit of every rule alone, if there are several. */
function describeRules(view) {
  if (view.rules.length < 2) return "";
  const exits = view.rules.map((rule) => {
    const { depth, reason } = findExit(view.signals, [rule]);
    return `${rule.reason} ${reason === LAST_REASON ? "never" : `at depth ${depth}`}`;
  });
  return `Each rule alone: ${exits.join(", ")}.`;
}

/* One depth in words. */
function describeDepth(view, depth) {
  const { signal, values } = readGauge(view);
  const track = findTrack(view);
  const value = values[depth - 1];
  const parts = [view.form.describe(view, depth)];
  parts.push(`${signal} ${Number.isFinite(value) ? formatValue(value) : "not yet"}`);
  if (track) parts.push(`rule ${track.reason}: ${describeState(track, view.signals, depth).state}`);
  const why = () => describeReason(view.rules, view.signals, view.exit);
  const exit = depth === view.exit.depth ? `Exit: ${why()}.` : depth > view.exit.depth ? "After the exit." : "";
  return `Depth ${depth}: ${parts.join(", ")}. ${exit}`.trim();
}

/* What the bars of a rule mean, as a legend. */
function nameBars(view) {
  const track = findTrack(view);
  if (!track || countCovered(track) > view.steps.length) return [];
  return [
    ["holds", `rule ${track.reason} holds`],
    ["breaks", "it does not"],
    ["gap", "the depth that breaks it"],
  ].map(([kind, name]) =>
    h("span", { class: "chip" }, h("span", { class: `dot bar-${kind}`, "aria-hidden": "true" }), name),
  );
}

/* The whole drawing for one width. */
function picture(view, width, before) {
  const depths = view.steps.length;
  const narrow = width < 520;
  const edge = { left: 36, right: 4 };
  const wide = (width - edge.left - edge.right) / depths;
  const left = (depth) => edge.left + (depth - 1) * wide;
  const middle = (depth) => left(depth) + wide / 2;
  const svg = s(
    "svg",
    {
      tabindex: 0,
      role: "img",
      "aria-labelledby": "depths-title depths-desc",
      "aria-keyshortcuts": "ArrowLeft ArrowRight Home End",
    },
    s("title", { id: "depths-title" }, `The text over ${depths} depths`),
    s(
      "desc",
      { id: "depths-desc" },
      `${describeDepth(view, view.exit.depth)} Left and right arrow keys read every depth.`,
    ),
  );
  const columns = view.steps.map((_, m) => {
    const column = s("g", { class: "column" });
    column.style.setProperty("--i", Math.min(m, view.exit.depth)); // depths after the exit appear together
    return column;
  });

  const over = []; // texts, drawn last: they stay readable over the veil
  let y = 34;
  const parts = [[24, y - 1]]; // of the exit line, which leaves the names of the lanes free
  const lane = (name, height) => {
    over.push(s("text", { class: "lane-name", x: 0, y: y + 11 }, name));
    const top = y + 20;
    parts.push([top - 4, top + height + 8]);
    y = top + height + 14;
    return top;
  };

  // Probabilities or values.
  if (view.form.lane) {
    const high = narrow ? 96 : 120;
    const place = { top: lane(view.form.lane, high), high, left, middle, wide };
    over.push(...view.form.draw(svg, columns, view, place));
  }

  // The signal against its threshold.
  const { signal, values, threshold, bound, op, below, sign } = readGauge(view);
  const hasThreshold = threshold !== null;
  const finite = values.filter(Number.isFinite);
  const highest = SIGNALS.get(signal).scale ?? Math.max(...finite, 2 * (threshold ?? 0), 1e-9);
  const signalHigh = narrow ? 64 : 76;
  const comparison = hasThreshold ? `: exit ${sign} ${formatGeneral(threshold)}` : "";
  const signalTop = lane(capitalize(signal) + view.form.nameUnit(view) + comparison, signalHigh);
  const level = (value) => signalTop + signalHigh * (1 - Math.min(value / highest, 1));
  svg.append(
    s("line", {
      class: "grid",
      x1: edge.left,
      x2: width - edge.right,
      y1: signalTop + signalHigh,
      y2: signalTop + signalHigh,
    }),
  );
  for (const value of [0, highest]) {
    const name = Number(value.toPrecision(1));
    svg.append(s("text", { class: "tick", x: edge.left - 6, y: level(value) + 4, "text-anchor": "end" }, String(name)));
  }
  const limit = s("g", { class: "limit" });
  if (hasThreshold) {
    const at = level(threshold);
    limit.append(
      s("rect", {
        class: "inside",
        x: edge.left,
        width: width - edge.left - edge.right,
        y: below ? at : signalTop,
        height: below ? signalTop + signalHigh - at : at - signalTop,
      }),
      s("line", { x1: edge.left, x2: width - edge.right, y1: at, y2: at }),
    );
  }
  svg.append(limit);
  const seen = view.steps.map((_, m) => ({ m, value: values[m] })).filter(({ value }) => Number.isFinite(value));
  svg.append(
    s("polyline", {
      class: "signal",
      pathLength: 1,
      points: seen.map(({ m, value }) => `${middle(m + 1).toFixed(1)},${level(value).toFixed(1)}`).join(" "),
    }),
  );
  for (const { m, value } of seen) {
    const inside = hasThreshold && COMPARISONS[op](value, bound);
    columns[m].append(
      s("circle", {
        class: inside ? "beat inside" : "beat",
        cx: middle(m + 1),
        cy: level(value),
        r: Math.min(wide * 0.28, 4.5),
      }),
    );
  }

  // Answers, and windows over them.
  const track = findTrack(view);
  const size = track ? countCovered(track) : 0;
  const rows = track ? Math.max(depths - size + 1, 0) : 0;
  const rowHigh = Math.min(Math.max(90 / Math.max(rows, 1), 4), 9);
  const windowTop = lane(view.form.cells + (track ? nameWindows(track.reason, size, depths) : ""), 14 + rows * rowHigh);
  view.steps.forEach((_, m) => {
    columns[m].append(
      s(
        "g",
        { class: `c${view.form.colorCell(view, m + 1)}` },
        s("rect", {
          class: "answer-cell",
          x: left(m + 1) + 1,
          y: windowTop,
          width: Math.max(wide - 2, 2),
          height: 8,
          rx: 2,
        }),
      ),
    );
  });
  let hasHeld = false;
  for (let depth = track ? size : Infinity; depth <= depths; depth++) {
    const { state, at } = describeState(track, view.signals, depth);
    const holds = state === "holds";
    const top = windowTop + 14 + (depth - size) * rowHigh;
    const x = left(depth - size + 1) + 1;
    const bar = s(
      "g",
      { class: `slide${holds ? " holds" : ""}${holds && !hasHeld ? " first" : ""}` },
      s("rect", { x, y: top, width: wide * size - 2, height: rowHigh - 2, rx: Math.min(2, rowHigh / 3) }),
    );
    hasHeld ||= holds;
    if (at) bar.append(s("rect", { class: "gap", x: left(at) + 1, y: top, width: wide - 2, height: rowHigh - 2 }));
    columns[depth - 1].append(bar);
  }

  svg.append(...columns);
  for (let depth = 1; depth <= depths; depth++) {
    if (wide > 15 || depth === 1 || depth === depths || depth % Math.ceil(18 / wide) === 0) {
      over.push(s("text", { class: "tick", x: middle(depth), y: y + 6, "text-anchor": "middle" }, String(depth)));
    }
  }
  over.push(
    s("text", { class: "tick", x: (left(1) + left(depths + 1)) / 2, y: y + 22, "text-anchor": "middle" }, "Depth"),
  );
  const height = y + 28;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);

  // The exit.
  const edgeAt = left(view.exit.depth + 1);
  const unseen = depths - view.exit.depth;
  const veil = s("rect", { class: "veil", x: 0, y: 34, width: width + 10, height: y - 42 });
  const line = s("path", { class: "exit", d: parts.map(([from, to]) => `M0,${from}V${to}`).join("") });
  const text = `exit at ${view.exit.depth}: ${view.exit.reason}`;
  const long = text.length * 6.6 + 18;
  const shift = Math.min(Math.max(edgeAt - long / 2, 0), width - long) - edgeAt;
  const flag = s(
    "g",
    { class: "flag" },
    s("rect", { x: shift, y: 2, width: long, height: 22, rx: 11 }),
    s("text", { x: shift + long / 2, y: 17, "text-anchor": "middle" }, text),
  );
  const exit = s("g", { class: `over${unseen ? "" : " full"}` }, veil, line, flag);
  exit.style.setProperty("--i", view.exit.depth);
  svg.style.setProperty("--depths", depths);
  const pointer = s("rect", { class: "pointer", y: 30, width: wide, height: y - 38, rx: 3, visibility: "hidden" });
  svg.append(pointer, exit, ...over);

  const move = (x) => exit.style.setProperty("transform", `translateX(${x}px)`);
  move(before?.depths === depths && before.width === width ? before.edgeAt : edgeAt);
  return {
    svg,
    width,
    depths,
    edgeAt,
    settle: (old) => {
      if (!old) return;
      exit.getBoundingClientRect(); // forces a layout, so that the transition starts at the old place
      move(edgeAt);
    },
    point(depth) {
      if (!depth) return pointer.setAttribute("visibility", "hidden");
      pointer.removeAttribute("visibility"); // inherited: all is hidden while another text is read
      return pointer.setAttribute("x", left(depth));
    },
    at(event) {
      const box = svg.getBoundingClientRect();
      const depth = Math.floor((((event.clientX - box.left) / box.width) * width - edge.left) / wide) + 1;
      return depth >= 1 && depth <= depths ? depth : null;
    },
  };
}

function nameWindows(reason, size, depths) {
  return size > depths ? ` (${reason} needs ${size} depths)` : `, and the rule over ${size} depths`;
}
