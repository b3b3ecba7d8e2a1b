/* Requests to this server, with the API key where it needs one. The key stays in this tab: no other one reads it, and
   it ends with the tab. */
import { byId, h } from "./dom.js";

const NAME = "elbert-api-key";
let key = readStored();

function readStored() {
  try {
    return sessionStorage.getItem(NAME) ?? "";
  } catch {
    return ""; // storage is switched off: the key lasts as long as the page
  }
}

function setKey(next) {
  key = next;
  try {
    if (key) sessionStorage.setItem(NAME, key);
    else sessionStorage.removeItem(NAME);
  } catch {
    // as above
  }
}

/** @type {() => Record<string, string>} */
export const keyHeaders = () => (key ? { authorization: `Bearer ${key}` } : {});

/** An answer that is an error; status 401: the key is missing or wrong. */
export class RequestError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/**
 * JSON from a path of this server; errors have a message of one line.
 * @param {string} path
 * @param {{method?: string, headers?: Record<string, string>, body?: string, signal?: AbortSignal}} [options]
 * @returns {Promise<any>}
 */
export async function fetchJson(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { ...options.headers, ...keyHeaders() } });
  } catch {
    throw new RequestError("the server does not answer; is it still running?", 0);
  }
  const values = await response.json().catch(() => null);
  if (response.ok && values !== null) return values;
  throw new RequestError(values?.error ?? `the server answered ${response.status}`, response.status);
}

/**
 * The form of the API key in the element `key`; changed() is called when there is another key, or none.
 * @param {() => void} changed
 * @returns {{request: (isFocused?: boolean) => void, show: () => void}} request() shows the form because the server
 *   rejected a request
 */
export function mountKeyForm(changed) {
  const field = h("input", {
    id: "api-key",
    class: "field",
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    "aria-describedby": "api-key-help",
  });
  const error = h("p", { class: "error", role: "alert" });
  const forget = h("button", { type: "button", class: "button small", hidden: !key, onclick: () => use("") }, "Forget");
  const form = h(
    "form",
    { class: "card key-form", novalidate: true, onsubmit: submit },
    h("label", { for: "api-key" }, "API key of this server"),
    h("div", { class: "row" }, field, h("button", { class: "button primary", type: "submit" }, "Use it"), forget),
    h(
      "p",
      { id: "api-key-help", class: "muted hint" },
      "It is sent to this server only, as Authorization: Bearer, and kept in this tab until you close it.",
    ),
    error,
  );
  byId("key").replaceChildren(form);
  byId("key").hidden = !key;
  field.value = key;

  function submit(event) {
    event.preventDefault();
    const entered = field.value.trim();
    if (!entered) error.textContent = "Enter the key first.";
    else if (!/^[\x20-\x7e]+$/.test(entered)) error.textContent = "A key has letters, digits and signs of ASCII only.";
    else use(entered);
  }

  function use(next) {
    setKey(next);
    field.value = next;
    forget.hidden = !next;
    error.textContent = "";
    changed();
  }

  return {
    request(isFocused = true) {
      byId("key").hidden = false;
      error.textContent = key ? "The server does not accept this key." : "This server needs its API key.";
      if (isFocused) field.focus();
    },
    show() {
      byId("key").hidden = false;
    },
  };
}
