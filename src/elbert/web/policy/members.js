/* The single policies that a policy is made of, with their dials: what forms show and change. */
import { listForms } from "./rules.js";
import { POLICIES } from "./table.js";

/**
 * The single policies, those inside temperatures too, in the order of their rules. Each has the name that its dials have
 * in exported files: "entropy2" is the second of its kind.
 * @param {Policy} policy
 * @returns {{name: string, member: Member}[]}
 */
export function listMembers(policy) {
  const inner = (members) => members.flatMap((member) => (member.policy ? inner(member.policy) : [member]));
  const counts = new Map();
  return inner(policy).map((member) => {
    const count = (counts.get(member.name) ?? 0) + 1;
    counts.set(member.name, count);
    return { name: count > 1 ? `${member.name}${count}` : member.name, member };
  });
}

/**
 * The dials of a policy with the id of each: the name of its input in exported files. A dial is idle where no rule in
 * use refers to it.
 * @param {Policy} policy
 * @returns {{id: string, owner: string, dial: Dial, value: number | string, isIdle: boolean}[]}
 */
export function listDials(policy) {
  return listMembers(policy).flatMap(({ name, member }) => {
    const numbers = listForms(member).flatMap((form) => form.conditions.flatMap((one) => Object.values(one)));
    return POLICIES.get(member.name).dials.map((dial) => ({
      id: `${name}_${dial.name}`,
      owner: name,
      dial,
      value: member.dials[dial.name],
      isIdle: dial.type !== "choice" && !numbers.some((number) => number?.dial === dial.name),
    }));
  });
}

/**
 * The policy with other values of its dials: values by id.
 * @param {Policy} policy
 * @param {Record<string, number | string>} values
 * @returns {Policy}
 */
export function setDials(policy, values) {
  const changed = new Map(
    listMembers(policy).map(({ name, member }) => {
      const dials = Object.entries(member.dials).map(([dial, value]) => [dial, values[`${name}_${dial}`] ?? value]);
      return [member, { ...member, dials: Object.fromEntries(dials) }];
    }),
  );
  const replace = (members) =>
    members.map((member) => changed.get(member) ?? { ...member, policy: replace(member.policy) });
  return replace(policy);
}

/**
 * A policy of a kind to start from: defaults, else the table's first example, else the middle of the model.
 * @param {PolicyKind} kind
 * @param {number} depths
 * @returns {Policy}
 */
export function startPolicy(kind, depths) {
  const middle = (dial) =>
    dial.type === "int" ? Math.min(Math.max(Math.ceil(depths / 2), dial.low), dial.high) : dial.low;
  const dials = kind.dials.map((dial, i) => [dial.name, dial.default ?? kind.examples[0]?.[i] ?? middle(dial)]);
  return [{ name: kind.name, dials: Object.fromEntries(dials) }];
}
