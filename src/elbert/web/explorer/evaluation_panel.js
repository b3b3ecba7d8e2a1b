/* The labelled texts: the policy's score and cost on them, other policies beside it, and which texts are hard. */

import { findLook, fixedDepth, listFamilies } from "../policy/families.js";
import { findFront, listHardTexts, prepareEvaluation, scorePolicy, sweepFamily } from "../policy/replays.js";
import { printPolicy } from "../policy/specs.js";
import { TABLE } from "../policy/table.js";
import { createBarChart, createCurveChart, createSpeedupMarks } from "../shared/charts.js";
import { byId, formatCount, formatFactor, formatPlural, h } from "../shared/dom.js";
import { mountHardTexts } from "./hard_texts.js";
import { LABELLED_FORMS } from "./labelled_forms.js";
import { mountSideBySide } from "./side_by_side.js";

/* table: the evaluation; points: operating points by name, as policies; pick(index) when a text is chosen. Returns
   {show(policy) → score, fronts, sweep(done), text(index), some() → indices}. */
export function mountEvaluation(table, points, pick) {
  const prepared = prepareEvaluation(table);
  const form = LABELLED_FORMS[table.answers];
  const fronts = [];
  const n = table.texts.length;
  let policy = null;
  let chart = null;
  let histogram = null;
  byId("evaluation").hidden = false;
  byId("curve-heading").textContent = `${form.score.name} against depth`;
  byId("evaluation-about").textContent =
    `${formatPlural(n, "text")}${table.of > n ? `, a random sample of ${formatCount(table.of)}` : ""}${
      table.name ? ` of ${table.name}` : ""
    }. Dials chosen on these texts look better here than on new texts.`;

  function score() {
    return scorePolicy(prepared, policy);
  }

  function tiles(found) {
    const apart = found.score - prepared.full;
    const cells = [
      [
        form.score.name,
        form.score.format(found.score),
        `${apart >= 0 ? "+" : "−"}${form.score.formatDifference(Math.abs(apart))} against full depth`,
      ],
      ["Mean depth", found.meanDepth.toFixed(2), `of ${prepared.depths}`],
      ["Layer speed-up", formatFactor(found.speedup), "fewer layers than full depth"],
      [
        "Changed answers",
        `${formatCount(found.harmed)} worse, ${formatCount(found.helped)} better`,
        "than the last depth's",
      ],
    ];
    byId("tiles").replaceChildren(
      ...cells.map(([name, value, more]) =>
        h(
          "div",
          { class: "tile" },
          h("dt", {}, name),
          h("dd", {}, h("strong", {}, value), h("span", { class: "muted" }, more)),
        ),
      ),
    );
  }

  const pointOf = (p) => ({ x: p.meanDepth, y: p.score, label: p.spec, value: p.spec });
  function series(found) {
    const fixed = prepared.fixed.map((score, m) => pointOf({ meanDepth: m + 1, score, spec: fixedDepth(m + 1) }));
    const here = {
      name: "this policy",
      kind: "points",
      color: "-fg",
      marker: "D",
      size: 7,
      points: [pointOf({ ...found, spec: printPolicy(policy) })],
    };
    return [
      ...fronts.map(({ family, points }) => ({
        name: family,
        kind: "step",
        ...findLook(family),
        strong: family === TABLE.roles.ours,
        points: points.map(pointOf),
      })),
      { name: "fixed depths", kind: "line", ...findLook(TABLE.roles.fixed_depth), points: fixed },
      here,
    ];
  }

  function draw(found) {
    if (!chart) {
      chart = createCurveChart(byId("curve"), {
        title: `${form.score.name} against mean depth`,
        describe: () =>
          `Policies over ${formatCount(n)} texts: ${form.score.name} against mean depth, one curve per family of policies. Full depth: ${form.score.format(prepared.full)}.`,
        x: { label: "Mean depth", low: 1, high: prepared.depths },
        y: form.score.axis,
        marks: createSpeedupMarks(prepared.depths),
        references: [{ y: prepared.full, label: "full depth" }],
        series: series(found),
        height: (width) => Math.round(Math.min(Math.max(width * 0.62, 280), 420)),
        pick: (spec) => byId("evaluation").dispatchEvent(new CustomEvent("use", { detail: spec })),
      });
      histogram = createBarChart(byId("histogram"), {
        title: "Exit depths",
        label: "Depth",
        height: 320,
        columns: prepared.fixed.map((_, m) => String(m + 1)),
        stacks: form.listStacks(found),
        describe: () => `How many of ${formatCount(n)} texts exit at each depth.`,
      });
      return;
    }
    chart.update(series(found));
    histogram.update(form.listStacks(found));
  }

  function show(next) {
    policy = next;
    const found = score();
    tiles(found);
    draw(found);
    hard.setPolicy(policy);
    sideBySide.show(policy, found);
    return found;
  }

  /* Rivals' curves, family by family, so that the page answers in between. */
  function sweep(done) {
    const waiting = Object.entries(listFamilies(prepared.depths));
    const next = () => {
      const [family, specs] = waiting.shift();
      const points = sweepFamily(prepared, specs);
      fronts.push({ family, points: findFront(points) });
      if (waiting.length) return setTimeout(next, 0);
      if (policy) draw(score());
      return done();
    };
    setTimeout(next, 30);
  }

  const hard = mountHardTexts(table, prepared, pick);
  const sideBySide = mountSideBySide(table, prepared, points, { differ: hard.setDifferent, open: hard.showDifferent });
  return {
    show,
    fronts,
    sweep,
    text: (i) => readText(table, i),
    some: () => listHardTexts(prepared, "late").slice(0, 4),
  };
}

/* steps: what the trace of the text has; undefined for tags, whose trace is requested. */
function readText(table, i) {
  const text = table.texts[i];
  const [first, second] = Array.isArray(text) ? text : [text, ""];
  return {
    text: first,
    pair: second,
    steps: table.probabilities?.[i],
    entropy: table.entropy?.[i],
    truth: LABELLED_FORMS[table.answers].nameTruth(table, i),
  };
}
