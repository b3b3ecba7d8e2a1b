/* SentencePiece's own normalisation, "Precompiled": a double-array trie over UTF-8 and the texts that it points to. It
   looks at a whole grapheme of less than six bytes first and takes the first prefix found, as the tokenizers library
   does, which keeps to what models were trained with. */

const LONGEST = 6; // bytes of a grapheme that is looked up whole
const SIXBITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

function bytesOf(base64) {
  const digits = base64.replace(/=+$/, "");
  const bytes = new Uint8Array(Math.floor((digits.length * 6) / 8));
  let [held, bits, at] = [0, 0, 0];
  for (const digit of digits) {
    held = ((held << 6) | SIXBITS.indexOf(digit)) & 0xffff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes[at++] = (held >> bits) & 0xff;
  }
  return bytes;
}

function utf8(character) {
  const point = character.codePointAt(0);
  if (point < 0x80) return [point];
  const tail = (shift) => 0x80 | ((point >> shift) & 0x3f);
  if (point < 0x800) return [0xc0 | (point >> 6), tail(0)];
  if (point < 0x10000) return [0xe0 | (point >> 12), tail(6), tail(0)];
  return [0xf0 | (point >> 18), tail(12), tail(6), tail(0)];
}

function textOf(bytes) {
  const escaped = Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, "0")}`);
  return decodeURIComponent(escaped.join(""));
}

/**
 * characters → changes of them (aligned_text.js), by a tokenizer.json's precompiled_charsmap.
 * @param {string} base64
 * @returns {(chars: string[]) => [string, number][]}
 */
export function createCharsmap(base64) {
  if (typeof Intl === "undefined" || !Intl.Segmenter)
    throw new Error("this browser is too old: it has no Intl.Segmenter");
  const all = bytesOf(base64);
  const size = all[0] | (all[1] << 8) | (all[2] << 16) | (all[3] << 24);
  const trie = new Uint32Array(all.slice(4, 4 + size).buffer);
  const texts = all.subarray(4 + size);
  const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });
  const known = new Map();

  const offset = (unit) => (unit >>> 10) << ((unit & 0x200) >>> 6);

  /* Where the text of the shortest prefix that has one starts, or null. */
  function found(bytes) {
    let at = offset(trie[0]);
    for (const byte of bytes) {
      if (byte === 0) return null;
      at ^= byte;
      const unit = trie[at];
      if ((unit & 0x800000ff) >>> 0 !== byte) return null;
      at ^= offset(unit);
      if ((unit >>> 8) & 1) return trie[at] & 0x7fffffff;
    }
    return null;
  }

  function mapped(chunk) {
    if (!known.has(chunk)) {
      const start = found(Array.from(chunk, utf8).flat());
      known.set(chunk, start === null ? null : textOf(texts.subarray(start, texts.indexOf(0, start))));
    }
    return known.get(chunk);
  }

  const length = (grapheme) => Array.from(grapheme, utf8).flat().length;

  /* As in the library: a part that becomes nothing is removed with the last character before it, and one at the start of
     a text, which has none, shifts the places of all that follow. */
  function replace(changes, part, text) {
    const [before, now] = [Array.from(part).length, Array.from(text)];
    changes.push(...now.map((c, i) => [c, i < before ? 0 : 1]));
    if (now.length < before && changes.length) changes.at(-1)[1] += now.length - before;
  }

  function addCharacter(changes, c) {
    const text = mapped(c);
    if (text === null) changes.push([c, 0]);
    else replace(changes, c, text);
  }

  function addGrapheme(changes, grapheme) {
    const whole = grapheme.length < LONGEST && length(grapheme) < LONGEST ? mapped(grapheme) : null;
    if (whole !== null) return replace(changes, grapheme, whole);
    for (const c of grapheme) addCharacter(changes, c);
  }

  return (chars) => {
    const text = chars.join("");
    const changes = [];
    if (/^[\0-\x0c\x0e-\x7f]*$/.test(text))
      for (const c of chars) addCharacter(changes, c); // each is a grapheme
    else for (const { segment } of graphemes.segment(text)) addGrapheme(changes, segment);
    return changes;
  };
}
