import { expect, it } from "vitest";
import { darkPercent, effective, isBlack, isSilent, isStill, scaled, share, trace, type Frame } from "./judge";

const grey = (...rows: number[]) => rows.flatMap((luma) => [luma, luma, luma, 255, luma, luma, luma, 255]);

it.each([
  [10, [0, 100], 75],
  [9, [0, 100], 50],
  [10, [0, 50], 100],
  [10, [75, 100], 0],
  [10, [99, 100], 0],
  [255, [0, 100], 100],
] as const)("dark up to %d in rows %j: %d %%", (black_luma, rows, expected) => {
  expect(darkPercent(grey(0, 5, 10, 200), 2, 4, { black_luma, black_rows: [...rows] })).toBe(expected);
});

it("verdicts are at the thresholds of the daemon", () => {
  expect([isBlack(95, 0.95), isBlack(95.1, 0.95), isBlack(null, 0.5)]).toEqual([false, true, null]);
  expect([isSilent(-50, -50), isSilent(-50.1, -50), isSilent(null, -50)]).toEqual([false, true, null]);
  expect([isStill(0.01, 57_600, 12), isStill(0.5, 57_600, 12), isStill(null, 1, 1)]).toEqual([true, false, null]);
});

it("typed thresholds count where they are whole", () => {
  const base = { black_luma: 10, black_share: 0.95, black_rows: [5, 70] as [number, number], freeze_min_pixels: 12, silence_db: -50 };
  expect(effective(base, {})).toEqual(base);
  expect(effective(base, { black_luma: 20, silence_db: "loud", black_rows: [70, 5] })).toEqual({ ...base, black_luma: 20 });
  expect(effective(base, { black_rows: [0, 100] }).black_rows).toEqual([0, 100]);
});

it.each([
  [scaled(0, 100), 25, 0.25],
  [scaled(-90, 0), -45, 0.5],
  [scaled(0, 100), 130, 1],
  [scaled(0, 100), -1, 0],
  [scaled(0, 100, 1 / 3), 0.1, 0.1],
])("scales", (scale, value, expected) => {
  expect(scale(value)).toBeCloseTo(expected, 5);
});

it("lines break where nothing was measured", () => {
  const frame = (second: number, black_pct: number | null) => ({ time: new Date(second * 1000).toISOString(), black_pct }) as Frame;
  const frames = [frame(0, 0), frame(5, 50), frame(6, null), frame(10, 200)];
  expect(trace(frames, "black_pct", 0, 10_000, scaled(0, 100))).toEqual([[[0, 0], [0.5, 0.5]], [[1, 1]]]);
  expect(share(frames, (one) => isBlack(one.black_pct, 0.4))).toBeCloseTo(66.7, 1);
  expect(share([], () => true)).toBeNull();
});
