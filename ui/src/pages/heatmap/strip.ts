// What the strip is made of, and where things lie in it. Pure: letters and numbers in, numbers out.
import { DAY, dayBounds, localDate } from "../../time/ticks";

/** As the daemon says it: signal lost, black, frozen, silent, well, nothing there. */
export type Letter = "x" | "b" | "f" | "s" | "o" | ".";
/** Worst first. */
export const LETTERS: Letter[] = ["x", "b", "f", "s", "o", "."];
export type Show = "all" | "ok" | "ko";

export const MINUTE = 60_000;
/** Columns that may still change: footage comes up to a commit late, an incident some seconds. */
const UNSETTLED = 10;

export interface Row {
  id: string;
  name: string;
  states: string;
}

export interface Strip {
  /** Milliseconds since 1970 of the first column's begin. */
  first: number;
  step: number;
  count: number;
  rows: Row[];
  complete: boolean;
}

interface Told {
  from: string;
  step_seconds: number;
  minutes: string[];
  incidents_complete: boolean;
  devices: { device_id: string; device_name: string; states: string }[];
}

export function stripOf(told: Told): Strip {
  const rows = told.devices.map((one) => ({ id: one.device_id, name: one.device_name, states: one.states }));
  return { first: Date.parse(told.from), step: told.step_seconds * 1000, count: told.minutes.length, rows, complete: told.incidents_complete };
}

/** Which span a local day is, or the last day; what is live grows. */
export function spanOf(date: string | null, now: number, zone: string): { from: number; to: number; isLive: boolean } {
  if (date === null || !/^\d{4}-\d{2}-\d{2}$/.test(date)) return { from: Math.floor(now / MINUTE) * MINUTE - DAY + MINUTE, to: now, isLive: true };
  const [from, end] = dayBounds(date, zone);
  return { from, to: Math.min(end, Math.max(now, from + MINUTE)), isLive: now < end && now >= from };
}

/** The local day `by` days later. */
export function dayAfter(date: string, by: number): string {
  return new Date(Date.parse(`${date}T12:00:00Z`) + by * DAY).toISOString().slice(0, 10);
}

export function today(now: number, zone: string): string {
  return localDate(now, zone);
}

/** Where the last minutes are to be asked again from. */
export function tailFrom(strip: Strip): number {
  return Math.max(strip.first, strip.first + (strip.count - UNSETTLED) * strip.step);
}

/** The strip with its end replaced by a younger one; null when they do not fit, or other devices are told of. Keeps at most `most` columns. */
export function grown(base: Strip, tail: Strip, most: number): Strip | null {
  const offset = (tail.first - base.first) / base.step;
  const fits = tail.step === base.step && Number.isInteger(offset) && offset >= 0 && offset <= base.count;
  if (!fits || tail.rows.length !== base.rows.length) return null;
  const count = offset + tail.count;
  const cut = Math.max(0, count - most);
  const rows: Row[] = [];
  for (const [index, row] of tail.rows.entries()) {
    const before = base.rows[index];
    if (before?.id !== row.id) return null;
    rows.push({ ...row, states: (before.states.slice(0, offset) + row.states).slice(cut) });
  }
  return { ...tail, first: base.first + cut * base.step, count: count - cut, rows };
}

export function letterAt(row: Row | undefined, column: number): Letter {
  return (row?.states[column] as Letter | undefined) ?? ".";
}

export function isTrouble(letter: Letter): boolean {
  return letter !== "o" && letter !== ".";
}

/** Those that the filter leaves: a camera without trouble is not looked for among trouble. */
export function rowsShown(rows: Row[], show: Show): Row[] {
  if (show === "all") return rows;
  const wanted = show === "ko" ? /[xbfs]/ : /o/;
  return rows.filter((row) => wanted.test(row.states));
}

export interface Run {
  x: number;
  width: number;
  letter: Letter;
}

/** One line of `width` pixels, neighbours of one colour together. Each pixel has the worst of its minutes: none is too short to be seen. */
export function runs(states: string, width: number): Run[] {
  const found: Run[] = [];
  const count = states.length;
  if (count === 0 || width <= 0) return found;
  let last = null as Run | null;
  for (let x = 0; x < width; x += 1) {
    const begin = Math.floor((x * count) / width);
    const end = Math.max(begin + 1, Math.ceil(((x + 1) * count) / width));
    let worst = LETTERS.length - 1;
    // A pixel that begins within a minute that the one before has shown already belongs to the next, unless a minute is wider.
    const from = count > width && x > 0 ? Math.ceil((x * count) / width) : begin;
    for (let at = Math.min(from, end - 1); at < end && at < count; at += 1) {
      const rank = LETTERS.indexOf(states[at] as Letter);
      if (rank >= 0 && rank < worst) worst = rank;
    }
    const letter = LETTERS[worst] ?? ".";
    if (last?.letter === letter) last.width += 1;
    else {
      last = { x, width: 1, letter };
      found.push(last);
    }
  }
  return found;
}

export function columnAt(x: number, width: number, count: number): number {
  return Math.min(count - 1, Math.max(0, Math.floor((x / width) * count)));
}

/** The middle of a column, in pixels. */
export function middleOf(column: number, width: number, count: number): number {
  return ((column + 0.5) / count) * width;
}

/** Where `count` columns that hold `column` begin: at `left` (milliseconds since 1970) where they do, else moved as little as needed; at the end without `left`. */
export function firstOf(strip: Strip, count: number, left: number | null, column: number): number {
  if (count >= strip.count) return 0;
  const wanted = left === null ? strip.count - count : Math.round((left - strip.first) / strip.step);
  const moved = Math.min(column, Math.max(column - count + 1, wanted));
  return Math.min(strip.count - count, Math.max(0, moved));
}

/** `count` columns of it. */
export function cut(strip: Strip, first: number, count: number): Strip {
  if (count >= strip.count) return strip;
  const rows = strip.rows.map((row) => ({ ...row, states: row.states.slice(first, first + count) }));
  return { ...strip, first: strip.first + first * strip.step, count, rows };
}

export function startOf(strip: Strip, column: number): number {
  return strip.first + column * strip.step;
}

/** Of any moment; null when the strip does not have it. */
export function columnOf(strip: Strip, at: number): number | null {
  const column = Math.floor((at - strip.first) / strip.step);
  return column >= 0 && column < strip.count ? column : null;
}

/** The begin of the next trouble, or of the one before; null when there is none. */
export function nextTrouble(states: string, column: number, forward: boolean): number | null {
  const isBad = (at: number) => isTrouble((states[at] as Letter | undefined) ?? ".");
  const begins = (at: number) => isBad(at) && (at === 0 || states[at] !== states[at - 1]);
  for (let at = column + (forward ? 1 : -1); at >= 0 && at < states.length; at += forward ? 1 : -1) if (begins(at)) return at;
  return null;
}

/** As the daemon names a minute: `HHMM` and the day, in UTC. */
export function minuteName(at: number): { minute: string; date: string } {
  const text = new Date(at).toISOString();
  return { minute: text.slice(11, 13) + text.slice(14, 16), date: text.slice(0, 10) };
}

interface Spanned {
  device: string;
  start: string;
  end: string | null;
}

/** Those of the device that reach into the span, oldest first. */
export function within<T extends Spanned>(all: T[], device: string, from: number, to: number): T[] {
  const reaches = (one: T) => Date.parse(one.start) < to && (one.end === null || Date.parse(one.end) > from);
  return all.filter((one) => one.device === device && reaches(one)).sort((one, other) => Date.parse(one.start) - Date.parse(other.start));
}

/** Where a stretch of a device leads: to the begin of what happened in it, else to its own begin. */
export function momentOf(device: string, from: number, step: number, incidents: Spanned[]): { at: number; path: string } {
  const begun = within(incidents, device, from, from + step).map((one) => Date.parse(one.start));
  const at = begun.find((start) => start >= from) ?? from;
  return { at, path: `/device/${encodeURIComponent(device)}?t=${encodeURIComponent(new Date(at).toISOString())}` };
}

/** High enough to be hit, low enough that many fit. */
export function rowHeight(rows: number, isCoarse: boolean): number {
  if (rows <= 10) return isCoarse ? 36 : 28;
  if (rows <= 36) return isCoarse ? 28 : 20;
  return isCoarse ? 24 : 16;
}
