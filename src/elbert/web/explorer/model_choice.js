/* The choice between the models of a server. It is a part of the page's address, and each has a page of its own. */

import { h } from "../shared/dom.js";

/* read() is the text in the fields, which goes with the choice. */
export function createModelChoice({ name, models }, read) {
  const options = models.map((one) => h("option", { value: one, selected: one === name }, one));
  const select = h("select", { id: "models", class: "field", autocomplete: "off", onchange: open }, options);

  function open() {
    const parts = Object.entries(read()).filter(([, value]) => value);
    const hash = parts.length ? `#${new URLSearchParams(parts)}` : "";
    location.assign(`?${new URLSearchParams({ model: select.value })}${hash}`);
  }

  return h("label", { class: "model-choice" }, "Model ", select);
}
