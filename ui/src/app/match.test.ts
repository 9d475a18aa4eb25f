import { expect, it } from "vitest";
import { match } from "./match";

it.each([
  ["/", "/", {}],
  ["/", "/x", null],
  ["/device/:id", "/device/cam-1", { id: "cam-1" }],
  ["/device/:id", "/device/cam-1/", { id: "cam-1" }],
  ["/device/:id", "/device/a%20b", { id: "a b" }],
  ["/device/:id", "/device/%E0%A4%A", null],
  ["/device/:id", "/device", null],
  ["/device/:id", "/device/a/b", null],
  ["/settings/:section?", "/settings", {}],
  ["/settings/:section?", "/settings/users", { section: "users" }],
])("%s takes %s: %j", (pattern, path, expected) => {
  expect(match(pattern, path)).toEqual(expected);
});
