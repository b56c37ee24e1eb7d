// The editor for GraphQL: completion and documentation from the schema, results as a tree, a table or text, and queries to copy.
"use strict";

const editor = document.querySelector("#editor");
const words = JSON.parse(editor.dataset.words);
const query = document.querySelector("#query");
const variables = document.querySelector("#variables");
const byId = (id) => document.getElementById(id);

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

async function ask(body) {
  const response = await fetch("/graphql", {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${response.status} ${response.statusText}`);
  }
}

// ---- The schema

const OF = "kind name ofType { kind name ofType { kind name ofType { kind name } } }";
const INTROSPECTION = `{ __schema { queryType { name } mutationType { name } subscriptionType { name } types { kind name description
  fields { name description args { name description defaultValue type { ${OF} } } type { ${OF} } }
  inputFields { name description defaultValue type { ${OF} } } enumValues { name description } } } }`;

const types = new Map();
const roots = {};

function written(type) {
  if (type.kind === "NON_NULL") return `${written(type.ofType)}!`;
  if (type.kind === "LIST") return `[${written(type.ofType)}]`;
  return type.name;
}

function named(type) {
  while (type?.ofType) type = type.ofType;
  return types.get(type?.name);
}

async function loadSchema() {
  const { data, errors } = await ask({ query: INTROSPECTION });
  if (!data) throw new Error(errors?.[0]?.message ?? "");
  for (const type of data.__schema.types) types.set(type.name, type);
  roots.query = types.get(data.__schema.queryType?.name);
  roots.mutation = types.get(data.__schema.mutationType?.name);
  roots.subscription = types.get(data.__schema.subscriptionType?.name);
  showRoot();
  byId("docs").hidden = false;
  editor.dataset.schema = "loaded";
}

// ---- What can stand at the caret

const TOKEN = /"""[\s\S]*?(?:"""|$)|"(?:\\.|[^"\\\n])*"?|#[^\n]*|\.\.\.|[{}()[\]:!$=@|]|[_A-Za-z][_0-9A-Za-z]*|-?\d[\d.eE+-]*/g;

// The places that enclose the caret, the innermost last: selections, arguments, input objects, lists.
function placeAt(text, caret) {
  const before = text.slice(0, caret);
  const prefix = /[_A-Za-z][_0-9A-Za-z]*$/.exec(before)?.[0] ?? "";
  const stack = [{ kind: "root", type: roots.query, defined: [] }];
  let fragment;
  let last = "";
  let inside = false;
  for (const { 0: token, index } of before.slice(0, before.length - prefix.length).matchAll(TOKEN)) {
    const top = stack.at(-1);
    const ends = index + token.length === before.length - prefix.length;
    if (token[0] === "#" || token[0] === "\"") {
      inside = ends && (token[0] === "#" || !/^(""".*"""|".*")$/s.test(token) || token === "\"");
      last = token;
      continue;
    }
    const isName = /^[_A-Za-z]/.test(token);
    if (token === "{") {
      if (top.kind === "selection" || top.kind === "root") {
        const type = fragment ?? (top.kind === "root" ? top.type : named(top.field?.type));
        stack.push({ kind: "selection", type });
        fragment = undefined;
      } else {
        stack.push({ kind: "object", fields: named(top.current?.type)?.inputFields ?? [], used: new Set() });
      }
    } else if (token === "(") {
      const isDefinition = top.kind === "root";
      stack.push({ kind: "arguments", isDefinition, fields: top.field?.args ?? [], used: new Set() });
    } else if (token === "[") {
      stack.push({ kind: "list", fields: top.fields, current: top.current, expects: true });
    } else if (token === "}" || token === ")" || token === "]") {
      if (stack.length > 1) stack.pop();
      const outer = stack.at(-1);
      if (token !== ")") outer.expects = false;
      if (token === "}" && outer.kind === "selection") outer.field = undefined;
    } else if (token === ":") {
      if (top.kind === "arguments" || top.kind === "object") top.expects = true;
    } else if (isName && last === "on") {
      fragment = types.get(token);
    } else if (isName && top.kind === "root") {
      if (roots[token]) top.type = roots[token];
    } else if (isName && top.kind === "selection" && token !== "on") {
      top.field = top.type?.fields?.find((field) => field.name === token);
    } else if ((top.kind === "arguments" || top.kind === "object") && isName && !top.expects && last !== "$") {
      top.current = top.fields.find((field) => field.name === token);
      top.used.add(token);
    } else if (top.expects && token !== "$") {
      top.expects = top.kind === "list";
    }
    last = token;
  }
  return { prefix, last, top: stack.at(-1), inside, document: text };
}

function choices({ prefix, last, top, inside, document }) {
  if (inside) return [];
  const rows = (list, kind) => (list ?? []).map((one) => ({
    text: one.name, type: one.type ? written(one.type) : kind, description: one.description, of: one,
  }));
  let found = [];
  if (last === "$" || (top.kind === "arguments" && top.isDefinition)) {
    const defined = [...document.matchAll(/\$([_A-Za-z]\w*)\s*:/g)].map((match) => ({ name: match[1] }));
    const inputs = [...types.values()].filter((type) => ["SCALAR", "ENUM", "INPUT_OBJECT"].includes(type.kind));
    found = last === "$" ? (top.isDefinition ? [] : rows(defined, "$")) : top.expects ? rows(inputs, "type") : [];
  } else if (last === "on") {
    found = rows([...types.values()].filter((type) => type.kind === "OBJECT" && !type.name.startsWith("__")), "type");
  } else if (last === "@") {
    found = rows([{ name: "include" }, { name: "skip" }], "@");
  } else if (top.kind === "root") {
    found = rows(["query", "mutation", "subscription", "fragment"].map((name) => ({ name })), "");
  } else if (top.kind === "selection") {
    found = rows([...(top.type?.fields ?? []), { name: "__typename" }], "");
  } else if (top.expects) {
    const type = named(top.current?.type);
    const isFlag = type?.name === "Boolean";
    found = rows(isFlag ? [{ name: "true" }, { name: "false" }] : type?.enumValues, type?.name ?? "");
  } else if (top.kind !== "list") {
    found = rows(top.fields.filter((field) => !top.used.has(field.name)), "").map((row) => ({ ...row, after: ": " }));
  }
  const wanted = prefix.toLowerCase();
  const begins = found.filter((row) => row.text.toLowerCase().startsWith(wanted));
  const contains = found.filter((row) => !begins.includes(row) && wanted && row.text.toLowerCase().includes(wanted));
  return [...begins, ...contains].slice(0, 60);
}

// ---- The list of completions

const list = element("ul", { id: "completions", class: "completions", role: "listbox", "aria-label": words.completions });
list.hidden = true;
query.after(list);
query.setAttribute("aria-autocomplete", "list");
query.setAttribute("aria-controls", "completions");
let place;
let rows = [];
let chosen = -1;

function closeList() {
  list.hidden = true;
  query.removeAttribute("aria-activedescendant");
}

function choose(at) {
  chosen = (at + rows.length) % rows.length;
  [...list.children].forEach((item, index) => item.setAttribute("aria-selected", String(index === chosen)));
  const item = list.children[chosen];
  item.scrollIntoView({ block: "nearest" });
  query.setAttribute("aria-activedescendant", item.id);
  describe(rows[chosen].of);
}

function accept(at) {
  const row = rows[at];
  const end = query.selectionStart;
  query.setRangeText(row.text + (row.after ?? ""), end - place.prefix.length, end, "end");
  closeList();
  query.dispatchEvent(new Event("change"));
  query.focus();
}

// The letters have one width, so the caret's place follows from its line and column.
function moveList() {
  const style = getComputedStyle(query);
  const ruler = document.createElement("canvas").getContext("2d");
  ruler.font = `${style.fontSize} ${style.fontFamily}`;
  const lines = query.value.slice(0, query.selectionStart - place.prefix.length).split("\n");
  const left = query.offsetLeft + parseFloat(style.paddingLeft) + lines.at(-1).length * ruler.measureText("0").width - query.scrollLeft;
  const top = query.offsetTop + parseFloat(style.paddingTop) + lines.length * parseFloat(style.lineHeight) - query.scrollTop;
  list.style.left = `${Math.max(0, Math.min(left, query.offsetWidth - list.offsetWidth))}px`;
  list.style.top = `${Math.max(0, Math.min(top + 4, query.offsetTop + query.offsetHeight))}px`;
}

function openList(isAsked) {
  if (types.size === 0 || query.selectionStart !== query.selectionEnd) return closeList();
  place = placeAt(query.value, query.selectionStart);
  rows = place.prefix || isAsked ? choices(place) : [];
  if (rows.length === 0 || (rows.length === 1 && rows[0].text === place.prefix)) return closeList();
  list.replaceChildren(...rows.map((row, at) => element(
    "li",
    { id: `completion-${at}`, role: "option", "aria-selected": "false", onmousedown: (event) => { event.preventDefault(); accept(at); } },
    element("span", {}, row.text),
    element("span", { class: "type" }, row.type),
  )));
  list.hidden = false;
  moveList();
  choose(0);
}

query.addEventListener("input", () => openList(false));
query.addEventListener("blur", closeList);
query.addEventListener("keydown", (event) => {
  if (event.key === " " && event.ctrlKey) {
    openList(true);
  } else if (!list.hidden && event.key === "ArrowDown") {
    choose(chosen + 1);
  } else if (!list.hidden && event.key === "ArrowUp") {
    choose(chosen - 1);
  } else if (!list.hidden && (event.key === "Enter" || event.key === "Tab") && !event.ctrlKey && !event.metaKey) {
    accept(chosen);
  } else if (event.key === "Escape") {
    // A second one leaves the field, so that nobody is caught in it.
    if (list.hidden) byId("run").focus();
    else closeList();
  } else if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) {
    // The next line begins below this one.
    const line = query.value.slice(0, query.selectionStart).split("\n").at(-1);
    const indent = /^ */.exec(line)[0] + (/[{([]\s*$/.test(line) ? "  " : "");
    query.setRangeText(`\n${indent}`, query.selectionStart, query.selectionEnd, "end");
  } else {
    return;
  }
  event.preventDefault();
  event.stopPropagation();
});

// ---- Documentation

function typeButton(type) {
  return element("button", { type: "button", onclick: () => showType(named(type)) }, written(type));
}

function entry(one) {
  const head = element("dt", {}, element("code", {}, one.name), one.type ? ": " : "", one.type ? typeButton(one.type) : "");
  const parts = [element("dd", {}, one.description ?? "")];
  if (one.args?.length) parts.push(element("dd", {}, element("dl", {}, ...one.args.flatMap(entry))));
  return [head, ...parts];
}

function showPath(type) {
  const start = element("button", { type: "button", onclick: showRoot }, words.types);
  byId("docs-path").replaceChildren(start, ...(type ? [" / ", element("code", {}, type.name)] : []));
}

function showType(type) {
  if (!type) return;
  showPath(type);
  const rows = type.fields ?? type.inputFields ?? type.enumValues ?? [];
  byId("docs-body").replaceChildren(element("p", {}, type.description ?? ""), element("dl", {}, ...rows.flatMap(entry)));
}

function typeList(wanted) {
  const all = [...types.values()].filter((type) => !type.name.startsWith("__"));
  return all.filter((type) => type.name.toLowerCase().includes(wanted)).sort((a, b) => a.name.localeCompare(b.name));
}

function fieldList(wanted) {
  if (!wanted) return [];
  const of = (type) => (type.fields ?? type.inputFields ?? []).filter((field) => field.name.toLowerCase().includes(wanted));
  return typeList("").flatMap((type) => of(type).map((field) => ({ type, field }))).slice(0, 60);
}

function showRoot() {
  showPath();
  const wanted = byId("docs-search").value.trim().toLowerCase();
  const first = wanted ? [] : [roots.query, roots.mutation, roots.subscription].filter(Boolean);
  const shown = [...first, ...typeList(wanted).filter((type) => !first.includes(type))];
  const typeRow = (type) => element("div", {}, element("button", { type: "button", onclick: () => showType(type) }, type.name));
  const fieldRow = ({ type, field }) => element(
    "div", {}, element("button", { type: "button", onclick: () => showType(type) }, `${type.name}.${field.name}`),
  );
  byId("docs-body").replaceChildren(...shown.map(typeRow), ...fieldList(wanted).map(fieldRow));
}

// What is chosen in the list of completions.
function describe(one) {
  showPath();
  byId("docs-body").replaceChildren(element("dl", {}, ...entry(one)));
}

byId("docs-search").addEventListener("input", showRoot);

// ---- The result

let result;

function leaf(value) {
  if (value === null) return element("span", { class: "null" }, "null");
  if (typeof value === "string" && /^(https?:\/\/|\/files\/)/.test(value)) return element("a", { href: value }, value);
  return element("span", {}, JSON.stringify(value));
}

function tree(key, value, depth) {
  const label = element("span", { class: "key" }, `${key}: `);
  if (value === null || typeof value !== "object") return element("li", {}, label, leaf(value));
  const entries = Object.entries(value);
  // A closed row is known by its first text.
  const first = Array.isArray(value) ? undefined : Object.values(value).find((one) => typeof one === "string");
  const hint = Array.isArray(value) ? ` [${entries.length}]` : depth > 2 && first ? ` ${first}` : "";
  const details = element("details", {}, element("summary", {}, label, element("span", { class: "null" }, hint)));
  const fill = () => {
    if (details.children.length > 1) return;
    details.append(element("ul", {}, ...entries.map(([name, inner]) => tree(name, inner, depth + 1))));
  };
  // What is closed is made when it is opened: results may be large.
  details.addEventListener("toggle", () => details.open && fill());
  if (depth < 3 || entries.length < 4) {
    fill();
    details.open = true;
  }
  return element("li", {}, details);
}

// The first list of objects; edges are shown by their nodes.
function findRows(value) {
  if (Array.isArray(value)) {
    const objects = value.map((one) => (one?.node ? one.node : one)).filter((one) => one && typeof one === "object");
    return objects.length ? objects : undefined;
  }
  if (!value || typeof value !== "object") return undefined;
  for (const inner of Object.values(value)) {
    const found = findRows(inner);
    if (found) return found;
  }
  return undefined;
}

function flat(object, prefix = "", into = {}) {
  for (const [key, value] of Object.entries(object)) {
    if (value && typeof value === "object" && !Array.isArray(value)) flat(value, `${prefix}${key}.`, into);
    else into[prefix + key] = value;
  }
  return into;
}

function table() {
  const found = findRows(result?.data)?.map((row) => flat(row));
  if (!found) return element("p", { class: "soft" }, words.noTable);
  const columns = [...new Set(found.flatMap((row) => Object.keys(row)))];
  const cell = (value) => (value === undefined || value === null ? "" : Array.isArray(value) ? JSON.stringify(value) : value);
  const shown = (value) => (typeof value === "string" && /^(https?:\/\/|\/files\/)/.test(value) ? leaf(value) : String(cell(value)));
  return element(
    "table", {},
    element("thead", {}, element("tr", {}, ...columns.map((name) => element("th", { scope: "col" }, name)))),
    element("tbody", {}, ...found.map((row) => element("tr", {}, ...columns.map((name) => element("td", {}, shown(row[name])))))),
  );
}

function show() {
  if (result === undefined) return;
  const shape = document.querySelector("input[name=shape]:checked").value;
  const made = {
    tree: () => element("ul", { class: "json-tree" }, ...Object.entries(result).map(([key, value]) => tree(key, value, 0))),
    table,
    text: () => element("pre", {}, JSON.stringify(result, null, 2)),
  }[shape]();
  byId("shown").replaceChildren(made);
}

byId("shapes").addEventListener("change", show);

function readVariables() {
  const text = variables.value.trim();
  if (!text) return undefined;
  const read = JSON.parse(text);
  if (read === null || typeof read !== "object" || Array.isArray(read)) throw new Error();
  return read;
}

async function run() {
  const status = byId("result-state");
  byId("result").hidden = false;
  let read;
  try {
    read = readVariables();
    variables.removeAttribute("aria-invalid");
  } catch {
    variables.setAttribute("aria-invalid", "true");
    status.textContent = words.wrongVariables;
    return;
  }
  status.textContent = words.running;
  const began = performance.now();
  try {
    result = await ask({ query: query.value, variables: read });
    const took = `${Math.round(performance.now() - began)} ms`;
    status.textContent = `${result.errors || !("data" in result) ? words.failed : words.done} · ${took}`;
    byId("result").dataset.state = result.errors ? "failed" : "done";
    show();
  } catch (error) {
    status.textContent = `${words.failed} ${error.message}`;
  }
}

editor.addEventListener("submit", (event) => {
  event.preventDefault();
  closeList();
  run();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  closeList();
  run();
});

// ---- Copies for other programs

function asCurl(origin, body) {
  const quoted = JSON.stringify(body).replaceAll("'", "'\\''");
  return `curl -sS '${origin}/graphql' \\\n  -H 'Authorization: Bearer ${words.key}' \\\n  -H 'Content-Type: application/json' \\\n  -d '${quoted}'`;
}

function asPython(origin, body) {
  const text = JSON.stringify(body.query).replaceAll("\\n", "\\n\"\n    \"");
  const given = body.variables ? `json.loads(${JSON.stringify(JSON.stringify(body.variables))})` : "{}";
  return `import json
import urllib.request

QUERY = (
    ${text}
)
request = urllib.request.Request(
    "${origin}/graphql",
    data=json.dumps({"query": QUERY, "variables": ${given}}).encode(),
    headers={"Authorization": "Bearer ${words.key}", "Content-Type": "application/json"},
)
with urllib.request.urlopen(request) as response:
    answer = json.load(response)
if "errors" in answer:
    raise SystemExit(answer["errors"])
print(json.dumps(answer["data"], ensure_ascii=False, indent=2))`;
}

// With a web API credential, which Power BI keeps, the key comes as \`?key=\`.
function asPowerQuery(origin, body) {
  const text = (value) => `"${value.replaceAll("\"", "\"\"").replaceAll("\n", "#(lf)")}"`;
  const parts = [`query = ${text(body.query)}`];
  if (body.variables) parts.push(`variables = ${text(JSON.stringify(body.variables))}`);
  return `let
    Source = Json.Document(Web.Contents("${origin}", [
        RelativePath = "graphql",
        ApiKeyName = "key",
        Query = [${parts.join(", ")}]
    ])),
    Data = Source[data]
in
    Data`;
}

byId("copy-as").hidden = false;
byId("copy").addEventListener("click", async () => {
  let given;
  try {
    given = readVariables();
  } catch {
    return run();
  }
  const form = byId("copy-form").value;
  const body = given ? { query: query.value, variables: given } : { query: query.value };
  const text = { curl: asCurl, python: asPython, powerquery: asPowerQuery }[form](editor.dataset.origin, body);
  // Shown too: a browser copies only over HTTPS and on this machine.
  byId("result").hidden = false;
  byId("copied").hidden = false;
  byId("copied-title").textContent = `${words.copyAs} ${byId("copy-form").selectedOptions[0].textContent}`;
  byId("copied-text").textContent = text;
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    const label = byId("copy").textContent;
    byId("copy").textContent = words.copied;
    setTimeout(() => { byId("copy").textContent = label; }, 1500);
  }
});

loadSchema().catch((error) => {
  byId("result").hidden = false;
  byId("result-state").textContent = `${words.failed} ${error.message}`;
});
