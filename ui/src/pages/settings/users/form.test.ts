import { expect, it } from "vitest";
import { rights, toFlat, type User } from "./form";
import { ALPHABET, password } from "./password";

const user = (more: Partial<User>): User => ({ name: "lena", role: "viewer", areas: [], cameras: [], created: "", changed: "", ...more });

it.each([
  [{}, "viewer", { areas: [], cameras: [] }],
  [{ areas: ["Hall: north", "camera:x"], cameras: ["a"] }, "viewer", { areas: ["Hall: north", "camera:x"], cameras: ["a"] }],
  [{ areas: ["Hall"] }, "admin", { areas: [], cameras: [] }],
])("%j as %s", (more, role, expected) => {
  expect(rights(toFlat(user(more)), role)).toEqual(expected);
});

it("what is unchecked is not given", () => {
  expect(rights({ ...toFlat(user({ areas: ["A", "B"] })), "area:A": false }, "viewer").areas).toEqual(["B"]);
});

it("passwords are long, plain to type, and not the same", () => {
  const made = Array.from({ length: 50 }, password);
  expect(new Set(made).size).toBe(50);
  for (const one of made) expect(one).toMatch(/^[a-z2-9]{5}(-[a-z2-9]{5}){3}$/);
  expect(ALPHABET).toHaveLength(32);
});
