/* What the explorer requests: the model, the labelled texts, and the trace of a text. */

import { TABLE } from "../policy/table.js";
import { fetchJson } from "../shared/api_requests.js";

let about = null;

/* {model, labels, depths, multi_label, default, points: {name: {policy, measured, certificate}}} */
export async function fetchModel() {
  about = await fetchJson("explorer/model.json");
  return about;
}

/* The labelled texts with their probabilities at every depth, or null if none are loaded. */
export async function fetchEvaluation() {
  if (about?.evaluation === false) return null;
  return fetchJson("explorer/evaluation.json").catch(() => null);
}

/* The trace of a text: {steps[depth][class], entropy[depth], tokens, truncated}. */
export async function fetchTrace(text, pair) {
  const input = pair ? { text, text_pair: pair } : text;
  const answer = await fetchJson("v1/classify", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ inputs: [input], policy: TABLE.roles.full, trace: true }),
  });
  const [found] = answer.data;
  if (found.error)
    throw new Error(typeof found.error === "string" ? found.error : (found.error.message ?? "no answer"));
  return {
    steps: found.trace.map((step) => about.labels.map((label) => step.scores[label])),
    entropy: found.trace.map((step) => step.entropy),
    tokens: found.tokens,
    truncated: found.truncated === true,
  };
}
