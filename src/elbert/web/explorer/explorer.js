/* The explorer: one text and one policy. The trace of a text is requested once; every policy then runs in this page. */

import { findAnswer, formatShare } from "../policy/answers.js";
import { listExamples } from "../policy/families.js";
import { findExit, listRules } from "../policy/rules.js";
import { describeReason } from "../policy/sentences.js";
import { computeSignals } from "../policy/signals.js";
import { printPolicy } from "../policy/specs.js";
import { mountKeyForm } from "../shared/api_requests.js";
import { createCopyButton } from "../shared/clipboard.js";
import { byId, debounce, formatFactor, formatPlural, h } from "../shared/dom.js";
import { assignColors } from "../shared/label_colors.js";
import { mountDepthChart } from "./depth_chart.js";
import { mountEvaluation } from "./evaluation_panel.js";
import { chooseStart, mountPolicyForm } from "./policy_form.js";
import { matchRivals, mountRivals } from "./rivals_table.js";
import { fetchEvaluation, fetchModel, fetchTrace } from "./trace_source.js";

async function start() {
  const state = { about: null, policy: null, text: null, evaluation: null, request: 0 };
  const picture = mountDepthChart(byId("depths"));

  // ---------------------------------------------------------------- the verdict

  function createView({ text, policy, about }) {
    const [signals, rules] = [text.signals, listRules(policy)];
    return {
      labels: about.labels,
      multiLabel: about.multi_label,
      steps: text.steps,
      signals,
      policy,
      rules,
      exit: findExit(signals, rules),
    };
  }

  const announce = debounce(500, (text) => {
    byId("announcement").textContent = text;
  });

  function verdict(view) {
    const { exit, labels, multiLabel } = view;
    const depths = view.steps.length;
    const answer = findAnswer(view.steps[exit.depth - 1], labels, multiLabel);
    const last = findAnswer(view.steps[depths - 1], labels, multiLabel);
    const saved = depths - exit.depth;
    byId("answer").textContent = answer.name;
    byId("answer").className = `c${assignColors(view)(answer.index)}`;
    byId("answer-score").textContent = answer.score === null ? "" : formatShare(answer.score);
    byId("where").textContent = `Exit at depth ${exit.depth} of ${depths}`;
    byId("why").textContent = describeReason(view.rules, view.signals, exit);
    byId("saved").textContent = saved ? `${formatPlural(saved, "depth")} saved` : "Nothing saved";
    byId("saved-more").textContent = saved ? `layer speed-up ${formatFactor(depths / exit.depth)}` : "every depth ran";
    const beside = [];
    if (saved)
      beside.push(
        last.name === answer.name
          ? "The last depth gives the same answer."
          : `The last depth gives ${last.name}${last.score === null ? "" : ` (${formatShare(last.score)})`}.`,
      );
    if (state.text.truth !== undefined) beside.push(`Its label is ${truthName(state.text.truth, labels)}.`);
    if (state.text.truncated) beside.push(`Only the first ${state.text.tokens} tokens were read.`);
    byId("beside").textContent = beside.join(" ");
    for (const id of ["verdict", "down"]) byId(id).hidden = false;
    byId("start").hidden = true;
    markStale();
    announce(
      `${answer.name} ${byId("answer-score").textContent}, ${byId("where").textContent}: ${byId("why").textContent}. ${byId("saved").textContent}. ${byId("beside").textContent}`,
    );
  }

  /* A verdict is of one text: while another is typed it says so, and a request that fails leaves none. */
  function markStale() {
    const isStale = state.text !== null && (byId("text").value !== state.text.text || readPair() !== state.text.pair);
    byId("stale").hidden = !isStale;
    byId("verdict").classList.toggle("outdated", isStale);
  }

  function clear() {
    state.text = null;
    for (const id of ["verdict", "down", "rivals"]) byId(id).hidden = true;
    byId("start").hidden = false;
    announce("");
    remember();
  }

  const readPair = () => (byId("pair-row").hidden ? "" : byId("pair").value);

  const truthName = (truth, labels) =>
    Array.isArray(truth) ? labels.filter((_, c) => truth[c]).join(", ") || "no label" : labels[truth];

  function show(fresh) {
    let specs = listExamples(state.about.depths);
    let how = "Other policies with common dials, on this text. Choose one to use it.";
    if (state.evaluation) {
      const score = state.evaluation.show(state.policy);
      if (state.evaluation.fronts.length > 1) {
        specs = matchRivals(state.policy, score, state.evaluation.fronts);
        how =
          "Each rival at the dials that are most accurate on the loaded texts at no more than this policy's mean depth. Choose a policy to use it.";
      }
    }
    if (state.text) {
      const view = createView(state);
      verdict(view);
      picture.show(view, fresh);
      rivals(view, specs, how);
    }
    remember();
  }

  // ---------------------------------------------------------------- texts

  function showError(message) {
    byId("ask-error").textContent = message;
    byId("ask-error").hidden = !message;
  }

  function showPair(shown) {
    byId("pair-row").hidden = !shown;
    byId("pair-toggle").setAttribute("aria-expanded", String(shown));
    byId("pair-toggle").textContent = shown ? "Remove the second text" : "Add a second text";
    if (!shown) byId("pair").value = "";
  }

  function load(text) {
    const signals = computeSignals(text.steps, {
      multiLabel: state.about.multi_label,
      known: { entropy: text.entropy },
    });
    state.text = { ...text, signals };
    show(true);
  }

  async function classify() {
    const [text, pair] = [byId("text").value, readPair()];
    if (!text.trim()) {
      state.request++;
      clear();
      showError("Type a text first.");
      byId("text").focus();
      return;
    }
    showError("");
    const number = ++state.request;
    byId("classify").disabled = true;
    byId("ask").setAttribute("aria-busy", "true");
    try {
      const found = await fetchTrace(text, pair);
      if (number === state.request) load({ ...found, text, pair });
    } catch (error) {
      if (number !== state.request) return;
      clear();
      showError(`Error: ${error.message}`);
      if (error.status === 401) keyForm.request();
    } finally {
      byId("classify").disabled = false;
      byId("ask").removeAttribute("aria-busy");
    }
  }

  /* A text of the loaded evaluation: its trace needs no request. */
  function loadHard(i) {
    state.request++;
    const text = state.evaluation.text(i);
    byId("text").value = text.text;
    showPair(Boolean(text.pair));
    byId("pair").value = text.pair;
    showError("");
    load(text);
    byId("verdict").scrollIntoView({
      block: "start",
      behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth",
    });
  }

  /* Examples: labelled texts if there are some, else film reviews. */
  const SENTENCES = [
    "A charming and often affecting journey.",
    "The plot is thin, but the acting is so warm that I left the cinema smiling.",
    "Not a bad film, just an unnecessary one.",
    "It starts as a delight and ends as homework.",
  ];
  function examples() {
    const here = state.evaluation?.some() ?? [];
    const choices = here.length
      ? here.map((i) => [state.evaluation.text(i).text, () => loadHard(i)])
      : SENTENCES.map((text) => [
          text,
          () => {
            byId("text").value = text;
            classify();
          },
        ]);
    byId("examples").replaceChildren(
      ...choices.map(([text, go]) =>
        h(
          "li",
          {},
          h("button", { type: "button", class: "hard-text", onclick: go }, h("span", { class: "quote" }, text)),
        ),
      ),
    );
  }

  // ---------------------------------------------------------------- the address

  const remember = debounce(250, () => {
    const parts = new URLSearchParams();
    if (state.text) parts.set("text", state.text.text);
    if (state.text?.pair) parts.set("pair", state.text.pair);
    parts.set("spec", printPolicy(state.policy));
    history.replaceState(null, "", `#${parts}`);
  });

  function recall() {
    const parts = new URLSearchParams(location.hash.slice(1));
    const [text, pair, spec] = ["text", "pair", "spec"].map((name) => parts.get(name) ?? "");
    if (spec) dials.write(spec);
    if (!text) return;
    byId("text").value = text;
    showPair(Boolean(pair));
    byId("pair").value = pair;
    classify();
  }

  // ---------------------------------------------------------------- start

  const waiting = { resolve: () => {} }; // for a key
  const keyForm = mountKeyForm(() => waiting.resolve());
  while (!state.about) {
    try {
      state.about = await fetchModel();
      showError("");
    } catch (error) {
      if (error.status !== 401) return showError(`No model: ${error.message}`);
      keyForm.request();
      await new Promise((resolve) => {
        waiting.resolve = () => resolve(null);
      });
    }
  }
  const { about } = state;
  for (const id of ["policy", "start"]) byId(id).hidden = false;
  byId("classify").disabled = false;
  byId("model").textContent =
    `${about.model}, ${formatPlural(about.depths, "depth")}, ${about.labels.slice(0, 4).join(" / ")}${about.labels.length > 4 ? " / …" : ""}`;
  byId("version").textContent = about.version ? `elbert ${about.version}.` : "";

  const rivals = mountRivals((spec) => dials.write(spec));
  const dials = mountPolicyForm(about, (policy) => {
    state.policy = policy;
    show(false);
  });

  byId("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    classify();
  });
  for (const id of ["text", "pair"]) {
    byId(id).addEventListener("input", markStale);
    byId(id).addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      classify();
    });
  }
  byId("pair-toggle").addEventListener("click", () => {
    showPair(byId("pair-row").hidden);
    markStale();
    if (!byId("pair-row").hidden) byId("pair").focus();
  });
  byId("again").addEventListener("click", () => picture.again());
  byId("copies").replaceChildren(
    createCopyButton("Copy the spec", () => byId("spec").value),
    createCopyButton("Copy a link to this", () => location.href),
  );
  byId("evaluation").addEventListener("use", (event) => dials.write(event.detail));
  addEventListener("hashchange", recall);

  dials.write(chooseStart(about));
  examples();
  recall();
  const table = await fetchEvaluation();
  if (!table) return;
  state.evaluation = mountEvaluation(table, dials.points, loadHard);
  examples();
  show(false);
  state.evaluation.sweep(() => show(false));
}

start();
