/* Specs: the text form of policies, read and printed as elbert.exits.spec does. A policy is a list of members; a text
   exits when any member holds. A member is its name with its dials. */
import { listMembers } from "./members.js";
import { formatFloat, formatGeneral } from "./numbers.js";
import { listForms, listRules } from "./rules.js";
import { POLICIES, TABLE } from "./table.js";

export class PolicyError extends Error {}
const refuse = (message) => {
  throw new PolicyError(message);
};

// ---------------------------------------------------------------- printing

function quoted(text) {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\t", "\\t");
  return mark + (mark === "'" ? escaped.replaceAll("'", "\\'") : escaped) + mark;
}

const shown = (token) => {
  if (token.kind === "int") return String(token.value);
  if (token.kind === "float") return formatFloat(token.value);
  return token.kind === "constant" ? token.value : quoted(token.value);
};

const printDial = (dial, value) => (dial.type === "float" ? formatFloat(value) : String(value));

const TEMPERED = "tempered"; // a policy that sees every depth at a temperature of its own
const { low: COLDEST, high: HOTTEST, most: MOST } = TABLE.tempered;
const TEMPERED_FORM =
  `${TEMPERED}(policy, T1, T2, …) with 1 to ${MOST} temperatures from ${COLDEST} to ${HOTTEST}, ` +
  "the last of which holds for all deeper depths";

/**
 * @param {Member} member
 * @returns {string}
 */
export function printMember(member) {
  if (member.name === TEMPERED) {
    return `${TEMPERED}(${printPolicy(member.policy)}, ${member.temperatures.map(formatFloat).join(", ")})`;
  }
  const { dials } = POLICIES.get(member.name);
  if (!dials.length) return member.name;
  const named = dials.length > 2; // many unnamed numbers are hard to read
  const values = dials.map((d) => (named ? `${d.name}=` : "") + printDial(d, member.dials[d.name]));
  return `${member.name}(${values.join(", ")})`;
}

/**
 * @param {Policy} policy
 * @returns {string}
 */
export const printPolicy = (policy) => policy.map(printMember).join(" | ");

// ---------------------------------------------------------------- what is accepted

function describeDial(dial) {
  if (dial.type === "choice") return `${dial.name} ${Object.keys(dial.choices).join(" or ")}`;
  const number = dial.type === "int" ? "whole number" : "number";
  return `${dial.name} a ${number} from ${formatGeneral(dial.low)} to ${formatGeneral(dial.high)}`;
}

function describeForm({ name, dials }) {
  if (!dials.length) return name;
  return `${name}(${dials.map((d) => d.name).join(", ")}) with ${dials.map(describeDial).join(", ")}`;
}

function accepted(points) {
  const names = Object.keys(points);
  const more = names.length ? `; operating points of this model: ${names.join(", ")}` : "";
  return `known policies: ${[...POLICIES.keys(), TEMPERED].join(", ")}; 'a | b' exits when either does${more}`;
}

// ---------------------------------------------------------------- reading

const DIGITS = "[0-9](?:_?[0-9])*";
const NUMBER = [
  "0[xX](?:_?[0-9a-fA-F])+",
  "0[oO](?:_?[0-7])+",
  "0[bB](?:_?[01])+",
  `(?:(?:${DIGITS})?\\.${DIGITS}|${DIGITS}\\.)(?:[eE][+-]?${DIGITS})?`,
  `${DIGITS}[eE][+-]?${DIGITS}`,
  "[1-9](?:_?[0-9])*",
  "0(?:_?0)*",
].join("|");
const TOKEN = new RegExp(
  `(?<space>\\s+|#[^\\n]*)|(?<number>${NUMBER})(?![\\w.])|(?<name>[\\p{L}_][\\p{L}\\p{N}_]*)` +
    "|(?<text>'[^'\\\\\\n]*'|\"[^\"\\\\\\n]*\")|(?<mark>[()|,=+-])",
  "uy",
);
const CONSTANTS = ["True", "False", "None"];

/* The tokens of a spec, or null where it holds something that no spec holds. */
function tokens(spec) {
  const found = [];
  let open = 0;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < spec.length) {
    const match = TOKEN.exec(spec);
    if (!match) return null;
    const [kind, text] = Object.entries(match.groups).find(([, value]) => value !== undefined);
    if (kind === "space") {
      if (/[\n\r]/.test(text) && !open) return null; // a new line goes on inside brackets only
      continue;
    }
    open += text === "(" ? 1 : text === ")" ? -1 : 0;
    found.push({ kind, text });
  }
  return found;
}

/**
 * Read a spec; `points` are operating points by name, allowed wherever a policy is. Throws PolicyError.
 * @param {string} spec
 * @param {Record<string, Policy>} [points]
 * @returns {Policy}
 */
export function parsePolicy(spec, points = {}) {
  if (typeof spec !== "string" || [...spec].length > TABLE.max_spec_length) {
    refuse(`a policy spec is a text of at most ${TABLE.max_spec_length} characters; ${accepted(points)}`);
  }
  if (Object.hasOwn(points, spec.trim())) return points[spec.trim()];
  const unreadable = () => refuse(`cannot read the policy ${quoted(spec)}; ${accepted(points)}`);
  const rest = tokens(spec.trim()) ?? unreadable();
  const is = (text, ahead = 0) => rest[ahead]?.kind === "mark" && rest[ahead].text === text;
  const take = (text) => (is(text) ? rest.shift() : unreadable());

  const whole = union();
  return rest.length ? unreadable() : whole;

  function union() {
    const members = [...primary()];
    while (is("|")) {
      rest.shift();
      members.push(...primary());
    }
    return [...new Map(members.map((member) => [printMember(member), member])).values()]; // twice the same decides nothing
  }

  function primary() {
    if (is("(")) {
      rest.shift();
      const inside = union();
      take(")");
      return inside;
    }
    const name = rest.shift();
    if (name?.kind !== "name" || CONSTANTS.includes(name.text)) unreadable();
    if (rest.length && !["(", ")", "|", ","].some((mark) => is(mark))) unreadable();
    if (name.text === TEMPERED && is("(") && !is(")", 1) && !(rest[1]?.kind === "name" && is("=", 2)))
      return [tempered()];
    if (is("(")) return [make(name.text, ...readArguments(), points)];
    return Object.hasOwn(points, name.text) ? points[name.text] : [make(name.text, [], Object.create(null), points)];
  }

  function tempered() {
    take("(");
    const policy = union();
    const temperatures = [];
    while (is(",")) {
      rest.shift();
      if (is(")")) break;
      if (is("=", 1)) refuse(`these dials do not fit ${TEMPERED}: accepted is ${TEMPERED_FORM}`);
      temperatures.push(value());
    }
    take(")");
    return heated(policy, temperatures);
  }

  function readArguments() {
    const values = [];
    const dials = Object.create(null);
    take("(");
    while (!is(")")) {
      if (rest[0]?.kind === "name" && is("=", 1)) {
        const dial = rest.shift().text;
        rest.shift();
        if (dial in dials) refuse(`a dial is set twice in the policy ${quoted(spec)}`);
        dials[dial] = value();
      } else {
        if (Object.keys(dials).length) unreadable();
        values.push(value());
      }
      if (!is(")")) take(",");
    }
    take(")");
    return [values, dials];
  }

  function value() {
    const token = rest.shift() ?? unreadable();
    if (token.kind === "number") return numberOf(token.text, 1);
    if (token.kind === "name") {
      return { kind: CONSTANTS.includes(token.text) ? "constant" : "word", value: token.text };
    }
    if (token.kind === "text") return { kind: "word", value: token.text.slice(1, -1) };
    if (token.text === "(") {
      const inside = value();
      take(")");
      return inside;
    }
    if ((token.text === "-" || token.text === "+") && rest[0]?.kind === "number") {
      return numberOf(rest.shift().text, token.text === "-" ? -1 : 1);
    }
    return unreadable();
  }
}

function numberOf(text, sign) {
  const plain = text.replaceAll("_", "");
  const kind = /^0[xXoObB]/.test(plain) || /^[0-9]+$/.test(plain) ? "int" : "float";
  const value = sign * Number(plain);
  return { kind, value: kind === "int" && value === 0 ? 0 : value };
}

function heated(policy, temperatures) {
  const isNumber = ({ kind }) => kind === "int" || kind === "float";
  const wrong = temperatures.find((t) => !isNumber(t) || t.value < COLDEST || t.value > HOTTEST);
  if (wrong || !temperatures.length || temperatures.length > MOST) {
    const what = wrong ? `temperature ${shown(wrong)}` : `${temperatures.length} temperatures`;
    refuse(`${what} in ${TEMPERED}: accepted is ${TEMPERED_FORM}`);
  }
  return { name: TEMPERED, policy, temperatures: temperatures.map((t) => t.value) };
}

function make(name, values, named, points) {
  if (name === TEMPERED) refuse(`these dials do not fit ${name}: accepted is ${TEMPERED_FORM}`);
  const kind = POLICIES.get(name) ?? refuse(`no policy is called ${quoted(name)}; ${accepted(points)}`);
  const tokens = Object.create(null);
  values.slice(0, kind.dials.length).forEach((value, i) => {
    tokens[kind.dials[i].name] = value;
  });
  const names = kind.dials.map((d) => d.name);
  const wrong =
    values.length > names.length ||
    Object.keys(named).some((dial) => !names.includes(dial) || dial in tokens) ||
    kind.dials.some((d) => d.default === null && !(d.name in tokens) && !(d.name in named));
  if (wrong) refuse(`these dials do not fit ${name}: accepted is ${describeForm(kind)}`);
  Object.assign(tokens, named);
  for (const dial of kind.dials) if (dial.name in tokens) checkDial(kind, dial, tokens[dial.name]);
  const dials = kind.dials.map((dial) => [dial.name, dial.name in tokens ? tokens[dial.name].value : dial.default]);
  return { name, dials: Object.fromEntries(dials) };
}

function checkDial(kind, dial, token) {
  const fits =
    dial.type === "choice"
      ? token.kind === "word" && Object.hasOwn(dial.choices, token.value)
      : (token.kind === "int" || (token.kind === "float" && dial.type === "float")) &&
        dial.low <= token.value &&
        token.value <= dial.high;
  if (!fits) refuse(`${dial.name}=${shown(token)} in ${kind.name}: accepted is ${describeForm(kind)}`);
}

// ---------------------------------------------------------------- what a model can follow

/**
 * The policy, if a model of that many depths can follow it. Throws PolicyError.
 * @param {Policy} policy
 * @param {number} depths
 * @returns {Policy}
 */
export function checkPolicy(policy, depths) {
  if (!TABLE.tempered.fits && policy.some((member) => member.policy)) {
    refuse(`${quoted(printPolicy(policy))} has temperatures, which do not fit this model: leave them out`);
  }
  for (const { member } of listMembers(policy)) {
    for (const [name, most] of limitDepthDials(member, depths)) {
      if (member.dials[name] <= most) continue;
      const { low } = POLICIES.get(member.name).dials.find((dial) => dial.name === name);
      const [least, deepest] = [low, most].map((value) =>
        printMember({ ...member, dials: { ...member.dials, [name]: value } }),
      );
      refuse(`${printMember(member)}: this model has ${depths} depths; accepted is ${least} to ${deepest}`);
    }
  }
  const [cost, most] = [
    countValues(policy, depths),
    Math.max(TABLE.max_values.per_depth * depths, TABLE.max_values.least),
  ];
  if (cost > most) {
    refuse(
      `this policy reads ${cost.toLocaleString("en")} numbers of each text at each depth; accepted are at most ${most} ` +
        `for ${depths} depths: join fewer policies, shorten windows, or multiply temperatures that are inside others`,
    );
  }
  return policy;
}

/* The dials of a policy that name a depth, each with its largest value for that many depths. */
function limitDepthDials(member, depths) {
  const limits = new Map();
  for (const { signal, size: number } of listForms(member).flatMap((form) => form.conditions)) {
    if (signal || number.dial === undefined) continue;
    const most = Math.floor((depths - number.plus) / number.factor);
    limits.set(number.dial, Math.min(most, limits.get(number.dial) ?? most));
  }
  return limits;
}

/* The numbers that one decision about one text reads at most, as elbert.exits.spec counts them. */
function countValues(policy, depths) {
  const rules = listRules(policy);
  const sizes = rules.flatMap((rule) =>
    rule.conditions.map(({ signal, size }) => (signal ? Math.min(Math.max(1, size), depths) : 1)),
  );
  const tempered = rules.flatMap((rule) =>
    rule.temperatures.map((_, level) => JSON.stringify(rule.temperatures.slice(0, level + 1))),
  );
  return sizes.reduce((all, size) => all + size, 0) + depths * new Set(tempered).size;
}
