// Marks of a time line in a time zone, right across changes of daylight saving time. Pure: no clock, no page.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

const STEPS = [
  ...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12].map((n) => n * HOUR),
  ...[1, 2, 7, 14].map((n) => n * DAY),
];

export interface Tick {
  /** Milliseconds since 1970. */
  at: number;
  /** A local day begins here. */
  isDay: boolean;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** How far local time is ahead of UTC at that moment, in milliseconds. */
export function offsetAt(at: number, zone: string): number {
  let format = formats.get(zone);
  if (!format) {
    const digits = { year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric" } as const;
    format = new Intl.DateTimeFormat("en-US", { timeZone: zone, hourCycle: "h23", ...digits });
    formats.set(zone, format);
  }
  const parts = Object.fromEntries(format.formatToParts(at).map((part) => [part.type, Number(part.value)]));
  const { year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(at / SECOND) * SECOND;
}

/** Stretches within which local time runs evenly. */
function stretches(from: number, to: number, zone: string): { start: number; end: number; offset: number }[] {
  const found = [];
  let [start, offset] = [from, offsetAt(from, zone)];
  // No zone changes its time twice within six hours.
  for (let at = from; at < to; ) {
    const next = Math.min(to, at + 6 * HOUR);
    const then = offsetAt(next, zone);
    if (then !== offset) {
      let [before, after] = [at, next];
      while (after - before > 1) {
        const middle = Math.floor((before + after) / 2);
        if (offsetAt(middle, zone) === offset) before = middle;
        else after = middle;
      }
      found.push({ start, end: after, offset });
      [start, offset] = [after, then];
    }
    at = next;
  }
  found.push({ start, end: to, offset });
  return found;
}

/** The finest step of which at most `most` marks fit. */
export function stepFor(span: number, most: number): number {
  return STEPS.find((step) => span / step <= most) ?? Math.ceil(span / most / (28 * DAY)) * 28 * DAY;
}

/** Full local seconds, minutes, hours or days within `from` and `to`, at most about `most`. An hour that comes twice has its mark twice. */
export function ticks(from: number, to: number, zone: string, most: number): Tick[] {
  const step = stepFor(to - from, most);
  const marks: Tick[] = [];
  let lastDay = dayNumber(from - 1, offsetAt(from - 1, zone));
  for (const { start, end, offset } of stretches(from, to, zone)) {
    // A change at midnight skips it: the day begins at the change.
    if (start > from && dayNumber(start, offset) !== lastDay && (start + offset) % DAY !== 0) {
      marks.push({ at: start, isDay: true });
      lastDay = dayNumber(start, offset);
    }
    const isLast = end === to;
    for (let at = Math.ceil((start + offset) / step) * step - offset; isLast ? at <= end : at < end; at += step) {
      const day = dayNumber(at, offset);
      marks.push({ at, isDay: (at + offset) % DAY === 0 && day !== lastDay });
      lastDay = day;
    }
  }
  return marks;
}

function dayNumber(at: number, offset: number): number {
  return Math.floor((at + offset) / DAY);
}

/** First moment of the local day `YYYY-MM-DD` and of the day after: 23, 24 or 25 hours apart. */
export function dayBounds(date: string, zone: string): [start: number, end: number] {
  const midnight = Date.parse(`${date}T00:00:00Z`);
  return [startOfDay(midnight, zone), startOfDay(midnight + DAY, zone)];
}

/** The first moment whose local date is that of `wall`, a local time written as if it were UTC. */
function startOfDay(wall: number, zone: string): number {
  // Zones are 14 h ahead to 12 h behind; local dates grow with time, so halving finds the first moment of the day.
  let [before, after] = [wall - 15 * HOUR, wall + 13 * HOUR];
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (middle + offsetAt(middle, zone) < wall) before = middle;
    else after = middle;
  }
  return after;
}

/** `YYYY-MM-DD` of the local day. */
export function localDate(at: number, zone: string): string {
  return new Date(at + offsetAt(at, zone)).toISOString().slice(0, 10);
}
