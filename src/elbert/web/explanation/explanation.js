/* The page of one explanation: the reader chooses a depth and sees its answer, its signal and its attention. */
import { byId, h, readData, s } from "../shared/dom.js";
import { mountTagTable } from "../shared/tag_table.js";
import { FORMS } from "./depth_answers.js";
import {
  addTableHead,
  createBox,
  createCell,
  createLine,
  createMark,
  formatNumber,
  redrawOnResize,
} from "./drawing.js";
import { createExplanationChart, DASHES, findTrack } from "./explanation_chart.js";
import { assignNamedColors } from "./named_colors.js";

const explanation = readData();
const form = FORMS[explanation.answers];
const track = findTrack(explanation);
const chart = createExplanationChart(byId("chart"), explanation, form);
const tags = mountTagTable();
let chosen = explanation.depth;
let playing = null;

function describeDepth(depth) {
  const step = explanation.steps[depth - 1];
  const { name, values, threshold } = explanation.gauge,
    value = values[depth - 1];
  const parts = [`Depth ${depth} of ${explanation.depths}: ${form.describe(step, explanation)}`];
  if (value !== null) {
    const against = threshold === null ? "" : value < threshold ? `, under ${threshold}` : `, at least ${threshold}`;
    parts.push(` ${name[0].toUpperCase()}${name.slice(1)} ${formatNumber(value, 3)}${against}.`);
  }
  if (track) {
    const seen = track.steps[depth - 1];
    parts.push(` Rule ${track.reason} over depths ${seen.first} to ${depth}: ${explanation.states[depth - 1]}.`);
  }
  if (depth === explanation.depth) parts.push(` The text exits here: ${explanation.reason}.`);
  if (depth > explanation.depth) parts.push(` The text exited at depth ${explanation.depth}.`);
  return parts.join("");
}

function choose(depth) {
  chosen = Math.min(explanation.depths, Math.max(1, depth));
  byId("depth").value = chosen;
  byId("depth").setAttribute("aria-valuetext", `depth ${chosen} of ${explanation.depths}`);
  byId("number").textContent = `${chosen} of ${explanation.depths}`;
  byId("now").textContent = describeDepth(chosen);
  byId("now").classList.toggle("exit", chosen === explanation.depth);
  shadeText();
  chart.highlight(chosen);
}

function shadeText() {
  const attention = explanation.steps[chosen - 1].attention;
  if (!attention) return;
  const each = explanation.words.map((word) => word.tokens.reduce((sum, i) => sum + attention[i], 0));
  const own = explanation.words.map((word, i) => (word.special ? 0 : each[i]));
  const most = Math.max(...own, 1e-9);
  byId("words")
    .querySelectorAll("span")
    .forEach((span, i) => {
      const strength = Math.round(45 * Math.min(1, each[i] / most));
      span.style.background = `color-mix(in srgb, var(--c2) ${strength}%, transparent)`;
      span.title = `${explanation.words[i].shown}: ${formatNumber(each[i], 3)}`;
    });
  const order = own
    .map((value, i) => [value, i])
    .sort((a, b) => b[0] - a[0])
    .slice(0, 5);
  const special = each.reduce((sum, value, i) => sum + (explanation.words[i].special ? value : 0), 0);
  const whose =
    explanation.reader === "[CLS]" ? "attention of [CLS]" : "attention of all tokens, whose mean the head reads";
  const top = order
    .filter(([value]) => value > 0)
    .map(([value, i]) => `${explanation.words[i].shown} ${formatNumber(value, 2)}`);
  byId("attended").textContent =
    `Shading: ${whose} at depth ${chosen}, mean over heads. Most: ${top.join(", ")}; special tokens ${formatNumber(special, 2)}.`;
}

function writeText() {
  byId("why").textContent = `It ${explanation.why}.`;
  const point = explanation.point === null ? "" : `${explanation.point}: `;
  const label = explanation.truth === null ? "" : ` Label: ${explanation.truth.join(", ") || "none"}.`;
  const cut = explanation.truncated ? " The text was cut to fit." : "";
  const answer = explanation.steps[explanation.depth - 1];
  byId("answer").textContent = form.name(answer);
  byId("answer").className = form.kind(answer, explanation);
  byId("answer-score").textContent = form.score(answer);
  byId("policy").textContent =
    `Policy ${point}${explanation.short}. Model ${explanation.model} in ${explanation.dtype}. ${explanation.tokens.length} tokens.${label}${cut}`;
  explanation.words.forEach((word, i) => {
    const before = explanation.words[i - 1];
    if (before && !word.glued) byId("words").append(" ");
    byId("words").append(h("span", word.special ? { class: "special" } : null, word.shown));
  });
  if (!explanation.steps[0].attention)
    byId("attended").textContent = explanation.reader
      ? "This explanation holds no attention."
      : "The exit head reads every token.";
  byId("cost").textContent = `It ${explanation.spared}.`;
}

function writeLegend() {
  const color = explanation.shown.length ? assignNamedColors(explanation) : null;
  explanation.shown.forEach((name, i) => {
    const sample = s(
      "svg",
      { width: 28, height: 12 },
      s("line", { x1: 0, y1: 6, x2: 28, y2: 6, class: `line stroked c${color(name)}`, "stroke-dasharray": DASHES[i] }),
      createMark(14, 6, i, 3.2, color(name)),
    );
    byId("legend").append(h("li", null, sample, name));
  });
  const others = explanation.shown.length ? explanation.labels.length - explanation.shown.length : 0;
  if (others > 0) byId("legend").append(h("li", { class: "muted" }, `${others} others in grey`));
  if (!track) return;
  const kinds = [
    ["cell same", "same answer as at that depth"],
    ["cell", "otherwise"],
    ["span", `rule ${track.reason} holds`],
  ];
  for (const [kind, text] of kinds)
    byId("legend").append(h("li", null, s("svg", { width: 12, height: 12 }, createBox(2, 2, 8, 8, kind)), text));
}

function writeNumbers() {
  const timed = explanation.clock !== null;
  const { gauge } = explanation;
  const isExtra = !form.signals.includes(gauge.name);
  const isNumeric = new Map(form.columns.map(([name, , isNumber]) => [name, isNumber]));
  const names = [
    "depth",
    ...isNumeric.keys(),
    ...form.signals,
    ...(isExtra ? [gauge.name] : []),
    ...(track ? [`rule ${track.reason}`] : []),
    "GFLOPs",
    ...(timed ? ["ms, stopped here"] : []),
  ];
  const body = addTableHead(
    byId("numbers"),
    names,
    names.map((_, i) => i).filter((i) => isNumeric.get(names[i]) ?? !names[i].startsWith("rule ")),
  );
  explanation.steps.forEach((step, i) => {
    const row = h(
      "tr",
      step.depth === explanation.depth ? { class: "exit" } : null,
      h("th", { scope: "row", class: "number" }, step.depth),
    );
    row.append(
      ...form.columns.map(([, text, isNumber]) => createCell(text(step, explanation), isNumber && "number")),
      ...form.signals.map((name) => createCell(formatNumber(step[name], 3), "number")),
    );
    if (isExtra) row.append(createCell(formatNumber(gauge.values[i], 3), "number"));
    if (track) row.append(createCell(explanation.states[i]));
    row.append(createCell(formatNumber(step.flops / 1e9, 3), "number"));
    if (timed) row.append(createCell(formatNumber(explanation.clock.by_depth[i], 2), "number"));
    body.append(row);
  });
}

function createRail(depth, kind) {
  const step = 9,
    width = step * explanation.depths;
  const root = s("svg", { width, height: 14, "aria-hidden": "true" }, createLine(4, 7, width - 4, 7, "rail"));
  root.append(createLine(step * (explanation.depth - 0.5), 1, step * (explanation.depth - 0.5), 13, "exit"));
  if (depth !== null)
    root.append(s("circle", { cx: step * (depth - 0.5), cy: 7, r: 4, class: kind === "oracle" ? "oracle" : "spot" }));
  return root;
}

function writeRivals() {
  const kinds = {
    point: "operating points of this model",
    rival: "common policies",
    oracle: "oracles: they use the label or later depths",
  };
  const isJudged = explanation.rivals.some((rival) => rival.right !== null);
  const own = form.rivalColumns.map(([name]) => name);
  const names = ["policy", "exit", "depth", ...own, ...(isJudged ? ["label"] : [])];
  const numeric = form.rivalColumns.flatMap(([, , kind], i) => (kind.startsWith("number") ? [i + 3] : []));
  const body = addTableHead(byId("rivals"), names, [2, ...numeric]);
  let kind = null;
  explanation.rivals.forEach((rival, i) => {
    if (rival.kind !== kind)
      body.append(h("tr", { class: "kind" }, h("th", { colspan: names.length, scope: "rowgroup" }, kinds[rival.kind])));
    kind = rival.kind;
    const row = h(
      "tr",
      null,
      h("td", null, h("code", null, explanation.rivals_short[i])),
      createCell(createRail(rival.depth, kind), "wide"),
    );
    row.append(
      createCell(rival.depth === null ? "never" : rival.depth, "number"),
      ...form.rivalColumns.map(([, text, kind]) => createCell(text(rival), kind)),
    );
    if (isJudged)
      row.append(
        createCell(rival.right === null ? "–" : rival.right ? "right" : "wrong", rival.right ? "good" : "bad"),
      );
    body.append(row);
  });
}

function stop() {
  clearInterval(playing);
  playing = null;
  byId("play").textContent = "Play";
}

function play() {
  if (playing) return stop();
  choose(1);
  byId("play").textContent = "Stop";
  playing = setInterval(() => {
    if (chosen >= explanation.depth) return stop();
    choose(chosen + 1);
  }, 700);
}

byId("depth").max = explanation.depths;
byId("depth").addEventListener("input", (event) => {
  if (playing) stop();
  choose(Number(event.target.value));
});
byId("play").addEventListener("click", play);
for (const kind of ["pointermove", "pointerdown"]) {
  byId("chart").addEventListener(kind, (event) => {
    if (playing) return;
    choose(chart.findDepth(event.clientX - byId("chart").getBoundingClientRect().left));
  });
}
if (form.hasWords) {
  const { depth, reason } = explanation;
  byId("tags").append(tags.element);
  tags.show({ labels: explanation.labels, steps: explanation.steps, exit: { depth, reason } });
}
writeText();
writeLegend();
writeNumbers();
writeRivals();
redrawOnResize(byId("chart"), chart.draw);
choose(explanation.depth);
