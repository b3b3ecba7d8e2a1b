/* Whether chance alone explains that one of two policies is better on the same texts: the counterpart of
   elbert.evaluation.statistics. */

export const SIGNIFICANT = 0.05;
const DRAWS = 1000;

/**
 * The exact p-value of McNemar's test, two-sided, from the numbers of texts that only one of both answers right.
 * @param {number} onlyA
 * @param {number} onlyB
 * @returns {number}
 */
export function computeMcNemar(onlyA, onlyB) {
  const n = onlyA + onlyB;
  let tail = 0;
  let logarithm = -n * Math.LN2; // of the probability of k
  for (let k = 0; k <= Math.min(onlyA, onlyB); k++) {
    tail += Math.exp(logarithm);
    logarithm += Math.log((n - k) / (k + 1));
  }
  return Math.min(1, 2 * tail);
}

/**
 * A randomization test (Noreen 1989), two-sided: draws in which the two answers of a text are swapped at random. It runs
 * in pieces, so that a page stays responsive.
 * @template Part
 * @param {(parts: Part[]) => number} score of the parts of all texts
 * @param {Part[]} ours
 * @param {Part[]} theirs
 * @param {number} [draws]
 * @returns {{draw: () => boolean, p: () => number}} draw returns whether another draw is needed
 */
export function createSwapTest(score, ours, theirs, draws = DRAWS) {
  const observed = Math.abs(score(ours) - score(theirs));
  const random = createRandom(1);
  const a = [...ours];
  const b = [...theirs];
  let done = 0;
  let extreme = 0;
  return {
    draw() {
      for (let i = 0, bits = 0; i < a.length; i++, bits >>>= 1) {
        if (i % 32 === 0) bits = random();
        const isSwapped = bits & 1;
        a[i] = isSwapped ? theirs[i] : ours[i];
        b[i] = isSwapped ? ours[i] : theirs[i];
      }
      if (Math.abs(score(a) - score(b)) >= observed - 1e-12) extreme++;
      return ++done < draws;
    },
    p: () => (1 + extreme) / (1 + done),
  };
}

/* 32 random bits at a call (mulberry32): the same in every run, so that a p-value does not change while it is read. */
function createRandom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
}
