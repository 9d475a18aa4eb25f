// Writes src/api/schema.ts of openapi.json, the daemon's own description of its routes (`npm run api`).
// openapi.json is written by the daemon's tests: CAPSTAN_BLESS=1 cargo nextest run --lib openapi
import { readFileSync, writeFileSync } from "node:fs";

const METHODS = ["get", "post", "put", "patch", "delete"];

/** @param {any} schema @param {string} indent @returns {string} */
export function typeOf(schema, indent = "") {
  if (!schema || Object.keys(schema).length === 0) return "unknown";
  if (schema.enum) return schema.enum.map((/** @type {unknown} */ word) => JSON.stringify(word)).join(" | ");
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.anyOf) return [...new Set(schema.anyOf.map((/** @type {any} */ one) => typeOf(one, indent)))].join(" | ");
  switch (schema.type) {
    case "string":
      return "string";
    case "integer":
    case "number":
      return "number";
    case "boolean":
      return "boolean";
    case "null":
      return "null";
    case "array": {
      const item = typeOf(schema.items, indent);
      return item.includes("|") && !item.startsWith("{") ? `(${item})[]` : `${item}[]`;
    }
    case "object":
      return fields(schema, indent);
    default:
      return "unknown";
  }
}

/** @param {any} schema @param {string} indent */
function fields(schema, indent) {
  const properties = Object.entries(schema.properties ?? {});
  if (properties.length === 0) {
    const more = schema.additionalProperties;
    return more && more !== true ? `Record<string, ${typeOf(more, indent)}>` : "Record<string, unknown>";
  }
  const inner = `${indent}  `;
  const required = new Set(schema.required ?? []);
  const lines = properties.map(([name, one]) => {
    const key = /^[A-Za-z_]\w*$/.test(name) ? name : JSON.stringify(name);
    return `${inner}${key}${required.has(name) ? "" : "?"}: ${typeOf(one, inner)};`;
  });
  return `{\n${lines.join("\n")}\n${indent}}`;
}

/** @param {any[]} parameters @param {string} place */
function parameters(parameters, place) {
  const mine = parameters.filter((one) => one.in === place && one.name);
  if (mine.length === 0) return "Nothing";
  const text = (/** @type {any} */ one) => `${JSON.stringify(one.name)}${one.required ? "" : "?"}: ${typeOf(one.schema)}`;
  return `{ ${mine.map(text).join("; ")} }`;
}

/** @param {any} document */
export function generate(document) {
  const lines = [
    "// Made by `npm run api` of openapi.json. Not to be edited: src/api/types.ts gives names to what is used.",
    "",
    "type Nothing = Record<never, never>;",
    "",
    "/** Every operation of the daemon: `METHOD /path`. */",
    "export interface Operations {",
  ];
  for (const [path, item] of Object.entries(document.paths)) {
    for (const method of METHODS) {
      const operation = item[method];
      if (!operation) continue;
      const all = [...(item.parameters ?? []), ...(operation.parameters ?? [])];
      const replies = ["200", "201", "202"].map((status) => operation.responses?.[status]?.content?.["application/json"]?.schema);
      const known = replies.filter(Boolean).map((/** @type {any} */ one) => typeOf(one, "    "));
      const body = operation.requestBody?.content?.["application/json"]?.schema;
      if (operation.summary ?? operation.description) lines.push(`  /** ${(operation.summary ?? operation.description).replaceAll("*/", "* /")} */`);
      lines.push(`  ${JSON.stringify(`${method.toUpperCase()} ${path}`)}: {`);
      lines.push(`    path: ${parameters(all, "path")};`);
      lines.push(`    query: ${parameters(all, "query")};`);
      lines.push(`    body: ${body ? typeOf(body, "    ") : "undefined"};`);
      lines.push(`    reply: ${[...new Set(known)].join(" | ") || "unknown"};`);
      lines.push("  };");
    }
  }
  lines.push("}", "");
  return lines.join("\n");
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const place = new URL("../", import.meta.url);
  const document = JSON.parse(readFileSync(new URL("openapi.json", place), "utf8"));
  writeFileSync(new URL("src/api/schema.ts", place), generate(document));
}
