"use strict";
/* The file's dials: sliders for its inputs, and the policy that they make of the one it was exported with. */
const FileDials = (() => {
  const { by, h } = Dom;

  const WORDS = {
    entropy: "Entropy below", size: "Window of depths", margin: "Margin over one half", range: "Range",
    threshold: "Threshold", times: "Depths in a row", depth: "Depth",
  };

  /* A policy's members, those inside tempered ones too, in the order in which the file names their dials. */
  const single = (policy) => policy.flatMap((member) => (member.policy ? single(member.policy) : [member]));

  /* {name in the file: {member, dial, name of the member}}: "entropy2_threshold" is the second entropy's threshold. */
  function namesOf(policy) {
    const kinds = [];
    const found = {};
    for (const member of single(policy)) {
      kinds.push(member.name);
      const again = kinds.filter((kind) => kind === member.name).length;
      const name = again > 1 ? `${member.name}${again}` : member.name;
      for (const dial of Object.keys(member)) found[`${name}_${dial}`] = { member, dial, name };
    }
    return found;
  }

  /* The policy with its numbers replaced by the dials' values. */
  function policyOf(spec, values) {
    const policy = Specs.parse(spec);
    const names = namesOf(policy);
    for (const [name, value] of Object.entries(values)) names[name].member[names[name].dial] = value;
    return policy;
  }

  /* A dial in words; with its policy's name where there are several. */
  function words({ dial, name }, several) {
    const word = WORDS[dial] ?? dial;
    return several ? `${name}: ${word.toLowerCase()}` : word;
  }

  /* A range that no rule looks at. */
  const idle = ({ member, dial }) => dial === "range" && member.rule !== "stable";

  /* changed() is called for every change; values() tells what they stand at. */
  function mount(about, changed) {
    const policy = Specs.parse(about.policy);
    const names = namesOf(policy);
    const inputs = about.dials.map((dial) => {
      const { name, whole, low, high, value } = dial;
      const most = whole ? Math.max(about.depths, value) : high;
      const bounds = { min: low, max: most, step: whole ? 1 : (high - low) / 100, value };
      const said = words(names[name], single(policy).length > 1);
      const range = h("input", { type: "range", id: name, ...bounds });
      const number = h("input", { type: "number", "aria-label": `${said}, as a number`, min: low, max: high, step: whole ? 1 : "any", value });
      const turn = (from, to) => {
        const given = from.valueAsNumber;
        if (!(given >= low && given <= high) || (whole && !Number.isInteger(given))) return;
        to.value = given;
        changed();
      };
      range.addEventListener("input", () => turn(range, number));
      number.addEventListener("input", () => turn(number, range));
      number.addEventListener("change", () => { // what cannot be is put back
        if (number.value === "" || !number.validity.valid) number.value = range.value;
      });
      by("dials").append(h("div", { class: "dial", hidden: idle(names[name]) }, h("label", { for: name }, said), number, range));
      return { dial, range, number };
    });
    by("reset").addEventListener("click", () => {
      for (const { dial, range, number } of inputs) range.value = number.value = dial.value;
      changed();
    });
    const values = () => Object.fromEntries(inputs.map(({ dial, range, number }) => {
      const held = number.validity.valid && number.value !== "" ? number : range;
      return [dial.name, held.valueAsNumber];
    }));
    return { values };
  }

  return { mount, policyOf };
})();
