// The chart of one text: probabilities, the signal against its threshold, and the window sliding.
const DASHES = ["", "6 4", "8 3 2 3", "2 3"];
const PROBABILITY = 190, SIGNAL = 80, GAP = 30, LEFT = 38, RIGHT = 34, TOP = 20;
const track = told.watched === null ? null : told.rules[told.watched];
const named = told.shown;
let place = null; // where the chart stands: filled by draw

function draw(width) {
  const holder = byId("chart");
  const column = (width - LEFT - RIGHT) / told.depths;
  const x = (depth) => LEFT + column * (depth - 0.5);
  const row = track ? Math.max(10, Math.min(18, column)) : 0;
  const signalTop = TOP + PROBABILITY + GAP, windowTop = signalTop + SIGNAL + GAP;
  const bottom = track ? windowTop + row * told.depths : signalTop + SIGNAL;
  const height = bottom + 36;
  const label = `Probabilities, ${told.gauge.name}${track ? " and window" : ""} by depth. It ${told.why}.`;
  const root = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  place = { x, column, row, signalTop, windowTop, bottom };
  root.append(box(x(told.depth), TOP, width - RIGHT - x(told.depth), bottom - TOP, "after"));
  root.append(svg("g", { id: "under" }));
  drawProbabilities(root, width);
  drawSignal(root, width);
  if (track) drawWindow(root);
  root.append(line(x(told.depth), TOP, x(told.depth), bottom, "exit"));
  const late = x(told.depth) + 8 * (told.reason.length + 6) > width;
  root.append(words(x(told.depth) + (late ? -5 : 5), 13, `left: ${told.reason}`, { class: "exit", "text-anchor": late ? "end" : "start" }));
  const every = Math.ceil(22 / column);
  for (let depth = 1; depth <= told.depths; depth += 1) {
    if ((depth - 1) % every === 0) root.append(words(x(depth), bottom + 16, depth, { "text-anchor": "middle" }));
  }
  root.append(words(LEFT + column * told.depths / 2, bottom + 32, "depth", { "text-anchor": "middle", class: "small" }));
  root.append(svg("g", { id: "over" }));
  holder.replaceChildren(root);
  highlight();
}

function drawProbabilities(root, width) {
  const y = (p) => TOP + PROBABILITY * (1 - p);
  for (const p of [0, 0.5, 1]) {
    root.append(line(LEFT, y(p), width - RIGHT, y(p), "axis"), words(LEFT - 6, y(p) + 4, p, { "text-anchor": "end", class: "small" }));
  }
  root.append(words(LEFT, TOP - 7, "probability", { class: "small" }));
  const path = (name) => told.steps.map((step) => `${place.x(step.depth)},${y(step.scores[name])}`).join(" ");
  for (const name of told.labels.filter((name) => !named.includes(name)).slice(0, 200)) {
    root.append(svg("polyline", { points: path(name), class: "other" }));
  }
  named.forEach((name, i) => {
    root.append(svg("polyline", { points: path(name), class: `line s${i + 1}`, "stroke-dasharray": DASHES[i] }));
    for (const step of told.steps) root.append(mark(place.x(step.depth), y(step.scores[name]), i, 3.2));
  });
  place.probability = y;
}

function drawSignal(root, width) {
  const { name, values, threshold, top } = told.gauge;
  const y = (value) => place.signalTop + SIGNAL * (1 - value / top);
  root.append(words(LEFT, place.signalTop - 7, name, { class: "small" }));
  root.append(line(LEFT, y(0), width - RIGHT, y(0), "axis"));
  values.forEach((value, i) => {
    if (value === null) return;
    root.append(box(place.x(i + 1) - place.column * 0.33, y(value), place.column * 0.66, y(0) - y(value), "bar"));
  });
  if (threshold !== null && threshold <= top) {
    root.append(line(LEFT, y(threshold), width - RIGHT, y(threshold), "threshold"));
    root.append(words(width - RIGHT + 4, y(threshold) + 4, threshold, { class: "threshold" }));
  }
}

function drawWindow(root) {
  const side = Math.min(place.row, place.column) * 0.5;
  root.append(words(LEFT, place.windowTop - 7, `window of ${track.size}, as seen at each depth`, { class: "small" }));
  for (const step of track.steps) {
    const y = place.windowTop + place.row * (step.depth - 0.5);
    const since = told.steps[step.depth - 1].since;
    for (let depth = step.first; depth <= step.depth; depth += 1) {
      const kind = `cell${depth >= since ? " same" : ""}${step.full ? "" : " faint"}`;
      root.append(box(place.x(depth) - side / 2, y - side / 2, side, side, kind));
    }
    if (step.fires) root.append(spanOf(step, y - place.row / 2 + 1, place.row - 2, "span"));
  }
}

function spanOf(step, y, height, kind) {
  const from = place.x(step.first) - place.column * 0.45;
  return box(from, y, place.x(step.depth) + place.column * 0.45 - from, height, kind);
}

function highlight() {
  if (!place) return;
  const { x, column, probability, windowTop, row, bottom } = place;
  const under = byId("under"), over = byId("over");
  under.replaceChildren(box(x(chosen) - column / 2, TOP, column, bottom - TOP, "chosen"));
  const step = told.steps[chosen - 1];
  over.replaceChildren(svg("circle", { cx: x(chosen), cy: probability(step.score), r: 8, class: "line exit" }));
  if (!track) return;
  const seen = track.steps[chosen - 1];
  const kind = seen.fires ? "span" : seen.full ? "span waits" : "span short";
  // The window of the chosen depth, laid over the probabilities that it looks at, and its own line below.
  over.append(spanOf(seen, TOP, PROBABILITY, kind));
  over.append(spanOf(seen, windowTop + row * (chosen - 1) + 1, row - 2, kind));
}
