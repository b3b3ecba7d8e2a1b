/* Files that a page makes of its data. */
import { h } from "./dom.js";

/**
 * @param {string} name
 * @param {string} type a MIME type
 * @param {string} content
 */
export function saveFile(name, type, content) {
  const address = URL.createObjectURL(new Blob([content], { type }));
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

const quote = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);

/**
 * Rows as CSV, the names of the columns first.
 * @param {string[]} names
 * @param {any[][]} rows
 */
export const formatCsv = (names, rows) =>
  [names, ...rows].map((row) => `${row.map((value) => quote(String(value ?? ""))).join(",")}\r\n`).join("");
