/* Dials, operating points and the spec field: three views of one policy. Every policy of the table has its dials here. */

import { listExamples } from "../policy/families.js";
import { listDials, listMembers, setDials, startPolicy } from "../policy/members.js";
import { checkPolicy, PolicyError, parsePolicy, printPolicy } from "../policy/specs.js";
import { POLICIES, TABLE } from "../policy/table.js";
import { createChoiceRow, createNumberRow } from "../shared/dial_rows.js";
import { byId, formatCount, formatPercent, h } from "../shared/dom.js";

const SEVERAL = "several";
const LOSSES = {
  "harmful-flip": "are answered wrong by it and right by the last depth",
  inconsistency: "get another answer from it than from the last depth",
};

/* The policy that the page opens with: the model's own; if that is full depth, one that exits, so that there is
   something to see. */
export function chooseStart(about) {
  const { full, ours } = TABLE.roles;
  const isEarly = (spec) => spec !== full;
  const points = Object.values(about.points).map((point) => point.policy);
  const example = parsePolicy(listExamples(about.depths).find((spec) => parsePolicy(spec)[0].name === ours) ?? full);
  const sizes = listDials(example).filter(({ dial }) => dial.type === "int");
  const fitted = setDials(
    example,
    Object.fromEntries(sizes.map(({ id, value }) => [id, Math.min(Number(value), about.depths)])),
  );
  return [about.default, ...points].find(isEarly) ?? printPolicy(fitted);
}

/* What is known of an operating point, in words. */
function describePoint(point) {
  if (point.mismatch) return `Note: ${point.mismatch}.`;
  const [accuracy, full] = ["accuracy", "accuracy_full"].map((name) => find(point.measured, name));
  const measured = accuracy
    ? `Measured: accuracy ${formatPercent(accuracy)} %${full ? `, ${formatPercent(full)} % at full depth` : ""}. `
    : "";
  if (!point.certificate) return `${measured}Not certified: nothing is promised for new texts.`;
  const { risk, error, n, loss, tolerance } = point.certificate;
  const lost =
    typeof tolerance === "number"
      ? `get a value that is more than ${tolerance} from that of the last depth`
      : (LOSSES[loss] ?? `have a loss (${loss})`);
  const share = Number((100 * risk).toPrecision(3));
  const confidence = Number((100 * (1 - error)).toPrecision(4));
  return `${measured}Certified: with ${confidence} % confidence, at most ${share} % of texts like the ${formatCount(n)} of its calibration ${lost}. It promises nothing for a single text, or for texts of another kind.`;
}

/* changed(policy) is called for every change that reads as a policy. */
export function mountPolicyForm(about, changed) {
  const points = Object.fromEntries(
    Object.entries(about.points).map(([name, point]) => [name, parsePolicy(point.policy)]),
  );
  const { full } = TABLE.roles;
  let policy = null;
  let rows = new Map(); // by the id of the dial
  let shape = null; // the names of the members that the rows belong to

  const buttons = Object.entries({ ...points, [full]: parsePolicy(full) }).map(([name, one]) => {
    const measured = find(about.points[name]?.measured, "layer_speedup");
    const mismatch = about.points[name]?.mismatch;
    const button = h(
      "button",
      {
        type: "button",
        class: "button small",
        title: `${printPolicy(one)}. ${about.points[name] ? describePoint(about.points[name]) : ""}`,
        onclick: () => set(one),
      },
      name,
      measured && !mismatch ? h("span", { class: "muted" }, ` ${measured.toFixed(1)}×`) : null,
      about.points[name]?.certificate && !mismatch ? h("span", { class: "certified" }, " certified") : null,
      mismatch ? h("span", { class: "muted" }, " not for this page") : null,
    );
    return { button, spec: printPolicy(one) };
  });
  byId("points").replaceChildren(...buttons.map(({ button }) => button));

  byId("kind").replaceChildren(
    ...[...POLICIES.keys()].map((name) => h("option", { value: name }, name)),
    h("option", { value: SEVERAL, hidden: true }, "several, as below"),
  );
  byId("kind").addEventListener("change", (event) => set(startPolicy(POLICIES.get(event.target.value), about.depths)));
  byId("spec").addEventListener("input", () => readSpec(byId("spec").value));
  byId("spec").addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault(); // a spec is one line, shown on as many as it needs
  });
  const examples = listExamples(about.depths).map((spec) => parsePolicy(spec));
  const other = examples.find((one) => one[0].name !== examples[0][0].name);
  byId("spec-help").textContent =
    `Any policy, or several with | between them: a text exits when one of them lets it, for example ${printPolicy([...examples[0], ...other])}.`;

  function setDial(id, value) {
    set(setDials(policy, { [id]: value }), document.activeElement);
  }

  function readSpec(spec) {
    try {
      const found = checkPolicy(parsePolicy(spec, points), about.depths);
      showError("");
      set(found, byId("spec"));
    } catch (error) {
      if (!(error instanceof PolicyError)) throw error;
      showError(error.message);
    }
  }

  function showError(message) {
    byId("spec-error").textContent = message;
    byId("spec").setAttribute("aria-invalid", String(Boolean(message)));
  }

  function describe(spec) {
    const point = Object.values(about.points).find((one) => printPolicy(parsePolicy(one.policy)) === spec);
    if (point) return describePoint(point);
    if (spec === full) return "Every text runs through every depth.";
    if (about.default === full && !Object.keys(about.points).length)
      return `An example. This model has no operating point: without a policy in the request it runs at ${full} depth.`;
    return "";
  }

  function createRow({ id, dial, value }) {
    const set = (next) => setDial(id, next);
    if (dial.type === "choice") return createChoiceRow({ id, label: dial.label, choices: dial.choices, value }, set);
    const { label, low, high } = dial;
    const whole = dial.type === "int";
    const most = whole ? Math.min(Math.max(about.depths, 2), high) : high;
    return createNumberRow({ id, label, low, high, most, whole, value }, set);
  }

  /* One group of rows for each member of the policy. */
  function createRows() {
    const dials = listDials(policy);
    rows = new Map(dials.map((one) => [one.id, createRow(one)]));
    byId("dials").replaceChildren(
      ...listMembers(policy).map(({ name, member }) => {
        const { summary, citation } = POLICIES.get(member.name);
        const own = dials.filter(({ owner }) => owner === name).map(({ id }) => rows.get(id).row);
        const about = `A text exits when ${summary.replaceAll("`", "")}${citation ? ` (${citation})` : ""}.`;
        return h("fieldset", { class: "dials" }, h("legend", {}, name), h("p", { class: "muted hint" }, about), own);
      }),
    );
  }

  /* Show a policy; what is being typed in stays as typed. */
  function reflect(typing) {
    const names = listMembers(policy).map(({ name }) => name);
    if (shape !== names.join()) {
      shape = names.join();
      createRows();
    }
    for (const { id, value, isIdle } of listDials(policy)) {
      const { row, show } = rows.get(id);
      show(value, typing);
      row.classList.toggle("idle", isIdle);
    }
    byId("kind").value = policy.length === 1 && POLICIES.has(policy[0].name) ? policy[0].name : SEVERAL;
    const spec = printPolicy(policy);
    if (typing !== byId("spec")) {
      byId("spec").value = spec;
      showError("");
    }
    for (const one of buttons) one.button.setAttribute("aria-pressed", String(one.spec === spec));
    byId("point-about").textContent = describe(spec);
  }

  function set(next, typing) {
    policy = next;
    reflect(typing);
    changed(policy);
  }

  return {
    points,
    write: (spec) => {
      byId("spec").value = spec;
      readSpec(spec);
    },
  };
}

/* The first number of that name, however deep in what was measured. */
function find(values, name) {
  if (typeof values !== "object" || values === null) return null;
  if (typeof values[name] === "number") return values[name];
  for (const inside of Object.values(values).reverse()) {
    const found = find(inside, name);
    if (found) return found;
  }
  return null;
}
