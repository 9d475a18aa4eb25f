import { describe, expect, it } from "vitest";
import { clipAt, footageOf, joined, spanAfter, spanAt, spanBefore, type Stretch } from "./footage";

const stretch = (start: number, end: number, codec = "avc1.64001f"): Stretch => ({ start, end, codec });
const all = [stretch(1000, 5000), stretch(9000, 300_000), stretch(300_000, 310_000, "hvc1.1.6.L93")];

describe("the stretch of a moment", () => {
  it.each([
    [0, null, 1000, null],
    [1000, 1000, 9000, null],
    [4999, 1000, 9000, null],
    [5000, null, 9000, 1000],
    [299_999, 9000, 300_000, 1000],
    [300_000, 300_000, null, 9000],
    [310_000, null, null, 300_000],
  ])("at %d: %s, then %s, before %s", (at, here, after, before) => {
    expect(spanAt(all, at)?.start ?? null).toBe(here);
    expect(spanAfter(all, at)?.start ?? null).toBe(after);
    expect(spanBefore(all, at)?.start ?? null).toBe(before);
  });
});

describe("the clip of a moment", () => {
  it.each([
    ["the grid", stretch(0, 1_000_000), 130_000, [120_000, 240_000]],
    ["from the start of the stretch", stretch(125_000, 1_000_000), 130_000, [125_000, 240_000]],
    ["to its end", stretch(0, 200_000), 130_000, [120_000, 200_000]],
    ["no crumbs at the end", stretch(0, 240_300), 130_000, [120_000, 240_300]],
    ["no crumbs at the start", stretch(119_800, 1_000_000), 130_000, [119_800, 240_000]],
    ["nor a clip of crumbs", stretch(0, 240_300), 240_100, [240_000, 240_300]],
  ] as const)("%s", (_, one, at, [start, end]) => {
    expect(clipAt(one, at)).toEqual({ start, end });
  });
});

it("hours that continue each other are one stretch, unless the codec changes", () => {
  expect(joined([stretch(10, 20), stretch(0, 10), stretch(20, 30, "hvc1"), stretch(40, 50)])).toEqual([stretch(0, 20), stretch(20, 30, "hvc1"), stretch(40, 50)]);
});

it("times of the daemon become milliseconds", () => {
  const told = { start: "1970-01-01T00:00:00Z", end: "1970-01-01T00:01:00Z", coverage: [{ start: "1970-01-01T00:00:01.5Z", end: "1970-01-01T00:00:02Z", codec: "avc1" }], gaps: [], chunks: [] };
  expect(footageOf(told)).toEqual({ start: 0, end: 60_000, stretches: [stretch(1500, 2000, "avc1")], gaps: [], files: [] });
});

it("files end where the next begins, unless there is a gap", () => {
  const stamp = (ms: number) => new Date(ms).toISOString();
  const chunks = [[0, 10_010], [10_000, 19_990], [20_000, 30_000], [40_000, 50_000]].map(([start = 0, end = 0]) => ({ start: stamp(start), end: stamp(end) }));
  const told = { start: stamp(0), end: stamp(60_000), coverage: [], gaps: [], chunks } as unknown as Parameters<typeof footageOf>[0];
  expect(footageOf(told).files.map((one) => one.end)).toEqual([10_000, 20_000, 30_000, 50_000]);
});
