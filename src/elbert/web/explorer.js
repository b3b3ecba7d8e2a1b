"use strict";
/* The explorer: one text, one policy, and what the one makes of the other. A trace is asked for once; everything after
   that happens in this page. */
(async () => {
  const { by, plural } = Dom;
  const state = { about: null, policy: null, text: null, evaluation: null, asked: 0 };
  const picture = Depths.mount(by("depths"));

  // ---------------------------------------------------------------- the verdict

  function viewOf({ text, policy, about }) {
    const signals = text.signals;
    return { labels: about.labels, multiLabel: about.multi_label, steps: text.steps, signals, policy,
      exit: Policies.leave(signals, Policies.rules(policy)) };
  }

  const aloud = Dom.calm(500, (words) => { by("verdict-aloud").textContent = words; });

  function verdict(view) {
    const { exit, labels, multiLabel } = view;
    const depths = view.steps.length;
    const said = Words.answer(view.steps[exit.depth - 1], labels, multiLabel);
    const last = Words.answer(view.steps[depths - 1], labels, multiLabel);
    const saved = depths - exit.depth;
    by("answer").textContent = said.name;
    by("answer").className = `c${Depths.colors(view)(said.index)}`;
    by("answer-score").textContent = said.score === null ? "" : Words.percent(said.score);
    by("where").textContent = `${saved ? "Left" : "Ended"} at depth ${exit.depth} of ${depths}`;
    by("why").textContent = Words.reason(view);
    by("saved").textContent = saved ? `${plural(saved, "depth")} saved` : "Nothing saved";
    by("saved-more").textContent = saved ? `layer speed-up ${Dom.times(depths / exit.depth)}` : "it ran them all";
    const beside = [];
    if (saved) beside.push(last.name === said.name ? "The last depth would say the same." : `The last depth would say ${last.name}${last.score === null ? "" : ` (${Words.percent(last.score)})`}.`);
    if (state.text.truth !== undefined) beside.push(`Its label is ${truthName(state.text.truth, labels)}.`);
    if (state.text.truncated) beside.push(`Only the first ${state.text.tokens} tokens were read.`);
    by("beside").textContent = beside.join(" ");
    for (const id of ["verdict", "down"]) by(id).hidden = false;
    by("start").hidden = true;
    aloud(`${said.name} ${by("answer-score").textContent}, ${by("where").textContent}: ${by("why").textContent}. ${by("saved").textContent}. ${by("beside").textContent}`);
  }

  const truthName = (truth, labels) => (Array.isArray(truth) ? labels.filter((_, c) => truth[c]).join(", ") || "no label" : labels[truth]);

  function show(fresh) {
    let specs = Rivals.usual(state.about.depths);
    let how = "Usual dials, the same trace. A policy's name puts it in use.";
    if (state.evaluation) {
      const score = state.evaluation.show(state.policy);
      if (state.evaluation.fronts.length > 1) {
        specs = Rivals.matched(score, state.evaluation.fronts, state.about.depths);
        how = "Each rival at the dials that are most accurate on the loaded texts at no more than this policy's mean depth. A policy's name puts it in use.";
      }
    }
    if (state.text) {
      const view = viewOf(state);
      verdict(view);
      picture.show(view, fresh);
      rivals(view, specs, how);
    }
    remember();
  }

  // ---------------------------------------------------------------- texts

  function complain(message) {
    by("ask-error").textContent = message;
    by("ask-error").hidden = !message;
  }

  function pairShown(shown) {
    by("pair-row").hidden = !shown;
    by("pair-toggle").setAttribute("aria-expanded", String(shown));
    by("pair-toggle").textContent = shown ? "Remove the second text" : "Add a second text";
    if (!shown) by("pair").value = "";
  }

  function load(text) {
    const signals = Policies.signals(text.steps, { multiLabel: state.about.multi_label, entropy: text.entropy });
    state.text = { ...text, signals };
    show(true);
  }

  async function classify() {
    const [text, pair] = [by("text").value, by("pair").value];
    if (!text.trim()) {
      complain("Type a text first.");
      by("text").focus();
      return;
    }
    complain("");
    const number = ++state.asked;
    by("classify").disabled = true;
    by("ask").setAttribute("aria-busy", "true");
    try {
      const found = await Source.classify(text, pair);
      if (number === state.asked) load({ ...found, text, pair });
    } catch (error) {
      if (number === state.asked) complain(`That did not work: ${error.message}`);
    } finally {
      by("classify").disabled = false;
      by("ask").removeAttribute("aria-busy");
    }
  }

  /* A text of the loaded evaluation: its trace is here already. */
  function loadHard(i) {
    state.asked++;
    const text = state.evaluation.text(i);
    by("text").value = text.text;
    pairShown(Boolean(text.pair));
    by("pair").value = text.pair;
    complain("");
    load(text);
    by("verdict").scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  }

  /* Something to start with: texts that are here already, or sentences for a model of opinions. */
  const SENTENCES = [
    "A charming and often affecting journey.",
    "The plot is thin, but the acting is so warm that I left the cinema smiling.",
    "Not a bad film, just one that nobody needed.",
    "It starts as a delight and ends as homework.",
  ];
  function examples() {
    const here = state.evaluation?.some() ?? [];
    const choices = here.length ? here.map((i) => [state.evaluation.text(i).text, () => loadHard(i)])
      : SENTENCES.map((text) => [text, () => { by("text").value = text; classify(); }]);
    by("examples").replaceChildren(...choices.map(([text, go]) =>
      Dom.h("li", {}, Dom.h("button", { type: "button", class: "hard-text", onclick: go }, Dom.h("span", { class: "quote" }, text)))));
  }

  // ---------------------------------------------------------------- the address

  const remember = Dom.calm(250, () => {
    const parts = new URLSearchParams();
    if (state.text) parts.set("text", state.text.text);
    if (state.text?.pair) parts.set("pair", state.text.pair);
    parts.set("spec", Specs.print(state.policy));
    history.replaceState(null, "", `#${parts}`);
  });

  function recall() {
    const parts = new URLSearchParams(location.hash.slice(1));
    const [text, pair, spec] = ["text", "pair", "spec"].map((name) => parts.get(name) ?? "");
    if (spec) dials.write(spec);
    if (!text) return;
    by("text").value = text;
    pairShown(Boolean(pair));
    by("pair").value = pair;
    classify();
  }

  async function copyLink() {
    const told = by("link-done");
    try {
      await navigator.clipboard.writeText(location.href);
      told.textContent = "Copied.";
    } catch {
      told.textContent = "The address of this page is the link.";
    }
    setTimeout(() => { told.textContent = ""; }, 3000);
  }

  // ---------------------------------------------------------------- start

  try {
    state.about = await Source.model();
  } catch (error) {
    complain(`No model: ${error.message}`);
    return;
  }
  const { about } = state;
  by("model").textContent = `${about.model}, ${plural(about.depths, "depth")}, ${about.labels.slice(0, 4).join(" / ")}${about.labels.length > 4 ? " / …" : ""}`;
  by("version").textContent = about.version ? `elbert ${about.version}.` : "";

  const rivals = Rivals.mount((spec) => dials.write(spec));
  const dials = Dials.mount(about, (policy) => {
    state.policy = policy;
    show(false);
  });

  by("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    classify();
  });
  for (const id of ["text", "pair"]) {
    by(id).addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      classify();
    });
  }
  by("pair-toggle").addEventListener("click", () => {
    pairShown(by("pair-row").hidden);
    if (!by("pair-row").hidden) by("pair").focus();
  });
  by("again").addEventListener("click", () => picture.again());
  by("link").addEventListener("click", copyLink);
  by("evaluation").addEventListener("use", (event) => dials.write(event.detail));
  addEventListener("hashchange", recall);

  dials.write(about.default);
  examples();
  recall();
  const table = await Source.evaluation();
  if (!table) return;
  state.evaluation = Evaluations.mount(table, loadHard);
  examples();
  show(false);
  state.evaluation.sweep(() => show(false));
})();
