/* JSON schemas in words: the types of fields, and the objects that a schema is made of. */

/**
 * @param {any} root the OpenAPI document
 * @param {any} schema
 * @returns {any} the schema itself, where it is a reference to another
 */
export function resolve(root, schema) {
  if (!schema?.$ref) return schema;
  return schema.$ref
    .slice(2)
    .split("/")
    .reduce((at, name) => at[name], root);
}

const alternatives = (schema) => schema.anyOf ?? schema.oneOf ?? schema.allOf ?? [];
const quote = (value) => JSON.stringify(value);

/* "1 to 32", "at least 1", "over 0", or nothing. */
function describeRange(low, high, above) {
  if (low !== undefined && high !== undefined) return low === high ? `${low}` : `${low} to ${high}`;
  if (low !== undefined) return `at least ${low}`;
  if (high !== undefined) return `at most ${high}`;
  return above === undefined ? "" : `over ${above}`;
}

/**
 * A type in words: "string or array of string or TextPair, 1 to 32".
 * @param {any} root
 * @param {any} schema
 * @returns {string}
 */
export function describeType(root, schema) {
  const found = resolve(root, schema);
  if (found.not) return "";
  if (found.const !== undefined) return quote(found.const);
  if (found.enum) {
    const values = found.enum.filter((value) => value !== null).map(quote);
    const more = values.length > 8 ? `, … (${values.length})` : "";
    return values.slice(0, 8).join(", ") + more + (found.enum.includes(null) ? " or null" : "");
  }
  if (alternatives(found).length && !found.properties) {
    const types = alternatives(found).map((one) => describeType(root, one));
    return [...new Set(types)].filter(Boolean).join(" or ");
  }
  if (found.type === "array") {
    const range = describeRange(found.minItems, found.maxItems);
    return `array of ${found.items ? describeType(root, found.items) : "values"}${range ? `, ${range} long` : ""}`;
  }
  if (found.properties) return found.title ?? "object";
  if (found.type === "object")
    return found.additionalProperties?.type ? `object of ${found.additionalProperties.type}` : "object";
  const type = found.multipleOf === 1 ? "integer" : (found.type ?? "any value");
  const length = describeRange(found.minLength, found.maxLength);
  const range = describeRange(found.minimum, found.maximum, found.exclusiveMinimum);
  return type + (range ? ` ${range}` : "") + (length ? `, ${length} characters` : "");
}

/* The description of a field: its own, or that of the one type that has any. */
function findDescription(root, schema) {
  const parts = [schema, ...alternatives(schema), ...(schema.items ? [schema.items] : [])];
  return parts.map((part) => (part.$ref ? "" : part.description)).find(Boolean) ?? resolve(root, schema).description;
}

/**
 * The objects that a schema is made of, itself first, each once: their fields with type, whether they are required,
 * default and description.
 * @param {any} root
 * @param {any} schema
 * @returns {{title: string, description: string, fields: {name: string, type: string, isRequired: boolean, value: any, description: string}[]}[]}
 */
export function listObjects(root, schema) {
  const found = new Map();
  const waiting = [schema];
  while (waiting.length) {
    const one = resolve(root, waiting.shift());
    if (!one || typeof one !== "object") continue;
    waiting.push(...alternatives(one));
    if (one.items) waiting.push(one.items);
    if (!one.properties || !one.title || found.has(one.title)) continue;
    const fields = Object.entries(one.properties).map(([name, field]) => ({
      name,
      type: describeType(root, field),
      isRequired: one.required?.includes(name) ?? false,
      value: field.default,
      description: findDescription(root, field) ?? "",
    }));
    found.set(one.title, { title: one.title, description: one.description ?? "", fields });
    waiting.push(...Object.values(one.properties));
  }
  return [...found.values()];
}
