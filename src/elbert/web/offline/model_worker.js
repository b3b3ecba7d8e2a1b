/* The model thread: it fetches tokenizer, runtime and model once, then classifies one text per message.

   in:  {kind: "load", base, about}, {kind: "classify", number, text, pair, dials, every}
   out: {kind: "progress", done}, {kind: "ready", seconds, threads}, {kind: "answer", number, …}, {kind: "every", number, …},
        of both depth, reason, step and steps (model_texts.js),
        {kind: "wrong", message, number}, {kind: "idle"} at the end of each */
import { createTextReader, markWords } from "./model_texts.js";

const ROUNDS = 5;
const PATIENCE = 400; // milliseconds; the answer is shown already
let texts = null;
let session = null;
let about = null;

/* The bytes of a file; arrived(count) is called for every part of it that comes in. */
async function fetched(address, arrived) {
  const response = await fetch(address).catch(() => null);
  if (!response?.ok)
    throw new Error(
      `${address} cannot be loaded (${response ? `the server answered ${response.status}` : "no answer"})`,
    );
  const parts = [];
  const reader = response.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    arrived(part.value.length);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

async function load({ base, about: facts }) {
  const start = performance.now();
  const at = (name) => new URL(about.files[name], base).href;
  about = facts;
  let done = 0;
  const arrived = (count) => {
    done += count;
    postMessage({ kind: "progress", done });
  };
  const parts = ["tokenizer", "runtime", "model"].map((name) => fetched(at(name), arrived));
  importScripts(at("script"));
  const [tokenizer, runtime, model] = await Promise.all(parts);
  texts = createTextReader(about, JSON.parse(new TextDecoder().decode(tokenizer)));
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
  ort.env.wasm.wasmPaths = { mjs: at("module") };
  ort.env.wasm.wasmBinary = runtime;
  session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
  await run(texts.readInput("a"), dialValues("value")); // the first run is slow
  postMessage({ kind: "ready", seconds: (performance.now() - start) / 1000, threads: ort.env.wasm.numThreads });
}

/* Every dial at its value, or at the value that never exits. */
const dialValues = (at) => Object.fromEntries(about.dials.map((dial) => [dial.name, dial[at]]));

function feeds(input, dials) {
  const { ids, typeIds } = input.tokens;
  const row = (values) => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [1, ids.length]);
  const found = { input_ids: row(ids), attention_mask: row(ids.map(() => 1)), token_type_ids: row(typeIds) };
  if (about.reads_words) found.word_starts = row(markWords(input));
  for (const { name, whole } of about.dials) {
    const value = dials[name];
    found[name] = whole
      ? new ort.Tensor("int64", BigInt64Array.of(BigInt(value)), [])
      : new ort.Tensor("float32", Float32Array.of(value), []);
  }
  return found;
}

/* Run one text: the outputs of the file, and the time. */
async function run(input, dials) {
  const inputs = feeds(input, dials);
  const start = performance.now();
  const found = await session.run(inputs);
  return { found, milliseconds: performance.now() - start };
}

/* The exit of a run, and the answers of every depth up to it. */
const readRun = ({ found, milliseconds }, input) => ({
  milliseconds,
  depth: Number(found.depth.data[0]),
  reason: about.reasons[Number(found.reason.data[0])],
  ...texts.readOutputs(found.logits.data, found.trace?.data ?? new Float32Array(), input),
});

async function classify({ number, text, pair, dials, every }) {
  const start = performance.now();
  const input = texts.readInput(text, pair);
  const tokenizing = performance.now() - start;
  const result = readRun(await run(input, dials), input);
  const { ids, truncated } = input.tokens;
  postMessage({ kind: "answer", number, ...result, tokenizing, tokens: ids.length, truncated });
  if (every) postMessage({ kind: "every", number, ...(await everyDepth(input, dials)) });
}

/* Time the text over every depth and with its own exit, in turn. The fastest run of each counts: other load on the
   machine only makes runs longer. */
async function everyDepth(input, dials) {
  const [full, own] = [[], []];
  let deepest;
  for (
    const start = performance.now();
    full.length < ROUNDS && (!full.length || performance.now() - start < PATIENCE);
  ) {
    deepest = await run(input, dialValues("never"));
    full.push(deepest.milliseconds);
    own.push((await run(input, dials)).milliseconds);
  }
  return { ...readRun(deepest, input), milliseconds: Math.min(...full), own: Math.min(...own) };
}

const verbs = { load, classify };
let last = Promise.resolve();
self.onmessage = ({ data }) => {
  // one after the other: a session runs one text at a time
  last = last
    .then(() => verbs[data.kind](data))
    .catch((error) => postMessage({ kind: "wrong", message: error.message, number: data.number }))
    .then(() => postMessage({ kind: "idle" }));
};
