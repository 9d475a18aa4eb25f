import { describe, expect, it } from "vitest";
import { DAY, dayBounds, localDate, offsetAt, stepFor, ticks } from "./ticks";

const HOUR = 3_600_000;
const at = (text: string) => Date.parse(text);
const iso = (ms: number) => new Date(ms).toISOString().replace(":00.000Z", "Z");

describe("offsets", () => {
  it.each([
    ["2026-01-01T00:00:00Z", "Europe/Berlin", 1],
    ["2026-07-01T00:00:00Z", "Europe/Berlin", 2],
    ["2026-07-01T00:00:00Z", "Asia/Kathmandu", 5.75],
    ["2026-07-01T12:00:00.999Z", "America/New_York", -4],
    ["1969-12-31T23:59:59.500Z", "UTC", 0],
  ])("%s in %s", (moment, zone, hours) => {
    expect(offsetAt(at(moment), zone)).toBe(hours * HOUR);
  });
});

describe("a day's length", () => {
  it.each([
    ["2026-03-29", "Europe/Berlin", 23],
    ["2026-10-25", "Europe/Berlin", 25],
    ["2026-11-01", "America/New_York", 25],
    ["2026-06-01", "Europe/Berlin", 24],
    // Midnight is skipped: the day begins at 01:00.
    ["2026-04-24", "Africa/Cairo", 23],
    // Half an hour of daylight saving time.
    ["2026-04-05", "Australia/Lord_Howe", 24.5],
  ])("%s in %s", (date, zone, hours) => {
    const [start, end] = dayBounds(date, zone);
    expect((end - start) / HOUR).toBe(hours);
    expect([localDate(start, zone), localDate(start - 1, zone) < date, localDate(end - 1, zone)]).toEqual([date, true, date]);
  });
});

describe("marks", () => {
  it("stand at full local hours, and twice at the hour that comes twice", () => {
    const [from, to] = [at("2026-10-24T22:00:00Z"), at("2026-10-25T04:00:00Z")];
    expect(ticks(from, to, "Europe/Berlin", 6).map((one) => iso(one.at))).toEqual([
      "2026-10-24T22:00Z", "2026-10-24T23:00Z", "2026-10-25T00:00Z", "2026-10-25T01:00Z", "2026-10-25T02:00Z", "2026-10-25T03:00Z", "2026-10-25T04:00Z",
    ]);
  });
  it("leave out what is skipped in spring: six-hour marks stay at 0, 6, 12 and 18", () => {
    const [from, to] = dayBounds("2026-03-29", "Europe/Berlin");
    const marks = ticks(from, to, "Europe/Berlin", 4);
    expect(marks.map((one) => new Date(one.at + offsetAt(one.at, "Europe/Berlin")).getUTCHours())).toEqual([0, 6, 12, 18, 0]);
    expect(marks.map((one) => one.isDay)).toEqual([true, false, false, false, true]);
  });
  it("know zones that are no whole hour ahead", () => {
    const marks = ticks(at("2026-05-01T00:00:00Z"), at("2026-05-01T03:00:00Z"), "Asia/Kathmandu", 3);
    expect(marks.map((one) => iso(one.at))).toEqual(["2026-05-01T00:15Z", "2026-05-01T01:15Z", "2026-05-01T02:15Z"]);
  });
  it("begin the day where it begins when midnight is skipped", () => {
    const marks = ticks(at("2026-04-23T18:00:00Z"), at("2026-04-24T18:00:00Z"), "Africa/Cairo", 4);
    expect(marks.filter((one) => one.isDay).map((one) => iso(one.at))).toEqual(["2026-04-23T22:00Z"]);
  });
  it("are in order, within the span, and never many more than asked for", () => {
    for (const zone of ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia"]) {
      for (const span of [10_000, 61_000, HOUR, 7 * HOUR, DAY, 9 * DAY, 400 * DAY]) {
        const from = at("2026-03-28T13:13:13.313Z");
        const marks = ticks(from, from + span, zone, 12).map((one) => one.at);
        expect(marks).toEqual([...new Set(marks)].sort((one, other) => one - other));
        expect(marks.every((one) => one >= from && one <= from + span)).toBe(true);
        expect(marks.length).toBeLessThanOrEqual(15);
      }
    }
  });
  it("come in steps that people count in", () => {
    expect([10_000, HOUR, DAY, 30 * DAY].map((span) => stepFor(span, 12))).toEqual([1000, 5 * 60_000, 2 * HOUR, 7 * DAY]);
  });
});
