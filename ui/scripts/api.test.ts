import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { generate, typeOf } from "./api.mjs";

const read = (name: string) => readFileSync(new URL(`../${name}`, import.meta.url), "utf8");

it("the types are those of the daemon's description; `npm run api` writes them anew", () => {
  expect(generate(JSON.parse(read("openapi.json")))).toBe(read("src/api/schema.ts"));
});

it.each([
  [{ type: "string", enum: ["a", "b"] }, '"a" | "b"'],
  [{ anyOf: [{ type: "string" }, { type: "null" }] }, "string | null"],
  [{ type: "array", items: { anyOf: [{ type: "number" }, { type: "null" }] } }, "(number | null)[]"],
  [{ type: "object", additionalProperties: { type: "number" } }, "Record<string, number>"],
  [{ type: "object", additionalProperties: true }, "Record<string, unknown>"],
  [{ type: "object", properties: { a: { type: "integer" }, b: { type: "boolean" } }, required: ["a"] }, "{\n  a: number;\n  b?: boolean;\n}"],
])("%j", (schema, expected) => {
  expect(typeOf(schema)).toBe(expected);
});
