/* The file's dials: sliders for its inputs, and the policy that they make of the one it was exported with. */

import { parsePolicy } from "../policy/specs.js";
import { byId, h } from "../shared/dom.js";

const WORDS = {
  entropy: "Entropy below",
  size: "Window of depths",
  margin: "Margin over one half",
  range: "Range",
  threshold: "Threshold",
  times: "Depths in a row",
  depth: "Depth",
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
export function applyDials(spec, values) {
  const policy = parsePolicy(spec);
  const names = namesOf(policy);
  for (const [name, value] of Object.entries(values)) names[name].member[names[name].dial] = value;
  return policy;
}

/* The label of a dial, with the name of its policy if there are several. */
function labelDial({ dial, name }, several) {
  const word = WORDS[dial] ?? dial;
  return several ? `${name}: ${word.toLowerCase()}` : word;
}

/* A range that no rule looks at. */
const idle = ({ member, dial }) => dial === "range" && member.rule !== "stable";

/* changed() is called for every change; values() returns the current values by name. */
export function mountDialInputs(about, changed) {
  const policy = parsePolicy(about.policy);
  const names = namesOf(policy);
  const inputs = about.dials.map((dial) => {
    const { name, whole, low, high, value } = dial;
    const most = whole ? Math.max(about.depths, value) : high;
    const bounds = { min: low, max: most, step: whole ? 1 : (high - low) / 100, value };
    const label = labelDial(names[name], single(policy).length > 1);
    const range = h("input", { type: "range", id: name, ...bounds });
    const number = h("input", {
      type: "number",
      "aria-label": `${label}, as a number`,
      min: low,
      max: high,
      step: whole ? 1 : "any",
      value,
    });
    const copyValue = (from, to) => {
      const entered = from.valueAsNumber;
      if (!(entered >= low && entered <= high) || (whole && !Number.isInteger(entered))) return;
      to.value = entered;
      changed();
    };
    range.addEventListener("input", () => copyValue(range, number));
    number.addEventListener("input", () => copyValue(number, range));
    number.addEventListener("change", () => {
      // an invalid value is replaced by the last valid one
      if (number.value === "" || !number.validity.valid) number.value = range.value;
    });
    byId("dials").append(
      h("div", { class: "dial", hidden: idle(names[name]) }, h("label", { for: name }, label), number, range),
    );
    return { dial, range, number };
  });
  byId("reset").addEventListener("click", () => {
    for (const { dial, range, number } of inputs) range.value = number.value = dial.value;
    changed();
  });
  const values = () =>
    Object.fromEntries(
      inputs.map(({ dial, range, number }) => {
        const held = number.validity.valid && number.value !== "" ? number : range;
        return [dial.name, held.valueAsNumber];
      }),
    );
  return { values };
}
