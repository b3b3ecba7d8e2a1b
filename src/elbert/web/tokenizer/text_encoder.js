/* Texts to ids by a tokenizer.json, each token with its characters in the text, as in the tokenizers library. Needs no
   page. */

import { alignText, findMatches, readText, sliceText } from "./aligned_text.js";
import { createNormalizer, createPart, createPreTokenizer, KNOWN_STEPS, literal, refuse } from "./text_parts.js";
import { isSpace } from "./unicode_tables.js";
import { createUnigram } from "./unigram.js";
import { createWordPiece } from "./wordpiece.js";

const MODELS = { Unigram: (settings) => createUnigram(settings), WordPiece: (settings) => createWordPiece(settings) };

/* text → [{part, id}, …]: special tokens that occur in the text itself, and the parts between them, whose id is null. */
function splitter(added) {
  for (const token of added) {
    if (token.normalized || token.single_word)
      refuse(`the added token ${token.content} is matched in normalised text, or as a word`);
  }
  const named = new Map(added.map((token) => [token.content, token]));
  const contents = [...named.keys()].filter(Boolean).sort((a, b) => b.length - a.length); // the longest first
  if (!contents.length) return (text) => [{ part: text, id: null }];
  const pattern = new RegExp(contents.map(literal).join("|"), "gu");
  return (text) => {
    const found = [];
    let at = 0;
    for (const match of findMatches(text.chars, pattern)) {
      const token = named.get(match.text);
      let { start, end } = match;
      while (token.lstrip && start > at && isSpace(text.chars[start - 1])) start--;
      while (token.rstrip && end < text.chars.length && isSpace(text.chars[end])) end++;
      found.push({ part: sliceText(text, at, start), id: null }, { part: sliceText(text, start, end), id: token.id });
      at = end;
    }
    return [...found, { part: sliceText(text, at), id: null }];
  };
}

/* What a template makes of texts' tokens: [{ids, kind}, …], where ids is a list, or "A" or "B" for a text's. */
function template(items, specials) {
  return items.map(({ SpecialToken: special, Sequence: text }) =>
    special ? { ids: specials[special.id].ids, kind: special.type_id } : { ids: text.id, kind: text.type_id },
  );
}

/* How many tokens of each text fit: the longer one is cut first. */
function keptLengths(first, second, most) {
  let [short, long] = first <= second ? [first, second] : [second, first];
  long = Math.min(long, Math.max(short, most - short));
  if (short + long > most) [short, long] = [Math.floor(most / 2), most - Math.floor(most / 2)];
  return first <= second ? [short, long] : [long, short];
}

/**
 * (text, pair?) → a row of at most maxLength tokens.
 * @param {any} file
 * @param {number} maxLength
 * @returns {(text: string, pair?: string | null) => EncodedRow}
 */
export function createEncoder(file, maxLength) {
  const clean = file.normalizer ? createNormalizer(file.normalizer) : (text) => text;
  const split = createPreTokenizer(file.pre_tokenizer);
  const tokenize = createPart("model", MODELS, file.model);
  const cut = splitter(file.added_tokens ?? []);
  const post = file.post_processor;
  if (post?.type !== "TemplateProcessing")
    refuse(`it has the post-processor ${post?.type ?? "none"} (known: TemplateProcessing)`);
  const [single, pairs] = [post.single, post.pair].map((items) => template(items, post.special_tokens));

  /* The tokens of a word, each with its characters: from where its first one comes from to where its last one ends. */
  function placeTokens(word) {
    let at = 0;
    return tokenize(readText(word)).map(({ id, size }) => {
      const start = at;
      at += size;
      return { id, start: word.starts[start], end: word.ends[at - 1], isAdded: false };
    });
  }

  function tokensOf(text) {
    const chars = Array.from(text.replace(/\p{Cs}/gu, "\ufffd")); // half a character, which no file can hold
    return cut(alignText(chars)).flatMap(({ part, id }) => {
      if (id !== null) return [{ id, start: part.starts[0], end: part.ends.at(-1), isAdded: true }];
      const normal = clean(part);
      return normal.chars.length ? split(normal).flatMap(placeTokens) : [];
    });
  }

  return (text, pair) => {
    const form = pair === undefined || pair === null ? single : pairs;
    const own = { A: tokensOf(text), B: form === pairs ? tokensOf(pair) : [] };
    const special = form.reduce((sum, { ids }) => sum + (Array.isArray(ids) ? ids.length : 0), 0);
    const truncated = special + own.A.length + own.B.length > maxLength;
    if (truncated) {
      const [first, second] = keptLengths(own.A.length, own.B.length, maxLength - special);
      [own.A.length, own.B.length] = [first, second];
    }
    const parts = form.map(({ ids, kind }) =>
      Array.isArray(ids) ? ids.map((id) => ({ id, kind })) : own[ids].map((token) => ({ ...token, kind })),
    );
    const row = parts.flat();
    return { ids: row.map(({ id }) => id), typeIds: row.map(({ kind }) => kind), tokens: row, truncated };
  };
}

export const KNOWN_PARTS = { ...KNOWN_STEPS, model: Object.keys(MODELS) };
