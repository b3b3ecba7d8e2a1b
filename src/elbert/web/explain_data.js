// A data set's exits: a histogram in which a depth is chosen, confusion there, length, and the texts worth reading.
const LEFT = 46, RIGHT = 12, TOP = 12, HEIGHT = 200;
const labelled = told.exits_right !== null;
const THERE = 0; // stands for "where they left" beside the depths from 1
let chosen = THERE;
let columns = null; // where the histogram's columns stand

function count(n, noun) {
  return `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
}

function saysNow() {
  if (chosen === THERE) return "All depths. Choose one to see who left there, and what is confused there.";
  const left = told.exits[chosen - 1];
  const parts = [`Depth ${chosen} of ${told.depths}: ${count(left, "text")} left here`];
  if (labelled && left) parts.push(`, ${percent(told.exits_right[chosen - 1] / left)} of them right`);
  parts.push(`. ${count(told.settled[chosen - 1], "text")} settled here: from here on the answer is the last depth's.`);
  if (labelled) parts.push(` Stopping everything here: accuracy ${percent(told.accuracy_by_depth[chosen - 1])}.`);
  return parts.join("");
}

function choose(depth) {
  chosen = Math.min(told.depths, Math.max(THERE, depth));
  const name = chosen === THERE ? "all" : `${chosen} of ${told.depths}`;
  byId("depth").value = chosen;
  byId("depth").setAttribute("aria-valuetext", chosen === THERE ? "all depths" : `depth ${name}`);
  byId("number").textContent = name;
  byId("now").textContent = saysNow();
  if (columns) columns.forEach((column, i) => column.setAttribute("class", i + 1 === chosen ? "chosen" : "blank"));
  if (told.confusion) writeConfusion();
}

function writeSummary() {
  const point = told.point === null ? "" : `${told.point}: `;
  byId("title").textContent = `How ${count(told.n, "text")} left`;
  const reasons = Object.entries(told.reasons).map(([reason, n]) => `${reason} ${n.toLocaleString("en")}`).join(", ");
  const right = told.accuracy === null ? "" : ` Accuracy ${percent(told.accuracy)}, at full depth ${percent(told.accuracy_by_depth[told.depths - 1])}.`;
  byId("summary").textContent = `Mean depth ${number(told.mean_depth, 2)} of ${told.depths}, layer speed-up ${number(told.layer_speedup, 2)}×, ${percent(told.computation_saved)} of the computation spared.${right} They left for: ${reasons}.`;
  const cut = told.n < told.total ? `, ${told.n.toLocaleString("en")} drawn at random of ${count(told.total, "text")}` : "";
  byId("about").textContent = `Policy ${point}${told.short}. Model ${told.model} in ${told.dtype}. Data ${told.source}${cut}.`;
  const kinds = labelled ? [["right", "left, right"], ["wrong", "left, wrong"]] : [["right", "left"]];
  for (const [kind, text] of [...kinds, ["span", "settled"]]) {
    byId("legend").append(el("li", null, svg("svg", { width: 12, height: 12 }, box(1, 1, 10, 10, kind)), text));
  }
}

function grid(root, width, most, y, texts) {
  for (const value of texts) {
    root.append(line(LEFT, y(value), width - RIGHT, y(value), "axis"), words(LEFT - 6, y(value) + 4, value, { "text-anchor": "end", class: "small" }));
  }
}

function rounds(most) {
  const raw = Math.max(1, most / 4), power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => i * step);
}

function drawExits(width) {
  const most = Math.max(...told.exits, ...told.settled, 1), bottom = TOP + HEIGHT;
  const column = (width - LEFT - RIGHT) / told.depths, y = (n) => bottom - HEIGHT * n / most;
  const root = svg("svg", { width, height: bottom + 36, role: "img", "aria-label": `Histogram of exits over ${told.depths} depths; the numbers are in the table below.` });
  grid(root, width, most, y, rounds(most));
  columns = [];
  const every = Math.ceil(22 / column);
  told.exits.forEach((n, i) => {
    const x = LEFT + column * i, right = labelled ? told.exits_right[i] : n;
    columns.push(box(x, TOP, column, HEIGHT, "blank"));
    root.append(columns[i], box(x + column * 0.12, y(right), column * 0.5, bottom - y(right), "right"));
    root.append(box(x + column * 0.12, y(n), column * 0.5, y(right) - y(n), "wrong"));
    root.append(box(x + column * 0.68, y(told.settled[i]), column * 0.2, bottom - y(told.settled[i]), "span"));
    if (i % every === 0) root.append(words(x + column / 2, bottom + 16, i + 1, { "text-anchor": "middle" }));
  });
  root.append(words(LEFT + (width - LEFT - RIGHT) / 2, bottom + 32, "depth", { "text-anchor": "middle", class: "small" }));
  byId("exits").replaceChildren(root);
  choose(chosen);
}

function drawLengths(width) {
  const bottom = TOP + HEIGHT, longest = told.lengths[told.lengths.length - 1].longest, shortest = told.lengths[0].shortest;
  const x = (tokens) => LEFT + (width - LEFT - RIGHT - 24) * (tokens - shortest) / Math.max(1, longest - shortest) + 12;
  const y = (depth) => bottom - HEIGHT * depth / told.depths;
  const label = told.lengths.map((b) => `${b.shortest} to ${b.longest} tokens: mean depth ${number(b.mean_depth, 2)}`).join("; ");
  const root = svg("svg", { width, height: bottom + 36, role: "img", "aria-label": `Mean exit depth by length. ${label}.` });
  grid(root, width, told.depths, y, rounds(told.depths));
  const middles = told.lengths.map((b) => [x((b.shortest + b.longest) / 2), b]);
  for (const [at, b] of middles) root.append(box(at - 3, y(b.high), 6, y(b.low) - y(b.high), "bar faint"));
  root.append(svg("polyline", { points: middles.map(([at, b]) => `${at},${y(b.mean_depth)}`).join(" "), class: "line s1" }));
  for (const [at, b] of middles) {
    const dot = mark(at, y(b.mean_depth), 0, 4);
    dot.append(svg("title", null, `${b.shortest} to ${b.longest} tokens, ${count(b.texts, "text")}: mean depth ${number(b.mean_depth, 2)}`));
    root.append(dot);
  }
  for (const tokens of rounds(longest).filter((t) => t >= shortest)) root.append(words(x(tokens), bottom + 16, tokens, { "text-anchor": "middle" }));
  root.append(words(LEFT + (width - LEFT - RIGHT) / 2, bottom + 32, "tokens", { "text-anchor": "middle", class: "small" }));
  byId("lengths").replaceChildren(root);
}

function writeNumbers() {
  const names = ["depth", "left", ...(labelled ? ["of these right", "accuracy, all stopped here"] : []), "settled"];
  const body = headed(byId("numbers"), names, names.map((_, i) => i));
  told.exits.forEach((n, i) => {
    const row = el("tr", null, el("th", { scope: "row", class: "number" }, i + 1), cell(n, "number"));
    if (labelled) row.append(cell(n ? percent(told.exits_right[i] / n) : "–", "number"), cell(percent(told.accuracy_by_depth[i]), "number"));
    row.append(cell(told.settled[i], "number"));
    body.append(row);
  });
}

function writeConfusion() {
  const index = chosen === THERE ? told.depths : chosen - 1;
  byId("confusion").hidden = false;
  byId("which").textContent = `${chosen === THERE ? "Where each text left" : `If all stopped at depth ${chosen}`}; the depth is chosen above.`;
  for (const id of ["matrix", "pairs"]) byId(id).replaceChildren();
  const pairs = headed(byId("pairs"), ["label", "taken for", "texts"], [2]);
  for (const pair of told.confusion.pairs[index]) {
    pairs.append(el("tr", null, cell(pair.truth || "– (extra)"), cell(pair.said || "– (missed)"), cell(pair.count, "number")));
  }
  if (!told.confusion.pairs[index].length) pairs.append(el("tr", null, el("td", { colspan: 3 }, "nothing")));
  if (!told.confusion.matrices) return;
  const body = headed(byId("matrix"), ["label ↓ answer →", ...told.labels], told.labels.map((_, i) => i + 1));
  told.confusion.matrices[index].forEach((counts, truth) => {
    const total = counts.reduce((a, b) => a + b, 0);
    const row = el("tr", null, el("th", { scope: "row" }, told.labels[truth]));
    counts.forEach((n, said) => {
      const node = cell(n.toLocaleString("en"), "number");
      node.style.background = `color-mix(in srgb, var(${said === truth ? "--c1" : "--c2"}) ${Math.round(55 * n / Math.max(1, total))}%, transparent)`;
      row.append(node);
    });
    body.append(row);
  });
}

// The probability of the last depth's answer, depth by depth; upright: where the text left.
function sparkline(path, depth) {
  const step = Math.max(3, Math.min(8, 96 / path.length)), width = step * path.length, y = (p) => 21 - 18 * p;
  const points = path.map((p, i) => `${step * (i + 0.5)},${y(p)}`).join(" ");
  const at = step * (depth - 0.5);
  return svg("svg", { width, height: 24, "aria-hidden": "true" }, line(0, y(0.5), width, y(0.5), "rail"), line(at, 1, at, 23, "exit"), svg("polyline", { points, class: "line s1" }));
}

function writeTexts() {
  const lists = [
    ["Easiest", told.easiest, "they settle first, with the least entropy"],
    ["Hardest", told.hardest, "they settle last, with the most entropy"],
    ["Wrong where they left", told.wrong, "surest first"],
    ["Overthought", told.overthought, `right at some depth, wrong at the last: ${told.overthinking === null ? "" : percent(told.overthinking)} of all`],
  ];
  for (const [title, texts, what] of lists.filter(([, texts]) => texts !== null)) {
    const list = el("ul", { class: "texts" });
    for (const text of texts) {
      const verdict = text.right === null ? "" : ` (${text.right ? "right" : "wrong"}, label ${text.truth})`;
      const said = el("span", { class: text.right === null ? "" : text.right ? "good" : "bad" }, `${text.answer} ${number(text.score, 3)}${verdict}`);
      const about = ` line ${text.line}, left at ${text.depth} (${text.reason}), settled at ${text.settled}`;
      list.append(el("li", null, text.text_pair === null ? text.text : `${text.text} / ${text.text_pair}`, el("p", { class: "muted" }, sparkline(text.path, text.depth), said, about)));
    }
    byId("texts").append(el("details", title === "Hardest" ? { open: "" } : null, el("summary", null, `${title}: ${what}`), texts.length ? list : el("p", null, "None.")));
  }
}

byId("depth").min = THERE;
byId("depth").max = told.depths;
byId("depth").addEventListener("input", (event) => choose(Number(event.target.value)));
byId("exits").addEventListener("pointerdown", (event) => {
  const holder = byId("exits").getBoundingClientRect();
  choose(1 + Math.floor((event.clientX - holder.left - LEFT) / ((holder.width - LEFT - RIGHT) / told.depths)));
});
writeSummary();
writeNumbers();
writeTexts();
byId("correlation").textContent = `Rank correlation ${told.correlation >= 0 ? "+" : "−"}${number(Math.abs(told.correlation), 2)}. Bars: the middle half of the texts of a bin; each bin holds about as many texts.`;
drawn(byId("exits"), drawExits);
drawn(byId("lengths"), drawLengths);
choose(THERE);
