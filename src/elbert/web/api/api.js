/* The routes of the server, made of its OpenAPI document: fields, examples, code to copy, and a form to try each. */

import { keyHeaders, mountKeyForm } from "../shared/api_requests.js";
import { createCopyButton } from "../shared/clipboard.js";
import { byId, createTable, h, keepWords, readData } from "../shared/dom.js";
import { SAMPLES } from "./code_samples.js";
import { listObjects, resolve } from "./schemas.js";

const JSON_TYPE = "application/json";
const MOST_SHOWN = 20_000; // characters of an answer
const GROUPS = { classify: "Classify", state: "State, and other pages" };

const root = readData();
const base = new URL(".", location.href).href;
const hasKey = Boolean(Object.values(root.paths).some((path) => Object.values(path).some((one) => one.security)));
const samples = []; // functions that write the code again, when the language changes
const keyForm = mountKeyForm(() => {});

const indent = (value) => JSON.stringify(value, null, 2);

/* Text in which `code` is marked as in Markdown. */
const rich = (text) => text.split(/`+/).map((part, i) => (i % 2 ? h("code", {}, part) : part));

function writeHead() {
  byId("address").textContent = base;
  byId("about").replaceChildren(...root.info.description.split("\n\n").map((text) => h("p", {}, rich(text))));
  byId("version").textContent = `${root.info.title} ${root.info.version}, OpenAPI ${root.openapi}.`;
  byId("language").replaceChildren(...Object.keys(SAMPLES).map((name) => h("option", {}, name)));
  byId("language").addEventListener("change", () => {
    for (const write of samples) write();
  });
  byId("key-show").hidden = !hasKey;
  byId("key-show").addEventListener("click", () => {
    keyForm.show();
    byId("api-key").focus();
  });
}

// ---------------------------------------------------------------- a route

function createRoute(path, method, operation) {
  const content = h("div", {});
  const address = base + path.slice(1);
  const route = { method: method.toUpperCase(), address, hasKey: Boolean(operation.security) };
  const summary = h(
    "summary",
    {},
    h(
      "h3",
      {},
      h("span", { class: `method ${method}` }, route.method),
      h("code", { class: "path" }, path),
      h("span", {}, `${operation.summary}.`),
      route.hasKey ? h("span", { class: "muted hint" }, "needs the key") : null,
    ),
  );
  const card = h("details", { class: "card route", id: operation.operationId }, summary, content);
  card.addEventListener(
    "toggle",
    () => {
      if (!content.childElementCount) content.append(...describeRoute(route, operation).filter(Boolean));
    },
    { once: true },
  );
  return card;
}

function describeRoute(route, operation) {
  const request = operation.requestBody?.content[JSON_TYPE];
  const answers = operation.responses["200"] ?? {};
  const isPage = Boolean(answers.content?.["text/html; charset=utf-8"]);
  return [
    request && describeObjects("Fields of the request", request.schema, true),
    isPage ? h("p", {}, h("a", { href: route.address }, "Open this page")) : createTrial(route, request),
    describeAnswer(answers),
    describeErrors(operation.responses),
  ];
}

/* A form with the body, the same request as code, and what the server answers. */
function createTrial(route, request) {
  const examples = Object.entries(request?.examples ?? {});
  const body = h("textarea", { class: "field", spellcheck: "false", rows: 6, oninput: () => write() });
  const choice = h(
    "select",
    { class: "field", onchange: () => fill(choice.value) },
    examples.map(([name]) => h("option", { value: name }, name.replaceAll("_", " "))),
  );
  const code = h("code", {});
  const answer = h("div", { "aria-live": "polite" });
  const send = h("button", { type: "button", class: "button primary", onclick: () => tryRoute() }, "Try it");

  function fill(name) {
    body.value = indent(request.examples[name].value);
    write();
  }

  const compact = () => {
    try {
      return JSON.stringify(JSON.parse(body.value));
    } catch {
      return body.value; // what is being typed
    }
  };

  function write() {
    code.replaceChildren(...keepWords(SAMPLES[byId("language").value]({ ...route, body: request ? compact() : "" })));
  }

  async function tryRoute() {
    send.disabled = true;
    try {
      answer.replaceChildren(...(await sendRequest(route, request ? body.value : undefined)));
    } finally {
      send.disabled = false;
      send.focus();
    }
  }

  samples.push(write);
  if (request) fill(examples[0][0]);
  else write();
  return h(
    "div",
    { class: "try" },
    examples.length > 1 ? h("label", {}, "Example", choice) : null,
    request ? h("label", {}, "Body", body) : null,
    h("pre", { tabindex: 0, role: "region", "aria-label": `The request as code` }, code),
    h(
      "div",
      { class: "row" },
      send,
      createCopyButton("Copy the code", () => code.textContent),
    ),
    answer,
  );
}

/* Send a request; returns elements that show the answer. */
async function sendRequest({ method, address }, body) {
  const start = performance.now();
  const headers = { ...(body === undefined ? {} : { "content-type": JSON_TYPE }), ...keyHeaders() };
  let response;
  try {
    response = await fetch(address, { method, headers, body });
  } catch {
    return [h("p", { class: "status failed" }, "The server does not answer; is it still running?")];
  }
  const text = await response.text();
  const milliseconds = performance.now() - start;
  if (response.status === 401) keyForm.show();
  const status = `${response.status} ${response.statusText}`.trim();
  const shown = formatAnswer(text, response.headers.get("content-type") ?? "");
  return [
    h("p", { class: response.ok ? "status" : "status failed" }, `${status} after ${milliseconds.toFixed(0)} ms`),
    text ? createCode("The answer", shown) : h("p", { class: "muted" }, "The answer has no content."),
  ];
}

function formatAnswer(text, type) {
  const cut = text.length > MOST_SHOWN ? `\n… ${text.length - MOST_SHOWN} characters more` : "";
  if (cut || !type.startsWith(JSON_TYPE)) return text.slice(0, MOST_SHOWN) + cut;
  try {
    return indent(JSON.parse(text));
  } catch {
    return text;
  }
}

const createCode = (name, text) =>
  h("pre", { tabindex: 0, role: "region", "aria-label": name }, h("code", {}, keepWords(text)));

// ---------------------------------------------------------------- tables

function describeObjects(title, schema, isOpen) {
  const objects = listObjects(root, schema);
  if (!objects.length) return null;
  return h(
    "details",
    { open: isOpen },
    h("summary", {}, title),
    objects.map(({ title: name, description, fields }) => [
      h("h4", {}, name),
      description ? h("p", { class: "lead muted" }, rich(description)) : null,
      h(
        "div",
        { class: "scroll", tabindex: 0, role: "region", "aria-label": `Fields of ${name}` },
        createTable(
          null,
          [
            { head: "Field", cell: (field) => h("code", {}, field.name) },
            { head: "Type", cell: (field) => field.type },
            {
              head: "Required or default",
              cell: (field) => (field.isRequired ? "required" : formatDefault(field.value)),
            },
            { head: "Meaning", cell: (field) => rich(field.description) },
          ],
          fields,
        ),
      ),
    ]),
  );
}

const formatDefault = (value) => (value === undefined || value === null ? "" : `default ${JSON.stringify(value)}`);

function describeAnswer({ content }) {
  const described = content?.[JSON_TYPE];
  const lines = content?.["application/x-ndjson"];
  if (!described) return null;
  const examples = Object.entries(described.examples ?? {});
  return h(
    "div",
    {},
    examples.map(([name, { value }]) =>
      h(
        "figure",
        {},
        h("figcaption", {}, `Example of an answer: ${name}`),
        createCode(`Answer: ${name}`, indent(value)),
      ),
    ),
    lines
      ? h(
          "p",
          { class: "muted" },
          rich(`With the header \`accept: application/x-ndjson\`: ${lines.schema.description}.`),
        )
      : null,
    describeObjects("Fields of the answer", described.schema, false),
  );
}

function describeErrors(responses) {
  const rows = Object.entries(responses)
    .filter(([status]) => status !== "200")
    .map(([status, response]) => {
      const { description, content } = resolve(root, response);
      return { status, description, example: content?.[JSON_TYPE]?.example };
    });
  if (!rows.length) return null;
  return h(
    "details",
    {},
    h("summary", {}, "Errors"),
    h(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": "Errors" },
      createTable(
        null,
        [
          { head: "Status", cell: (row) => row.status },
          { head: "When", cell: (row) => rich(row.description) },
          { head: "Example", cell: (row) => (row.example ? h("code", {}, JSON.stringify(row.example)) : "") },
        ],
        rows,
      ),
    ),
  );
}

// ---------------------------------------------------------------- start

/* The route that the address names is open; without one, the first. */
function openNamed() {
  const named = location.hash ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
  const card = /** @type {HTMLDetailsElement | null} */ (named ?? document.querySelector(".route"));
  if (card?.matches(".route")) card.open = true;
}

writeHead();
const all = Object.entries(root.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);
byId("routes").replaceChildren(
  ...Object.entries(GROUPS).map(([tag, title]) =>
    h(
      "section",
      { "aria-label": title },
      h("h2", {}, title),
      all
        .filter(({ operation }) => operation.tags.includes(tag))
        .map(({ path, method, operation }) => createRoute(path, method, operation)),
    ),
  ),
);
addEventListener("hashchange", openNamed);
openNamed();
