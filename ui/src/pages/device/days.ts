// How much of each local day is recorded: what the calendar shows. Pure.
import { dayBounds } from "../../time/ticks";
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

const DAYS: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -7, ArrowDown: 7 };

/** The day that a key of the calendar leads to from `date`, never past `today`; the same for any other key. */
export function dayMoved(date: string, key: string, today: string): string {
  const month = date.slice(0, 7);
  const last = (of: string) => `${of}-${new Date(Date.UTC(Number(of.slice(0, 4)), Number(of.slice(5)), 0)).getUTCDate()}`;
  const beside = (by: number) => {
    const other = monthAfter(month, by);
    // The 31st of a month of 30 days is its last.
    const same = `${other}-${date.slice(8)}`;
    return same > last(other) ? last(other) : same;
  };
  const days = DAYS[key];
  const to =
    days !== undefined ? new Date(Date.parse(`${date}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10)
    : key === "Home" ? `${month}-01`
    : key === "End" ? last(month)
    : key === "PageUp" ? beside(-1)
    : key === "PageDown" ? beside(1)
    : date;
  return to > today ? (date > today ? date : today) : to;
}
