/* Unicode as in the tokenizers library. Its tables are older than those of browsers: a character that is newer has none
   of these properties there, so the tables are here, each a list of "gap-length" in base 36. A test checks every
   character. */

/* [first, last, first, last, …] */
function ranges(packed) {
  let at = 0;
  return Uint32Array.from(
    packed.split(" ").flatMap((part) => {
      const [gap, more] = part.split("-").map((digits) => parseInt(digits, 36));
      const first = at + gap;
      at = first + (more ?? 0);
      return [first, at];
    }),
  );
}

function within(table, point) {
  let low = 0;
  let high = table.length / 2;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (table[2 * middle + 1] < point) low = middle + 1;
    else high = middle;
  }
  return 2 * low < table.length && table[2 * low] <= point;
}

// what NFKD changes
const DECOMPOSED = ranges(
  "4g 8 2 5 3-3 3-2 2-2 2-5 2-8 2-5 3-4 3-5 2-8 2-5 3-4 2-g 3-j 3-8 2-5 2-7 3-6 3-5 3-h 3-n x-1 e-1 k-o 2-5 3-f 3-z " +
    "3-1 7-d 3h-8 w-5 3-4 2k-1 2-1 1c 6 4 6-6 2 2-2 q-6 q-4 2-6 q-2 2-1 4 7-1 2 4 5-2 b w n-1 2 4 5-2 o-1 22-1 e-3 " +
    "3-1 3-5 3-5 3-b 3-1 3y 4b-4 27-3 20 2 h gm 8 3 10-7 30-1 g-1 2 2c 3 z-2 3 6i 3-1 g-1 1j 1i-2 3g 3c 7-1 2-1 3j-2 " +
    "3y 2-2 2d 3k 15-1 1b 1j a 5 5 5 d a 2-4 8 i a 5 5 5 d 31 5y 1ze 2 2 2 2 4 15 2 3-1 2 dl-2 2-a 2-h 2-r e z-10 " +
    "1t-4b 5-2h 7-l 3-5 3-11 3-5 3-7 2 2 2 2-u 3-1g 2-e 2-d 3-5 2-i 3-2 2-8 2-a 7 6 d-2 9 4-1 2-1 5 2 9-2 e 8 h-1 3-q " +
    "2-c c 2g-3 2-2 2-a 2-1 3-4 3-2 2 2 2 2-3 2-2 2-6 2-5 5-4 7-1b a h-1 j v-2 1h 5 3 o 2 6-1 2-1 h 3 3 2 n 2 b-4 3-1 " +
    "3-1 7-1 3-1 3-1 z-3 1d-3 7-3 1o-1 8m-3u 10i 2w-2 2u bk-1 6q 8g 2c d-5x 17 1i 2-2 i 2 2 2 2 2 2 2 2 2 2 2 3 2 2 " +
    "7-1 2-1 2-1 2-1 2-1 n 7-1 2-1 d 2 2 2 2 2 2 2 2 2 2 2 3 2 2 7-1 2-1 2-1 2-1 2-1 n 3-3 4-1 1e-2l 4-d 2p-u 2-13 " +
    "9-1a 2-3i 2-73 mn1-1 5v 3s-1 o3-3 4h-8mb 6l9-7h 3 2 3-9 2 2 3-1 4-1v 3-2x 13-6 d-4 6 2-n 2-4 2 2-1 2-1 2-2z y-a2 " +
    "j-1r 3-1h 15-c k-9 n-k 3-b 2-i 2-3 5-2 2 2-3q 5-59 4-5 3-5 3-5 3-2 4-6 2-6 3ak 2 f 3n-1 f0-1 a7-1 2 70-1 112b-6 " +
    "2f-5 g0-2c 2-1y 2-1 3 3-1 3-3 2-b 2 2-6 2-1s 2-3 3-7 2-6 2-r 2-3 2-4 2 4-6 2-9f 3-83 3-1d 4ch-3 2-q 2-1 2 3 2-9 " +
    "2-3 2 2 7 5 2 2 2-2 2-1 2 3 2 2 2 2 2-1 2 3-3 2-6 2-3 2-3 2 2-9 2-g 6-2 2-4 2-g g5-a 6-u 2-v r-1 11 34-2 e-17 " +
    "5-8 8-1 1fov-f1",
);

// combining marks of every kind
const MARKS = ranges(
  "lc-33 7o-6 7c-18 2 2-1 2-1 2 21-a 1d-k h 2u-6 3-5 3-1 2-3 10 v-q 2k-a 1n-8 z-3 2-8 2-2 2-4 18-2 3d-d 2-w 1j-2 " +
    "2-h 2-6 b-1 u-2 1l 2-6 3-1 3-2 a b-1 u-2 1l 2-4 5-1 3-2 4 v-1 4 c-2 1l 2-7 2-2 2-2 l-1 u-2 1l 2-6 3-1 3-2 9-1 " +
    "b-1 v 1o-4 4-2 2-3 a 15-3 1n-6 2-2 2-3 8-1 c-1 u-2 1l 2-6 2-2 2-3 8-1 c-1 u-2 1n-6 2-2 2-3 a b-1 v-1 1z 5-5 2 " +
    "2-7 j-1 1q 3-6 d-7 2r 3-5 2-1 c-5 23-1 s 2 2 5-1 1e-j 2-1 6-a 2-z a 2t-j o-3 5-2 2-2 3-6 4-3 e-b 2 b-3 jk-2 qb-2 " +
    "u-2 u-1 v-1 1t-v a 1a-2 3c-1 z 3b-b 5-b 64-4 1m-9 2-s 3 1d-e 1u-4 1c-g 13-8 d-2 v-c 1l-d 1d-j 49-2 2-k 5 5-2 4-1 " +
    "5j-1h 6-4 k1-w 2db-2 3y 2p-v ff-5 2y-1 n9x-3 2-9 x-1 29-1 7l 4 5 o-4 2h-1 1f-h r-h 1h-7 q-c 19-3 1c-d 11 1w-d d " +
    "9-1 1a-2 1f 2-2 3-1 6-1 2 16-4 6-1 6l-7 2-1 fn5 ki-f h-f r2 6b 46-4 1af-2 2-1 6-3 15-2 5 4m-1 10a-2 1i-e 1l-3 " +
    "1a-a 1y-2 11-d 1r d-2 1d-d a-2 2o-b 7 4h-b m-3 1l 2-6 3-1 3-2 a b-1 3-6 4-4 5d-h 2y-j 6k-6 3-8 s-1 2b-g 2z-c " +
    "2u-e zo-7 2-7 2b-l 2-d fga-4 1o-6 t7-19 h-3 f7v-1 43r-4 4-5 9-7 3-6 v-3 45-2 1j0-1i 5-1d 9 f n-4 2-e 11t-6 2-g " +
    "3-6 2-1 2-4 1pi-6 32-6 gzhy-6n",
);

// marks without a width, as BertNormalizer knows them
const NONSPACING = ranges(
  "lc-33 7o-4 7e-18 2 2-1 2-1 2 21-a 1d-k h 2u-6 3-5 3-1 2-3 10 v-q 2k-a 1n-8 z-3 2-8 2-2 2-4 18-2 3s-v 1k 2 5-7 5 " +
    "4-6 b-1 u 1n 5-3 9 l-1 u-1 1m 5-1 5-1 3-2 4 v-1 4 c-1 1m 5-4 2-1 5 l-1 u 1n 3 2-3 9 9 c-1 v 1q d 1f 1q-2 6-2 2-3 " +
    "8-1 c-1 u 1n 3 7 6-1 l-1 u 1s-3 9 l-1 2v 8-2 2 2j 3-6 d-7 2r 3-5 2-1 c-5 23-1 s 2 2 1k-d 2-4 2-1 6-a 2-z a 2v-3 " +
    "2-5 2-1 3-1 q-1 5-2 h-3 e 3-1 7 g jk-2 qb-2 u-2 u-1 v-1 1t-1 2-6 9 3-a a 1a-2 4c 3b-2 5-1 a 7-2 64-1 3 1n 2-6 2 " +
    "2 3-7 7-9 3 1d-d 1v-3 1d 2-4 2 6 15-8 d-1 x-3 3-1 2-2 1l 2-1 4 2-2 1n-7 3-1 49-2 2-c 2-6 5 7 4-1 5j-1h 7-3 k1-c " +
    "5 4-b 2db-2 3y 2p-v ff-3 30-1 n9x 5-9 x-1 29-1 7l 4 5 q-1 4e s-h 1h-7 q-a 1b-2 1d 3-3 3 15 1w-5 3-1 3-1 d 9 1c " +
    "1g 2-2 3-1 6-1 2 17-1 9 6n 3 5 fn5 ki-f h-f r2 6b 46-4 1af-2 2-1 6-3 15-2 5 4m-1 10b 1j-e 1l-2 1e-3 3-1 1y-2 " +
    "11-4 2-7 1r d-1 1h-8 c-2 2r-2 3 2-1 4o 4-7 m-1 1n 4 12-6 4-4 8v-5 2 5-1 2-1 6n-3 7-1 2-1 s-1 2e-7 3 2-1 2z 2 3-5 " +
    "2 2u-2 3-3 2-4 gjp-4 1o-6 ux-3 f7v-1 43t-2 i-7 3-6 v-3 45-2 1j0-1i 5-1d 9 f n-4 2-e 2sh-6 gzl6-6n",
);

// what BertNormalizer drops: control, format and private characters
const OTHER = ranges(
  "0-8 3-1 2-h 2o-w e 11v-5 n 5d 1e 3cv 1kt-4 r-4 1e-4 2-9 11u9-4xr 16o 6y-2 2 3b4 xyb-3 440-7 h407 v-2n 1egx-1ekd " +
    "3-1ekd",
);

// what BertPreTokenizer sets apart
const PUNCTUATION = ranges(
  "x-e b-6 r-5 r-3 z 6 4 b-1 4 4 jj 9 cz-5 16-1 1g 2 3 3 19-1 l-1 2-1 e 3-1 23-3 2v 18-d 6i-2 1j-e w 7a-1 b ao lg " +
    "2j b-1 4p-e 2 12-3 20 23-4 5-1 34-5 4s h1-8 48 h9-1 19-1 27-2 20-1 4e-2 2-2 12-a 8q-1 61-1 3l-6 2-5 4t-6 4c-3 " +
    "1o-4 1r-1 1t-7 c n1-n 9-j 2-c 2-b v-1 f-1 hm-3 u-1 u6-d 28-1 w-9 b8-l 1s-3 x-1 l8-3 2-1 35 40-1a 2-i cf-2 5-9 " +
    "3-b h d 2r 2j mwz-1 7i-2 2s b 38-5 al-3 2f-1 15-2 2 1e-1 1c 2q-c h-1 3h-3 3j-1 h-1 6y g2b-1 5t-9 n-y 2-d 2 5 2-1 " +
    "46-2 2-5 2-3 b-1 4-1 r-2 2 s 2 2-6 bf-2 il 1d bj ko 5k w 7l-8 13 35-6 1v-6 2i-3 x7-6 32-1 2-3 3j-3 1d-1 28-4 4 e " +
    "2-2 2h-5 30 f1 6z-m 2y-2 6x-2 2lu-4 dtm-1 3q 1u-4 9 g2j 5wo-4",
);
const SPACE = /[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;
const IDEOGRAPH =
  /[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{2a6df}\u{2a700}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/u;
const of = (table) => (character) => within(table, character.codePointAt(0));
const isDecomposed = of(DECOMPOSED);
export const isMark = of(MARKS);
export const isNonspacing = of(NONSPACING);
export const isOther = of(OTHER);
export const isPunctuation = of(PUNCTUATION);
/**
 * @param {string} c
 * @returns {boolean}
 */
export const isSpace = (c) => SPACE.test(c);
/**
 * @param {string} c
 * @returns {boolean}
 */
export const isIdeograph = (c) => IDEOGRAPH.test(c);

/* Whether a character is newer than the tables and would be decomposed, or moved as a mark, by this browser. */
const newer = (c) => !isDecomposed(c) && !isMark(c) && (/\p{M}/u.test(c) || c.normalize("NFKD") !== c);

/**
 * NFD or NFKD; newer characters stay, and no mark moves across them.
 * @param {string} text
 * @param {"NFD" | "NFKD"} form
 * @returns {string}
 */
export function normalizeText(text, form) {
  if (/^[\0-\x7f]*$/.test(text)) return text;
  const [parts, run] = [[], []];
  for (const c of text) {
    if (c < "\x80" || !newer(c)) run.push(c);
    else parts.push(run.splice(0).join("").normalize(form), c);
  }
  return [...parts, run.join("").normalize(form)].join("");
}

/**
 * Of one character: a sigma at the end of a word is like any other.
 * @param {string} c
 * @returns {string}
 */
export const lowerCharacter = (c) => c.toLowerCase();
