/* The chart of one text: its probabilities, the signal against its threshold, and the depths that a rule covers. */
import { byId, s } from "../shared/dom.js";
import { createBox, createLine, createMark, createText } from "./drawing.js";
import { assignNamedColors } from "./named_colors.js";

export const DASHES = ["", "6 4", "8 3 2 3", "2 3"];
const [SCORES, SIGNAL, GAP] = [190, 80, 30]; // heights of the lanes, and the space between them
const TOP = 48; // margin
const [LEAST_LEFT, LEAST_RIGHT, DIGIT] = [38, 34, 7.5]; // margins, wider where numbers are longer, and a digit's width
/* The rule over several depths that the page draws, or null. */
export function findTrack(explanation) {
  return explanation.watched === null ? null : explanation.rules[explanation.watched];
}

/* Returns {draw(width), highlight(depth), findDepth(x)}; x is in pixels from the left edge. */
export function createExplanationChart(holder, explanation, form) {
  const track = findTrack(explanation);
  const named = explanation.shown;
  const color = form.lane ? assignNamedColors(explanation) : null;
  const [low, high] = form.range(explanation);
  const { threshold, top } = explanation.gauge;
  const limit = threshold !== null && threshold <= top ? String(threshold) : ""; // written in the right margin
  const right = Math.max(LEAST_RIGHT, 8 + DIGIT * limit.length);
  const scoreTicks = (form.lane ? [low, (low + high) / 2, high] : []).map((score) => Number(score.toPrecision(3)));
  const signalTicks = [0, top].map((value) => Number(value.toPrecision(2)));
  const longest = Math.max(...[...scoreTicks, ...signalTicks].map((tick) => String(tick).length));
  const left = Math.max(LEAST_LEFT, 8 + DIGIT * longest);
  let chosen = explanation.depth;
  let place = null; // the scales of the drawn chart

  function draw(width) {
    const column = (width - left - right) / explanation.depths;
    const x = (depth) => left + column * (depth - 0.5);
    const row = track ? Math.max(10, Math.min(18, column)) : 0;
    const signalTop = TOP + (form.lane ? SCORES + GAP : 0),
      windowTop = signalTop + SIGNAL + GAP;
    const bottom = track ? windowTop + row * explanation.depths : signalTop + SIGNAL;
    const height = bottom + 36;
    const label = `${form.lane && `${form.lane} and `}${explanation.gauge.name}${track ? ` and rule ${track.reason}` : ""} by depth. It ${explanation.why}.`;
    const root = s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
    place = { x, column, row, signalTop, windowTop, bottom };
    root.append(createBox(x(explanation.depth), TOP, width - right - x(explanation.depth), bottom - TOP, "after"));
    root.append(s("g", { id: "under" }));
    if (form.lane) drawScores(root, width);
    drawSignal(root, width);
    if (track) drawWindow(root);
    root.append(createLine(x(explanation.depth), TOP - 4, x(explanation.depth), bottom, "exit"));
    const name = `exit at ${explanation.depth}: ${explanation.reason}`;
    const long = name.length * 6.6 + 18;
    const from = Math.min(Math.max(x(explanation.depth) - long / 2, 0), width - long);
    root.append(
      s("rect", { x: from, y: 2, width: long, height: 22, rx: 11, class: "flag" }),
      createText(from + long / 2, 17, name, { class: "flag-text", "text-anchor": "middle" }),
    );
    const every = Math.ceil(22 / column);
    for (let depth = 1; depth <= explanation.depths; depth += 1) {
      if ((depth - 1) % every === 0) root.append(createText(x(depth), bottom + 16, depth, { "text-anchor": "middle" }));
    }
    root.append(
      createText(left + (column * explanation.depths) / 2, bottom + 32, "depth", {
        "text-anchor": "middle",
        class: "small",
      }),
    );
    root.append(s("g", { id: "over" }));
    holder.replaceChildren(root);
    highlight(chosen);
  }

  function drawScores(root, width) {
    const y = (score) => TOP + (SCORES * (high - score)) / (high - low);
    for (const score of scoreTicks) {
      root.append(
        createLine(left, y(score), width - right, y(score), "axis"),
        createText(left - 6, y(score) + 4, score, { "text-anchor": "end", class: "small" }),
      );
    }
    root.append(createText(left, TOP - 7, form.lane, { class: "small" }));
    const path = (name) => explanation.steps.map((step) => `${place.x(step.depth)},${y(step.scores[name])}`).join(" ");
    for (const name of explanation.labels.filter((name) => !named.includes(name)).slice(0, 200)) {
      root.append(s("polyline", { points: path(name), class: "other" }));
    }
    named.forEach((name, i) => {
      const kind = `line stroked c${color(name)}`;
      root.append(s("polyline", { points: path(name), class: kind, "stroke-dasharray": DASHES[i] }));
      for (const step of explanation.steps)
        root.append(createMark(place.x(step.depth), y(step.scores[name]), i, 3.2, color(name)));
    });
    place.score = y;
  }

  function drawSignal(root, width) {
    const { name, values } = explanation.gauge;
    const y = (value) => place.signalTop + SIGNAL * (1 - value / top);
    const unit = form.lane === "value" && explanation.unit !== 1 ? ", in standard deviations" : "";
    root.append(createText(left, place.signalTop - 7, name + unit, { class: "small" }));
    root.append(createLine(left, y(0), width - right, y(0), "axis"));
    values.forEach((value, i) => {
      if (value === null) return;
      root.append(
        createBox(place.x(i + 1) - place.column * 0.33, y(value), place.column * 0.66, y(0) - y(value), "bar"),
      );
    });
    for (const value of signalTicks) {
      root.append(createText(left - 6, y(value) + 4, value, { "text-anchor": "end", class: "small" }));
    }
    if (limit) {
      root.append(createLine(left, y(threshold), width - right, y(threshold), "threshold"));
      root.append(createText(width - right + 4, y(threshold) + 4, limit, { class: "threshold" }));
    }
  }

  function drawWindow(root) {
    const side = Math.min(place.row, place.column) * 0.5;
    root.append(
      createText(left, place.windowTop - 7, `rule ${track.reason} over ${track.size} depths, one row a depth`, {
        class: "small",
      }),
    );
    for (const step of track.steps) {
      const y = place.windowTop + place.row * (step.depth - 0.5);
      const since = explanation.steps[step.depth - 1].since;
      for (let depth = step.first; depth <= step.depth; depth += 1) {
        const kind = `cell${depth >= since ? " same" : ""}${step.full ? "" : " faint"}`;
        root.append(createBox(place.x(depth) - side / 2, y - side / 2, side, side, kind));
      }
      if (step.fires) root.append(createSpan(step, y - place.row / 2 + 1, place.row - 2, "span"));
    }
  }

  function createSpan(step, y, height, kind) {
    const from = place.x(step.first) - place.column * 0.45;
    return createBox(from, y, place.x(step.depth) + place.column * 0.45 - from, height, kind);
  }

  function highlight(depth) {
    chosen = depth;
    if (!place) return;
    const { x, column, score, windowTop, row, bottom } = place;
    const under = byId("under"),
      over = byId("over");
    under.replaceChildren(createBox(x(chosen) - column / 2, TOP, column, bottom - TOP, "chosen"));
    const step = explanation.steps[chosen - 1];
    over.replaceChildren();
    if (form.lane) over.append(s("circle", { cx: x(chosen), cy: score(step.score), r: 8, class: "line exit" }));
    if (!track) return;
    const seen = track.steps[chosen - 1];
    const kind = seen.fires ? "span" : seen.full ? "span waits" : "span short";
    // The window that ends at the chosen depth, over the scores that it reads and in its own lane.
    if (form.lane) over.append(createSpan(seen, TOP, SCORES, kind));
    over.append(createSpan(seen, windowTop + row * (chosen - 1) + 1, row - 2, kind));
  }

  return { draw, highlight, findDepth: (x) => 1 + Math.floor((x - left) / place.column) };
}
