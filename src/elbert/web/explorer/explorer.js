/* The explorer: one text and one policy. The trace of a text is requested once; every policy then runs in this page. */

import { listExamples } from "../policy/families.js";
import { findExit, listRules } from "../policy/rules.js";
import { describeReason } from "../policy/sentences.js";
import { printPolicy } from "../policy/specs.js";
import { mountKeyForm } from "../shared/api_requests.js";
import { createCopyButton } from "../shared/clipboard.js";
import { byId, debounce, formatFactor, formatPlural, h } from "../shared/dom.js";
import { FORMS } from "./answer_forms.js";
import { mountDepthChart } from "./depth_chart.js";
import { mountEvaluation } from "./evaluation_panel.js";
import { createModelChoice } from "./model_choice.js";
import { chooseStart, mountPolicyForm } from "./policy_form.js";
import { matchRivals, mountRivals } from "./rivals_table.js";
import { mountTextForm } from "./text_form.js";
import { fetchEvaluation, fetchModel, fetchTrace } from "./trace_source.js";

async function start() {
  const state = { about: null, policy: null, text: null, evaluation: null };
  const picture = mountDepthChart(byId("depths"));

  // ---------------------------------------------------------------- the verdict

  function createView({ text, policy, about }) {
    const [signals, rules] = [text.signals, listRules(policy)];
    return {
      form: FORMS[about.answers],
      unit: about.unit,
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
    const { exit } = view;
    const depths = view.steps.length;
    const answer = view.form.answer(view, exit.depth);
    const saved = depths - exit.depth;
    byId("answer").textContent = answer.name;
    byId("answer").className = answer.kind;
    byId("answer-score").textContent = answer.score;
    byId("where").textContent = `Exit at depth ${exit.depth} of ${depths}`;
    byId("why").textContent = describeReason(view.rules, view.signals, exit);
    byId("saved").textContent = saved ? `${formatPlural(saved, "depth")} saved` : "Nothing saved";
    byId("saved-more").textContent = saved ? `layer speed-up ${formatFactor(depths / exit.depth)}` : "every depth ran";
    const beside = [];
    if (saved) beside.push(view.form.describeLast(view));
    if (view.form.hasWords) beside.push(`At the exit: ${view.form.describe(view, exit.depth)}.`);
    if (state.text.truth !== undefined) beside.push(`Its label is ${state.text.truth}.`);
    if (state.text.truncated) beside.push(`Only the first ${state.text.tokens} tokens were read.`);
    byId("beside").textContent = beside.join(" ");
    for (const id of ["verdict", "down"]) byId(id).hidden = false;
    byId("start").hidden = true;
    announce(
      `${answer.name} ${byId("answer-score").textContent}, ${byId("where").textContent}: ${byId("why").textContent}. ${byId("saved").textContent}. ${byId("beside").textContent}`,
    );
  }

  function clear() {
    state.text = null;
    for (const id of ["verdict", "down", "rivals"]) byId(id).hidden = true;
    byId("start").hidden = false;
    announce("");
    remember();
  }

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

  const form = mountTextForm({
    fetch: fetchTrace,
    show: load,
    again: () => picture.again(),
    clear,
    fail: (error, isTyped) => error.status === 401 && keyForm.request(!isTyped),
  });

  function load(answer, text, pair, isTyped) {
    const signals = FORMS[state.about.answers].readSignals(answer, state.about);
    state.text = { ...answer, text, pair, signals };
    show(!isTyped);
  }

  /* A text of the loaded evaluation: its trace needs no request, but for tags. */
  function loadHard(i) {
    const text = state.evaluation.text(i);
    if (text.steps) form.set(text, text.text, text.pair);
    else form.ask(text.text, text.pair);
    byId("verdict").scrollIntoView({
      block: "start",
      behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth",
    });
  }

  /* Examples: labelled texts if there are some, else those of the task. */
  function examples() {
    const here = state.evaluation?.some() ?? [];
    const choices = here.length
      ? here.map((i) => [state.evaluation.text(i).text, () => loadHard(i)])
      : FORMS[state.about.answers].listExamples(state.about.labels).map((text) => [text, () => form.ask(text)]);
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
    if (text) form.ask(text, pair);
  }

  // ---------------------------------------------------------------- start

  const waiting = { resolve: () => {} }; // for a key
  const keyForm = mountKeyForm(() => {
    form.forget();
    waiting.resolve();
  });
  while (!state.about) {
    try {
      state.about = await fetchModel();
      form.showError("");
    } catch (error) {
      if (error.status !== 401) return form.showError(`No model: ${error.message}`);
      keyForm.request();
      await new Promise((resolve) => {
        waiting.resolve = () => resolve(null);
      });
    }
  }
  const { about } = state;
  for (const id of ["policy", "start"]) byId(id).hidden = false;
  const [folder, choice] = about.models ? ["", createModelChoice(about, form.read)] : [`${about.model}, `, null];
  byId("model").replaceChildren(
    ...(choice ? [choice, " "] : []),
    `${folder}${formatPlural(about.depths, "depth")}, ${about.labels.slice(0, 4).join(" / ")}${about.labels.length > 4 ? " / …" : ""}`,
  );
  byId("version").textContent = about.version ? `elbert ${about.version}.` : "";

  const rivals = mountRivals((spec) => dials.write(spec));
  const dials = mountPolicyForm(about, (policy) => {
    state.policy = policy;
    show(false);
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
  byId("pair-toggle").hidden = !FORMS[about.answers].hasPairs;
  form.start();
  recall();
  const table = await fetchEvaluation();
  if (!table) return;
  state.evaluation = mountEvaluation(table, dials.points, loadHard);
  examples();
  show(false);
  state.evaluation.sweep(() => show(false));
}

start();
