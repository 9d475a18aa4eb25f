import { expect, it } from "vitest";
import { dayMoved, daysOf, monthAfter, placesBefore } from "./days";

const HOUR = 3_600_000;

it("days of a month with a change to summer time", () => {
  const zone = "Europe/Berlin";
  // 2026-03-29 has 23 hours: from 23:00 UTC of the day before.
  const start = Date.parse("2026-03-28T23:00:00Z");
  const days = daysOf("2026-03", [{ start: start + HOUR, end: start + 2 * HOUR }, { start: start + 22 * HOUR, end: start + 30 * HOUR }], Date.parse("2026-04-01T00:00:00Z"), zone);
  expect(days).toHaveLength(31);
  expect(days[28]).toEqual({ date: "2026-03-29", start, end: start + 23 * HOUR, share: 2 / 23, first: start + HOUR });
  expect(days[29]?.first).toBe(start + 23 * HOUR);
  expect(days[27]).toMatchObject({ share: 0, first: null });
});

it("today is judged by what has passed of it", () => {
  const start = Date.parse("2026-11-28T00:00:00Z");
  const [, today] = daysOf("2026-11", [{ start, end: start + HOUR }], start + 2 * HOUR, "UTC").slice(26);
  expect(today).toMatchObject({ date: "2026-11-28", share: 0.5 });
});

it("months and their first weekday", () => {
  expect([monthAfter("2026-12", 1), monthAfter("2026-01", -1)]).toEqual(["2027-01", "2025-12"]);
  expect(["2026-11", "2026-06", "2026-02"].map(placesBefore)).toEqual([6, 0, 6]);
});

it.each([
  ["2026-03-15", "ArrowLeft", "2026-03-14"],
  ["2026-03-01", "ArrowLeft", "2026-02-28"],
  ["2026-03-29", "ArrowDown", "2026-04-05"],
  ["2026-03-15", "Home", "2026-03-01"],
  ["2026-02-10", "End", "2026-02-28"],
  ["2026-03-31", "PageUp", "2026-02-28"],
  ["2026-01-31", "PageUp", "2025-12-31"],
  ["2026-04-19", "ArrowRight", "2026-04-20"],
  ["2026-04-20", "ArrowRight", "2026-04-20"],
  ["2026-04-18", "ArrowDown", "2026-04-20"],
  ["2026-03-31", "PageDown", "2026-04-20"],
  ["2026-03-15", "Enter", "2026-03-15"],
])("from %s by %s to %s, today being the 20th of April", (from, key, to) => {
  expect(dayMoved(from, key, "2026-04-20")).toBe(to);
});
