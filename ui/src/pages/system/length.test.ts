import { expect, it } from "vitest";
import { lengthOf } from "./length";

it.each([
  [0.25, "6.0 h"],
  [1, "1 day"],
  [3.14, "3.1 days"],
  [31, "31 days"],
  [200, "7 months"],
  [1000, "2.7 years"],
  [20_000, "55 years"],
  [1e9, "> 100 years"],
  [Infinity, "> 100 years"],
])("%d days are %s", (days, expected) => {
  expect(lengthOf(days)).toBe(expected);
});
