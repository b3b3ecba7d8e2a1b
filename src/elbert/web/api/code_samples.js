/* A request as code. The key is never in it: a variable of the environment is. */

const KEY = "ELBERT_API_KEY";
const JSON_TYPE = "application/json";

const shellQuote = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/* A Python literal of a JSON text: JSON's own, in triple quotes where it has several lines. */
function pythonText(body) {
  if (!/['\\]/.test(body)) return body.includes("\n") ? `'''${body}'''` : `'${body}'`;
  return JSON.stringify(body);
}

function writeCurl({ method, address, body, hasKey }) {
  const parts = [`curl${method === "GET" ? "" : ` -X ${method}`} ${shellQuote(address)}`];
  if (hasKey) parts.push(`-H "Authorization: Bearer $${KEY}"`);
  if (body) parts.push(`-H 'Content-Type: ${JSON_TYPE}'`, `-d ${shellQuote(body)}`);
  return parts.join(" \\\n  ");
}

function writePython({ method, address, body, hasKey }) {
  const headers = [
    ...(body ? [`"Content-Type": "${JSON_TYPE}"`] : []),
    ...(hasKey ? [`"Authorization": f"Bearer {os.environ['${KEY}']}"`] : []),
  ];
  return [
    ...(hasKey ? ["import os"] : []),
    "import urllib.request",
    "",
    "request = urllib.request.Request(",
    `    ${JSON.stringify(address)},`,
    ...(body ? [`    data=${pythonText(body)}.encode(),`] : []),
    ...(headers.length ? [`    headers={${headers.join(", ")}},`] : []),
    `    method="${method}",`,
    ")",
    "with urllib.request.urlopen(request) as answer:",
    "    print(answer.read().decode())",
  ].join("\n");
}

function writeJavaScript({ method, address, body, hasKey }) {
  const headers = [
    ...(body ? [`"content-type": "${JSON_TYPE}"`] : []),
    ...(hasKey ? [`authorization: \`Bearer \${process.env.${KEY}}\``] : []),
  ];
  return [
    `const answer = await fetch(${JSON.stringify(address)}, {`,
    `  method: "${method}",`,
    ...(headers.length ? [`  headers: { ${headers.join(", ")} },`] : []),
    ...(body ? [`  body: ${JSON.stringify(body)},`] : []),
    "});",
    "console.log(await answer.text());",
  ].join("\n");
}

/** Code of a request {method, address, body, hasKey} by the name of its language. */
export const SAMPLES = { curl: writeCurl, Python: writePython, JavaScript: writeJavaScript };
