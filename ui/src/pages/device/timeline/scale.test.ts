import { describe, expect, it } from "vitest";
import { DAY } from "../../../time/ticks";
import { around, atNow, following, LEAST_SPAN, MOST_SPAN, nearest, panned, spanOf, tilesOf, toTime, toX, WIDEST, within, zoomed } from "./scale";

const NOW = 1_800_000_000_000;
const view = { from: NOW - 1000_000, span: 100_000 };

describe("zoom", () => {
  it("keeps the moment under the pointer in its place", () => {
    const at = view.from + 30_000;
    for (const factor of [0.5, 0.9, 1.3, 3]) {
      const next = zoomed(view, factor, at, NOW);
      expect(toX(next, 1000, at)).toBeCloseTo(300, 6);
      expect(toTime(next, 1000, 300)).toBeCloseTo(at, 3);
    }
  });
  it.each([
    [1e-9, LEAST_SPAN],
    [1e9, WIDEST],
  ])("by %d ends at %d ms", (factor, span) => {
    expect(zoomed(view, factor, view.from, NOW).span).toBe(span);
  });
});

it("a day of 25 h that the calendar shows stays whole, and is not zoomed out to from others", () => {
  const long = { from: NOW - MOST_SPAN, span: MOST_SPAN };
  expect([zoomed(long, 2, NOW, NOW).span, zoomed({ ...long, span: WIDEST - 1 }, 2, NOW, NOW).span]).toEqual([MOST_SPAN, WIDEST]);
});

it("nothing is shown of the future but a margin", () => {
  expect(within({ from: NOW, span: 100_000 }, NOW).from).toBe(NOW - 97_000);
  expect(panned(view, 1e12, NOW)).toEqual(atNow(100_000, NOW));
  expect(around(NOW, 10_000, NOW).from).toBe(NOW - 10_000 + 300);
});

describe("following", () => {
  it.each([
    ["inside", view.from + 50_000, false, view.from],
    ["past the right edge: a page further", view.from + 99_000, false, view.from + 89_000],
    ["elsewhere: in the middle", view.from + 500_000, false, view.from + 450_000],
    ["before the left edge", view.from - 1000, false, view.from - 51_000],
    ["live: the newest at the right", NOW, true, NOW - 97_000],
  ])("%s", (_, at, isLive, from) => {
    expect(following(view, at, isLive, NOW).from).toBe(from);
  });
});

it.each([
  [10_000, 600_000, 1],
  [3_000_000, 3_600_000, 2],
  [DAY, DAY, 2],
  [MOST_SPAN, DAY, 2],
])("%d ms are asked for in tiles of %d", (span, length, most) => {
  const tiles = tilesOf({ from: NOW - span - 12_345, span });
  expect(tiles.length).toBeLessThanOrEqual(most + 1);
  expect(tiles[0]?.length).toBe(length);
  expect(tiles[0]?.start).toBeLessThanOrEqual(NOW - span - 12_345);
  expect(tiles.at(-1)?.end).toBeGreaterThanOrEqual(NOW - 12_345);
});

it("the smallest thing under the pointer is found, else one near it", () => {
  const spans = [{ start: view.from, end: view.from + 50_000, id: "long" }, { start: view.from + 10_000, end: view.from + 10_100, id: "short" }];
  const find = (x: number) => nearest(spans, view, 1000, x)?.id ?? null;
  expect([find(100), find(300), find(503), find(600)]).toEqual(["short", "long", "long", null]);
});

it.each([[null, null], ["", null], ["x", null], ["60", 60_000], ["1", LEAST_SPAN], ["1e9", MOST_SPAN]])("zoom=%s", (text, span) => {
  expect(spanOf(text)).toBe(span);
});
