"use strict";
/* A text classifier in a page: every text goes to the model's thread, and what comes back is shown. */
(() => {
  const { by, h, plural } = Dom;
  const about = Dom.data();
  const multiLabel = about.problem === "multi_label_classification";
  const number = about.problem === "regression";
  const watched = about.dials.length > 0 && about.traced; // a text can be kept to the end, beside its own exit
  const state = { ready: false, given: null, turned: null, dials: null, answer: null, every: null };
  const picture = Depths.mount(by("depths"));
  const SENTENCES = [
    "A charming and often affecting journey.",
    "The plot is thin, but the acting is so warm that I left the cinema smiling.",
    "Not a bad film, just one that nobody needed.",
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

  const milliseconds = (value) => (value < 10 ? `${value.toFixed(1)} ms` : value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`);
  const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

  // ---------------------------------------------------------------- what is shown

  const aloud = Dom.calm(700, (words) => { by("verdict-aloud").textContent = words; });

  function show(fresh) {
    const { answer, every } = state;
    const step = probabilities(answer.logits);
    const said = number ? { name: step.map((x) => x.toFixed(3)).join(", "), score: null, index: 0 } : Words.answer(step, about.labels, multiLabel);
    const saved = about.depths - answer.depth;
    const steps = every?.steps ?? [...answer.trace.map(probabilities), step];
    const color = Depths.colors({ labels: about.labels, steps }); // as in the picture
    by("answer").textContent = said.name;
    by("answer").className = `c${color(said.index)}`;
    by("answer-score").textContent = said.score === null ? "" : Words.percent(said.score);
    by("where").textContent = `${saved ? "Left" : "Ended"} at depth ${answer.depth} of ${about.depths}`;
    by("why").textContent = why(answer);
    const took = every?.dials === answer.dials ? every.own : answer.milliseconds;
    by("took").textContent = milliseconds(took);
    by("took-more").textContent = `${plural(answer.tokens, "token")}, ${saved ? `${plural(saved, "depth")} saved` : "nothing saved"}`;
    by("full-tile").hidden = !watched;
    by("down").classList.toggle("stale", !every);
    if (every) {
      by("full-name").textContent = every.depth < about.depths ? `Depths 1 to ${every.depth} take` : "Every depth takes";
      by("full").textContent = milliseconds(every.milliseconds);
      by("full-more").textContent = `${Dom.times(every.milliseconds / took)} as long, here and now`;
    }
    by("beside").textContent = answer.truncated ? `Only the first ${answer.tokens} tokens were read.` : "";
    track(answer, color);
    scores(step, color);
    if (every) {
      by("down").hidden = false;
      picture.show(viewOf(answer, every.steps, every.signals), fresh);
    }
    by("result").hidden = false;
    by("result").setAttribute("aria-busy", "false");
    by("start").hidden = true;
    aloud(`${said.name} ${by("answer-score").textContent}, ${by("where").textContent}, ${by("why").textContent}. ${by("beside").textContent}`);
  }

  /* A text over the depths told of, and where the file let it leave. */
  const viewOf = ({ depth, reason, dials }, steps, signals) => ({
    labels: about.labels, multiLabel, steps, signals, policy: FileDials.policyOf(about.policy, dials), exit: { depth, reason },
  });

  function why(answer) {
    if (!about.traced) return answer.reason === Policies.LAST ? "the policy runs every depth" : `every text leaves at depth ${answer.depth}`;
    const steps = answer.trace.map(probabilities);
    return Words.reason(viewOf(answer, steps, Policies.signals(steps, { multiLabel })));
  }

  /* One cell a depth: run, or saved. */
  function track({ depth, trace }, color) {
    const steps = trace.map(probabilities);
    by("track").setAttribute("aria-label", `${plural(depth, "depth")} run of ${about.depths}`);
    by("track").replaceChildren(...Array.from({ length: about.depths }, (_, m) => {
      const step = steps[m];
      const top = step && Words.answer(step, about.labels, multiLabel);
      const hint = top ? `depth ${m + 1}: ${top.name}${top.score === null ? "" : ` ${Words.percent(top.score)}`}` : `depth ${m + 1}: ${m < depth ? "run" : "saved"}`;
      const sure = top?.score === undefined || top.score === null || top.score > 0.8;
      return h("span", { title: hint, class: m < depth && `ran c${color(top?.index ?? 0)}${sure ? "" : " unsure"}${m + 1 === depth ? " left" : ""}` });
    }));
  }

  /* Every label, the likeliest first; of many, the first ten. */
  function scores(step, color) {
    by("scores").hidden = number;
    const order = [...step.keys()].sort((a, b) => step[b] - step[a]).slice(0, 10);
    by("scores").replaceChildren(...order.map((c) => {
      const fill = h("span", { class: "fill" });
      fill.style.setProperty("width", `${100 * step[c]}%`);
      return h("li", { class: `c${color(c)}` }, h("span", { class: "name c-fg" }, about.labels[c]),
        h("span", { class: "bar-track", "aria-hidden": "true" }, fill), h("span", { class: "number c-fg" }, Words.percent(step[c])));
    }));
  }

  // ---------------------------------------------------------------- the model

  const FROM_DISK = "A browser does not let a page on disk read the files beside it. "
    + "In its folder run: python3 -m http.server 8000, and open localhost:8000.";

  const heard = {
    progress({ done }) {
      by("progress").value = Math.min(done / about.bytes, 1);
      by("loading-said").textContent = `${megabytes(Math.min(done, about.bytes))} of ${megabytes(about.bytes)}`;
    },
    ready({ seconds, threads }) {
      state.ready = true;
      by("loading").hidden = true;
      by("classify").disabled = false;
      by("start").hidden = Boolean(by("text").value);
      by("about").textContent = `${about.dtype}, ${megabytes(about.model_bytes)}; loaded in ${seconds.toFixed(1)} s; ${plural(threads, "thread")}${watched ? "; times are the fastest of up to five" : ""}. elbert ${about.version}.`;
      classify();
    },
    answer(data) {
      state.answer = { ...data, dials: state.dials };
      show(false);
    },
    every(data) {
      const steps = data.trace.map(probabilities);
      state.every = { ...data, dials: state.answer.dials, steps, signals: Policies.signals(steps, { multiLabel }) };
      show(true);
    },
    wrong({ message }) {
      complain(`That did not work: ${message}`);
      by("loading").hidden = true;
    },
  };

  function complain(message) {
    by("ask-error").textContent = message;
    by("ask-error").hidden = !message;
  }

  function classify() {
    const [text, pair] = [by("text").value, by("pair-row").hidden ? undefined : by("pair").value];
    const [given, turned] = [JSON.stringify([text, pair]), JSON.stringify(dials.values())];
    if (!state.ready || (given === state.given && turned === state.turned)) return;
    complain("");
    if (given !== state.given) state.every = null;
    Object.assign(state, { given, turned, dials: dials.values() });
    by("policy-now").textContent = Specs.print(FileDials.policyOf(about.policy, state.dials));
    by("result").setAttribute("aria-busy", String(Boolean(text.trim())));
    if (text.trim()) thread.classify({ text, pair, dials: state.dials, every: watched && !state.every });
    else thread.forget();
  }

  // ---------------------------------------------------------------- start

  if (location.protocol === "file:") {
    complain(FROM_DISK);
    by("loading").hidden = true;
    return;
  }
  const thread = ModelThread.start(about, about.worker, heard);
  const dials = FileDials.mount(about, Dom.calm(30, classify));
  const typed = Dom.calm(150, classify);
  by("policy").hidden = !about.dials.length;
  by("bench").classList.toggle("still", !about.dials.length);
  by("policy-now").textContent = about.policy;
  by("model").textContent = `${about.model}, ${plural(about.depths, "depth")}, ${about.labels.slice(0, 4).join(" / ")}${about.labels.length > 4 ? " / …" : ""}`;
  by("examples").replaceChildren(...SENTENCES.map((text) => h("li", {}, h("button", {
    type: "button", class: "hard-text", onclick: () => { by("text").value = text; classify(); },
  }, h("span", { class: "quote" }, text)))));
  for (const id of ["text", "pair"]) {
    by(id).addEventListener("input", typed);
    by(id).addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      classify();
    });
  }
  by("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!by("text").value.trim()) complain("Type a text first.");
    else classify();
  });
  by("pair-toggle").addEventListener("click", () => {
    const shown = by("pair-row").hidden;
    by("pair-row").hidden = !shown;
    by("pair-toggle").setAttribute("aria-expanded", String(shown));
    by("pair-toggle").textContent = shown ? "Remove the second text" : "Add a second text";
    if (shown) by("pair").focus();
    else by("pair").value = "";
    classify();
  });
  by("again").addEventListener("click", () => picture.again());
})();
