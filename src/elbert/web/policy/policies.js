/* Exit policies for one text at a time: the counterpart of elbert.exits. A test compares the two.

   Python decides in float32. Probabilities arrive as float32 printed to JSON, so every step below rounds to float32 as
   numpy does, and a threshold is rounded before it is compared. Signals without a logarithm are equal to the last bit.
   The last bit of numpy's logarithm differs between machines, so entropies that Python sends are used as they are. A
   policy is a list of members (specs.js reads and prints it); a text exits when any member holds. */

const f32 = Math.fround;
const TINY = f32(1e-38); // replaces 0 under a logarithm, where it is multiplied by 0
const DEEPEST = 1000;
export const LONGEST_SPEC = 500;
export const LAST_REASON = "last";
export const WINDOW_RULES = ["agree", "trend", "stable"];

const whole = (name, low, high, default_) => ({ name, kind: "int", low, high, default: default_ });
const number = (name, low, high, default_) => ({ name, kind: "float", low, high, default: default_ });
const THRESHOLD = number("threshold", 0, 1);

/* What each kind is set by, in the order in which a spec gives it. */
export const POLICY_KINDS = {
  full: [],
  depth: [whole("depth", 1, DEEPEST)],
  entropy: [THRESHOLD],
  confidence: [THRESHOLD],
  gap: [THRESHOLD],
  patience: [whole("times", 0, DEEPEST)],
  patient_confidence: [whole("times", 1, DEEPEST), THRESHOLD],
  divergence: [whole("times", 1, DEEPEST), number("threshold", 0, Math.log(2))],
  window: [
    number("entropy", 0, 1, 0.1),
    whole("size", 1, DEEPEST, 6),
    { name: "rule", choices: WINDOW_RULES, default: "agree" },
    number("margin", 0, 0.5, 0),
    number("range", 0, 1, 0.05),
  ],
};
/**
 * @param {string} name
 * @returns {boolean}
 */
export const isKnownPolicy = (name) => Object.hasOwn(POLICY_KINDS, name);

// ---------------------------------------------------------------- signals

const entr = (p) => f32(-p * f32(Math.log(Math.max(p, TINY))));
const sum = (values) => values.reduce((total, value) => f32(total + value), 0);

/* One question with all classes as options, or one two-option question per label. */
function questions(probabilities, multiLabel) {
  const p = Array.from(probabilities, f32);
  return multiLabel ? p.map((value) => [f32(1 - value), value]) : [p];
}

function entropyOf(options) {
  const scale = options.length > 1 ? f32(1 / Math.log(options.length)) : 0;
  return f32(sum(options.map(entr)) * scale);
}

function gapOf(options) {
  const all = options.length < 2 ? [options[0], f32(options[0] - 1)] : options;
  let first = -Infinity;
  let second = -Infinity;
  for (const value of all) {
    if (value > first) [first, second] = [value, first];
    else if (value > second) second = value;
  }
  return f32(first - second);
}

/**
 * @param {Step} options
 * @returns {number} the index of the first largest value
 */
export function findTopClass(options) {
  let best = 0;
  for (let i = 1; i < options.length; i++) if (options[i] > options[best]) best = i;
  return best;
}

function divergenceOf(now, before) {
  const both = now.map((p, i) => {
    const middle = f32(f32(p + before[i]) / 2);
    return f32(entr(middle) - f32(f32(entr(p) + entr(before[i])) / 2));
  });
  return Math.max(sum(both), 0);
}

/* The steps as if the logits of depth m were divided by temperatures[m - 1]; the last holds beyond. */
function atTemperatures(steps, temperatures, multiLabel) {
  return steps.map((step, m) => {
    const power = f32(1 / f32(temperatures[Math.min(m, temperatures.length - 1)]));
    const spread = questions(step, multiLabel).map((options) => {
      const raised = options.map((p) => f32(p ** power));
      const total = Math.max(sum(raised), TINY);
      return raised.map((p) => f32(p / total));
    });
    return multiLabel ? spread.map((options) => options[1]) : spread[0];
  });
}

/**
 * All signals of one text, depth by depth: steps[depth][class]. A row's signal is that of its least settled question.
 * options.multiLabel: every label is a question of its own; options.entropy: Python's values, where it sends them.
 * @param {Step[]} steps
 * @param {{multiLabel?: boolean, entropy?: number[] | null}} [options]
 * @returns {Signals}
 */
export function computeSignals(steps, options = {}) {
  const depths = steps.length;
  const rows = steps.map((step) => questions(step, options.multiLabel));
  const most = (values) => Math.max(...values);
  const least = (values) => Math.min(...values);
  const others = new Map();
  const found = {
    depths,
    tempered(temperatures) {
      const key = temperatures.join();
      if (!others.has(key)) {
        const tempered = atTemperatures(steps, temperatures, options.multiLabel);
        others.set(key, computeSignals(tempered, { multiLabel: options.multiLabel }));
      }
      return others.get(key);
    },
    entropy: new Float32Array(depths),
    confidence: new Float32Array(depths),
    gap: new Float32Array(depths),
    same: new Float32Array(depths),
    divergence: new Float32Array(depths),
  };
  rows.forEach((now, m) => {
    const before = rows[m - 1];
    found.entropy[m] = options.entropy ? options.entropy[m] : most(now.map(entropyOf));
    found.confidence[m] = least(now.map(most));
    found.gap[m] = least(now.map(gapOf));
    // Depth 1 has no depth before it: nothing is the same, and the divergence is infinite.
    found.same[m] = before ? least(now.map((q, i) => (findTopClass(q) === findTopClass(before[i]) ? 1 : 0))) : 0;
    found.divergence[m] = before ? most(now.map((q, i) => divergenceOf(q, before[i]))) : Infinity;
  });
  return found;
}

// ---------------------------------------------------------------- rules

/* holds(i) for each of the last `size` depths; `depth` counts from 1, signals from 0. */
function throughout(depth, size, holds) {
  for (let i = depth - size; i < depth; i++) if (!holds(i)) return false;
  return true;
}

const below = (signal, threshold) => {
  const limit = f32(threshold);
  return (s, depth) => s[signal][depth - 1] < limit;
};
const reaches = (signal, threshold) => {
  const limit = f32(threshold);
  return (s, depth) => s[signal][depth - 1] >= limit;
};

const FIRES = {
  depth: (p) => (_, depth) => depth >= p.depth,
  entropy: (p) => below("entropy", p.threshold),
  confidence: (p) => reaches("confidence", p.threshold),
  gap: (p) => reaches("gap", p.threshold),
  patience: (p) => (s, depth) => depth > p.times && throughout(depth, p.times, (i) => s.same[i] === 1),
  patient_confidence: (p) => {
    const limit = f32(p.threshold);
    return (s, depth) => depth >= p.times && throughout(depth, p.times, (i) => s.entropy[i] < limit);
  },
  divergence: (p) => {
    const limit = f32(p.threshold);
    return (s, depth) => depth > p.times && throughout(depth, p.times, (i) => s.divergence[i] < limit);
  },
};

/**
 * Why the window that ends at a depth does not hold: "" if it does. `at` is the depth (from 1) where it breaks.
 * @param {Signals} s
 * @param {number} depth
 * @param {Member} window
 * @returns {WindowBreak}
 */
export function findWindowBreak(s, depth, window) {
  if (depth < window.size) return { why: "filling", at: depth };
  const first = depth - window.size;
  const apart = f32(2 * window.margin);
  const lastLooked = window.rule === "trend" ? first + 1 : depth;
  for (let i = first; i < lastLooked; i++) if (!(s.gap[i] > apart)) return { why: "margin", at: i + 1 };
  for (let i = first + 1; i < depth; i++) if (s.same[i] !== 1) return { why: "answer", at: i + 1 };
  if (window.rule === "trend") {
    for (let i = first + 1; i < depth; i++) {
      if (!(s.confidence[i] >= s.confidence[i - 1])) return { why: "fall", at: i + 1 };
    }
  }
  if (window.rule === "stable") {
    const inside = s.confidence.subarray(first, depth);
    if (!(f32(Math.max(...inside) - Math.min(...inside)) <= f32(window.range))) return { why: "range", at: depth };
  }
  return { why: "", at: depth };
}

/**
 * The rules of a policy in order: the first that fires is the reason.
 * @param {Policy} policy
 * @returns {Rule[]}
 */
export function listRules(policy) {
  return policy.flatMap((member) => {
    if (member.name === "full") return [];
    if (member.name === "tempered") {
      return listRules(member.policy).map((rule) => ({
        ...rule,
        fires: (s, depth) => rule.fires(s.tempered(member.temperatures), depth),
        temperatures: [member.temperatures, ...(rule.temperatures ?? [])],
      }));
    }
    if (member.name !== "window") return [{ reason: member.name, fires: FIRES[member.name](member), member }];
    return [
      { reason: "entropy", fires: below("entropy", member.entropy), member },
      { reason: "window", fires: (s, depth) => !findWindowBreak(s, depth, member).why, member },
    ];
  });
}

/**
 * The exit {depth, reason} of a text with these signals; the last depth always answers.
 * @param {Signals} s
 * @param {Rule[]} ordered
 * @returns {Exit}
 */
export function findExit(s, ordered) {
  for (let depth = 1; depth < s.depths; depth++) {
    for (const rule of ordered) if (rule.fires(s, depth)) return { depth, reason: rule.reason };
  }
  return { depth: s.depths, reason: LAST_REASON };
}
