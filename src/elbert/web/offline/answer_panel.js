/* The answer of a text on the page: what it is, where and why it exits, how long it took, and its scores. */

import { FORMS } from "../explorer/answer_forms.js";
import { formatShare } from "../policy/answers.js";
import { fires, listRules } from "../policy/rules.js";
import { describeReason } from "../policy/sentences.js";
import { byId, debounce, formatFactor, formatPlural, h } from "../shared/dom.js";
import { assignColors } from "../shared/label_colors.js";
import { colorTypes } from "../shared/tag_table.js";
import { applyDials } from "./dial_inputs.js";

const MOST_LABELS = 10;

const milliseconds = (value) =>
  value < 10 ? `${value.toFixed(1)} ms` : value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;

/**
 * What charts and tables show: the known depths of a text, and its exit.
 * @param {any} about
 * @param {any} answer
 * @param {any[]} steps
 * @param {Signals} [signals]
 * @returns {View}
 */
function createView(about, { depth, reason, dials }, steps, signals) {
  const form = FORMS[about.answers];
  const known = signals ?? form.readSignals({ steps }, about);
  const policy = applyDials(about.policy, dials);
  const rules = listRules(policy);
  const ofReason = rules.map((one, i) => (one.reason === reason ? i : -1)).filter((i) => i >= 0);
  // The file rounds otherwise in the last bit than this page, so that here the rule may just miss its threshold.
  const rule = ofReason.find((i) => fires(rules[i], known, depth)) ?? ofReason[0] ?? -1;
  const { unit, labels, multi_label: multiLabel } = about;
  return { form, unit, labels, multiLabel, steps, signals: known, policy, rules, exit: { depth, reason, rule } };
}

// ---------------------------------------------------------------- answers

/* Every label, the likeliest first; of many, the first ten. */
function listLabels({ step }, view) {
  const color = assignColors(view);
  const order = [...step.keys()].sort((a, b) => step[b] - step[a]).slice(0, MOST_LABELS);
  return order.map((c) => ({ name: view.labels[c], share: step[c], color: color(c) }));
}

/* The entities in the order of the text. */
function listEntities({ entities }, view) {
  const { color } = colorTypes(view);
  return entities.map(({ label, score, start, end, word }) => ({
    name: word,
    label,
    share: score,
    color: color(`I-${label}`),
    title: `${label} ${score.toFixed(4)}, characters ${start} to ${end}`,
  }));
}

const nameEntities = ({ entities }) => ({
  name: entities.length ? formatPlural(entities.length, "entity", "entities") : "no entity",
  score: "",
  kind: "c-fg",
});

/* The rows below an answer, and their name, by Task.answer_kind. */
const LISTS = {
  class: { name: "Every label", list: listLabels },
  labels: { name: "Every label", list: listLabels },
  value: { name: "", list: () => [] },
  tags: { name: "Entities", list: listEntities },
};

const createRow = ({ name, label, share, color, title }) => {
  const fill = h("span", { class: "fill" });
  fill.style.setProperty("width", `${100 * share}%`);
  return h(
    "li",
    { class: `c${color}`, title },
    h("span", { class: "name c-fg" }, name, label && [" ", h("span", { class: `tag c${color}` }, label)]),
    h("span", { class: "bar-track", "aria-hidden": "true" }, fill),
    h("span", { class: "number c-fg" }, formatShare(share)),
  );
};

/* One cell for each depth: run, or saved. A file without a trace has no answers of single depths: the cells have the
   colour of the exit. */
function createCells(view, depths) {
  const { form, steps, exit } = view;
  const last = { ...view, exit: { ...exit, depth: steps.length } };
  const findKind = (one, depth) => (form.hasWords ? `c${form.colorCell(one, depth)}` : form.answer(one, depth).kind);
  return Array.from({ length: depths }, (_, m) => {
    const depth = m + 1;
    if (depth > exit.depth) return h("span", { title: `depth ${depth}: saved` });
    const end = depth === exit.depth ? " exit" : "";
    if (view.first)
      return h("span", { title: `depth ${depth}: run`, class: `ran ${findKind(last, steps.length)}${end}` });
    const unsure = form.isUnsure(view, depth) ? " unsure" : "";
    const about = form.hasWords ? compareTags(view, depth) : form.describe(view, depth);
    return h("span", { title: `depth ${depth}: ${about}`, class: `ran ${findKind(view, depth)}${unsure}${end}` });
  });
}

/* What the colour of a cell means where words are tagged. */
function compareTags(view, depth) {
  const { name, differs } = view.form.rival(view, depth);
  return `${name}${differs ? " from those of" : " as at"} the exit`;
}

// ---------------------------------------------------------------- the panel

/**
 * The panel of answers; isWatched: a text can run to the last depth, beside its own exit.
 * @param {any} about
 * @param {boolean} isWatched
 */
export function mountAnswerPanel(about, isWatched) {
  const { name: listName, list } = LISTS[about.answers];
  const announce = debounce(700, (text) => {
    byId("announcement").textContent = text;
  });
  byId("scores").setAttribute("aria-label", listName);
  byId("scores").hidden = !listName;
  byId("scores").classList.toggle("entities", FORMS[about.answers].hasWords);
  byId("full-tile").hidden = !isWatched;

  function showTimes(answer, every) {
    const took = every?.dials === answer.dials ? every.own : answer.milliseconds;
    const saved = about.depths - answer.depth;
    byId("took").textContent = milliseconds(took);
    byId("took-more").textContent =
      `${formatPlural(answer.tokens, "token")}, ${saved ? `${formatPlural(saved, "depth")} saved` : "nothing saved"}`;
    if (!every) return;
    byId("full-name").textContent =
      every.depth < about.depths ? `Depths 1 to ${every.depth} take` : "Every depth takes";
    byId("full").textContent = milliseconds(every.milliseconds);
    byId("full-more").textContent = `${formatFactor(every.milliseconds / took)} as long, here and now`;
  }

  /* Show an answer under the policy that is now in the dials; every: all depths of its text, once they are known. */
  function show(answer, every) {
    const steps = every?.steps ?? (answer.steps.length ? answer.steps : [answer.step]);
    const view = createView(about, answer, steps, every?.signals);
    if (steps.length < answer.depth) view.first = answer.depth;
    const at = Math.min(answer.depth, steps.length);
    const { name, score, kind } = answer.entities ? nameEntities(answer) : view.form.answer(view, at);
    byId("answer").textContent = name;
    byId("answer").className = kind;
    byId("answer-score").textContent = score;
    byId("where").textContent = `Exit at depth ${answer.depth} of ${about.depths}`;
    const run = createView(about, answer, answer.steps);
    byId("why").textContent = describeReason(run.rules, run.signals, run.exit);
    showTimes(answer, every);
    byId("beside").textContent = answer.truncated ? `Only the first ${answer.tokens} tokens were read.` : "";
    byId("track").setAttribute("aria-label", `${formatPlural(answer.depth, "depth")} run of ${about.depths}`);
    byId("track").replaceChildren(...createCells(view, about.depths));
    const rows = list(answer, view);
    byId("scores").replaceChildren(...rows.map(createRow));
    byId("result").hidden = false;
    byId("result").setAttribute("aria-busy", "false");
    const found = answer.entities ? `: ${rows.map((row) => `${row.name} ${row.label}`).join(", ")}` : ` ${score}`;
    announce(
      `${name}${found}, ${byId("where").textContent}, ${byId("why").textContent}. ${byId("beside").textContent}`,
    );
    return view;
  }

  return { show };
}
