// One text's way down the depths: a depth is chosen, and the page says what was said and looked at there.
const multi = told.problem === "multi_label_classification";
let chosen = told.depth;
let playing = null;

function answerOf(step) {
  return multi ? step.answer.join(", ") || "no label" : step.label;
}

function saysNow(depth) {
  const step = told.steps[depth - 1];
  const { name, values, threshold } = told.gauge, value = values[depth - 1];
  const parts = [`Depth ${depth} of ${told.depths}: ${answerOf(step)}`, ` (${step.label} ${number(step.score, 3)}).`];
  if (!multi) parts.splice(0, 2, `Depth ${depth} of ${told.depths}: ${step.label} (${number(step.score, 3)}).`);
  if (value !== null) {
    const against = threshold === null ? "" : value < threshold ? `, under ${threshold}` : `, not under ${threshold}`;
    parts.push(` ${name[0].toUpperCase()}${name.slice(1)} ${number(value, 3)}${against}.`);
  }
  if (track) {
    const seen = track.steps[depth - 1];
    parts.push(` Window over depths ${seen.first} to ${depth}: ${told.states[depth - 1]}.`);
  }
  if (depth === told.depth) parts.push(` Here it left: ${told.reason}.`);
  if (depth > told.depth) parts.push(` It had left at depth ${told.depth}.`);
  return parts.join("");
}

function choose(depth) {
  chosen = Math.min(told.depths, Math.max(1, depth));
  byId("depth").value = chosen;
  byId("depth").setAttribute("aria-valuetext", `depth ${chosen} of ${told.depths}`);
  byId("number").textContent = `${chosen} of ${told.depths}`;
  byId("now").textContent = saysNow(chosen);
  byId("now").classList.toggle("exit", chosen === told.depth);
  shade();
  highlight();
}

function shade() {
  const given = told.steps[chosen - 1].attention;
  if (!given) return;
  const each = told.words.map((word) => word.tokens.reduce((sum, i) => sum + given[i], 0));
  const own = told.words.map((word, i) => (word.special ? 0 : each[i]));
  const most = Math.max(...own, 1e-9);
  byId("words").querySelectorAll("span").forEach((span, i) => {
    const strength = Math.round(45 * Math.min(1, each[i] / most));
    span.style.background = `color-mix(in srgb, var(--c2) ${strength}%, transparent)`;
    span.title = `${told.words[i].shown}: ${number(each[i], 3)}`;
  });
  const order = own.map((value, i) => [value, i]).sort((a, b) => b[0] - a[0]).slice(0, 5);
  const special = each.reduce((sum, value, i) => sum + (told.words[i].special ? value : 0), 0);
  const whose = told.reader === "[CLS]" ? "attention of [CLS]" : "attention of all tokens, whose mean the head reads";
  const top = order.filter(([value]) => value > 0).map(([value, i]) => `${told.words[i].shown} ${number(value, 2)}`);
  byId("attended").textContent = `Shading: ${whose} at depth ${chosen}, mean over heads. Most: ${top.join(", ")}; special tokens ${number(special, 2)}.`;
}

function writeText() {
  byId("why").textContent = `It ${told.why}.`;
  const point = told.point === null ? "" : `${told.point}: `;
  const label = told.truth === null ? "" : ` Label: ${told.truth.join(", ") || "none"}.`;
  const cut = told.truncated ? " The text was cut to fit." : "";
  const answer = told.steps[told.depth - 1];
  byId("policy").textContent = `Answer: ${answerOf(answer)} (${number(answer.score, 3)}). Policy ${point}${told.short}. Model ${told.model} in ${told.dtype}. ${told.tokens.length} tokens.${label}${cut}`;
  told.words.forEach((word, i) => {
    const before = told.words[i - 1];
    if (before && !word.glued) byId("words").append(" ");
    byId("words").append(el("span", word.special ? { class: "special" } : null, word.shown));
  });
  if (!told.steps[0].attention) byId("attended").textContent = "Attention was not asked for.";
  byId("cost").textContent = `It ${told.spared}.`;
}

function writeLegend() {
  named.forEach((name, i) => {
    const sample = svg("svg", { width: 28, height: 12 }, svg("line", { x1: 0, y1: 6, x2: 28, y2: 6, class: `line s${i + 1}`, "stroke-dasharray": DASHES[i] }), mark(14, 6, i, 3.2));
    byId("legend").append(el("li", null, sample, name));
  });
  const others = told.labels.length - named.length;
  if (others > 0) byId("legend").append(el("li", { class: "muted" }, `${others} others in grey`));
  if (!track) return;
  const kinds = [["cell same", "answered as at that depth"], ["cell", "otherwise"], ["span", "the window is content"]];
  for (const [kind, text] of kinds) byId("legend").append(el("li", null, svg("svg", { width: 12, height: 12 }, box(2, 2, 8, 8, kind)), text));
}

function writeNumbers() {
  const timed = told.clock !== null;
  const names = ["depth", "answer", "p", "entropy", "confidence", "gap", ...(track ? ["window"] : []), "GFLOPs", ...(timed ? ["ms, stopped here"] : [])];
  const body = headed(byId("numbers"), names, names.map((_, i) => i).filter((i) => i !== 1 && names[i] !== "window"));
  told.steps.forEach((step, i) => {
    const row = el("tr", step.depth === told.depth ? { class: "exit" } : null, el("th", { scope: "row", class: "number" }, step.depth));
    row.append(cell(answerOf(step)), ...["score", "entropy", "confidence", "gap"].map((name) => cell(number(step[name], 3), "number")));
    if (track) row.append(cell(told.states[i]));
    row.append(cell(number(step.flops / 1e9, 3), "number"));
    if (timed) row.append(cell(number(told.clock.by_depth[i], 2), "number"));
    body.append(row);
  });
}

function rail(depth, kind) {
  const step = 9, width = step * told.depths;
  const root = svg("svg", { width, height: 14, "aria-hidden": "true" }, line(4, 7, width - 4, 7, "rail"));
  root.append(line(step * (told.depth - 0.5), 1, step * (told.depth - 0.5), 13, "exit"));
  if (depth !== null) root.append(svg("circle", { cx: step * (depth - 0.5), cy: 7, r: 4, class: kind === "oracle" ? "oracle" : "spot" }));
  return root;
}

function writeRivals() {
  const kinds = { point: "operating points of this model", rival: "a usual few", oracle: "oracles: they know the future" };
  const names = ["policy", "exit", "depth", "answer", "probability", ...(told.truth === null ? [] : ["label"])];
  const body = headed(byId("rivals"), names, [2, 4]);
  let kind = null;
  told.rivals.forEach((rival, i) => {
    if (rival.kind !== kind) body.append(el("tr", { class: "kind" }, el("th", { colspan: names.length, scope: "rowgroup" }, kinds[rival.kind])));
    kind = rival.kind;
    const row = el("tr", null, el("td", null, el("code", null, told.rivals_short[i])), cell(rail(rival.depth, kind), "wide"));
    row.append(cell(rival.depth === null ? "never" : rival.depth, "number"), cell(rival.label === null ? "–" : rival.label), cell(number(rival.score, 3), "number wide"));
    if (told.truth !== null) row.append(cell(rival.right === null ? "–" : rival.right ? "right" : "wrong", rival.right ? "good" : "bad"));
    body.append(row);
  });
}

function stop() {
  clearInterval(playing);
  playing = null;
  byId("play").textContent = "Watch it go down";
}

function play() {
  if (playing) return stop();
  choose(1);
  byId("play").textContent = "Stop";
  playing = setInterval(() => {
    if (chosen >= told.depth) return stop();
    choose(chosen + 1);
  }, 700);
}

byId("depth").max = told.depths;
byId("depth").addEventListener("input", (event) => { if (playing) stop(); choose(Number(event.target.value)); });
byId("play").addEventListener("click", play);
for (const kind of ["pointermove", "pointerdown"]) {
  byId("chart").addEventListener(kind, (event) => {
    if (playing) return;
    const at = event.clientX - byId("chart").getBoundingClientRect().left - LEFT;
    choose(1 + Math.floor(at / place.column));
  });
}
writeText();
writeLegend();
writeNumbers();
writeRivals();
drawn(byId("chart"), draw);
choose(told.depth);
