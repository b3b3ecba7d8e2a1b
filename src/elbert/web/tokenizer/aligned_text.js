/* A text whose characters have places in the text that it was made of: the counterpart of NormalizedString in the
   tokenizers library, with its alignments. Characters are code points, as in Python. */

/**
 * starts, ends: of each character, the first character of the original that it stands for, and the one after the last.
 * @typedef {{chars: string[], starts: number[], ends: number[]}} AlignedText
 */

/**
 * @param {string[]} chars
 * @returns {AlignedText}
 */
export const alignText = (chars) => ({
  chars,
  starts: Array.from(chars, (_, i) => i),
  ends: Array.from(chars, (_, i) => i + 1),
});

/**
 * @param {AlignedText} text
 * @returns {string}
 */
export const readText = ({ chars }) => chars.join("");

/**
 * @param {AlignedText} text
 * @param {number} from
 * @param {number} [to]
 * @returns {AlignedText}
 */
export const sliceText = ({ chars, starts, ends }, from, to) => ({
  chars: chars.slice(from, to),
  starts: starts.slice(from, to),
  ends: ends.slice(from, to),
});

/**
 * The text of the changes: [character, 0] replaces the next character, [character, 1] is a new one, which stands for what
 * the character before it stood for, and [character, -n] replaces the next one before n that are removed.
 * @param {AlignedText} text
 * @param {[string, number][]} changes
 * @returns {AlignedText}
 */
export function transformText({ starts, ends }, changes) {
  const found = { chars: [], starts: [], ends: [] };
  let next = 0;
  for (const [character, change] of changes) {
    const at = change > 0 ? next - 1 : next;
    found.chars.push(character);
    found.starts.push(starts[at]);
    found.ends.push(ends[at]);
    if (change <= 0) next += 1 - change;
  }
  return found;
}

/**
 * Each character replaced by one or more.
 * @param {AlignedText} text
 * @param {(character: string) => string} replace
 * @returns {AlignedText}
 */
export function mapText({ chars, starts, ends }, replace) {
  const found = { chars: [], starts: [], ends: [] };
  for (let i = 0; i < chars.length; i++) {
    for (const c of replace(chars[i])) {
      found.chars.push(c);
      found.starts.push(starts[i]);
      found.ends.push(ends[i]);
    }
  }
  return found;
}

/**
 * @param {AlignedText} text
 * @param {(character: string) => boolean} keeps
 * @returns {AlignedText}
 */
export const filterText = (text, keeps) => mapText(text, (c) => (keeps(c) ? c : ""));

/**
 * The matches of a pattern with the flags g and u, from start and before end, in characters.
 * @param {string[]} chars
 * @param {RegExp} pattern
 * @returns {{text: string, start: number, end: number}[]}
 */
export function findMatches(chars, pattern) {
  let [index, unit] = [0, 0];
  return Array.from(chars.join("").matchAll(pattern), (match) => {
    while (unit < match.index) unit += chars[index++].length;
    return { text: match[0], start: index, end: index + Array.from(match[0]).length };
  });
}

/**
 * Every match replaced by characters that stand for what its last one stood for.
 * @param {AlignedText} text
 * @param {RegExp} pattern
 * @param {string} content
 * @returns {AlignedText}
 */
export function replaceText(text, pattern, content) {
  const matches = findMatches(text.chars, pattern);
  const added = Array.from(content);
  const parts = [];
  let at = 0;
  for (const { start, end } of matches) {
    const repeat = (values) => added.map(() => values[end - 1]);
    parts.push(sliceText(text, at, start), { chars: added, starts: repeat(text.starts), ends: repeat(text.ends) });
    at = end;
  }
  parts.push(sliceText(text, at));
  const join = (name) => parts.flatMap((one) => one[name]);
  return { chars: join("chars"), starts: join("starts"), ends: join("ends") };
}
