import { expect, it } from "vitest";
import { allows, type Role } from "./session";

const user = (role: Role) => ({ name: "lena", role, areas: [], cameras: [] });

it.each([
  [{ auth: false, user: null }, "admin", true],
  [{ auth: true, user: null }, "viewer", false],
  [{ auth: true, user: user("viewer") }, "viewer", true],
  [{ auth: true, user: user("viewer") }, "operator", false],
  [{ auth: true, user: user("operator") }, "admin", false],
  [{ auth: true, user: user("admin") }, "operator", true],
] as const)("%j may what an %s may: %s", (me, role, expected) => {
  expect(allows(me as never, role)).toBe(expected);
});
