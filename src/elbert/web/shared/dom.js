/* Elements and numbers. Texts become text nodes: no page reads a text as markup. */

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "text") element.textContent = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

/**
 * An HTML element: h("td", {class: "number"}, "87.7"). Names that start with "on" are listeners; null, undefined and
 * false are left out, as attributes and as children.
 * @param {string} tag
 * @param {Record<string, any> | null} [attributes]
 * @param {...any} children
 * @returns {any}
 */
export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);

/**
 * An SVG element, made as h makes HTML elements.
 * @param {string} tag
 * @param {Record<string, any> | null} [attributes]
 * @param {...any} children
 * @returns {any}
 */
export const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

/**
 * @param {string} id
 * @returns {any} the element, of the kind that the page's HTML declares
 */
export const byId = (id) => document.getElementById(id);

/** @returns {any} what Python wrote into the page */
export const readData = () => JSON.parse(byId("data").textContent);

/** @type {(share: number, digits?: number) => string} */
export const formatPercent = (share, digits = 1) => (100 * share).toFixed(digits);
/** @type {(factor: number) => string} */
export const formatFactor = (factor) => `${factor.toFixed(factor < 10 ? 2 : 1)}×`;
/** @type {(n: number) => string} */
export const formatCount = (n) => n.toLocaleString("en");
/** @type {(n: number, one: string, many?: string) => string} */
export const formatPlural = (n, one, many = `${one}s`) => `${formatCount(n)} ${n === 1 ? one : many}`;

/**
 * A difference with its sign, and no sign where every digit that is shown is 0.
 * @param {number} value
 * @param {(size: number) => string} format
 * @returns {string}
 */
export function formatDifference(value, format) {
  const size = format(Math.abs(value));
  return `${/[1-9]/.test(size) ? (value > 0 ? "+" : "−") : ""}${size}`;
}

const MOST_UNBROKEN = 24; // characters of a word that fits on a narrow screen

/**
 * Code as elements: a line never ends at a hyphen inside a word, such as --data, unless the word is long.
 * @param {string} code
 * @returns {any[]}
 */
export const keepWords = (code) =>
  code
    .split(/(\s+)/)
    .map((word) =>
      word.includes("-") && word.length <= MOST_UNBROKEN ? h("span", { class: "unbroken" }, word) : word,
    );

/* Round numbers between two values, about so many. */
export function findTicks(low, high, about) {
  const raw = (high - low) / Math.max(about, 1);
  const size = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((n) => n * size).find((n) => n >= raw * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step);
  return found;
}

/**
 * Names beside their colours, for legends: [name, n] has the class c<n>.
 * @param {[string, number | string][]} names
 * @returns {any[]}
 */
export const createChips = (names) =>
  names.map(([name, n]) =>
    h("span", { class: "chip" }, h("span", { class: `dot c${n}`, "aria-hidden": "true" }), name),
  );

/**
 * Call a function once, when there have been no calls for a while.
 * @template {any[]} T
 * @param {number} milliseconds
 * @param {(...values: T) => void} then
 * @returns {(...values: T) => void}
 */
export function debounce(milliseconds, then) {
  /** @type {number | undefined} */
  let waiting;
  return (...values) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => then(...values), milliseconds);
  };
}

/**
 * A table with one row element per row.
 * @param {string | null} caption
 * @param {{head: any, cell: (row: any, i: number) => any, number?: boolean}[]} columns
 * @param {any[]} rows
 * @param {Record<string, any>} [attributes]
 */
export function createTable(caption, columns, rows, attributes) {
  // Explicit roles: style sheets lay some tables out as blocks on narrow screens, which removes the implicit roles.
  const head = (c) => h("th", { scope: "col", role: "columnheader", class: c.number && "number" }, c.head);
  const cell = (c, k, row, i) =>
    k
      ? h("td", { role: "cell", class: c.number && "number" }, c.cell(row, i))
      : h("th", { scope: "row", role: "rowheader", class: c.number && "number" }, c.cell(row, i));
  return h(
    "table",
    { role: "table", ...attributes },
    caption && h("caption", {}, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map(head))),
    h(
      "tbody",
      { role: "rowgroup" },
      rows.map((row, i) =>
        h(
          "tr",
          { role: "row" },
          columns.map((c, k) => cell(c, k, row, i)),
        ),
      ),
    ),
  );
}
