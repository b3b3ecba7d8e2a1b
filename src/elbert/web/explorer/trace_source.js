/* What the explorer requests: the model, the labelled texts, and the trace of a text. */

import { TABLE } from "../policy/table.js";
import { fetchJson } from "../shared/api_requests.js";
import { FORMS } from "./answer_forms.js";

let about = null;

/* {model, name, models, labels, depths, multi_label, default, points: {name: {policy, measured, certificate, mismatch}}}
   of the model that the page's address names, else of the server's first one. */
export async function fetchModel() {
  about = await fetchJson(`explorer/model.json${location.search}`);
  return about;
}

/* The labelled texts with their answers at every depth, or null if none are loaded. */
export async function fetchEvaluation() {
  if (about?.evaluation === false) return null;
  return fetchJson("explorer/evaluation.json").catch(() => null);
}

/* The trace of a text: {steps[depth], entropy[depth], tokens, truncated}; a step has the form of the task's answers. */
export async function fetchTrace(text, pair, signal) {
  const input = pair ? { text, text_pair: pair } : text;
  const answer = await fetchJson("v1/classify", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      inputs: [input],
      policy: TABLE.roles.full,
      trace: true,
      ...(about.models ? { model: about.name } : {}),
    }),
    signal,
  });
  const [found] = answer.data;
  if (found.error)
    throw new Error(typeof found.error === "string" ? found.error : (found.error.message ?? "no answer"));
  return {
    steps: found.trace.map((step) => FORMS[about.answers].readStep(step, about.labels)),
    entropy: found.trace.map((step) => step.entropy),
    tokens: found.tokens,
    truncated: found.truncated === true,
  };
}
