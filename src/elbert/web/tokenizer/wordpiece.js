/* WordPiece: the longest piece that a word starts with, then the longest that goes on with it, to its end. */

/**
 * word → tokens, by the "model" of a tokenizer.json.
 * @param {{vocab: Record<string, number>, unk_token: string, continuing_subword_prefix: string, max_input_chars_per_word: number}} settings
 * @returns {(word: string) => WordToken[]}
 */
export function createWordPiece({
  vocab,
  unk_token: unknown,
  continuing_subword_prefix: inside,
  max_input_chars_per_word: most,
}) {
  const ids = new Map(Object.entries(vocab));
  if (!ids.has(unknown)) throw new Error(`tokenizer.json: the unknown token ${unknown} is not in the vocabulary`);
  const longest = Math.max(...Array.from(ids.keys(), (piece) => piece.length));

  function pieceAt(word, start) {
    const prefix = start > 0 ? inside : "";
    for (let end = Math.min(word.length, start + longest); end > start; end--) {
      const id = ids.get(prefix + word.slice(start, end));
      if (id !== undefined) return { id, end };
    }
    return null;
  }

  return (word) => {
    const found = [];
    const size = Array.from(word).length;
    const whole = [{ id: ids.get(unknown), size }];
    if (size > most) return whole;
    for (let start = 0; start < word.length; ) {
      const piece = pieceAt(word, start);
      if (!piece) return whole;
      found.push({ id: piece.id, size: Array.from(word.slice(start, piece.end)).length });
      start = piece.end;
    }
    return found;
  };
}
