/* Buttons that copy a text. */
import { h } from "./dom.js";

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

/* Browsers give pages of plain http from other machines no clipboard, but copy what is selected. */
function copyBySelection(text) {
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  const field = h("textarea", { class: "visually-hidden", "aria-hidden": "true", tabindex: -1, readonly: true });
  field.value = text;
  document.body.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  focused?.focus({ preventScroll: true });
  return isCopied;
}

/**
 * A button that copies what `read()` returns, and the line that reports it.
 * @param {string} name
 * @param {() => string} read
 */
export function createCopyButton(name, read) {
  const done = h("span", { class: "muted hint", role: "status" });
  let waiting = 0;
  const button = h(
    "button",
    {
      type: "button",
      class: "button small no-print",
      async onclick() {
        done.textContent = (await copy(read())) ? "Copied." : "The browser does not allow it: select and copy by hand.";
        clearTimeout(waiting);
        waiting = setTimeout(() => done.replaceChildren(), 4000);
      },
    },
    name,
  );
  return h("span", { class: "row copy" }, button, done);
}
