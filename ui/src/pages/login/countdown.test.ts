import { expect, it } from "vitest";
import { left } from "./countdown";

it.each([
  [6000, 0, 6],
  [6000, 1, 6],
  [6000, 5001, 1],
  [6000, 6000, 0],
  [6000, 9000, 0],
])("until %d at %d: %d s", (until, now, expected) => {
  expect(left(until, now)).toBe(expected);
});
