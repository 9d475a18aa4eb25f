import { describe, expect, it } from "vitest";
import { lengthText, missingIn, rangeOf, sizeOf, withEnd } from "./clip";

const files = [{ start: 0, end: 10_000, bytes: 1000 }, { start: 10_000, end: 20_000, bytes: 3000 }];

it.each([
  [{ start: 0, end: 20_000 }, 4000],
  [{ start: 5000, end: 15_000 }, 2000],
  [{ start: 20_000, end: 30_000 }, 0],
])("%o has %d bytes", (range, bytes) => {
  expect(sizeOf(files, range)).toBe(bytes);
});

it("what is missing of a range", () => {
  expect(missingIn([{ start: 0, end: 3000 }, { start: 9000, end: 20_000 }], { start: 1000, end: 10_000 })).toBe(3000);
});

describe("the ends of a clip", () => {
  it.each([
    [null, "start", 5, { start: 5, end: null }],
    [{ start: 5, end: null }, "end", 9, { start: 5, end: 9 }],
    [{ start: 5, end: 9 }, "start", 12, { start: 12, end: null }],
    [{ start: 5, end: 9 }, "end", 2, { start: null, end: 2 }],
  ] as const)("%o, %s at %d", (clip, side, at, expected) => {
    expect(withEnd(clip, side, at)).toEqual(expected);
  });
  it("one alone is none", () => {
    expect([null, { start: 1, end: null }, { start: 5, end: 6 }].map(rangeOf)).toEqual([null, null, null]);
    expect(rangeOf({ start: 0, end: 1000 })).toEqual({ start: 0, end: 1000 });
  });
});

it.each([[900, "00:00.9"], [61_250, "01:01.3"], [3_600_000, "1:00:00.0"]])("%d ms are %s", (ms, text) => {
  expect(lengthText(ms)).toBe(text);
});
