/* The report's tables. */

import { findLook } from "../policy/families.js";
import { TABLE } from "../policy/table.js";
import { createSymbol, paint } from "../shared/charts.js";
import {
  createTable,
  formatCount,
  formatDifference,
  formatFactor,
  formatPercent,
  h,
  readData,
  s,
} from "../shared/dom.js";

export const SCORE = readData().score; // the task's score, a key of the data
export const SCORE_TITLE = SCORE[0].toUpperCase() + SCORE.slice(1);
const OURS = TABLE.roles.ours; // the family that all others are paired with

/* A family with the key that it has in the chart. */
function family(name) {
  const { color, marker, dash } = findLook(name);
  const key = s(
    "svg",
    { viewBox: "0 0 26 12", width: 26, height: 12, "aria-hidden": "true" },
    s("line", { x1: 0, x2: 26, y1: 6, y2: 6, stroke: "currentColor", "stroke-width": 2, "stroke-dasharray": dash }),
    createSymbol(marker, 13, 6, 4),
  );
  return h("span", { class: "family" }, paint(key, color), name);
}

/* Accuracy of every family at every speed-up; a button shows by which dials. */
export function showSpeedTable(holder, data) {
  const best = data.speedups.map((_, k) => Math.max(...data.at_speedup.map((row) => row.values[k]?.[SCORE] ?? -1)));
  const cell = (row, k) => {
    const value = row.values[k];
    if (!value) return h("span", { class: "none", title: "no dials reach this speed-up" }, "–");
    const text = h("span", { class: "cell" }, formatPercent(value[SCORE]));
    const wrapped = h(
      "span",
      {
        class: formatPercent(value[SCORE]) === formatPercent(best[k]) ? "best" : null,
        title: `${value.policy} at mean depth ${value.mean_depth.toFixed(2)}`,
      },
      text,
      h("span", { class: "spec" }, value.policy),
    );
    return wrapped;
  };
  holder.replaceChildren(
    createTable(
      null,
      [
        { head: "Family", cell: (row) => family(row.family) },
        ...data.speedups.map((times, k) => ({ head: `${times}×`, number: true, cell: (row) => cell(row, k) })),
      ],
      data.at_speedup,
    ),
  );
  const button = h(
    "button",
    {
      type: "button",
      class: "button small no-print",
      "aria-pressed": "false",
      onclick() {
        const shown = holder.classList.toggle("detailed");
        button.setAttribute("aria-pressed", String(shown));
      },
    },
    "Show the dials",
  );
  holder.after(button);
}

const RANK = { better: "better", worse: "worse" };
const verdictClass = (verdict) => RANK[verdict] ?? "none-found";
const signed = (points) => formatDifference(points, (size) => size.toFixed(2));
const pValue = (p) => (p < 0.001 ? "< 0.001" : p > 0.9995 ? "1" : p.toFixed(3));

/* A difference with its interval on a scale that all rows share. */
function interval(test, reach) {
  const x = (points) => 88 + (points / reach) * 82;
  return s(
    "svg",
    { class: "interval", viewBox: "0 0 176 22", "aria-hidden": "true" },
    s("line", { class: "zero", x1: 88, x2: 88, y1: 0, y2: 22 }),
    s("line", { class: "span", x1: x(test.low), x2: x(test.high), y1: 11, y2: 11 }),
    s("circle", { class: "dot-mark", cx: x(test.difference), cy: 11, r: 4 }),
  );
}

/* All families at all speed-ups on texts that were not used to choose, and whether ours differs from them. */
function overview(data) {
  const names = [
    ...new Set(
      data.honest.rows
        .flatMap((row) => [...(row.window ? [row.window] : []), ...row.entries])
        .map((entry) => entry.family),
    ),
  ];
  const found = (row, name) =>
    row.window?.family === name ? row.window : row.entries.find((entry) => entry.family === name);
  const cell = (row, name) => {
    const entry = found(row, name);
    if (!entry) return h("span", { class: "none" }, "–");
    const verdict = row.tests.find((test) => test.rival === name)?.verdict;
    const mark = { better: ["▽", `worse than the ${OURS}`], worse: ["▲", `better than the ${OURS}`] }[verdict];
    return h(
      "span",
      { title: `${entry.policy}, layer speed-up ${formatFactor(data.depths / entry.mean_depth)}` },
      formatPercent(entry[SCORE]),
      h(
        "span",
        { class: `mark-of ${verdict === "worse" ? "worse" : "better"}`, "aria-hidden": "true" },
        mark ? ` ${mark[0]}` : "",
      ),
      mark && h("span", { class: "visually-hidden" }, ` (${mark[1]})`),
    );
  };
  return createTable(
    null,
    [
      {
        head: "Family",
        cell: (name) => (name === data.honest.rows[0].window?.family ? h("strong", {}, family(name)) : family(name)),
      },
      ...data.honest.rows.map((row) => ({ head: `${row.speedup}×`, number: true, cell: (name) => cell(row, name) })),
    ],
    names,
  );
}

/* The same, speed-up by speed-up: dials, depth reached, and our difference from each rival. */
export function showHeldOutTables(holder, data) {
  const { rows } = data.honest;
  const capitalized = OURS[0].toUpperCase() + OURS.slice(1);
  const all = rows.flatMap((row) => row.tests).flatMap((test) => [test.low, test.high, test.difference]);
  const reach = Math.max(...all.map(Math.abs), 0.1);
  const opened = rows.find((row) => row.speedup >= 2) ?? rows[0];
  const details = rows.map((row) => {
    const tests = new Map(row.tests.map((test) => [test.rival, test]));
    const window = row.window;
    const entries = [...(window ? [window] : []), ...row.entries.filter((entry) => entry.family !== window?.family)];
    const tested = (entry, show) => (tests.has(entry.family) ? show(tests.get(entry.family)) : "");
    const body = createTable(
      null,
      [
        {
          head: "Family",
          cell: (entry) =>
            h(
              entry === window ? "strong" : "span",
              {},
              family(entry.family),
              " ",
              h("span", { class: "spec" }, entry.policy),
            ),
        },
        { head: `${SCORE_TITLE}, %`, number: true, cell: (entry) => formatPercent(entry[SCORE], 2) },
        { head: "Mean depth", number: true, cell: (entry) => entry.mean_depth.toFixed(2) },
        {
          head: `${capitalized} less rival, points`,
          cell: (entry) =>
            tested(entry, (test) =>
              h(
                "span",
                { class: verdictClass(test.verdict) },
                interval(test, reach),
                h(
                  "span",
                  { class: "points" },
                  `${signed(test.difference)} [${signed(test.low)}, ${signed(test.high)}]`,
                ),
              ),
            ),
        },
        { head: "p", number: true, cell: (entry) => tested(entry, (test) => pValue(test.p)) },
        {
          head: `${capitalized} is`,
          cell: (entry) =>
            tested(entry, (test) => h("span", { class: `verdict ${verdictClass(test.verdict)}` }, test.verdict)),
        },
      ],
      entries,
    );
    return h(
      "details",
      { class: "honest", open: row === opened },
      h("summary", {}, `At a layer speed-up of ${row.speedup}×`),
      h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `At ${row.speedup}×` }, body),
    );
  });
  holder.replaceChildren(
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "All speed-ups" }, overview(data)),
    h(
      "p",
      { class: "muted note" },
      `▽ significantly worse than the ${OURS}, ▲ significantly better, by a paired test at each speed-up; unmarked: no difference was found.`,
    ),
    ...details,
  );
}

export function showFixedDepths(holder, data) {
  const baseline = data.linear_baseline;
  holder.replaceChildren(
    createTable(
      null,
      [
        { head: "Depth", number: true, cell: (row) => row.depth },
        { head: `${SCORE_TITLE}, %`, number: true, cell: (row) => formatPercent(row[SCORE]) },
        { head: "Layer speed-up", number: true, cell: (row) => formatFactor(data.depths / row.depth) },
        {
          head: "ECE",
          number: true,
          cell: (row) => (row.ece === null || row.ece === undefined ? "–" : row.ece.toFixed(3)),
        },
        {
          head: "FLOPs",
          number: true,
          cell: (row) => (row.flops === null || row.flops === undefined ? "–" : flops(row.flops)),
        },
      ],
      data.fixed,
    ),
  );
  if (baseline !== null && baseline !== undefined) {
    holder.append(h("p", { class: "muted note" }, `A linear model on bags of words: ${formatPercent(baseline)} %.`));
  }
}

/* 1.2 G, 340 M: FLOPs of one text. */
function flops(value) {
  const [scale, unit] = value >= 1e12 ? [1e12, "T"] : value >= 1e9 ? [1e9, "G"] : value >= 1e6 ? [1e6, "M"] : [1, ""];
  return `${(value / scale).toPrecision(3)} ${unit}`.trim();
}

export function showOracles(holder, data) {
  holder.replaceChildren(
    createTable(
      null,
      [
        { head: "Oracle", cell: (row) => row.name },
        { head: `${SCORE_TITLE}, %`, number: true, cell: (row) => formatPercent(row[SCORE]) },
        { head: "Mean depth", number: true, cell: (row) => row.mean_depth.toFixed(2) },
      ],
      data.oracles,
    ),
  );
}

export function showFamilies(holder, data) {
  const most = Math.max(...data.families.map((one) => one.area));
  const least = Math.min(...data.families.map((one) => one.area));
  const meter = (area) => {
    const filled = h("span");
    filled.style.width = `${most > least ? 8 + (92 * (area - least)) / (most - least) : 100}%`;
    return h("span", { class: "meter", "aria-hidden": "true" }, filled);
  };
  const ordered = [...data.families].sort((a, b) => b.area - a.area);
  holder.replaceChildren(
    createTable(
      null,
      [
        { head: "Family", cell: (row) => family(row.name) },
        {
          head: "Area under the front, %",
          number: true,
          cell: (row) => h("span", {}, formatPercent(row.area, 2), meter(row.area)),
        },
        { head: "Policies tried", number: true, cell: (row) => formatCount(row.policies) },
        { head: "On the front", number: true, cell: (row) => formatCount(row.front.length) },
      ],
      ordered,
    ),
  );
}
