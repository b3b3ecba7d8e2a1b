/* The report of elbert compare, from the data in the page. */

import { findLook, fixedDepth } from "../policy/families.js";
import { TABLE } from "../policy/table.js";
import { createBarChart, createCurveChart, createSpeedupMarks } from "../shared/charts.js";
import { createCopyButton } from "../shared/clipboard.js";
import {
  byId,
  formatCount,
  formatDifference,
  formatPercent,
  formatPlural,
  h,
  keepWords,
  readData,
} from "../shared/dom.js";
import { showCommand, showRecommendation, writeCommand } from "./recommendation.js";
import {
  SCORE,
  SCORE_TITLE,
  showFamilies,
  showFixedDepths,
  showHeldOutTables,
  showOracles,
  showSpeedTable,
} from "./report_tables.js";

const data = readData();
const { ours, fixed_depth: fixedName } = TABLE.roles;
const MOST_SHOWN = 6; // lines at first; the legend brings the others

document.title = data.title;
byId("title").textContent = data.title;
byId("about").textContent =
  `${data.model}, ${formatPlural(data.n, "text")} of ${data.data}, ${formatPlural(data.depths, "depth")}`;
byId("summary").replaceChildren(...summary());
chart();

byId("speed-about").textContent =
  `${SCORE_TITLE} in %, ${formatPlural(data.n, "text")}. The dials were chosen on the same texts, the best of many, so these figures are optimistic. ★ marks the best in a column.`;
showSpeedTable(byId("speed"), data);

byId("honest-section").hidden = !data.honest?.rows?.length;
if (!byId("honest-section").hidden) {
  byId("honest-about").textContent =
    `Dials were chosen on ${formatPlural(data.honest.choose_n, "text")}, for each speed-up the most accurate of about that cost, and everything below was measured on ${formatCount(
      data.honest.report_n,
    )} others${heldOutFull()}. Each rival is paired with the ${ours} over the same texts.`;
  showHeldOutTables(byId("honest"), data);
}
showFixedDepths(byId("fixed"), data);
showOracles(byId("oracles"), data);
showFamilies(byId("families"), data);
byId("oracles").hidden = !data.oracles.length;
byId("overthinking").hidden = data.overthinking === null;
byId("overthinking").textContent =
  `Overthinking: ${formatPercent(data.overthinking)} % of the texts are right at some earlier depth and wrong at the last.`;

byId("exits-section").hidden = !data.exits?.histogram?.length;
if (!byId("exits-section").hidden) {
  byId("exits-policy").replaceChildren(h("code", {}, data.exits.policy));
  createBarChart(byId("exits"), {
    title: "Exit depths",
    label: "Depth",
    height: 200,
    columns: data.exits.histogram.map((_, m) => String(m + 1)),
    stacks: [{ name: "texts", color: "-right", values: data.exits.histogram }],
    describe: () => `How many of ${formatCount(data.n)} texts exit at each depth under ${data.exits.policy}.`,
  });
}
byId("notes-section").hidden = !data.notes?.length;
byId("notes").replaceChildren(...(data.notes ?? []).map((note) => h("li", {}, note)));
byId("command").replaceChildren(...keepWords(data.command));
showRecommendation(byId("next"), data, SCORE);
byId("made").textContent = `Made ${data.made} by elbert ${data.version}.`;

/* Full depth's score on the texts that chose no dials, which differs from that on all texts. */
function heldOutFull() {
  const { full } = data.honest;
  if (full === undefined) return "";
  const isAll = data.honest.report_n === data.n;
  return `, where full depth gives ${formatPercent(full)} %${isAll ? "" : ` (${formatPercent(data.full)} % on all ${formatCount(data.n)})`}`;
}

/* One sentence or two: what full depth gives, and what the families give at twice and more of its speed. */
function summary() {
  const strong = (text) => h("strong", {}, text);
  const texts = `all ${formatPlural(data.n, "text")}`;
  const isShare = SCORE === "accuracy"; // of right answers, which other scores are not
  const parts = [
    isShare ? "At full depth " : `At full depth ${SCORE} is `,
    strong(`${formatPercent(data.full)} %`),
    isShare ? ` of ${texts} are right. ` : ` on ${texts}. `,
  ];
  const honest = data.honest?.rows?.find((row) => row.window && row.tests.length);
  const at = data.speedups.findIndex((times) => times >= 2);
  const column =
    at < 0
      ? []
      : data.at_speedup.filter((row) => row.values[at]).map((row) => ({ family: row.family, ...row.values[at] }));
  if (column.length) {
    const best = column.reduce((a, b) => (b[SCORE] > a[SCORE] ? b : a));
    const fixed = data.fixed[Math.max(Math.floor(data.depths / data.speedups[at]), 1) - 1];
    const apart = 100 * (best[SCORE] - data.full);
    parts.push(
      `At a layer speed-up of ${data.speedups[at]}× the best policy tried on them (${best.family}) gives `,
      strong(`${formatPercent(best[SCORE])} %`),
      ` (${formatDifference(apart, (points) => points.toFixed(1))} points)`,
      fixed ? `, and stopping every text at depth ${fixed.depth} gives ${formatPercent(fixed[SCORE])} %. ` : ". ",
    );
  }
  if (honest) {
    const all = data.honest.rows.flatMap((row) => row.tests);
    const of = (verdict) => all.filter((test) => test.verdict === verdict).length;
    parts.push(
      `On texts that were not used to choose the dials, the ${ours} is better than a rival in ${of("better")} of ${all.length} comparisons and worse in ${of("worse")}; in the others no difference was found.`,
    );
  }
  return parts;
}

function chart() {
  const isOurs = ({ name }) => Number(name === ours);
  const inOrder = [...data.families].sort((a, b) => isOurs(b) - isOurs(a) || b.area - a.area);
  const shown = new Set(inOrder.slice(0, MOST_SHOWN).map((one) => one.name));
  const families = inOrder
    .filter((one) => one.name !== fixedName)
    .map((one) => ({
      name: one.name,
      kind: "step",
      ...findLook(one.name),
      strong: one.name === ours,
      shown: shown.has(one.name),
      size: 2.2,
      cloud: one.name === ours ? one.points : [],
      points: one.front.map((p) => ({ x: p.mean_depth, y: p[SCORE], label: p.policy })),
    }));
  const fixed = {
    name: "fixed depths",
    kind: "line",
    ...findLook(fixedName),
    size: 3.5,
    points: data.fixed.map((row) => ({ x: row.depth, y: row[SCORE], label: fixedDepth(row.depth) })),
  };
  const oracles = {
    name: "oracles",
    kind: "points",
    color: "-fg",
    marker: "D",
    open: true,
    shown: false,
    points: data.oracles.map((row) => ({ x: row.mean_depth, y: row[SCORE], label: row.name, isPolicy: false })),
  };
  createCurveChart(byId("curve"), {
    title: `${SCORE_TITLE} against mean depth`,
    describe: () =>
      `One curve per family of policies over ${formatCount(data.n)} texts; full depth gives ${formatPercent(data.full)} percent.`,
    x: { label: "Mean depth", low: 1, high: data.depths },
    y: { label: `${SCORE_TITLE}, %`, format: (value) => formatPercent(value) },
    marks: createSpeedupMarks(data.depths, data.speedups),
    references: [{ y: data.full, label: "full depth" }],
    series: [...families, fixed, oracles],
    height: (width) => Math.round(Math.min(Math.max(width * 0.46, 290), 480)),
    pick: showPoint,
  });
}

/* The chosen point of the chart: its policy, its figures, and the command that measures it on other texts. */
function showPoint({ label, x, y, isPolicy = true }) {
  byId("chosen").replaceChildren(
    h(
      "p",
      {},
      h("code", {}, label),
      `: ${SCORE} ${formatPercent(y, 2)} % on ${formatPlural(data.n, "text")}, mean depth ${x.toFixed(2)}.`,
    ),
    ...(isPolicy
      ? [createCopyButton("Copy the policy", () => label), ...showCommand(writeCommand(data, SCORE, label))]
      : []),
  );
}
