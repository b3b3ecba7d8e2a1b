/* Texts to ids by a tokenizer.json: the parts that ALBERT and BERT use, each as in the tokenizers library. Unknown parts
   are an error, because other ids would give other answers. Needs no page. */

import { createCharsmap } from "./charsmap.js";
import {
  isIdeograph,
  isMark,
  isNonspacing,
  isOther,
  isPunctuation,
  isSpace,
  lowerText,
  normalizeText,
} from "./unicode_tables.js";
import { createUnigram } from "./unigram.js";
import { createWordPiece } from "./wordpiece.js";

const refuse = (what) => {
  throw new Error(`tokenizer.json: ${what}, which a page cannot do`);
};

// ---------------------------------------------------------------- normalisers: text → text

const kept = (text, keeps) => Array.from(text).filter(keeps).join("");

const NORMALIZERS = {
  Sequence: ({ normalizers }) => chained(normalizers.map(normalizer)),
  Replace: ({ pattern, content }) => {
    if (pattern.String) return (text) => text.replaceAll(pattern.String, () => content);
    if (pattern.Regex === " {2,}") return (text) => text.replace(/ {2,}/g, () => content);
    return refuse(`the normalizer Replace has the pattern ${JSON.stringify(pattern)}`);
  },
  NFKD: () => (text) => normalizeText(text, "NFKD"),
  StripAccents: () => (text) => kept(text, (c) => !isMark(c)),
  Lowercase: () => lowerText,
  Precompiled: ({ precompiled_charsmap: map }) => createCharsmap(map),
  BertNormalizer: ({ clean_text: clean, handle_chinese_chars: chinese, strip_accents: strip, lowercase }) =>
    chained(
      [
        clean && ((text) => Array.from(text, cleaned).join("")),
        chinese && ((text) => Array.from(text, (c) => (isIdeograph(c) ? ` ${c} ` : c)).join("")),
        (strip ?? lowercase) && ((text) => kept(normalizeText(text, "NFD"), (c) => !isNonspacing(c))),
        lowercase && lowerText,
      ].filter(Boolean),
    ),
};

const chained = (steps) => (text) => steps.reduce((now, step) => step(now), text);

function cleaned(c) {
  if (c === "\t" || c === "\n" || c === "\r") return " ";
  if (isOther(c)) return "";
  return isSpace(c) ? " " : c;
}

// ---------------------------------------------------------------- pre-tokenisers: text → words

const PRE_TOKENIZERS = {
  Sequence: ({ pretokenizers }) =>
    pretokenizers.map(preTokenizer).reduce(
      (first, then) => (text) => first(text).flatMap(then),
      (text) => [text],
    ),
  WhitespaceSplit: () => splitWords,
  Metaspace: ({ replacement: mark, prepend_scheme: scheme, split }) => {
    if (scheme !== "always" || split === false)
      refuse(`the pre-tokenizer Metaspace is set to ${scheme}, split ${split}`);
    return (text) => {
      const marked = text.replaceAll(" ", mark);
      return (marked.startsWith(mark) ? marked : mark + marked).split(new RegExp(`(?=${literal(mark)})`, "u"));
    };
  },
  BertPreTokenizer: () => (text) => splitWords(text).flatMap(splitPunctuation),
};

function splitWords(text) {
  const found = [[]];
  for (const c of text) {
    if (isSpace(c)) found.push([]);
    else found.at(-1).push(c);
  }
  return found.filter((word) => word.length).map((word) => word.join(""));
}

/* Punctuation by itself. */
function splitPunctuation(word) {
  const found = [];
  let open = false;
  for (const c of word) {
    const isAlone = isPunctuation(c);
    if (open && !isAlone) found.push(found.pop() + c);
    else found.push(c);
    open = !isAlone;
  }
  return found;
}

// ---------------------------------------------------------------- parts by their names

const MODELS = { Unigram: (settings) => createUnigram(settings), WordPiece: (settings) => createWordPiece(settings) };
const KNOWN = { normalizer: NORMALIZERS, "pre-tokenizer": PRE_TOKENIZERS, model: MODELS };

function part(kind, settings) {
  const known = KNOWN[kind];
  if (!Object.hasOwn(known, settings?.type)) {
    refuse(`it has the ${kind} ${settings?.type ?? "none"} (known: ${Object.keys(known).join(", ")})`);
  }
  return known[settings.type](settings);
}

const normalizer = (settings) => part("normalizer", settings);
const preTokenizer = (settings) => part("pre-tokenizer", settings);
const literal = (text) => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");

// ---------------------------------------------------------------- special tokens inside a text

/* text → [text or id, …]: special tokens that occur in the text itself. */
function splitter(added) {
  for (const token of added) {
    if (token.normalized || token.single_word)
      refuse(`the added token ${token.content} is matched in normalised text, or as a word`);
  }
  const named = new Map(added.map((token) => [token.content, token]));
  const contents = [...named.keys()].filter(Boolean).sort((a, b) => b.length - a.length); // the longest first
  if (!contents.length) return (text) => [text];
  const pattern = new RegExp(contents.map(literal).join("|"), "gu");
  return (text) => {
    const found = [];
    let at = 0;
    for (const match of text.matchAll(pattern)) {
      const token = named.get(match[0]);
      let [start, end] = [match.index, match.index + match[0].length];
      while (token.lstrip && start > at && isSpace(text[start - 1])) start--;
      while (token.rstrip && end < text.length && isSpace(text[end])) end++;
      found.push(text.slice(at, start), token.id);
      at = end;
    }
    return [...found, text.slice(at)];
  };
}

// ---------------------------------------------------------------- rows

/* What a template makes of texts' ids: [{ids, kind}, …], where ids is a list, or "A" or "B" for a text's. */
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
 * (text, pair?) → {ids, typeIds, truncated}, rows of at most maxLength tokens.
 * @param {any} file
 * @param {number} maxLength
 * @returns {(text: string, pair?: string | null) => EncodedRow}
 */
export function createEncoder(file, maxLength) {
  const clean = file.normalizer ? normalizer(file.normalizer) : (text) => text;
  const split = preTokenizer(file.pre_tokenizer);
  const pieces = part("model", file.model);
  const cut = splitter(file.added_tokens ?? []);
  const post = file.post_processor;
  if (post?.type !== "TemplateProcessing")
    refuse(`it has the post-processor ${post?.type ?? "none"} (known: TemplateProcessing)`);
  const [single, pairs] = [post.single, post.pair].map((items) => template(items, post.special_tokens));

  function idsOf(text) {
    const whole = text.replace(/\p{Cs}/gu, "\ufffd"); // half a character, which no file can hold
    return cut(whole).flatMap((segment) => {
      if (typeof segment === "number") return [segment];
      const normal = clean(segment);
      return normal ? split(normal).flatMap(pieces) : [];
    });
  }

  return (text, pair) => {
    const form = pair === undefined || pair === null ? single : pairs;
    const own = { A: idsOf(text), B: form === pairs ? idsOf(pair) : [] };
    const special = form.reduce((sum, { ids }) => sum + (Array.isArray(ids) ? ids.length : 0), 0);
    const truncated = special + own.A.length + own.B.length > maxLength;
    if (truncated) {
      const [first, second] = keptLengths(own.A.length, own.B.length, maxLength - special);
      [own.A.length, own.B.length] = [first, second];
    }
    const parts = form.map(({ ids, kind }) => ({ ids: Array.isArray(ids) ? ids : own[ids], kind }));
    return {
      ids: parts.flatMap(({ ids }) => ids),
      typeIds: parts.flatMap(({ ids, kind }) => ids.map(() => kind)),
      truncated,
    };
  };
}

export const KNOWN_PARTS = Object.fromEntries(Object.entries(KNOWN).map(([kind, parts]) => [kind, Object.keys(parts)]));
