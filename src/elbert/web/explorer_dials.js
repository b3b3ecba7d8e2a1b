"use strict";
/* Dials, operating points and the spec field: three views of one policy. */
const Dials = (() => {
  const { by, h } = Dom;
  const NUMBERS = ["entropy", "size", "margin", "range"];
  const RULE_HELP = {
    agree: "One answer over the whole window, every time by more than the margin.",
    trend: "One answer, and its probability never falls over the window.",
    stable: "As agree, and its probability moves by at most the range.",
  };
  const USUAL = { name: "window", entropy: 0.1, size: 6, rule: "agree", margin: 0, range: 0.05 };

  /* The window of a policy that the dials turn: the first there is, also inside tempered ones. */
  function windowOf(policy) {
    for (const member of policy) {
      const found = member.name === "window" ? member : member.policy && windowOf(member.policy);
      if (found) return found;
    }
    return null;
  }

  /* The policy with its window replaced. */
  const turned = (policy, from, to) => policy.map((member) => {
    if (member === from) return to;
    return member.policy ? { ...member, policy: turned(member.policy, from, to) } : member;
  });

  /* changed(policy) is called for every change that reads as a policy. */
  function mount(about, changed) {
    const points = Object.fromEntries(Object.entries(about.points).map(([name, point]) => [name, Specs.parse(point.policy)]));
    let policy = null;
    let last = USUAL;
    by("size").max = Math.max(about.depths, 2);

    const buttons = Object.entries({ ...points, full: Specs.parse("full") }).map(([name, one]) => {
      const measured = find(about.points[name]?.measured, "layer_speedup");
      const button = h("button", {
        type: "button", class: "button small", title: Specs.print(one), onclick: () => set(one),
      }, name, measured ? h("span", { class: "muted" }, ` ${measured.toFixed(1)}×`) : null, about.points[name]?.certified ? h("span", { class: "certified" }, " certified") : null);
      return { button, spec: Specs.print(one) };
    });
    by("points").replaceChildren(...buttons.map(({ button }) => button));

    for (const name of NUMBERS) {
      by(name).addEventListener("input", () => turn(name, by(name).valueAsNumber));
      by(`${name}-number`).addEventListener("input", () => turn(name, by(`${name}-number`).valueAsNumber));
      by(`${name}-number`).addEventListener("change", () => reflect()); // what cannot be is put back
    }
    by("rule").addEventListener("change", (event) => turn("rule", event.target.value));
    by("spec").addEventListener("input", () => written(by("spec").value));

    function turn(name, value) {
      const from = windowOf(policy);
      const to = { ...(from ?? last), [name]: value };
      try {
        Specs.parse(Specs.printMember(to));
      } catch {
        return; // half a number, or one out of range
      }
      set(from ? turned(policy, from, to) : [to], document.activeElement);
    }

    function written(spec) {
      try {
        const found = Specs.fitting(Specs.parse(spec, points), about.depths);
        complain("");
        set(found, by("spec"));
      } catch (error) {
        if (!(error instanceof Specs.PolicyError)) throw error;
        complain(error.message);
      }
    }

    function complain(message) {
      by("spec-error").textContent = message;
      by("spec").setAttribute("aria-invalid", String(Boolean(message)));
    }

    /* Show a policy; what is being typed in stays as typed. */
    function reflect(typing) {
      const window = windowOf(policy);
      last = window ?? last;
      for (const name of NUMBERS) {
        if (typing !== by(name)) by(name).value = last[name];
        if (typing !== by(`${name}-number`)) by(`${name}-number`).value = last[name];
      }
      for (const choice of by("rule").querySelectorAll("input")) choice.checked = choice.value === last.rule;
      by("rule-help").textContent = RULE_HELP[last.rule];
      by("range-dial").classList.toggle("idle", last.rule !== "stable");
      by("policy").classList.toggle("no-window", !window);
      by("spec-help").textContent = window ? "Any policy will do, and unions: entropy(0.2) | patience(3)." : "No window in this policy: a dial starts one.";
      const spec = Specs.print(policy);
      if (typing !== by("spec")) {
        by("spec").value = spec;
        complain("");
      }
      for (const one of buttons) one.button.setAttribute("aria-pressed", String(one.spec === spec));
    }

    function set(next, typing) {
      policy = next;
      reflect(typing);
      changed(policy);
    }

    return { set, write: (spec) => { by("spec").value = spec; written(spec); }, points };
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

  return { mount };
})();
