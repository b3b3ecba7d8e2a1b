/* Normalisers and pre-tokenisers of a tokenizer.json: the parts that ALBERT and BERT use, each as in the tokenizers
   library, over texts whose characters know their places. Unknown parts are an error, because other ids would give other
   answers. */

import { filterText, mapText, readText, replaceText, sliceText, transformText } from "./aligned_text.js";
import { createCharsmap } from "./charsmap.js";
import {
  isIdeograph,
  isMark,
  isNonspacing,
  isOther,
  isPunctuation,
  isSpace,
  lowerCharacter,
  normalizeText,
} from "./unicode_tables.js";

/**
 * @param {string} what
 * @returns {never}
 */
export const refuse = (what) => {
  throw new Error(`tokenizer.json: ${what}, which a page cannot do`);
};

/**
 * @param {string} text
 * @returns {string} as a part of a regular expression
 */
export const literal = (text) => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");

// ---------------------------------------------------------------- normalisers: text → text

/* The decomposed text, its marks in canonical order. Of what one character becomes, the first part replaces it. */
function decompose(text, form) {
  const whole = readText(text);
  if (/^[\0-\x7f]*$/.test(whole)) return text;
  const changes = new Map(); // of each character, those of its occurrences: equal ones keep their order
  for (const c of text.chars) {
    for (const [i, part] of Array.from(normalizeText(c, form)).entries()) {
      if (!changes.has(part)) changes.set(part, []);
      changes.get(part).push(i ? 1 : 0);
    }
  }
  const seen = new Map();
  const ordered = Array.from(normalizeText(whole, form), (part) => {
    const count = seen.get(part) ?? 0;
    seen.set(part, count + 1);
    return /** @type {[string, number]} */ ([part, changes.get(part)[count]]);
  });
  return transformText(text, ordered);
}

const NORMALIZERS = {
  Sequence: ({ normalizers }) => chained(normalizers.map(createNormalizer)),
  Replace: ({ pattern, content }) => {
    if (pattern.String) return (text) => replaceText(text, new RegExp(literal(pattern.String), "gu"), content);
    if (pattern.Regex === " {2,}") return (text) => replaceText(text, / {2,}/gu, content);
    return refuse(`the normalizer Replace has the pattern ${JSON.stringify(pattern)}`);
  },
  NFKD: () => (text) => decompose(text, "NFKD"),
  StripAccents: () => (text) => filterText(text, (c) => !isMark(c)),
  Lowercase: () => (text) => mapText(text, lowerCharacter),
  Precompiled: ({ precompiled_charsmap: map }) => {
    const listChanges = createCharsmap(map);
    return (text) => transformText(text, listChanges(text.chars));
  },
  BertNormalizer: ({ clean_text: clean, handle_chinese_chars: chinese, strip_accents: strip, lowercase }) =>
    chained(
      [
        clean && ((text) => mapText(filterText(text, isKept), (c) => (isSpace(c) ? " " : c))),
        chinese && ((text) => mapText(text, (c) => (isIdeograph(c) ? ` ${c} ` : c))),
        (strip ?? lowercase) && ((text) => filterText(decompose(text, "NFD"), (c) => !isNonspacing(c))),
        lowercase && ((text) => mapText(text, lowerCharacter)),
      ].filter(Boolean),
    ),
};

const chained = (steps) => (text) => steps.reduce((now, step) => step(now), text);

const isKept = (c) => c === "\t" || c === "\n" || c === "\r" || !isOther(c);

// ---------------------------------------------------------------- pre-tokenisers: text → words

const PRE_TOKENIZERS = {
  Sequence: ({ pretokenizers }) =>
    pretokenizers.map(createPreTokenizer).reduce(
      (first, then) => (text) => first(text).flatMap(then),
      (text) => [text],
    ),
  WhitespaceSplit: () => splitWords,
  Metaspace: ({ replacement: mark, prepend_scheme: scheme, split }) => {
    if (scheme !== "always" || split === false)
      refuse(`the pre-tokenizer Metaspace is set to ${scheme}, split ${split}`);
    return (text) => {
      const marked = mapText(text, (c) => (c === " " ? mark : c));
      const whole = marked.chars[0] === mark ? marked : prepend(marked, mark);
      return cutBefore(
        whole,
        (c) => c === mark,
        (now) => now,
      );
    };
  },
  BertPreTokenizer: () => (text) => splitWords(text).flatMap(splitPunctuation),
};

/* The mark stands for what the first character stands for. */
const prepend = (text, mark) =>
  text.chars.length
    ? {
        chars: [mark, ...text.chars],
        starts: [text.starts[0], ...text.starts],
        ends: [text.ends[0], ...text.ends],
      }
    : text;

/* The parts of a text, each of which begins where `begins` holds of the kinds of a character and the one before it. */
function cutBefore(text, findKind, begins) {
  const found = [];
  let [from, before] = [0, null];
  text.chars.forEach((c, i) => {
    const kind = findKind(c);
    if (i && begins(kind, before)) {
      found.push(sliceText(text, from, i));
      from = i;
    }
    before = kind;
  });
  return [...found, sliceText(text, from)];
}

const splitWords = (text) =>
  cutBefore(text, isSpace, (now, before) => now !== before).filter(({ chars }) => chars.length && !isSpace(chars[0]));

/* Punctuation by itself. */
const splitPunctuation = (word) => cutBefore(word, isPunctuation, (now, before) => now || before);

// ---------------------------------------------------------------- parts by their names

/**
 * The part of the kind, by its name in the settings.
 * @param {string} kind
 * @param {Record<string, Function>} known
 * @param {any} settings
 */
export function createPart(kind, known, settings) {
  if (!Object.hasOwn(known, settings?.type)) {
    refuse(`it has the ${kind} ${settings?.type ?? "none"} (known: ${Object.keys(known).join(", ")})`);
  }
  return known[settings.type](settings);
}

export const createNormalizer = (settings) => createPart("normalizer", NORMALIZERS, settings);
export const createPreTokenizer = (settings) => createPart("pre-tokenizer", PRE_TOKENIZERS, settings);
export const KNOWN_STEPS = { normalizer: Object.keys(NORMALIZERS), "pre-tokenizer": Object.keys(PRE_TOKENIZERS) };
