/* The end of the report: one policy to try next, and the command that measures and certifies it on other texts. */

import { TABLE } from "../policy/table.js";
import { createCopyButton } from "../shared/clipboard.js";
import { formatFactor, formatPercent, formatPlural, h } from "../shared/dom.js";

const MOST_LOST = 0.01; // of the score: one point
const RISK = 0.02;
const NEW_DATA = "NEW.csv"; // no name that a file of this comparison can have by chance
const fixedName = TABLE.roles.fixed_depth;
const shellQuote = (text) => (/^[\w./:@-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/* The model as options of a command: where it was read, and where a point of the bundled model is stored. */
function writeModel({ model_path: path, model }) {
  if (path) return `--model ${shellQuote(path)}`;
  const isBundled = path === null && model !== "saved outputs";
  return isBundled ? "--output my-model" : "--model MODEL";
}

/**
 * The command that measures a policy on texts that were not used to choose it, and stores it as an operating point.
 * @param {any} data
 * @param {string} score
 * @param {string} policy
 */
export function writeCommand(data, score, policy) {
  const goal = score === "accuracy" ? `--risk ${RISK}` : `--max-drop ${100 * MOST_LOST}`;
  const columns = (data.column_flags ?? []).map((part) => ` ${shellQuote(part)}`).join("");
  return `elbert calibrate ${writeModel(data)} --data ${NEW_DATA}${columns} --policies ${shellQuote(policy)} ${goal} --name chosen --default`;
}

/* What there is at each speed-up, a fixed depth first, and full depth's score on the same texts: on texts that did not
   choose the dials where there are some. */
function listChoices(data, score) {
  const fixedFirst = (entries) => [...entries.filter(({ family }) => family === fixedName), ...entries];
  if (data.honest?.rows?.length) {
    const rows = data.honest.rows.map((row) => fixedFirst([row.window, ...row.entries].filter(Boolean)));
    return { rows, full: data.honest.full ?? data.full };
  }
  const rows = data.speedups.map((_, k) => {
    const entries = data.at_speedup.map((row) => ({ family: row.family, ...row.values[k] }));
    return fixedFirst(entries.filter((entry) => entry.policy && Number.isFinite(entry[score])));
  });
  return { rows, full: data.full };
}

/* Of the best at each speed-up, of equals the first, the fastest that loses at most a point; null if none does. */
function choosePolicy(rows, full, score, depths) {
  const best = rows
    .filter((entries) => entries.length)
    .map((entries) => entries.reduce((found, entry) => (entry[score] > found[score] ? entry : found)));
  const kept = best.filter((entry) => entry[score] >= full - MOST_LOST && entry.mean_depth < depths);
  return kept.length ? kept.reduce((a, b) => (b.mean_depth < a.mean_depth ? b : a)) : null;
}

/* The command in a box, with a button that copies it. */
export function showCommand(command) {
  return [h("pre", {}, h("code", {}, command)), createCopyButton("Copy the command", () => command)];
}

/**
 * @param {HTMLElement} holder
 * @param {any} data
 * @param {string} score the name of the task's score
 */
export function showRecommendation(holder, data, score) {
  const { rows, full } = listChoices(data, score);
  const chosen = choosePolicy(rows, full, score, data.depths);
  const isHeldOut = Boolean(data.honest?.rows?.length);
  if (!chosen) {
    holder.replaceChildren(
      h(
        "p",
        {},
        `Keep `,
        h("code", {}, TABLE.roles.full),
        `: no policy at a layer speed-up of ${data.speedups[0]}× or more stays within one point of full depth. The depths of this model do not answer well enough before the last. Train it so that every depth does:`,
      ),
      ...showCommand(
        `elbert train ${data.model_path ? `--model ${shellQuote(data.model_path)} ` : ""}--train train.csv --validation validation.csv --output my-model`,
      ),
    );
    return;
  }
  const lost = 100 * (full - chosen[score]);
  const against =
    Math.abs(lost) < 0.05
      ? "as full depth"
      : `${Math.abs(lost).toFixed(1)} points ${lost > 0 ? "below" : "above"} full depth`;
  holder.replaceChildren(
    h(
      "p",
      {},
      "Try ",
      h("code", {}, chosen.policy),
      `: ${score} ${formatPercent(chosen[score])} %, ${against}, at a layer speed-up of ${formatFactor(data.depths / chosen.mean_depth)}. It is the fastest that loses at most one point here, `,
      isHeldOut
        ? `measured on ${formatPlural(data.honest.report_n, "text")} that did not choose its dials.`
        : "but its dials were chosen on the same texts, so expect less.",
    ),
    h(
      "p",
      { class: "muted" },
      `This figure is no promise. The command below measures the policy on labelled texts that neither training nor this report has used (in place of ${NEW_DATA}), `,
      score === "accuracy"
        ? `certifies that at most ${100 * RISK} % of such texts are answered wrong by it and right by full depth, and stores it as the model's default operating point. It refuses if the texts do not show that.`
        : "and stores it as the model's default operating point.",
    ),
    ...showCommand(writeCommand(data, score, chosen.policy)),
  );
}
