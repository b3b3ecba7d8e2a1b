/* The table of policies and signals of elbert.exits. Python writes it into the page, as the constant POLICY_TABLE. */

const byName = (entries) => new Map(entries.map((entry) => [entry.name, entry]));

export const TABLE = POLICY_TABLE;
/** @type {Map<string, PolicyKind>} */
export const POLICIES = byName(TABLE.policies);
/** @type {Map<string, Signal>} */
export const SIGNALS = byName(TABLE.signals);
