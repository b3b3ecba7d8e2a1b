"use strict";
/* Where traces come from. A model that runs in the browser will stand behind the same three functions. */
const Source = (() => {
  let about = null;

  /* JSON from an address beside this page; what goes wrong is told in one line. */
  async function told(address, options) {
    let response;
    try {
      response = await fetch(address, options);
    } catch {
      throw new Error("the server does not answer; is elbert explore still running?");
    }
    const values = await response.json().catch(() => null);
    if (!response.ok || values === null) throw new Error(values?.error ?? `the server answered ${response.status}`);
    return values;
  }

  /* {model, labels, depths, multi_label, default, points: {name: {policy, measured}}} */
  async function model() {
    about = await told("explorer/model.json");
    return about;
  }

  /* The labelled texts with what every depth said, or null where none are loaded. */
  async function evaluation() {
    if (about?.evaluation === false) return null;
    return told("explorer/evaluation.json").catch(() => null);
  }

  /* What every depth says about a text: {steps[depth][class], entropy[depth], tokens, truncated}. */
  async function classify(text, pair) {
    const input = pair ? { text, text_pair: pair } : text;
    const answer = await told("v1/classify", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ inputs: [input], policy: "full", trace: true }),
    });
    const [found] = answer.data;
    if (found.error) throw new Error(typeof found.error === "string" ? found.error : (found.error.message ?? "no answer"));
    return {
      steps: found.trace.map((step) => about.labels.map((label) => step.scores[label])),
      entropy: found.trace.map((step) => step.entropy),
      tokens: found.tokens,
      truncated: found.truncated === true,
    };
  }

  return { model, evaluation, classify };
})();
