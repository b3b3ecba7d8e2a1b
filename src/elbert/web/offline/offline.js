/* A classifier in a page: every text goes to the model thread, and its answer is shown. */

import { FORMS } from "../explorer/answer_forms.js";
import { mountDepthChart } from "../explorer/depth_chart.js";
import { printPolicy } from "../policy/specs.js";
import { createCopyButton } from "../shared/clipboard.js";
import { byId, debounce, formatPlural, h, readData } from "../shared/dom.js";
import { mountTagDepths, readType } from "../shared/tag_table.js";
import { mountAnswerPanel } from "./answer_panel.js";
import { applyDials, mountDialInputs } from "./dial_inputs.js";
import { startModelThread } from "./model_thread.js";

const about = readData();
const form = FORMS[about.answers];
const watched = about.dials.length > 0 && about.traced; // a text can run to the last depth, beside its own exit
let thread = null;
let dials = null;
const state = { ready: false, lastText: null, lastDials: null, dials: null, answer: null, every: null };
const panel = mountAnswerPanel(about, watched);
const picture = watched ? mountDepthChart(byId("depths")) : null;
const tags = form.hasWords && !watched ? mountTagDepths(byId("depths")) : null; // of the depths up to the exit

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

/* Show the answer, and all depths once they are known. fresh: they have just come. */
function show(fresh) {
  const { answer, every } = state;
  const view = panel.show(answer, every);
  byId("start").hidden = true;
  byId("down").classList.toggle("stale", watched && !every);
  if (every) picture.show(view, fresh);
  tags?.show(view);
  if (every || tags) byId("down").hidden = false;
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
    state.every = { ...data, dials: state.answer.dials, signals: form.readSignals(data, about) };
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
  const labels = form.hasWords ? [...new Set(about.labels.map(readType))].filter(Boolean) : about.labels;
  byId("model").textContent =
    `${about.model}, ${formatPlural(about.depths, "depth")}, ${labels.slice(0, 4).join(" / ")}${labels.length > 4 ? " / …" : ""}`;
  byId("examples").replaceChildren(
    ...form.listExamples(about.labels).map((text) =>
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
  byId("pair-toggle").hidden = !form.hasPairs;
  byId("again").hidden = !watched;
  byId("again").addEventListener("click", () => picture.again());
}

start();
