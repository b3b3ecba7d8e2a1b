"use strict";
/* The report of elbert compare, from the data in the page. */
(() => {
  const { by, h, percent, count, plural } = Dom;
  const data = Dom.data();
  const DEFAULT = ["window", "entropy", "patience", "divergence", "patient_confidence", "entropy | patience"];
  const MOST_SHOWN = 6; // lines at first; the legend brings the others

  document.title = data.title;
  by("title").textContent = data.title;
  by("about").textContent = `${data.model}, ${plural(data.n, "text")} of ${data.data}, ${plural(data.depths, "depth")}`;
  by("summary").replaceChildren(...summary());
  chart();

  by("speed-about").textContent =
    `Accuracy in %, ${plural(data.n, "text")}. The dials were chosen on these very texts, the best of many: these figures are optimistic. ★ marks the best in a column.`;
  Tables.speed(by("speed"), data);

  by("honest-section").hidden = !data.honest?.rows?.length;
  if (!by("honest-section").hidden) {
    by("honest-about").textContent = `Dials were chosen on ${plural(data.honest.choose_n, "text")}, for each speed-up the most accurate of about that cost, and everything below was measured on ${
      count(data.honest.report_n)} others. Each rival is paired with the window over the same texts.`;
    Tables.honest(by("honest"), data);
  }
  Tables.fixed(by("fixed"), data);
  Tables.oracles(by("oracles"), data);
  Tables.families(by("families"), data);
  by("overthinking").textContent = `Overthinking: ${percent(data.overthinking)} % of the texts are right at some earlier depth and wrong at the last.`;

  by("exits-section").hidden = !data.exits?.histogram?.length;
  if (!by("exits-section").hidden) {
    by("exits-policy").replaceChildren(h("code", {}, data.exits.policy));
    Charts.bars(by("exits"), {
      title: "Exit depths", label: "Depth", height: 200, columns: data.exits.histogram.map((_, m) => String(m + 1)),
      stacks: [{ name: "texts", color: 1, values: data.exits.histogram }],
      describe: () => `How many of ${count(data.n)} texts leave at each depth under ${data.exits.policy}.`,
    });
  }
  by("notes-section").hidden = !data.notes?.length;
  by("notes").replaceChildren(...(data.notes ?? []).map((note) => h("li", {}, note)));
  by("command").textContent = data.command;
  by("made").textContent = `Made ${data.made} by elbert ${data.version}.`;

  /* One sentence or two: what full depth gives, and what the families give at twice and more of its speed. */
  function summary() {
    const strong = (text) => h("strong", {}, text);
    const told = ["At full depth ", strong(`${percent(data.full)} %`), ` of ${count(data.n)} texts are right. `];
    const honest = data.honest?.rows?.find((row) => row.window && row.tests.length);
    const at = data.speedups.findIndex((times) => times >= 2);
    const column = at < 0 ? [] : data.at_speedup.filter((row) => row.values[at]).map((row) => ({ family: row.family, ...row.values[at] }));
    if (column.length) {
      const best = column.reduce((a, b) => (b.accuracy > a.accuracy ? b : a));
      const fixed = data.fixed[Math.max(Math.floor(data.depths / data.speedups[at]), 1) - 1];
      const apart = 100 * (best.accuracy - data.full);
      told.push(`At a layer speed-up of ${data.speedups[at]}× the best policy tried on them (${best.family}) gives `, strong(`${percent(best.accuracy)} %`),
        ` (${apart >= 0 ? "+" : "−"}${Math.abs(apart).toFixed(1)} points)`,
        fixed ? `, and stopping every text at depth ${fixed.depth} gives ${percent(fixed.accuracy)} %. ` : ". ");
    }
    if (honest) {
      const all = data.honest.rows.flatMap((row) => row.tests);
      const of = (verdict) => all.filter((test) => test.verdict === verdict).length;
      told.push(`On texts that chose nothing, the window is better than a rival in ${of("better")} of ${all.length} comparisons and worse in ${of("worse")}; in the others no difference was found.`);
    }
    return told;
  }

  function chart() {
    const inOrder = [...data.families].sort((a, b) => rank(a.name) - rank(b.name) || b.area - a.area);
    const shown = new Set(inOrder.slice(0, MOST_SHOWN).map((one) => one.name));
    const families = inOrder.filter((one) => one.name !== "depth").map((one) => ({
      name: one.name, kind: "step", ...Charts.look(one.name), strong: one.name === "window", shown: shown.has(one.name), size: 2.2,
      cloud: one.name === "window" ? one.points : [],
      points: one.front.map((p) => ({ x: p.mean_depth, y: p.accuracy, told: p.policy })),
    }));
    const fixed = { name: "fixed depths", kind: "line", ...Charts.look("depth"), size: 3.5,
      points: data.fixed.map((row) => ({ x: row.depth, y: row.accuracy, told: `depth(${row.depth})` })) };
    const oracles = { name: "oracles", kind: "points", color: "-fg", shape: "diamond", open: true, shown: false,
      points: data.oracles.map((row) => ({ x: row.mean_depth, y: row.accuracy, told: row.name })) };
    Charts.curves(by("curve"), {
      title: "Accuracy against mean depth",
      describe: () => `One curve per family of policies over ${count(data.n)} texts; full depth gives ${percent(data.full)} percent.`,
      x: { label: "Mean depth", low: 1, high: data.depths },
      y: { label: "Accuracy, %", told: (value) => percent(value) },
      marks: Charts.speedupMarks(data.depths, data.speedups),
      references: [{ y: data.full, label: "full depth" }],
      series: [...families, fixed, oracles],
      height: (width) => Math.round(Math.min(Math.max(width * 0.46, 290), 480)),
    });
  }

  function rank(name) {
    const place = DEFAULT.indexOf(name);
    return place < 0 ? DEFAULT.length : place;
  }
})();
