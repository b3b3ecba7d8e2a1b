/* SentencePiece's unigram model: of all ways to cut a word into pieces, the likeliest. */

const UNKNOWN = 10; // how much less likely than the least likely piece a character is that no piece starts with

/**
 * word → tokens, by the "model" of a tokenizer.json.
 * @param {{vocab: [string, number][], unk_id: number, byte_fallback?: boolean}} settings
 * @returns {(word: string) => WordToken[]}
 */
export function createUnigram({ vocab, unk_id: unknown, byte_fallback: bytes }) {
  if (bytes) throw new Error('tokenizer.json: "byte_fallback" is not supported');
  if (!Number.isInteger(unknown) || !vocab[unknown]) throw new Error('tokenizer.json: a Unigram model needs "unk_id"');
  const ids = new Map(vocab.map(([piece], id) => [piece, id]));
  const score = Float64Array.from(vocab, ([, value]) => value);
  const least = score.reduce((low, value) => Math.min(low, value), Infinity) - UNKNOWN;
  const longest = vocab.reduce((most, [piece]) => Math.max(most, piece.length), 1);

  /* For every place: how likely the best way there is, where its last piece starts, and its id. */
  function ways(word) {
    const best = new Float64Array(word.length + 1);
    const from = new Int32Array(word.length + 1).fill(-1);
    const last = new Int32Array(word.length + 1);
    const take = (start, end, id, value) => {
      if (from[end] >= 0 && best[start] + value <= best[end]) return;
      [best[end], from[end], last[end]] = [best[start] + value, start, id];
    };
    for (let start = 0; start < word.length; ) {
      const next = start + (word.codePointAt(start) > 0xffff ? 2 : 1);
      let single = false;
      for (let end = next; end <= Math.min(word.length, start + longest); end++) {
        const id = ids.get(word.slice(start, end));
        if (id === undefined) continue;
        take(start, end, id, score[id]);
        single ||= end === next;
      }
      if (!single) take(start, next, unknown, least);
      start = next;
    }
    return { from, last };
  }

  return (word) => {
    const { from, last } = ways(word);
    const found = [];
    for (let end = word.length; end > 0; ) {
      const until = end;
      const strange = last[end] === unknown;
      end = from[end];
      while (strange && end > 0 && last[end] === unknown) end = from[end]; // unknown neighbours are one token
      const piece = word.slice(end, until);
      found.push({ id: ids.get(piece) ?? unknown, size: Array.from(piece).length });
    }
    return found.reverse();
  };
}
