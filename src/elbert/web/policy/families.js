/* Families of policies: the sweeps that run in a page, their looks in charts, and rivals for one text. */
import { printPolicy } from "./specs.js";
import { POLICIES, TABLE } from "./table.js";

const MOST_VALUES = [24, 8, 5]; // of each dial, by the number of dials: a coarse grid that runs in seconds

/* At most `most` of the values, evenly spaced, both ends included. */
function thin(values, most) {
  if (values.length <= most) return values;
  return Array.from({ length: most }, (_, i) => values[Math.round((i * (values.length - 1)) / (most - 1))]);
}

function listValues(axis, depths) {
  if (Array.isArray(axis)) return axis;
  const last = Math.max(depths + axis.plus, axis.least);
  return Array.from({ length: Math.max(last - axis.first + 1, 0) }, (_, i) => axis.first + i);
}

const makeSpec = (name, dials) => printPolicy([{ name, dials }]);

/* The specs of a grid: the product of its axes; dials that are no axis keep their default. */
function listSpecs({ policy, axes }, depths) {
  const most = MOST_VALUES[Object.keys(axes).length - 1] ?? 3;
  let found = [Object.fromEntries(POLICIES.get(policy).dials.map((dial) => [dial.name, dial.default]))];
  for (const [name, axis] of Object.entries(axes)) {
    const values = thin(listValues(axis, depths), most);
    found = found.flatMap((dials) => values.map((value) => ({ ...dials, [name]: value })));
  }
  return found.map((dials) => makeSpec(policy, dials));
}

/**
 * The families of one policy that bear its name, each with the specs of its sweep; not the fixed depths, the baseline.
 * @param {number} depths
 * @returns {Record<string, string[]>}
 */
export function listFamilies(depths) {
  const plain = TABLE.families.filter(
    ({ name, grids }) => grids.length === 1 && grids[0].policy === name && name !== TABLE.roles.fixed_depth,
  );
  return Object.fromEntries(plain.map(({ name, grids }) => [name, listSpecs(grids[0], depths)]));
}

/**
 * @param {number} depth
 * @returns {string} the spec that ends every text at that depth
 */
export function fixedDepth(depth) {
  const { name, dials } = POLICIES.get(TABLE.roles.fixed_depth);
  return makeSpec(name, { [dials[0].name]: depth });
}

/**
 * Policies to compare a single text with: the examples of the table, a third of the depths, and all.
 * @param {number} depths
 * @returns {string[]}
 */
export function listExamples(depths) {
  const specs = TABLE.policies.flatMap(({ name, dials, examples }) =>
    examples.map((values) => makeSpec(name, Object.fromEntries(dials.map((dial, i) => [dial.name, values[i]])))),
  );
  return [...specs, fixedDepth(Math.max(1, Math.round(depths / 3))), TABLE.roles.full];
}

const TEMPERED = ", tempered"; // the end of the name of a family that is swept with temperatures
const DASHES = { "-": null, "--": "7 3", ":": "2 3", "-.": "9 3 2 3" };
const UNKNOWN = { color: 8, marker: "x", dash: "1 3" };

/**
 * The look of a family on every page: colour, marker and dash of the table.
 * @param {string} name
 * @returns {{color: string | number, marker: string, dash: string | null}}
 */
export function findLook(name) {
  const family = TABLE.families.find((one) => one.name === name.replace(TEMPERED, ""));
  if (!family) return UNKNOWN;
  const dash = name.endsWith(TEMPERED) ? "1 2" : (DASHES[family.dash] ?? null);
  return { color: family.colour, marker: family.marker, dash };
}
