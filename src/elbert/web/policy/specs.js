/* Specs: the text form of policies, read and printed as elbert.exits.spec does. A policy is a list of members; a text
   exits when any member holds. A member is its name with its dials. */
import { isKnownPolicy, LONGEST_SPEC, POLICY_KINDS } from "./policies.js";

export class PolicyError extends Error {}
const refuse = (message) => {
  throw new PolicyError(message);
};

// ---------------------------------------------------------------- printing

/**
 * A float as Python prints it.
 * @param {number} value
 * @returns {string}
 */
export function formatFloat(value) {
  if (Object.is(value, -0)) return "-0.0";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : value < 0 ? "-inf" : "nan";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
    const [digits, power] = value.toExponential().split("e");
    return `${digits}e${power[0]}${power.slice(1).padStart(2, "0")}`;
  }
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

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

const dialText = (dial, value) => (dial.kind === "float" ? formatFloat(value) : String(value));

const TEMPERED = "tempered"; // a policy that sees every depth at a temperature of its own
const [COLDEST, HOTTEST, MOST] = [0.05, 20, 64];
const TEMPERED_FORM =
  `tempered(policy, T1, T2, …) with 1 to ${MOST} temperatures from ${COLDEST} to ${HOTTEST}, ` +
  "the last of which holds for all deeper depths";

/**
 * @param {Member} member
 * @returns {string}
 */
export function printMember(member) {
  if (member.name === TEMPERED) {
    return `${TEMPERED}(${printPolicy(member.policy)}, ${member.temperatures.map(formatFloat).join(", ")})`;
  }
  const dials = POLICY_KINDS[member.name];
  if (!dials.length) return member.name;
  const named = member.name === "window"; // five unnamed numbers are hard to read
  const values = dials.map((d) => (named ? `${d.name}=` : "") + dialText(d, member[d.name]));
  return `${member.name}(${values.join(", ")})`;
}

/**
 * @param {Policy} policy
 * @returns {string}
 */
export const printPolicy = (policy) => policy.map(printMember).join(" | ");

// ---------------------------------------------------------------- what is accepted

const general = (value) => String(Number(value.toPrecision(6)));

function range(dial) {
  if (dial.choices) return `${dial.name} ${dial.choices.join(" or ")}`;
  const kind = dial.kind === "int" ? "whole number" : "number";
  return `${dial.name} a ${kind} from ${general(dial.low)} to ${general(dial.high)}`;
}

/**
 * @param {string} name
 * @returns {string}
 */
export function describeForm(name) {
  const dials = POLICY_KINDS[name];
  if (!dials.length) return name;
  return `${name}(${dials.map((d) => d.name).join(", ")}) with ${dials.map(range).join(", ")}`;
}

function accepted(points) {
  const names = Object.keys(points);
  const more = names.length ? `, or an operating point: ${names.join(", ")}` : "";
  return `known policies: ${[...Object.keys(POLICY_KINDS), TEMPERED].join(", ")}; 'a | b' exits when either does${more}`;
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
  if (typeof spec !== "string" || [...spec].length > LONGEST_SPEC) {
    refuse(`a policy spec is a text of at most ${LONGEST_SPEC} characters; ${accepted(points)}`);
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
    return members;
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
  const numbers = temperatures.every((t) => t.kind === "int" || t.kind === "float");
  if (!numbers || !temperatures.length || temperatures.length > MOST) {
    refuse(`${temperatures.length} temperatures in ${TEMPERED}: accepted is ${TEMPERED_FORM}`);
  }
  const wrong = temperatures.find((t) => !(COLDEST <= t.value && t.value <= HOTTEST));
  if (wrong) refuse(`temperature ${shown(wrong)} in ${TEMPERED}: accepted is ${TEMPERED_FORM}`);
  return { name: TEMPERED, policy, temperatures: temperatures.map((t) => t.value) };
}

function make(name, values, named, points) {
  if (name === TEMPERED) refuse(`these dials do not fit ${name}: accepted is ${TEMPERED_FORM}`);
  if (!isKnownPolicy(name)) refuse(`no policy is called ${quoted(name)}; ${accepted(points)}`);
  const dials = POLICY_KINDS[name];
  const dialValues = Object.create(null);
  values.slice(0, dials.length).forEach((value, i) => {
    dialValues[dials[i].name] = value;
  });
  const names = dials.map((d) => d.name);
  const wrong =
    values.length > dials.length ||
    Object.keys(named).some((dial) => !names.includes(dial) || dial in dialValues) ||
    dials.some((d) => d.default === undefined && !(d.name in dialValues) && !(d.name in named));
  if (wrong) refuse(`these dials do not fit ${name}: accepted is ${describeForm(name)}`);
  Object.assign(dialValues, named);
  const member = { name };
  // Numbers first, then words, as Python checks them.
  for (const dial of [...dials].sort((a, b) => Number(Boolean(a.choices)) - Number(Boolean(b.choices)))) {
    member[dial.name] = dial.name in dialValues ? checkDial(name, dial, dialValues[dial.name]) : dial.default;
  }
  return member;
}

function checkDial(name, dial, token) {
  const fits = dial.choices
    ? token.kind === "word" && dial.choices.includes(token.value)
    : (token.kind === "int" || (token.kind === "float" && dial.kind === "float")) &&
      dial.low <= token.value &&
      token.value <= dial.high;
  if (!fits) refuse(`${dial.name}=${shown(token)} in ${name}: accepted is ${describeForm(name)}`);
  return token.value;
}

/**
 * The policy, if a model of that many depths can follow it. Throws PolicyError.
 * @param {Policy} policy
 * @param {number} depths
 * @returns {Policy}
 */
export function checkPolicy(policy, depths) {
  for (const member of policy) {
    if (member.name === "depth" && member.depth > depths) {
      refuse(`${printMember(member)}: this model has ${depths} depths; accepted is depth(1) to depth(${depths})`);
    }
  }
  return policy;
}
