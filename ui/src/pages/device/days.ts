// How much of each local day is recorded: what the calendar shows. Pure.
import { dayBounds, localDate } from "../../time/ticks";
import type { Span } from "./timeline/scale";

export interface Day {
  /** `YYYY-MM-DD`, local. */
  date: string;
  start: number;
  end: number;
  /** 0 to 1, of what has passed of it. */
  share: number;
  /** Where its footage begins; null: there is none. */
  first: number | null;
}

/** `YYYY-MM` and the next or the one before. */
export function monthAfter(month: string, step: number): string {
  const [year = 1970, number = 1] = month.split("-").map(Number);
  return new Date(Date.UTC(year, number - 1 + step, 1)).toISOString().slice(0, 7);
}

export const monthOf = (at: number, zone: string): string => localDate(at, zone).slice(0, 7);

/** Its days; 23, 24 or 25 hours each. */
export function daysOf(month: string, coverage: readonly Span[], now: number, zone: string): Day[] {
  const days: Day[] = [];
  const [year = 1970, number = 1] = month.split("-").map(Number);
  const count = new Date(Date.UTC(year, number, 0)).getUTCDate();
  for (let day = 1; day <= count; day += 1) {
    const date = `${month}-${String(day).padStart(2, "0")}`;
    const [start, end] = dayBounds(date, zone);
    let [recorded, first] = [0, null as number | null];
    for (const one of coverage) {
      const [from, to] = [Math.max(one.start, start), Math.min(one.end, end)];
      if (to <= from) continue;
      recorded += to - from;
      first ??= from;
    }
    const passed = Math.min(end, now) - start;
    days.push({ date, start, end, share: passed > 0 ? Math.min(1, recorded / passed) : 0, first });
  }
  return days;
}

/** Empty places before the first, weeks beginning on Monday. */
export function placesBefore(month: string): number {
  return (new Date(`${month}-01T00:00:00Z`).getUTCDay() + 6) % 7;
}
