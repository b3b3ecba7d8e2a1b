/* The exits of other policies on the same text. */

import { findAnswer } from "../policy/descriptions.js";
import { findExit, listRules } from "../policy/policies.js";
import { findPointAtCost } from "../policy/replays.js";
import { parsePolicy, printPolicy } from "../policy/specs.js";
import { byId, createTable, h } from "../shared/dom.js";

/* Policies with common dials, for when no labelled texts are loaded. */
export const listCommonRivals = (depths) => [
  "entropy(0.1)",
  "confidence(0.9)",
  "gap(0.8)",
  "patience(3)",
  "patient_confidence(2, 0.3)",
  "divergence(2, 0.01)",
  `depth(${Math.max(1, Math.round(depths / 3))})`,
  "full",
];

/* Rivals that cost about as much as the policy on the loaded texts: of each family the best that costs no more. */
export function matchRivals(score, fronts, depths) {
  const specs = fronts
    .filter(({ family }) => family !== "window")
    .map(({ points }) => findPointAtCost(points, score.meanDepth).spec);
  return [...specs, `depth(${Math.max(1, Math.floor(score.meanDepth))})`, "full"].filter(
    (spec, i, all) => all.indexOf(spec) === i && depths,
  );
}

export function mountRivals(use) {
  return function show(view, specs, how) {
    byId("rivals").hidden = false;
    byId("rivals-how").textContent = how;
    const rows = [
      { spec: printPolicy(view.policy), exit: view.exit, ours: true },
      ...specs.map((spec) => ({ spec, exit: findExit(view.signals, listRules(parsePolicy(spec))) })),
    ];
    const depths = view.steps.length;
    const answer = (row) => findAnswer(view.steps[row.exit.depth - 1], view.labels, view.multiLabel);
    const bar = ({ exit, ours }) => {
      const filled = h("span", { class: ours ? "fill ours" : "fill" });
      filled.style.width = `${(100 * exit.depth) / depths}%`;
      return h("span", { class: "bar-track", "aria-hidden": "true" }, filled);
    };
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset?.spec;
    byId("rivals-table").replaceChildren(
      createTable(
        null,
        [
          {
            head: "Policy",
            cell: (row) =>
              row.ours
                ? h("strong", { class: "spec" }, row.spec)
                : h(
                    "button",
                    {
                      type: "button",
                      class: "as-link spec",
                      "data-spec": row.spec,
                      title: "Use this policy",
                      onclick: () => use(row.spec),
                    },
                    row.spec,
                  ),
          },
          {
            head: "Depth",
            cell: (row) => h("span", { class: "depth-cell" }, bar(row), h("span", {}, `${row.exit.depth}`)),
          },
          {
            head: "Answer",
            cell: (row) =>
              h("span", { class: answer(row).index === answer(rows[0]).index ? null : "differs" }, answer(row).name),
          },
          { head: "Reason", cell: (row) => row.exit.reason },
        ],
        rows,
      ),
    );
    if (focused)
      byId("rivals-table")
        .querySelector(`[data-spec="${CSS.escape(focused)}"]`)
        ?.focus();
  };
}
