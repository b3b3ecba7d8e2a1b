/* The text field: the answer is requested while one types, and no answer outlives its text. */

import { byId, debounce } from "../shared/dom.js";

const PAUSE = 250; // milliseconds without a key after which a text is requested

/**
 * fetch(text, pair, signal) requests an answer; show(answer, text, pair, isTyped) shows it, and again() shows it once
 * more; clear() shows none, fail(error, isTyped) why there is none.
 * @param {{fetch: Function, show: Function, again: Function, clear: Function, fail: Function}} use
 */
export function mountTextForm({ fetch, show, again, clear, fail }) {
  const fields = [byId("text"), byId("pair")];
  let shown = null; // the text whose answer is on the page
  let isReady = false;
  let flight = null; // {name, controller}: the request in progress; the answer to an earlier one is dropped

  const read = () => ({ text: byId("text").value, pair: byId("pair-row").hidden ? "" : byId("pair").value });
  const readName = () => JSON.stringify(Object.values(read()));

  function showPair(isShown) {
    byId("pair-row").hidden = !isShown;
    byId("pair-toggle").setAttribute("aria-expanded", String(isShown));
    byId("pair-toggle").textContent = isShown ? "Remove the second text" : "Add a second text";
    if (!isShown) byId("pair").value = "";
  }

  function write(text, pair) {
    byId("text").value = text;
    showPair(Boolean(pair));
    byId("pair").value = pair;
  }

  function showError(message) {
    byId("ask-error").textContent = message;
    byId("ask-error").hidden = !message;
  }

  /* What is on the page stays in place, and hidden, while it is not of the text in the field: nothing moves. */
  function markPending() {
    byId("bench").classList.toggle("pending", shown !== null && shown !== readName());
    if (flight) byId("ask").setAttribute("aria-busy", "true");
    else byId("ask").removeAttribute("aria-busy");
  }

  function drop() {
    flight?.controller.abort();
    flight = null;
  }

  function empty() {
    drop();
    shown = null;
    clear();
    markPending();
  }

  const sendLater = debounce(PAUSE, () => send(true));

  function change() {
    if (!isReady) return;
    const name = readName();
    if (flight?.name !== name) drop();
    showError("");
    if (!read().text.trim()) empty();
    else if (name !== shown) sendLater();
    markPending();
  }

  async function send(isTyped) {
    if (!isReady) return;
    const { text, pair } = read();
    const name = readName();
    if (!text.trim()) {
      if (isTyped) return;
      empty();
      showError("Type a text first.");
      byId("text").focus();
      return;
    }
    if (name === shown && !isTyped) again();
    if (name === shown || name === flight?.name) return;
    drop();
    const own = { name, controller: new AbortController() };
    flight = own;
    showError("");
    markPending();
    try {
      const answer = await fetch(text, pair, own.controller.signal);
      if (own !== flight) return;
      flight = null;
      shown = name;
      show(answer, text, pair, isTyped);
    } catch (error) {
      if (own !== flight) return;
      empty();
      showError(`Error: ${error.message}`);
      fail(error, isTyped);
    }
    markPending();
  }

  byId("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    send(false);
  });
  for (const field of fields) {
    field.addEventListener("input", (event) => event.isComposing || change());
    field.addEventListener("compositionend", change);
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      send(false);
    });
  }
  byId("pair-toggle").addEventListener("click", () => {
    showPair(byId("pair-row").hidden);
    change();
    if (!byId("pair-row").hidden) byId("pair").focus();
  });

  return {
    read,
    showError,
    /* Request the answer of a text, as if it were typed and sent. */
    ask(text, pair = "") {
      write(text, pair);
      markPending();
      send(false);
    },
    /* Show an answer that is here already. */
    set(answer, text, pair) {
      drop();
      write(text, pair);
      shown = readName();
      showError("");
      show(answer, text, pair, false);
      markPending();
    },
    /* The next request goes out even for an unchanged text: there is another API key. */
    forget() {
      drop();
      shown = null;
    },
    /* Accept texts; what was typed before is requested. */
    start() {
      isReady = true;
      byId("classify").disabled = false;
      if (read().text.trim()) change();
    },
  };
}
