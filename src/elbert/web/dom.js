"use strict";
/* Elements, made with text as text: nothing in these pages is ever read as markup. */
const Dom = (() => {
  const SVG = "http://www.w3.org/2000/svg";

  function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes ?? {})) {
      if (value === undefined || value === null || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (name === "text") element.textContent = value;
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
    return element;
  }

  /* h("td", {class: "number"}, "87.7"), s("rect", {width: 3}); on… are listeners. */
  const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
  const by = (id) => document.getElementById(id);
  const data = () => JSON.parse(by("data").textContent);

  const percent = (share, digits = 1) => (100 * share).toFixed(digits);
  const times = (factor) => `${factor.toFixed(factor < 10 ? 2 : 1)}×`;
  const count = (n) => n.toLocaleString("en");
  const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

  /* Call once, when calls have stopped coming for a while. */
  function calm(milliseconds, then) {
    let waiting;
    return (...given) => {
      clearTimeout(waiting);
      waiting = setTimeout(() => then(...given), milliseconds);
    };
  }

  /* A table: columns {head, cell(row), number}, one row element per row. */
  function table(caption, columns, rows, attributes) {
    // Roles are said aloud because a narrow screen lays some tables out as blocks, which takes them away.
    const head = (c) => h("th", { scope: "col", role: "columnheader", class: c.number && "number" }, c.head);
    const cell = (c, k, row, i) => (k
      ? h("td", { role: "cell", class: c.number && "number" }, c.cell(row, i))
      : h("th", { scope: "row", role: "rowheader", class: c.number && "number" }, c.cell(row, i)));
    return h("table", { role: "table", ...attributes },
      caption && h("caption", {}, caption),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map(head))),
      h("tbody", { role: "rowgroup" }, rows.map((row, i) => h("tr", { role: "row" }, columns.map((c, k) => cell(c, k, row, i))))));
  }

  return { h, s, by, data, percent, times, count, plural, calm, table };
})();
