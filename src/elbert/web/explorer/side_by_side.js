/* Two policies, or two models, on the same labelled texts: A is the policy in use, B is chosen here. */

import { computeMcNemar, createSwapTest, SIGNIFICANT } from "../policy/chance.js";
import { prepareEvaluation, scorePolicy } from "../policy/replays.js";
import { findExit, listRules } from "../policy/rules.js";
import { checkPolicy, PolicyError, parsePolicy, printPolicy } from "../policy/specs.js";
import { TABLE } from "../policy/table.js";
import { TASK_SCORES } from "../policy/task_scores.js";
import {
  byId,
  createTable,
  debounce,
  formatDifference,
  formatFactor,
  formatPlural,
  h,
  keepWords,
} from "../shared/dom.js";
import { saveFile } from "../shared/downloads.js";
import { LABELLED_FORMS } from "./labelled_forms.js";

const OWN = "this model";

const SLICE = 12; // milliseconds of a test that the page computes at once

const describeChance = (name, p) =>
  `${name} gives p ${p < 0.001 ? "< 0.001" : `= ${p.toFixed(3)}`}, a difference that chance alone ${
    p < SIGNIFICANT ? "rarely makes" : "makes often: do not choose by it"
  }.`;

/* Another model's outputs for the texts of `table`; an error has one line for the reader. */
function readOutputs(content, table) {
  let other;
  try {
    other = JSON.parse(content);
  } catch {
    throw new Error("this is not JSON; choose a file that another explorer saved here");
  }
  const same = (name) => JSON.stringify(other?.[name]) === JSON.stringify(table[name]);
  if (!same("answers") || !same("labels"))
    throw new Error(`expected outputs with the labels ${table.labels.join(", ")}`);
  if (!same("texts") || !same("label")) throw new Error("expected outputs for the same texts, in the same order");
  const { isTrace } = TASK_SCORES[table.answers];
  if (!(other.depths > 0) || !table.texts.every((_, i) => isTrace(other, table, i)))
    throw new Error("a text lacks the answers of a depth");
  return other;
}

/* points: operating points of this model by name, as policies; differ(indices) when A and B answer texts differently;
   open() shows these texts. Returns {show(policy, score)}. */
export function mountSideBySide(table, prepared, points, { differ, open }) {
  const form = LABELLED_FORMS[table.answers];
  const choices = [...Object.keys(points), TABLE.roles.full];
  const spec = h("input", {
    id: "compare-spec",
    class: "field spec",
    list: "compare-choices",
    spellcheck: "false",
    autocomplete: "off",
    maxlength: 500,
    placeholder: choices.join(", "),
    "aria-describedby": "compare-error",
  });
  const error = h("p", { id: "compare-error", class: "error", role: "status" });
  const result = byId("compare-result");
  const file = h("input", { id: "compare-file", type: "file", accept: ".json,application/json", class: "field" });
  let other = { name: OWN, prepared };
  let a = null; // {policy, score}

  byId("compare-form").replaceChildren(
    h("div", { class: "dial wide" }, h("label", { for: "compare-spec" }, "Policy of B"), spec, error),
    h(
      "datalist",
      { id: "compare-choices" },
      choices.map((name) => h("option", { value: name })),
    ),
    h("div", { class: "row" }, button("Take A's policy as B", pin)),
    h(
      "details",
      {},
      h("summary", {}, "Another model as B"),
      h(
        "p",
        { class: "muted hint" },
        keepWords(
          "Explore the other model with the same --data, save its outputs with this button, and choose that file here.",
        ),
      ),
      h(
        "div",
        { class: "row" },
        button("Save this model's outputs", () => saveFile("outputs.json", "application/json", JSON.stringify(table))),
        button("B is this model again", () => use({ name: OWN, prepared })),
      ),
      h("label", { for: "compare-file" }, "Outputs of the other model"),
      file,
    ),
  );
  spec.addEventListener("input", debounce(80, update));
  file.addEventListener("change", load);

  function button(name, onclick) {
    return h("button", { type: "button", class: "button small", onclick }, name);
  }

  function pin() {
    spec.value = printPolicy(a.policy);
    update();
  }

  async function load() {
    const [chosen] = file.files;
    if (!chosen) return;
    try {
      use({ name: chosen.name, prepared: prepareEvaluation(readOutputs(await chosen.text(), table)) });
    } catch (problem) {
      error.textContent = `${chosen.name}: ${problem.message}`;
    }
  }

  function use(next) {
    other = next;
    if (next.name === OWN) file.value = "";
    if (!spec.value.trim()) spec.value = printPolicy(a.policy);
    update();
  }

  function update() {
    error.textContent = "";
    const text = spec.value.trim();
    let policy = null;
    try {
      if (text) policy = checkPolicy(parsePolicy(text, points), other.prepared.depths);
    } catch (problem) {
      if (!(problem instanceof PolicyError)) throw problem;
      error.textContent = problem.message;
    }
    if (policy) write(policy);
    else {
      result.replaceChildren();
      differ([]);
    }
  }

  function write(policy) {
    const b = { policy, score: scorePolicy(other.prepared, policy) };
    const [ofA, ofB] = [run(prepared, a.policy), run(other.prepared, policy)];
    const indices = [...ofA.keys()].filter((i) => !prepared.areSame(ofA[i].answer, ofB[i].answer));
    const alone = [ofA, ofB].map((one, k) => indices.filter((i) => one[i].right && ![ofB, ofA][k][i].right).length);
    const [sa, sb] = [a.score, b.score];
    const rows = [
      [
        form.score.name,
        form.score.format(sa.score),
        form.score.format(sb.score),
        formatDifference(sb.score - sa.score, form.score.formatDifference),
      ],
      [
        "Mean depth",
        sa.meanDepth.toFixed(2),
        sb.meanDepth.toFixed(2),
        formatDifference(sb.meanDepth - sa.meanDepth, (value) => value.toFixed(2)),
      ],
      [
        "Layer speed-up",
        formatFactor(sa.speedup),
        formatFactor(sb.speedup),
        formatDifference(sb.speedup - sa.speedup, (value) => `${value.toFixed(2)}×`),
      ],
    ];
    if (form.isGraded)
      rows.push([
        "Alone right on",
        ...alone.map((n) => formatPlural(n, "text")),
        formatDifference(alone[1] - alone[0], String),
      ]);
    const describe = (letter, one, model) =>
      h("li", {}, h("strong", {}, letter), " ", h("span", { class: "spec" }, printPolicy(one.policy)), model);
    const ofModel = other.name === OWN ? "" : ` of ${other.name}`;
    const chance = h("span", {});
    result.replaceChildren(
      h("ul", { class: "plain" }, describe("A", a, ""), describe("B", b, ofModel)),
      h(
        "div",
        { class: "scroll", tabindex: 0, role: "region", "aria-label": "A and B" },
        createTable(
          null,
          ["", "A", "B", "B − A"].map((name, k) => ({ head: name, number: k > 0, cell: (row) => row[k] })),
          rows,
        ),
      ),
      h(
        "p",
        { class: "hint" },
        indices.length
          ? `They answer ${formatPlural(indices.length, "text")} of ${table.texts.length} differently. `
          : "They give the same answer to every text.",
        chance,
      ),
      indices.length ? button("Show these texts", open) : "",
    );
    differ(indices);
    if (indices.length) test(ofA, ofB, alone, chance);
  }

  /* Writes whether chance explains the difference, once that is known. */
  function test(ofA, ofB, alone, chance) {
    const { score, isShareOfTexts } = form;
    if (isShareOfTexts) {
      chance.textContent = `${score.name}: ${describeChance("McNemar's exact test", computeMcNemar(alone[0], alone[1]))}`;
      return;
    }
    const [ours, theirs] = [ofA, ofB].map((texts) => texts.map((text) => text.parts));
    const swaps = createSwapTest(prepared.score, ours, theirs);
    chance.textContent = `${score.name}: a test runs …`;
    (function proceed() {
      if (!chance.isConnected) return; // another policy is compared
      const end = performance.now() + SLICE;
      let isOpen = true;
      while (isOpen && performance.now() < end) isOpen = swaps.draw();
      if (isOpen) setTimeout(proceed);
      else chance.textContent = `${score.name}: ${describeChance("a randomization test", swaps.p())}`;
    })();
  }

  /* The exit of every text: whether it is right, its answer, and its part of the score. */
  function run(evaluation, policy) {
    const rules = listRules(policy);
    return evaluation.texts.map(({ signals, answers, right, parts }) => {
      const at = findExit(signals, rules).depth - 1;
      return { right: right?.[at], answer: answers[at], parts: parts[at] };
    });
  }

  return {
    show(policy, score) {
      a = { policy, score };
      if (spec.value.trim()) update();
    },
  };
}
