"use strict";
/* Where other policies would have let the same text go. */
const Rivals = (() => {
  const { by, h } = Dom;

  /* Rivals with usual dials, where nothing is known of what they cost. */
  const usual = (depths) => [
    "entropy(0.1)", "confidence(0.9)", "gap(0.8)", "patience(3)", "patient_confidence(2, 0.3)", "divergence(2, 0.01)",
    `depth(${Math.max(1, Math.round(depths / 3))})`, "full",
  ];

  /* Rivals that cost about as much as the policy on the loaded texts: of each family the best that costs no more. */
  function matched(score, fronts, depths) {
    const specs = fronts.filter(({ family }) => family !== "window")
      .map(({ points }) => Replays.atCost(points, score.meanDepth).spec);
    return [...specs, `depth(${Math.max(1, Math.floor(score.meanDepth))})`, "full"].filter((spec, i, all) => all.indexOf(spec) === i && depths);
  }

  function mount(use) {
    return function show(view, specs, how) {
      by("rivals").hidden = false;
      by("rivals-how").textContent = how;
      const rows = [{ spec: Specs.print(view.policy), exit: view.exit, ours: true },
        ...specs.map((spec) => ({ spec, exit: Policies.leave(view.signals, Policies.rules(Specs.parse(spec))) }))];
      const depths = view.steps.length;
      const answer = (row) => Words.answer(view.steps[row.exit.depth - 1], view.labels, view.multiLabel);
      const bar = ({ exit, ours }) => {
        const filled = h("span", { class: ours ? "fill ours" : "fill" });
        filled.style.width = `${(100 * exit.depth) / depths}%`;
        return h("span", { class: "bar-track", "aria-hidden": "true" }, filled);
      };
      const focused = document.activeElement?.dataset?.spec;
      by("rivals-table").replaceChildren(Dom.table(null, [
        { head: "Policy", cell: (row) => (row.ours ? h("strong", { class: "spec" }, row.spec)
          : h("button", { type: "button", class: "as-link spec", "data-spec": row.spec, title: "Use this policy", onclick: () => use(row.spec) }, row.spec)) },
        { head: "Depth", cell: (row) => h("span", { class: "depth-cell" }, bar(row), h("span", {}, `${row.exit.depth}`)) },
        { head: "Answer", cell: (row) => h("span", { class: answer(row).index === answer(rows[0]).index ? null : "differs" }, answer(row).name) },
        { head: "Reason", cell: (row) => row.exit.reason },
      ], rows));
      if (focused) by("rivals-table").querySelector(`[data-spec="${CSS.escape(focused)}"]`)?.focus();
    };
  }

  return { mount, usual, matched };
})();
