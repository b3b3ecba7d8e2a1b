/* The page of a data set: the exits of all texts by depth, and at a chosen depth the confusion between labels. */
import { byId, findTicks, formatPlural, h, readData, s } from "../shared/dom.js";
import {
  addTableHead,
  createBox,
  createCell,
  createLine,
  createMark,
  createText,
  formatNumber,
  formatPercentage,
  redrawOnResize,
} from "./drawing.js";

const survey = readData();
const [LEFT, RIGHT, TOP, HEIGHT] = [46, 12, 12, 200]; // margins, and the height of the plots
const labelled = survey.score_by_depth !== null;
const graded = survey.exits_right !== null; // each text's answer is right or wrong
/* A score: a share as a percentage, a correlation as a number. */
const formatScore = survey.answers === "value" ? (score) => formatNumber(score, 3) : formatPercentage;
const ALL = 0; // the choice of no single depth
let chosen = ALL;
let columns = null; // the histogram's columns, to mark the chosen one

function describeDepth() {
  if (chosen === ALL) return "All depths. Choose one to see its exits and its confusions.";
  const exits = survey.exits[chosen - 1];
  const parts = [`Depth ${chosen} of ${survey.depths}: ${formatPlural(exits, "text")} exit here`];
  if (graded && exits) parts.push(`, ${formatPercentage(survey.exits_right[chosen - 1] / exits)} of them right`);
  parts.push(
    `. ${formatPlural(survey.settled[chosen - 1], "text")} settle here: from here on their answer is the answer of the last depth.`,
  );
  if (labelled)
    parts.push(` If every text exited here: ${survey.score_name} ${formatScore(survey.score_by_depth[chosen - 1])}.`);
  return parts.join("");
}

function choose(depth) {
  chosen = Math.min(survey.depths, Math.max(ALL, depth));
  const name = chosen === ALL ? "all" : `${chosen} of ${survey.depths}`;
  byId("depth").value = chosen;
  byId("depth").setAttribute("aria-valuetext", chosen === ALL ? "all depths" : `depth ${name}`);
  byId("number").textContent = name;
  byId("now").textContent = describeDepth();
  columns?.forEach((column, i) => {
    column.setAttribute("class", i + 1 === chosen ? "chosen" : "blank");
  });
  if (survey.confusion) writeConfusion();
}

function writeSummary() {
  const point = survey.point === null ? "" : `${survey.point}: `;
  byId("title").textContent = `How ${formatPlural(survey.n, "text")} exit`;
  const reasons = Object.entries(survey.reasons)
    .map(([reason, n]) => `${reason} ${n.toLocaleString("en")}`)
    .join(", ");
  const right =
    survey.score === null
      ? ""
      : ` ${survey.score_name[0].toUpperCase()}${survey.score_name.slice(1)} ${formatScore(survey.score)}, at full depth ${formatScore(survey.score_by_depth[survey.depths - 1])}.`;
  byId("summary").textContent =
    `Mean depth ${formatNumber(survey.mean_depth, 2)} of ${survey.depths}, layer speed-up ${formatNumber(survey.layer_speedup, 2)}×, ${formatPercentage(survey.computation_saved)} of the computation saved.${right} Exit reasons: ${reasons}.`;
  const cut =
    survey.n < survey.total
      ? `, ${survey.n.toLocaleString("en")} a random sample of ${formatPlural(survey.total, "text")}`
      : "";
  byId("about").textContent =
    `Policy ${point}${survey.short}. Model ${survey.model} in ${survey.dtype}. Data ${survey.source}${cut}.`;
  const kinds = graded
    ? [
        ["right", "exit, right"],
        ["wrong", "exit, wrong"],
      ]
    : [["right", "exit"]];
  for (const [kind, text] of [...kinds, ["span", "settled"]]) {
    byId("legend").append(h("li", null, s("svg", { width: 12, height: 12 }, createBox(1, 1, 10, 10, kind)), text));
  }
}

function addGrid(root, width, y, texts) {
  for (const value of texts) {
    root.append(
      createLine(LEFT, y(value), width - RIGHT, y(value), "axis"),
      createText(LEFT - 6, y(value) + 4, value, { "text-anchor": "end", class: "small" }),
    );
  }
}

/* Some whole numbers between two. */
const findWholeTicks = (low, high) => (high > low ? findTicks(low, high, Math.min(4, high - low)) : [low]);

function drawExits(width) {
  const most = Math.max(...survey.exits, ...survey.settled, 1),
    bottom = TOP + HEIGHT;
  const column = (width - LEFT - RIGHT) / survey.depths,
    y = (n) => bottom - (HEIGHT * n) / most;
  const root = s("svg", {
    width,
    height: bottom + 36,
    role: "img",
    "aria-label": `Histogram of exits over ${survey.depths} depths; the numbers are in the table below.`,
  });
  addGrid(root, width, y, findWholeTicks(0, most));
  columns = [];
  const every = Math.ceil(22 / column);
  survey.exits.forEach((n, i) => {
    const x = LEFT + column * i,
      right = graded ? survey.exits_right[i] : n;
    columns.push(createBox(x, TOP, column, HEIGHT, "blank"));
    root.append(columns[i], createBox(x + column * 0.12, y(right), column * 0.5, bottom - y(right), "right"));
    root.append(createBox(x + column * 0.12, y(n), column * 0.5, y(right) - y(n), "wrong"));
    root.append(
      createBox(x + column * 0.68, y(survey.settled[i]), column * 0.2, bottom - y(survey.settled[i]), "span"),
    );
    if (i % every === 0) root.append(createText(x + column / 2, bottom + 16, i + 1, { "text-anchor": "middle" }));
  });
  root.append(
    createText(LEFT + (width - LEFT - RIGHT) / 2, bottom + 32, "depth", { "text-anchor": "middle", class: "small" }),
  );
  byId("exits").replaceChildren(root);
  choose(chosen);
}

function drawLengths(width) {
  const bottom = TOP + HEIGHT,
    longest = survey.lengths[survey.lengths.length - 1].longest,
    shortest = survey.lengths[0].shortest;
  const x = (tokens) =>
    LEFT + ((width - LEFT - RIGHT - 24) * (tokens - shortest)) / Math.max(1, longest - shortest) + 12;
  const y = (depth) => bottom - (HEIGHT * depth) / survey.depths;
  const label = survey.lengths
    .map((b) => `${b.shortest} to ${b.longest} tokens: mean depth ${formatNumber(b.mean_depth, 2)}`)
    .join("; ");
  const root = s("svg", {
    width,
    height: bottom + 36,
    role: "img",
    "aria-label": `Mean exit depth by length. ${label}.`,
  });
  addGrid(root, width, y, findWholeTicks(0, survey.depths));
  const middles = survey.lengths.map((b) => [x((b.shortest + b.longest) / 2), b]);
  for (const [at, b] of middles) root.append(createBox(at - 3, y(b.high), 6, y(b.low) - y(b.high), "bar faint"));
  root.append(
    s("polyline", { points: middles.map(([at, b]) => `${at},${y(b.mean_depth)}`).join(" "), class: "line stroked c1" }),
  );
  for (const [at, b] of middles) {
    const dot = createMark(at, y(b.mean_depth), 0, 4, 1);
    dot.append(
      s(
        "title",
        null,
        `${b.shortest} to ${b.longest} tokens, ${formatPlural(b.texts, "text")}: mean depth ${formatNumber(b.mean_depth, 2)}`,
      ),
    );
    root.append(dot);
  }
  for (const tokens of findWholeTicks(shortest, longest))
    root.append(createText(x(tokens), bottom + 16, tokens, { "text-anchor": "middle" }));
  root.append(
    createText(LEFT + (width - LEFT - RIGHT) / 2, bottom + 32, "tokens", { "text-anchor": "middle", class: "small" }),
  );
  byId("lengths").replaceChildren(root);
}

function writeNumbers() {
  const names = [
    "depth",
    "exits",
    ...(graded ? ["of these right"] : []),
    ...(labelled ? [`${survey.score_name}, if all exit here`] : []),
    "settled",
  ];
  const body = addTableHead(
    byId("numbers"),
    names,
    names.map((_, i) => i),
  );
  survey.exits.forEach((n, i) => {
    const row = h("tr", null, h("th", { scope: "row", class: "number" }, i + 1), createCell(n, "number"));
    if (graded) row.append(createCell(n ? formatPercentage(survey.exits_right[i] / n) : "–", "number"));
    if (labelled) row.append(createCell(formatScore(survey.score_by_depth[i]), "number"));
    row.append(createCell(survey.settled[i], "number"));
    body.append(row);
  });
}

function writeConfusion() {
  const index = chosen === ALL ? survey.depths : chosen - 1;
  byId("confusion").hidden = false;
  byId("which").textContent =
    `${chosen === ALL ? "At the depth where each text exits" : `If all texts exit at depth ${chosen}`}; choose the depth above.`;
  for (const id of ["matrix", "pairs"]) byId(id).replaceChildren();
  const pairs = addTableHead(byId("pairs"), ["label", "predicted", survey.counted], [2]);
  for (const pair of survey.confusion.pairs[index]) {
    pairs.append(
      h(
        "tr",
        null,
        createCell(pair.truth || "– (extra)"),
        createCell(pair.prediction || "– (missed)"),
        createCell(pair.count, "number"),
      ),
    );
  }
  if (!survey.confusion.pairs[index].length) pairs.append(h("tr", null, h("td", { colspan: 3 }, "nothing")));
  if (!survey.confusion.matrices) return;
  const body = addTableHead(
    byId("matrix"),
    ["label ↓ answer →", ...survey.labels],
    survey.labels.map((_, i) => i + 1),
  );
  survey.confusion.matrices[index].forEach((counts, truth) => {
    const total = counts.reduce((a, b) => a + b, 0);
    const row = h("tr", null, h("th", { scope: "row" }, survey.labels[truth]));
    counts.forEach((n, answer) => {
      const node = createCell(n.toLocaleString("en"), "number");
      node.style.background = `color-mix(in srgb, var(${answer === truth ? "--right" : "--wrong"}) ${Math.round((55 * n) / Math.max(1, total))}%, transparent)`;
      row.append(node);
    });
    body.append(row);
  });
}

/* The path of a text over the depths; the vertical line is the exit. */
function createSparkline(path, depth) {
  const step = Math.max(3, Math.min(8, 96 / path.length)),
    width = step * path.length,
    [low, high] = survey.bounds,
    y = (p) => 21 - (18 * (p - low)) / (high - low || 1);
  const points = path.map((p, i) => `${step * (i + 0.5)},${y(p)}`).join(" ");
  const at = step * (depth - 0.5);
  return s(
    "svg",
    { width, height: 24, "aria-hidden": "true" },
    createLine(0, 12, width, 12, "rail"),
    createLine(at, 1, at, 23, "exit"),
    s("polyline", { points, class: "line stroked c1" }),
  );
}

function writeTexts() {
  for (const [field, title, what] of survey.lists) {
    const texts = survey[field];
    const list = h("ul", { class: "texts" });
    for (const text of texts) {
      const grade = text.right === null ? "" : text.right ? "right, " : "wrong, ";
      const verdict = text.truth === null ? "" : ` (${grade}label ${text.truth})`;
      const score = survey.answers === "value" ? "" : ` ${formatNumber(text.score, 3)}`;
      const answer = h(
        "span",
        { class: text.right === null ? "" : text.right ? "good" : "bad" },
        `${text.answer}${score}${verdict}`,
      );
      const about = ` line ${text.line}, exit at ${text.depth} (${text.reason}), settled at ${text.settled}`;
      list.append(
        h(
          "li",
          null,
          text.text_pair === null ? text.text : `${text.text} / ${text.text_pair}`,
          h("p", { class: "muted" }, createSparkline(text.path, text.depth), answer, about),
        ),
      );
    }
    byId("texts").append(
      h(
        "details",
        field === "hardest" ? { open: "" } : null,
        h("summary", null, `${title}: ${what}`),
        texts.length ? list : h("p", null, "None."),
      ),
    );
  }
}

byId("depth").min = ALL;
byId("depth").max = survey.depths;
byId("depth").addEventListener("input", (event) => choose(Number(event.target.value)));
byId("exits").addEventListener("pointerdown", (event) => {
  const holder = byId("exits").getBoundingClientRect();
  choose(1 + Math.floor((event.clientX - holder.left - LEFT) / ((holder.width - LEFT - RIGHT) / survey.depths)));
});
writeSummary();
writeNumbers();
writeTexts();
byId("correlation").textContent =
  `Rank correlation ${survey.correlation >= 0 ? "+" : "−"}${formatNumber(Math.abs(survey.correlation), 2)}. Bars: the middle half of the texts of a bin; each bin holds about the same number of texts.`;
redrawOnResize(byId("exits"), drawExits);
redrawOnResize(byId("lengths"), drawLengths);
choose(ALL);
