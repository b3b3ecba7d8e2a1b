/* The spans of tags, by the rules of conlleval and seqeval: the counterpart of elbert.tasks.spans. */

/**
 * The prefix and the type of a tag; a name without a prefix continues its type. "O" is outside.
 * @param {string} tag
 * @returns {[string, string]}
 */
export function splitTag(tag) {
  if (tag === "O") return ["O", ""];
  return /^[BIES]-/.test(tag) ? [tag[0], tag.slice(2)] : ["I", tag];
}

/**
 * A span begins at B or S, after another type, and after E or S.
 * @param {string[]} tags of the words of a text; "O" of words without one
 * @returns {{type: string, start: number, end: number}[]} words from start, before end
 */
export function findSpans(tags) {
  const spans = [];
  let open = null; // the span that the next word can continue
  tags.forEach((tag, i) => {
    const [prefix, type] = splitTag(tag);
    if (prefix === "O") {
      open = null;
      return;
    }
    if (open?.type === type && prefix !== "B" && prefix !== "S") open.end = i + 1;
    else {
      open = { type, start: i, end: i + 1 };
      spans.push(open);
    }
    if (prefix === "E" || prefix === "S") open = null;
  });
  return spans;
}
