/* Tags of a text's words and its entities, from the probabilities of its pieces: the counterpart of
   elbert.inference.token_predictions. Starts and ends are characters, code points as in Python. */

import { computeSignals, findLeastSettled, findTopClass } from "../policy/signals.js";
import { SIGNALS } from "../policy/table.js";
import { stripText } from "../tokenizer/word_pieces.js";

/**
 * A piece or a word with its tag.
 * @typedef {{tag: string, score: number, start: number, end: number, isFirst: boolean, pieces: Piece[]}} TaggedPart
 */

/**
 * The pieces with their likeliest tags, from probabilities[piece][class].
 * @param {Piece[]} pieces
 * @param {Step[]} probabilities
 * @param {string[]} labels
 * @returns {TaggedPart[]}
 */
export const tagPieces = (pieces, probabilities, labels) =>
  pieces.map((piece, i) => {
    const top = findTopClass(probabilities[i]);
    const { start, end, isFirst } = piece;
    return { tag: labels[top], score: probabilities[i][top], start, end, isFirst, pieces: [piece] };
  });

/* The words; the tag of each is that of its first piece. */
function joinWords(parts) {
  const words = [];
  for (const part of parts) {
    const word = words.at(-1);
    if (part.isFirst || !word) words.push(part);
    else words[words.length - 1] = { ...word, end: part.end, pieces: [...word.pieces, ...part.pieces] };
  }
  return words;
}

/* Whether a tag begins an entity, and its type, as transformers reads them. */
const readTag = (tag) => [tag.startsWith("B-"), /^[BI]-/.test(tag) ? tag.slice(2) : tag];

/* The entity type of a tag: what is after its first dash. */
const nameEntity = (tag) => (tag.includes("-") ? tag.slice(tag.indexOf("-") + 1) : tag);

/* Groups of adjacent parts of one type; B- begins another. */
function groupParts(parts) {
  const groups = [];
  for (const part of parts) {
    const [begins, type] = readTag(part.tag);
    const group = groups.at(-1);
    if (!group || begins || type !== readTag(group.at(-1).tag)[1]) groups.push([part]);
    else group.push(part);
  }
  return groups.filter(([first]) => nameEntity(first.tag) !== "O");
}

/**
 * (characters of the text, its pieces, probabilities[piece][class]) → its entities, as transformers' pipeline groups them.
 * @param {{labels: string[], aggregation: string}} about "simple" reads every piece, "first" the first one of each word
 * @param {((chars: string[], pieces: Piece[]) => string) | null} joinPieces for "simple"
 */
export function createEntityReader({ labels, aggregation }, joinPieces) {
  const isByWord = aggregation === "first";
  return (chars, pieces, probabilities) => {
    const parts = tagPieces(pieces, probabilities, labels);
    return groupParts(isByWord ? joinWords(parts) : parts).map((group) => {
      const [{ tag, start }, { end }] = [group[0], group.at(-1)];
      const score = group.reduce((sum, part) => sum + part.score, 0) / group.length;
      const own = group.flatMap((part) => part.pieces);
      const word = isByWord ? stripText(chars.slice(start, end).join("")) : joinPieces(chars, own);
      return { label: nameEntity(tag), score, start, end, word };
    });
  };
}

/**
 * The tagged words of each depth with the signals of the text, as the server sends them: from
 * probabilities[depth][piece][class].
 * @param {string[]} chars
 * @param {Piece[]} pieces
 * @param {Step[][]} probabilities
 * @param {string[]} labels
 */
export function readWordSteps(chars, pieces, probabilities, labels) {
  const words = probabilities.map((step) => step.filter((_, i) => pieces[i].isFirst));
  const signals = computeSignals(words, { hasWords: true });
  const names = [...SIGNALS.values()].filter(({ needs }) => needs === "probabilities").map(({ name }) => name);
  return probabilities.map((step, m) => ({
    words: joinWords(tagPieces(pieces, step, labels)).map(({ tag, score, start, end }) => {
      return { word: stripText(chars.slice(start, end).join("")), tag, score, start, end };
    }),
    least_settled: findLeastSettled(words[m]),
    signals: Object.fromEntries(names.map((name) => [name, signals.read(name)[m]])),
  }));
}
