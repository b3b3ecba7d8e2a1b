/* The exits of other policies on the same text. */

import { fixedDepth } from "../policy/families.js";
import { listMembers } from "../policy/members.js";
import { findPointAtCost } from "../policy/replays.js";
import { findExit, listRules } from "../policy/rules.js";
import { parsePolicy, printPolicy } from "../policy/specs.js";
import { TABLE } from "../policy/table.js";
import { byId, createTable, h } from "../shared/dom.js";

/* Rivals that cost about as much as the policy on the loaded texts: of each family that the policy is not of, the best
   that costs no more. */
export function matchRivals(policy, score, fronts) {
  const own = listMembers(policy).map(({ member }) => member.name);
  const specs = fronts
    .filter(({ family, points }) => points.length && !own.includes(family))
    .map(({ points }) => findPointAtCost(points, score.meanDepth).spec);
  return [...specs, fixedDepth(Math.max(1, Math.floor(score.meanDepth))), TABLE.roles.full];
}

export function mountRivals(use) {
  return function show(view, specs, how) {
    byId("rivals").hidden = false;
    byId("rivals-how").textContent = how;
    const chosen = printPolicy(view.policy);
    const rows = [
      { spec: chosen, exit: view.exit, ours: true },
      ...specs
        .filter((spec) => spec !== chosen)
        .map((spec) => ({ spec, exit: findExit(view.signals, listRules(parsePolicy(spec))) })),
    ];
    const depths = view.steps.length;
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
            cell: ({ exit }) => {
              const { name, differs } = view.form.rival(view, exit.depth);
              return h("span", { class: differs && "differs" }, name);
            },
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
