/* A text classifier in a page: every text goes to the model thread, and its answer is shown. */

import { FORMS } from "../explorer/answer_forms.js";
import { mountDepthChart } from "../explorer/depth_chart.js";
import { findAnswer, formatShare } from "../policy/answers.js";
import { fires, listRules } from "../policy/rules.js";
import { describeReason } from "../policy/sentences.js";
import { computeSignals } from "../policy/signals.js";
import { printPolicy } from "../policy/specs.js";
import { createCopyButton } from "../shared/clipboard.js";
import { byId, debounce, formatFactor, formatPlural, h, readData } from "../shared/dom.js";
import { assignColors } from "../shared/label_colors.js";
import { applyDials, mountDialInputs } from "./dial_inputs.js";
import { startModelThread } from "./model_thread.js";

const about = readData();
const multiLabel = about.multi_label;
const number = about.content === "values";
const watched = about.dials.length > 0 && about.traced; // a text can run to the last depth, beside its own exit
let thread = null;
let dials = null;
const state = { ready: false, lastText: null, lastDials: null, dials: null, answer: null, every: null };
const picture = mountDepthChart(byId("depths"));
const SENTENCES = [
  "A charming and often affecting journey.",
  "The plot is thin, but the acting is so warm that I left the cinema smiling.",
  "Not a bad film, just an unnecessary one.",
  "It starts as a delight and ends as homework.",
];

// ---------------------------------------------------------------- numbers

/* Probabilities of logits [classes]; a number's own value as it is. */
function probabilities(logits) {
  if (number) return logits;
  if (multiLabel) return logits.map((x) => Math.fround(1 / (1 + Math.exp(-x))));
  const most = Math.max(...logits);
  const raised = logits.map((x) => Math.exp(x - most));
  const sum = raised.reduce((all, x) => all + x, 0);
  return raised.map((x) => Math.fround(x / sum));
}

const milliseconds = (value) =>
  value < 10 ? `${value.toFixed(1)} ms` : value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

// ---------------------------------------------------------------- what is shown

const announce = debounce(700, (text) => {
  byId("announcement").textContent = text;
});

function show(fresh) {
  const { answer, every } = state;
  const step = probabilities(answer.logits);
  const best = number
    ? { name: step.map((x) => x.toFixed(3)).join(", "), score: null, index: 0 }
    : findAnswer(step, about.labels, multiLabel);
  const saved = about.depths - answer.depth;
  const steps = every?.steps ?? [...answer.trace.map(probabilities), step];
  const color = assignColors({ labels: about.labels, steps }); // as in the picture
  byId("answer").textContent = best.name;
  byId("answer").className = `c${color(best.index)}`;
  byId("answer-score").textContent = best.score === null ? "" : formatShare(best.score);
  byId("where").textContent = `Exit at depth ${answer.depth} of ${about.depths}`;
  byId("why").textContent = why(answer);
  const took = every?.dials === answer.dials ? every.own : answer.milliseconds;
  byId("took").textContent = milliseconds(took);
  byId("took-more").textContent =
    `${formatPlural(answer.tokens, "token")}, ${saved ? `${formatPlural(saved, "depth")} saved` : "nothing saved"}`;
  byId("full-tile").hidden = !watched;
  byId("down").classList.toggle("stale", !every);
  if (every) {
    byId("full-name").textContent =
      every.depth < about.depths ? `Depths 1 to ${every.depth} take` : "Every depth takes";
    byId("full").textContent = milliseconds(every.milliseconds);
    byId("full-more").textContent = `${formatFactor(every.milliseconds / took)} as long, here and now`;
  }
  byId("beside").textContent = answer.truncated ? `Only the first ${answer.tokens} tokens were read.` : "";
  track(answer, color);
  scores(step, color);
  if (every) {
    byId("down").hidden = false;
    picture.show(createView(answer, every.steps, every.signals), fresh);
  }
  byId("result").hidden = false;
  byId("result").setAttribute("aria-busy", "false");
  byId("start").hidden = true;
  announce(
    `${best.name} ${byId("answer-score").textContent}, ${byId("where").textContent}, ${byId("why").textContent}. ${byId("beside").textContent}`,
  );
}

/* What the chart of the depths shows: the known depths of a text, and its exit. */
function createView({ depth, reason, dials }, steps, signals) {
  const policy = applyDials(about.policy, dials);
  const rules = listRules(policy);
  const ofReason = rules.map((one, i) => (one.reason === reason ? i : -1)).filter((i) => i >= 0);
  // The file rounds otherwise in the last bit than this page, so that here the rule may just miss its threshold.
  const rule = ofReason.find((i) => fires(rules[i], signals, depth)) ?? ofReason[0] ?? -1;
  const form = FORMS[multiLabel ? "labels" : "class"];
  return { form, labels: about.labels, multiLabel, steps, signals, policy, rules, exit: { depth, reason, rule } };
}

function why(answer) {
  const steps = answer.trace.map(probabilities);
  const { rules, signals, exit } = createView(answer, steps, computeSignals(steps, { multiLabel }));
  return describeReason(rules, signals, exit);
}

/* One cell a depth: run, or saved. */
function track({ depth, trace }, color) {
  const steps = trace.map(probabilities);
  byId("track").setAttribute("aria-label", `${formatPlural(depth, "depth")} run of ${about.depths}`);
  byId("track").replaceChildren(
    ...Array.from({ length: about.depths }, (_, m) => {
      const step = steps[m];
      const top = step && findAnswer(step, about.labels, multiLabel);
      const hint = top
        ? `depth ${m + 1}: ${top.name}${top.score === null ? "" : ` ${formatShare(top.score)}`}`
        : `depth ${m + 1}: ${m < depth ? "run" : "saved"}`;
      const sure = top?.score === undefined || top.score === null || top.score > 0.8;
      return h("span", {
        title: hint,
        class: m < depth && `ran c${color(top?.index ?? 0)}${sure ? "" : " unsure"}${m + 1 === depth ? " exit" : ""}`,
      });
    }),
  );
}

/* Every label, the likeliest first; of many, the first ten. */
function scores(step, color) {
  byId("scores").hidden = number;
  const order = [...step.keys()].sort((a, b) => step[b] - step[a]).slice(0, 10);
  byId("scores").replaceChildren(
    ...order.map((c) => {
      const fill = h("span", { class: "fill" });
      fill.style.setProperty("width", `${100 * step[c]}%`);
      return h(
        "li",
        { class: `c${color(c)}` },
        h("span", { class: "name c-fg" }, about.labels[c]),
        h("span", { class: "bar-track", "aria-hidden": "true" }, fill),
        h("span", { class: "number c-fg" }, formatShare(step[c])),
      );
    }),
  );
}

// ---------------------------------------------------------------- the model

const FROM_DISK =
  "A browser does not let a page on disk read the files beside it. " +
  "In its folder run: python3 -m http.server 8000, and open localhost:8000.";

const handlers = {
  progress({ done }) {
    byId("progress").value = Math.min(done / about.bytes, 1);
    byId("loading-progress").textContent = `${megabytes(Math.min(done, about.bytes))} of ${megabytes(about.bytes)}`;
  },
  ready({ seconds, threads }) {
    state.ready = true;
    byId("loading").hidden = true;
    byId("classify").disabled = false;
    byId("start").hidden = Boolean(byId("text").value);
    byId("about").textContent =
      `${about.dtype}, ${megabytes(about.model_bytes)}; loaded in ${seconds.toFixed(1)} s; ${formatPlural(threads, "thread")}${watched ? "; times are the fastest of up to five" : ""}. elbert ${about.version}.`;
    classify();
  },
  answer(data) {
    state.answer = { ...data, dials: state.dials };
    show(false);
  },
  every(data) {
    const steps = data.trace.map(probabilities);
    state.every = { ...data, dials: state.answer.dials, steps, signals: computeSignals(steps, { multiLabel }) };
    show(true);
  },
  wrong({ message }) {
    clear();
    showError(`Error: ${message}`);
    byId("loading").hidden = true;
  },
};

function showError(message) {
  byId("ask-error").textContent = message;
  byId("ask-error").hidden = !message;
}

/* No answer is shown beside a text that it does not belong to. */
function clear() {
  for (const id of ["result", "down"]) byId(id).hidden = true;
  byId("start").hidden = !state.ready;
}

function classify() {
  const [text, pair] = [byId("text").value, byId("pair-row").hidden ? undefined : byId("pair").value];
  const [current, currentDials] = [JSON.stringify([text, pair]), JSON.stringify(dials.values())];
  if (!state.ready || (current === state.lastText && currentDials === state.lastDials)) return;
  showError("");
  if (current !== state.lastText) state.every = null;
  Object.assign(state, { lastText: current, lastDials: currentDials, dials: dials.values() });
  byId("policy-now").textContent = printPolicy(applyDials(about.policy, state.dials));
  byId("result").setAttribute("aria-busy", String(Boolean(text.trim())));
  if (text.trim()) thread.classify({ text, pair, dials: state.dials, every: watched && !state.every });
  else {
    thread.forget();
    clear();
  }
}

// ---------------------------------------------------------------- start

function start() {
  if (location.protocol === "file:") {
    showError(FROM_DISK);
    byId("loading").hidden = true;
    return;
  }
  thread = startModelThread(about, about.worker, handlers);
  dials = mountDialInputs(about, debounce(30, classify));
  const typed = debounce(150, classify);
  byId("note").textContent = about.note ? `Note: ${about.note}.` : "";
  byId("note").hidden = !about.note;
  byId("policy").hidden = !about.dials.length;
  byId("copies").replaceChildren(createCopyButton("Copy the spec", () => byId("policy-now").textContent));
  byId("bench").classList.toggle("still", !about.dials.length);
  byId("policy-now").textContent = about.policy;
  byId("model").textContent =
    `${about.model}, ${formatPlural(about.depths, "depth")}, ${about.labels.slice(0, 4).join(" / ")}${about.labels.length > 4 ? " / …" : ""}`;
  byId("examples").replaceChildren(
    ...SENTENCES.map((text) =>
      h(
        "li",
        {},
        h(
          "button",
          {
            type: "button",
            class: "hard-text",
            onclick: () => {
              byId("text").value = text;
              classify();
            },
          },
          h("span", { class: "quote" }, text),
        ),
      ),
    ),
  );
  for (const id of ["text", "pair"]) {
    byId(id).addEventListener("input", typed);
    byId(id).addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      classify();
    });
  }
  byId("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!byId("text").value.trim()) showError("Type a text first.");
    else classify();
  });
  byId("pair-toggle").addEventListener("click", () => {
    const shown = byId("pair-row").hidden;
    byId("pair-row").hidden = !shown;
    byId("pair-toggle").setAttribute("aria-expanded", String(shown));
    byId("pair-toggle").textContent = shown ? "Remove the second text" : "Add a second text";
    if (shown) byId("pair").focus();
    else byId("pair").value = "";
    classify();
  });
  byId("again").addEventListener("click", () => picture.again());
}

start();
