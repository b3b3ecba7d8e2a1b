"use strict";
/* What happened, in words; and what a policy looks at, for the picture. */
const Words = (() => {
  const near = (value) => (value < 0.0995 && value > 0 ? Number(value.toPrecision(2)).toString() : value.toFixed(2));

  /* The answer of a step: its class, or for multi-label every label above one half. */
  function answer(step, labels, multiLabel) {
    const top = Policies.topOf(step);
    if (!multiLabel) return { name: labels[top], score: step[top], index: top };
    const said = labels.filter((_, i) => step[i] > 0.5);
    return { name: said.length ? said.join(", ") : "no label", score: null, index: said.length ? top : -1 };
  }

  const percent = (p) => `${p > 0.995 && p < 1 ? (100 * p).toFixed(1) : Math.round(100 * p)} %`;

  /* What a policy watches now, against a threshold: the first rule that does. */
  function threshold(policy) {
    for (const rule of Policies.rules(policy)) {
      const m = rule.member;
      const heated = rule.temperatures;
      if (rule.reason === "entropy") return { signal: "entropy", at: m.entropy ?? m.threshold, below: true, heated };
      if (m.name === "patient_confidence") return { signal: "entropy", at: m.threshold, below: true, heated };
      if (m.name === "confidence" || m.name === "gap") return { signal: m.name, at: m.threshold, below: false, heated };
      if (m.name === "divergence") return { signal: "divergence", at: m.threshold, below: true, heated };
    }
    return null;
  }

  /* What a policy watches over several depths: {size, name, broken(signals, depth) → {why, at}}; null if nothing. */
  function window(policy) {
    for (const rule of Policies.rules(policy)) {
      const m = rule.member;
      const heard = (s) => (rule.temperatures ?? []).reduce((found, heat) => found.tempered(heat), s);
      if (rule.reason === "window") {
        return { size: m.size, name: `window of ${m.size}`, broken: (s, depth) => Policies.broken(heard(s), depth, m) };
      }
      const holds = {
        patience: (s, i) => s.same[i] === 1,
        patient_confidence: (s, i) => s.entropy[i] < Math.fround(m.threshold),
        divergence: (s, i) => s.divergence[i] < Math.fround(m.threshold),
      }[m.name];
      if (!holds) continue;
      const size = m.name === "patient_confidence" ? m.times : m.times + 1;
      const first = m.name === "patient_confidence" ? 0 : 1; // what compares with the depth before spans one more
      const why = { patience: "answer", patient_confidence: "unsure", divergence: "moves" }[m.name];
      return {
        size,
        name: Specs.printMember(m),
        broken(s, depth) {
          if (depth < size) return { why: "filling", at: depth };
          const found = heard(s);
          for (let i = depth - size + first; i < depth; i++) if (!holds(found, i)) return { why, at: i + 1 };
          return { why: "", at: depth };
        },
      };
    }
    return null;
  }

  const BROKEN = {
    filling: () => "the window is not full yet",
    margin: (at) => `not far enough apart at depth ${at}`,
    answer: (at) => `another answer at depth ${at}`,
    fall: (at) => `its probability falls at depth ${at}`,
    range: () => "its probability moves too much",
    unsure: (at) => `not sure enough at depth ${at}`,
    moves: (at) => `still moving at depth ${at}`,
  };
  const broken = ({ why, at }) => (why ? BROKEN[why](at) : "settled");

  /* Why a text left. */
  function reason(view) {
    const { exit, signals, policy } = view;
    const rule = Policies.rules(policy).find((one) => one.reason === exit.reason && one.fires(signals, exit.depth));
    if (exit.reason === Policies.LAST || !rule) {
      return Policies.rules(policy).length ? "no rule let it go before the last" : "the policy runs every depth";
    }
    const m = rule.member;
    const heard = (rule.temperatures ?? []).reduce((found, heat) => found.tempered(heat), signals);
    const now = (name) => near(heard[name][exit.depth - 1]);
    const from = (size) => (size > 1 ? `depths ${exit.depth - size + 1} to ${exit.depth}` : `depth ${exit.depth}`);
    return {
      depth: () => `every text leaves at depth ${m.depth}`,
      entropy: () => `entropy ${now("entropy")} is below ${near(m.entropy ?? m.threshold)}`,
      confidence: () => `confidence ${now("confidence")} reaches ${near(m.threshold)}`,
      gap: () => `the runner-up is ${now("gap")} behind, at least ${near(m.threshold)}`,
      patience: () => (m.times ? `the same answer over ${from(m.times + 1)}` : "any answer will do"),
      patient_confidence: () => `entropy below ${near(m.threshold)} over ${from(m.times)}`,
      divergence: () => `nothing moved by ${near(m.threshold)} over ${from(m.times + 1)}`,
      window: () => `one answer over ${from(m.size)}${{ agree: "", trend: ", ever surer", stable: ", hardly moving" }[m.rule]}`,
    }[exit.reason]();
  }

  return { answer, percent, near, threshold, window, broken, reason };
})();
