import { expect, it } from "vitest";
import { columnAt, columnOf, cut, dayAfter, firstOf, grown, minuteName, nextTrouble, rowsShown, runs, spanOf, tailFrom, within, type Strip } from "./strip";

const strip = (first: number, states: string[], step = 60_000): Strip => ({
  first,
  step,
  count: states[0]?.length ?? 0,
  rows: states.map((one, index) => ({ id: `d${index}`, name: `D${index}`, states: one })),
  complete: true,
});
const drawn = (states: string, width: number) => runs(states, width).map((run) => run.letter.repeat(run.width)).join("");

it.each([
  ["oobbo.", 6, "oobbo."],
  ["ob", 6, "ooobbb"],
  // Fewer pixels than minutes: the worst of each.
  ["ooooooxooooo", 3, "oxo"],
  ["osfbxo......", 4, "fx.."],
  ["...o", 2, ".o"],
  ["", 10, ""],
  ["o", 0, ""],
])("%s on %i pixels is %s", (states, width, expected) => {
  expect(drawn(states, width)).toBe(expected);
});

it("shows a single bad minute of a day on any width", () => {
  for (const width of [200, 390, 777, 1000, 1439, 1440, 1441, 2000, 3840]) {
    for (const at of [0, 1, 719, 720, 1438, 1439]) {
      const states = "o".repeat(at) + "b" + "o".repeat(1439 - at);
      const found = runs(states, width);
      expect(found.reduce((sum, run) => sum + run.width, 0)).toBe(width);
      const bad = found.filter((run) => run.letter === "b");
      expect(bad.length, `${at} on ${width}`).toBe(1);
      expect(columnAt(bad[0]!.x + bad[0]!.width / 2, width, 1440), `${at} on ${width}`).toBeGreaterThanOrEqual(at - 6);
    }
  }
});

it.each([
  [0, 0],
  [9.9, 0],
  [10, 1],
  [99.9, 9],
  [140, 9],
  [-5, 0],
])("x %d is column %i", (x, expected) => {
  expect(columnAt(x, 100, 10)).toBe(expected);
});

it("grows at its end and forgets its begin", () => {
  const base = strip(0, ["oooo", "oob."]);
  const tail = strip(120_000, ["xo.", "boo"]);
  expect(grown(base, tail, 10)).toMatchObject({ first: 0, count: 5, rows: [{ states: "ooxo." }, { states: "ooboo" }] });
  expect(grown(base, tail, 3)).toMatchObject({ first: 120_000, count: 3, rows: [{ states: "xo." }, { states: "boo" }] });
  expect(grown(base, strip(600_000, ["o", "o"]), 10)).toBeNull();
  expect(grown(base, strip(120_000, ["o"]), 10)).toBeNull();
  expect(grown(base, strip(120_000, ["o", "o"], 120_000), 10)).toBeNull();
  expect(tailFrom(strip(0, ["o".repeat(100)]))).toBe(90 * 60_000);
});

it("shows a part that holds the cursor and moves no more than it must", () => {
  const one = strip(0, ["oobbxo.s"]);
  const shown = (count: number, left: number | null, column: number) => {
    const part = cut(one, firstOf(one, count, left, column), count);
    return [part.first / 60_000, part.rows[0]?.states];
  };
  expect(shown(8, null, 0)).toEqual([0, "oobbxo.s"]);
  expect(shown(3, null, 7)).toEqual([5, "o.s"]);
  expect(shown(3, 60_000, 2)).toEqual([1, "obb"]);
  expect(shown(3, 60_000, 4)).toEqual([2, "bbx"]);
  expect(shown(3, 60_000, 0)).toEqual([0, "oob"]);
  expect(shown(3, -600_000, 1)).toEqual([0, "oob"]);
});

it("knows days of 23, 24 and 25 hours", () => {
  const zone = "Europe/Berlin";
  const later = Date.parse("2026-12-31T00:00:00Z");
  const hours = (date: string) => {
    const { from, to, isLive } = spanOf(date, later, zone);
    return [(to - from) / 3_600_000, isLive];
  };
  expect(hours("2026-03-29")).toEqual([23, false]);
  expect(hours("2026-10-25")).toEqual([25, false]);
  expect(hours("2026-11-20")).toEqual([24, false]);
  const noon = Date.parse("2026-11-20T11:00:30Z");
  expect(spanOf("2026-11-20", noon, zone)).toEqual({ from: Date.parse("2026-11-19T23:00:00Z"), to: noon, isLive: true });
  expect(spanOf(null, noon, zone)).toEqual({ from: Date.parse("2026-11-19T11:01:00Z"), to: noon, isLive: true });
  expect(spanOf("nonsense", noon, zone).isLive).toBe(true);
  expect(dayAfter("2026-03-01", -1)).toBe("2026-02-28");
});

it("names minutes as the daemon does", () => {
  expect(minuteName(Date.parse("2026-11-20T03:07:59Z"))).toEqual({ minute: "0307", date: "2026-11-20" });
});

it("finds columns, trouble and incidents", () => {
  const one = strip(60_000, ["oobbxo.s"]);
  expect([columnOf(one, 59_999), columnOf(one, 60_000), columnOf(one, 9 * 60_000)]).toEqual([null, 0, null]);
  expect([nextTrouble("oobbxo.s", 0, true), nextTrouble("oobbxo.s", 2, true), nextTrouble("oobbxo.s", 7, true)]).toEqual([2, 4, null]);
  expect([nextTrouble("oobbxo.s", 7, false), nextTrouble("oobbxo.s", 2, false)]).toEqual([4, null]);
  expect(rowsShown(strip(0, ["oo", ".x", ".."]).rows, "ko").map((row) => row.id)).toEqual(["d1"]);
  expect(rowsShown(strip(0, ["oo", ".x", ".."]).rows, "ok").map((row) => row.id)).toEqual(["d0"]);
  const incident = (device: string, start: number, end: number | null) => ({ device, start: new Date(start).toISOString(), end: end === null ? null : new Date(end).toISOString() });
  const all = [incident("a", 5000, null), incident("a", 0, 1000), incident("b", 0, null), incident("a", 9000, null)];
  expect(within(all, "a", 1000, 9000)).toEqual([all[0]]);
});
