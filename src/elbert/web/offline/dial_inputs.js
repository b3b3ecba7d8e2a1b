/* The file's dials: sliders for its inputs, and the policy that they make of the one it was exported with. */

import { listDials, listMembers, setDials } from "../policy/members.js";
import { parsePolicy } from "../policy/specs.js";
import { createNumberRow } from "../shared/dial_rows.js";
import { byId } from "../shared/dom.js";

/* The policy with its numbers replaced by the dials' values. */
export const applyDials = (spec, values) => setDials(parsePolicy(spec), values);

/* changed() is called for every change; values() returns the current values by name. */
export function mountDialInputs(about, changed) {
  const policy = parsePolicy(about.policy);
  const dials = new Map(listDials(policy).map((one) => [one.id, one]));
  const several = listMembers(policy).length > 1;
  const inputs = about.dials.map(({ name: id, whole, low, high, value }) => {
    const { owner, dial, isIdle } = dials.get(id);
    const label = several ? `${owner}: ${dial.label.toLowerCase()}` : dial.label;
    const most = whole ? Math.max(about.depths, value) : high;
    const input = createNumberRow({ id, label, low, high, most, whole, value }, changed);
    input.row.hidden = isIdle;
    return { id, value, input };
  });
  byId("dials").replaceChildren(...inputs.map(({ input }) => input.row));
  byId("reset").addEventListener("click", () => {
    for (const { input, value } of inputs) input.show(value);
    changed();
  });
  return { values: () => Object.fromEntries(inputs.map(({ id, input }) => [id, input.value()])) };
}
