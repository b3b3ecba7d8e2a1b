/* Places for names in a chart of lines: beside the line that a name belongs to, where no line crosses it. */

const [LETTER, ABOVE, BELOW] = [7.5, 11, 4]; // the width of a letter, and what a text takes above and below its base
const [SPACE, STEEP, FAR] = [2, 30, 40]; // around a name; most height of its line beside it; enough distance from others
const STRIDE = 8;

/**
 * @typedef {[number, number, number, number]} Segment from (x1, y1) to (x2, y2)
 * @typedef {{x: number, y: number, right: number, top: number, bottom: number}} Place x and y of a text's start
 */

/**
 * @param {{x: number, y: number}[]} points
 * @param {boolean} isStep a step goes to the right first, then up or down
 * @returns {Segment[]}
 */
export function listSegments(points, isStep) {
  return points.slice(1).flatMap((to, i) => {
    const from = points[i];
    /** @type {Segment[]} */
    const level = [
      [from.x, from.y, to.x, from.y],
      [to.x, from.y, to.x, to.y],
    ];
    return isStep ? level : [/** @type {Segment} */ ([from.x, from.y, to.x, to.y])];
  });
}

/* The smallest and largest y of segments between two x; null if they do not reach over all of it. */
function findSpan(segments, from, to) {
  let [low, high, start, end] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const [x1, y1, x2, y2] of segments) {
    [start, end] = [Math.min(start, x1), Math.max(end, x2)];
    if (x2 < from || x1 > to) continue;
    for (const x of [Math.max(x1, from), Math.min(x2, to)]) {
      const ys = x2 > x1 ? [y1 + ((y2 - y1) * (x - x1)) / (x2 - x1)] : [y1, y2];
      [low, high] = [Math.min(low, ...ys), Math.max(high, ...ys)];
    }
  }
  return start <= from && to <= end ? { low, high } : null;
}

/* How far lines are above or below a box, 0 if one crosses it. */
function findFree(box, segments) {
  let free = FAR;
  for (const [x1, y1, x2, y2] of segments) {
    if (x2 < box.x - SPACE || x1 > box.right + SPACE) continue;
    const span = findSpan([[x1, y1, x2, y2]], Math.max(x1, box.x - SPACE), Math.min(x2, box.right + SPACE));
    if (span) free = Math.min(free, Math.max(box.top - span.high, span.low - box.bottom, 0));
  }
  return free;
}

const covers = (a, b) => a.x < b.right && b.x < a.right && a.top < b.bottom && b.top < a.bottom;

/** @returns {Place} */
const placeText = (name, x, y) => ({ x, y, right: x + name.length * LETTER, top: y - ABOVE, bottom: y + BELOW });

/**
 * The place of a name along its line, from the left: of those that no other line crosses the one farthest from others.
 * @param {string} name
 * @param {Segment[]} own
 * @param {Segment[]} others
 * @param {Place[]} taken
 * @param {{left: number, right: number, top: number, bottom: number}} frame
 * @param {number} [enough] a place so far from other lines is taken without looking further
 * @returns {Place | null}
 */
export function placeName(name, own, others, taken, frame, enough = Infinity) {
  let best = null;
  let most = SPACE;
  for (let x = frame.left; x + name.length * LETTER <= frame.right; x += STRIDE) {
    const span = findSpan(own, x, x + name.length * LETTER);
    if (!span || span.high - span.low > STEEP) continue;
    for (const y of [span.low - SPACE - BELOW, span.high + SPACE + ABOVE]) {
      const box = placeText(name, x, y);
      if (box.top < frame.top || box.bottom > frame.bottom || taken.some((other) => covers(box, other))) continue;
      const free = findFree(box, others);
      if (free > most) [best, most] = [box, free];
      if (best && most >= enough) return best;
    }
  }
  return best;
}
