/* Pieces: which tokens of a row belong to its text, where in the text, and which of them begin a word; and pieces as
   text. The counterpart of elbert.tokenization.word_pieces, and of decoders in the tokenizers library. */

import { createPart } from "./text_parts.js";

/* What Python's str.isspace holds of, and str.strip removes. */
const SPACE = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";
const HAS_SPACE = new RegExp(SPACE);
const ENDS = new RegExp(`^${SPACE}+|${SPACE}+$`, "g");

/**
 * @param {string} text
 * @returns {string} without the spaces at its ends
 */
export const stripText = (text) => text.replace(ENDS, "");

const countCharacters = (text) => Array.from(text).length;

/* The texts of all ids. */
function nameTokens({ model, added_tokens: added }) {
  const named = Array.isArray(model.vocab)
    ? model.vocab.map(([token], id) => [id, token])
    : Object.entries(model.vocab).map(([token, id]) => [id, token]);
  return new Map([...named, ...(added ?? []).map(({ id, content }) => [id, content])]);
}

/* The id that stands for unknown words; null where the model does not name it. */
function findUnknown({ model, added_tokens: added }) {
  const name = model.unk_token;
  if (!name) return null;
  return (added ?? []).find(({ content }) => content === name)?.id ?? model.vocab[name] ?? null;
}

/**
 * (characters of the text, its row) → its pieces. Words are those of transformers' token classification pipeline: where
 * the tokenizer marks the pieces that continue a word (WordPiece's ##), by that mark, so that punctuation is a word of
 * its own; else by the spaces of the text.
 * @param {any} file a tokenizer.json
 * @returns {(chars: string[], row: EncodedRow) => Piece[]}
 */
export function createPieceReader(file) {
  const hasMarks = Boolean(file.model.continuing_subword_prefix);
  const names = nameTokens(file);
  const unknown = findUnknown(file);

  /** @type {(chars: string[], token: RowToken) => boolean} */
  function isFirst(chars, { id, start, end, isAdded }) {
    if (id === unknown) return true;
    if (hasMarks) return isAdded || countCharacters(names.get(id)) === end - start;
    return start === 0 || HAS_SPACE.test(chars.slice(start - 1, start + 1).join(""));
  }

  return (chars, { tokens }) =>
    tokens.flatMap((token, position) =>
      token.start === undefined
        ? []
        : [{ id: token.id, position, start: token.start, end: token.end, isFirst: isFirst(chars, token) }],
    );
}

// ---------------------------------------------------------------- pieces → text

/* What the library's WordPiece removes where it joins pieces. */
const ARTIFACTS = [
  [" .", "."],
  [" ?", "?"],
  [" !", "!"],
  [" ,", ","],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [" do not", " don't"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
];

const DECODERS = {
  none: () => (tokens) => tokens.join(" "),
  WordPiece:
    ({ prefix, cleanup }) =>
    (tokens) =>
      tokens
        .map((token, i) => {
          const own = i === 0 ? token : token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
          return cleanup ? ARTIFACTS.reduce((text, [from, to]) => text.replaceAll(from, to), own) : own;
        })
        .join(""),
  Metaspace:
    ({ replacement: mark, prepend_scheme: scheme }) =>
    (tokens) =>
      tokens.map((token, i) => token.replaceAll(mark, i === 0 && scheme !== "never" ? "" : " ")).join(""),
};

/**
 * (characters of the text, consecutive pieces) → their text, as the tokenizer writes it; unknown ones as in the text.
 * @param {any} file a tokenizer.json
 * @returns {(chars: string[], pieces: {id: number, start: number, end: number}[]) => string}
 */
export function createPieceJoiner(file) {
  const names = nameTokens(file);
  const unknown = findUnknown(file);
  const decode = createPart("decoder", DECODERS, file.decoder ?? { type: "none" });
  return (chars, pieces) =>
    decode(
      pieces.map(({ id, start, end }) => (id === unknown ? chars.slice(start, end).join("") : (names.get(id) ?? ""))),
    );
}

export const KNOWN_DECODERS = Object.keys(DECODERS);
