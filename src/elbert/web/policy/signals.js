/* The signals of one text over its depths, by the table's own scripts: the counterpart of elbert.exits.signals.

   Probabilities and signals are float32, which Python prints to JSON. Sums, logarithms and powers are float64, rounded
   once, as in Python, so both decide alike. */
import { SIGNALS } from "./table.js";

const f32 = Math.fround;
const TINY = 1e-38; // replaces 0 under a logarithm, where it is multiplied by 0
const entr = (p) => -p * Math.log(Math.max(p, TINY));
const sum = (values) => values.reduce((total, value) => total + value, 0);

/**
 * @param {number[]} options
 * @returns {number} the index of the first largest value
 */
export function findTopClass(options) {
  let best = 0;
  for (let i = 1; i < options.length; i++) if (options[i] > options[best]) best = i;
  return best;
}

const TOOLS = { f32, sum, entr, top: findTopClass };

/* The signal of a text without words, by the end at which it is least settled. */
const SETTLED = { max: 0, min: 1 };

/**
 * One question with all classes as options, for a text or for each of its words; one with the options no and yes per
 * label; one per output for values.
 * @param {any} step
 * @param {SignalOptions} options
 */
function toQuestions(step, { multiLabel, content, scale = 1, hasWords }) {
  if (hasWords) return step.map((word) => Array.from(word, f32));
  const numbers = Array.from(step, f32);
  if (content === "values") return numbers.map((value) => [f32(value / f32(scale))]);
  return multiLabel ? numbers.map((p) => [f32(1 - p), p]) : [numbers];
}

/**
 * The steps as if the logits of depth m were divided by temperatures[m - 1]; the last holds beyond.
 * @param {Step[]} steps
 * @param {number[]} temperatures
 * @param {SignalOptions} options
 */
function atTemperatures(steps, temperatures, { multiLabel }) {
  return steps.map((step, m) => {
    const power = 1 / f32(temperatures[Math.min(m, temperatures.length - 1)]);
    const changed = toQuestions(step, { multiLabel }).map((options) => {
      const raised = options.map((p) => p ** power);
      const total = Math.max(sum(raised), TINY);
      return raised.map((p) => f32(p / total));
    });
    return multiLabel ? changed.map((options) => options[1]) : changed[0];
  });
}

/**
 * The word with the highest entropy, from step[word][class]; null without words.
 * @param {Step[]} step
 * @returns {number | null}
 */
export function findLeastSettled(step) {
  const { script } = SIGNALS.get("entropy");
  const entropies = toQuestions(step, { hasWords: true }).map((options) => script(options, options, TOOLS));
  return entropies.length ? findTopClass(entropies) : null;
}

/**
 * The signals of one text, computed when they are first read: steps[depth][class or output], or steps[depth][word][class].
 * A row's signal is that of its least settled question. options.known: signals as Python computed them.
 * @param {any[]} steps
 * @param {SignalOptions} [options]
 * @returns {Signals}
 */
export function computeSignals(steps, options = {}) {
  const questions = steps.map((step) => toQuestions(step, options));
  const found = new Map(
    Object.entries(options.known ?? {})
      .filter(([, values]) => values)
      .map(([name, values]) => [name, Float32Array.from(values)]),
  );
  const others = new Map();

  function compute({ script, first, worst }) {
    const ofRow = worst === "max" ? Math.max : Math.min;
    return Float32Array.from(questions, (now, m) => {
      if (m === 0 && first !== null) return Number(first === "inf" ? Infinity : first);
      if (!now.length) return SETTLED[worst];
      const before = questions[m - 1] ?? now;
      return ofRow(...now.map((options, i) => script(options, before[i], TOOLS)));
    });
  }

  return {
    depths: steps.length,
    read(name) {
      let values = found.get(name);
      if (!values) {
        values = compute(SIGNALS.get(name));
        found.set(name, values);
      }
      return values;
    },
    tempered(temperatures) {
      const key = temperatures.join();
      if (!others.has(key)) {
        const changed = atTemperatures(steps, temperatures, options);
        others.set(key, computeSignals(changed, { multiLabel: options.multiLabel }));
      }
      return others.get(key);
    },
  };
}
