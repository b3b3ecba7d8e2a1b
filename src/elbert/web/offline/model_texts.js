/* Texts as the model reads them, and the answers of its outputs: those of whole texts, or of their words. */

import { createEncoder } from "../tokenizer/text_encoder.js";
import { createPieceJoiner, createPieceReader } from "../tokenizer/word_pieces.js";
import { createEntityReader, readWordSteps } from "./tagged_words.js";

/**
 * A text as the model reads it: its characters (code points) and its tokens; of token classifiers also its pieces.
 * @typedef {{chars: string[], tokens: EncodedRow, pieces: Piece[]}} ModelInput
 */

/**
 * Logits to the outputs of one answer: probabilities, or values as they are.
 * @param {number[]} logits
 * @param {{answers: string}} about
 * @returns {Step}
 */
function toOutputs(logits, { answers }) {
  if (answers === "value") return logits;
  if (answers === "labels") return logits.map((x) => Math.fround(1 / (1 + Math.exp(-x))));
  const most = Math.max(...logits);
  const raised = logits.map((x) => Math.exp(x - most));
  const sum = raised.reduce((all, x) => all + x, 0);
  return raised.map((x) => Math.fround(x / sum));
}

/* The outputs of each class, of as many answers as there are. */
function splitOutputs(numbers, about) {
  const classes = about.labels.length;
  return Array.from({ length: numbers.length / classes }, (_, i) =>
    toOutputs(Array.from(numbers.slice(i * classes, (i + 1) * classes)), about),
  );
}

/* {step, steps}: the outputs at the exit, and of each depth up to it; none where the file has no trace. */
const readText = (about) => (logits, trace) => ({
  step: splitOutputs(logits, about)[0],
  steps: splitOutputs(trace, about),
});

/* {step, steps, entities}: a step has the tagged words, as in the trace of the server. */
function readWords(about, joinPieces) {
  const readEntities = createEntityReader(about, joinPieces);
  return (logits, trace, { chars, tokens, pieces }) => {
    const ofPieces = (numbers) => {
      const all = splitOutputs(numbers, about);
      return pieces.map(({ position }) => all[position]);
    };
    const last = ofPieces(logits);
    const size = tokens.ids.length * about.labels.length;
    const depths = trace.length / size;
    const all = Array.from({ length: depths }, (_, m) => ofPieces(trace.slice(m * size, (m + 1) * size)));
    const steps = readWordSteps(chars, pieces, depths ? all : [last], about.labels);
    return { step: steps.at(-1), steps: depths ? steps : [], entities: readEntities(chars, pieces, last) };
  };
}

/**
 * How texts are read, and their answers, by the tokenizer's file. readOutputs takes the numbers of the outputs logits and
 * trace, of one text; a trace can be empty.
 * @param {any} about
 * @param {any} file a tokenizer.json
 * @returns {{
 *   readInput: (text: string, pair?: string | null) => ModelInput,
 *   readOutputs: (logits: Float32Array, trace: Float32Array, input: ModelInput) => any,
 * }}
 */
export function createTextReader(about, file) {
  const hasWords = about.answers === "tags";
  const encode = createEncoder(file, about.max_length);
  const readPieces = hasWords ? createPieceReader(file) : () => [];
  const joinPieces = hasWords && about.aggregation === "simple" ? createPieceJoiner(file) : null;
  return {
    readInput(text, pair) {
      const [chars, tokens] = [Array.from(text), encode(text, pair)];
      return { chars, tokens, pieces: readPieces(chars, tokens) };
    },
    readOutputs: hasWords ? readWords(about, joinPieces) : readText(about),
  };
}

/**
 * 1 at the first token of each word: by these the file of a token classifier decides.
 * @param {ModelInput} input
 * @returns {number[]} of each token
 */
export function markWords({ tokens, pieces }) {
  const marks = tokens.ids.map(() => 0);
  for (const { position, isFirst } of pieces) if (isFirst) marks[position] = 1;
  return marks;
}
