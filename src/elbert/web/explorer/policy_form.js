/* Dials, operating points and the spec field: three views of one policy. */

import { checkPolicy, PolicyError, parsePolicy, printMember, printPolicy } from "../policy/specs.js";
import { byId, h } from "../shared/dom.js";

const NUMBERS = ["entropy", "size", "margin", "range"];
const RULE_HELP = {
  agree: "The same answer over the whole window, each time by more than the margin.",
  trend: "The same answer, and its probability never falls over the window.",
  stable: "As agree, and its probability changes by at most the range.",
};
const DEFAULTS = { name: "window", entropy: 0.1, size: 6, rule: "agree", margin: 0, range: 0.05 };

/* The window that the dials change: the first of the policy, also inside a tempered member. */
function windowOf(policy) {
  for (const member of policy) {
    const found = member.name === "window" ? member : member.policy && windowOf(member.policy);
    if (found) return found;
  }
  return null;
}

/* The policy with its window replaced. */
const replaceMember = (policy, from, to) =>
  policy.map((member) => {
    if (member === from) return to;
    return member.policy ? { ...member, policy: replaceMember(member.policy, from, to) } : member;
  });

/* changed(policy) is called for every change that reads as a policy. */
export function mountPolicyForm(about, changed) {
  const points = Object.fromEntries(
    Object.entries(about.points).map(([name, point]) => [name, parsePolicy(point.policy)]),
  );
  let policy = null;
  let last = DEFAULTS;
  byId("size").max = Math.max(about.depths, 2);

  const buttons = Object.entries({ ...points, full: parsePolicy("full") }).map(([name, one]) => {
    const measured = find(about.points[name]?.measured, "layer_speedup");
    const button = h(
      "button",
      {
        type: "button",
        class: "button small",
        title: printPolicy(one),
        onclick: () => set(one),
      },
      name,
      measured ? h("span", { class: "muted" }, ` ${measured.toFixed(1)}×`) : null,
      about.points[name]?.certified ? h("span", { class: "certified" }, " certified") : null,
    );
    return { button, spec: printPolicy(one) };
  });
  byId("points").replaceChildren(...buttons.map(({ button }) => button));

  for (const name of NUMBERS) {
    byId(name).addEventListener("input", () => setDial(name, byId(name).valueAsNumber));
    byId(`${name}-number`).addEventListener("input", () => setDial(name, byId(`${name}-number`).valueAsNumber));
    byId(`${name}-number`).addEventListener("change", () => reflect()); // an invalid value is replaced by the last valid one
  }
  byId("rule").addEventListener("change", (event) => setDial("rule", event.target.value));
  byId("spec").addEventListener("input", () => readSpec(byId("spec").value));

  function setDial(name, value) {
    const from = windowOf(policy);
    const to = { ...(from ?? last), [name]: value };
    try {
      parsePolicy(printMember(to));
    } catch {
      return; // incomplete or out of range
    }
    set(from ? replaceMember(policy, from, to) : [to], document.activeElement);
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

  /* Show a policy; what is being typed in stays as typed. */
  function reflect(typing) {
    const window = windowOf(policy);
    last = window ?? last;
    for (const name of NUMBERS) {
      if (typing !== byId(name)) byId(name).value = last[name];
      if (typing !== byId(`${name}-number`)) byId(`${name}-number`).value = last[name];
    }
    for (const choice of byId("rule").querySelectorAll("input")) choice.checked = choice.value === last.rule;
    byId("rule-help").textContent = RULE_HELP[last.rule];
    byId("range-dial").classList.toggle("idle", last.rule !== "stable");
    byId("policy").classList.toggle("no-window", !window);
    byId("spec-help").textContent = window
      ? "Any policy or union of policies, for example entropy(0.2) | patience(3)."
      : "This policy has no window; a dial adds one.";
    const spec = printPolicy(policy);
    if (typing !== byId("spec")) {
      byId("spec").value = spec;
      showError("");
    }
    for (const one of buttons) one.button.setAttribute("aria-pressed", String(one.spec === spec));
  }

  function set(next, typing) {
    policy = next;
    reflect(typing);
    changed(policy);
  }

  return {
    set,
    write: (spec) => {
      byId("spec").value = spec;
      readSpec(spec);
    },
    points,
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
