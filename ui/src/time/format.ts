// Times and sizes for people. On the wire and on the disk all is UTC; here, and only here, it becomes local.

/** The viewer's; pure functions take it as an argument. */
export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" } as const;
const clock = new Intl.DateTimeFormat(undefined, CLOCK);
const minute = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

export const clockTime = (at: number | Date): string => clock.format(at);
export const minuteTime = (at: number | Date): string => minute.format(at);
export const dayName = (at: number | Date): string => day.format(at);
/** With date and zone: for tooltips, where nothing may be in doubt. */
export const fullTime = (at: number | Date): string => full.format(at);

/** Local time of day; the day too when it is not today. */
export function time(stamp: string | number): string {
  const date = new Date(stamp);
  const isToday = date.toDateString() === new Date().toDateString();
  return isToday ? clock.format(date) : `${day.format(date)} ${clock.format(date)}`;
}

export function bytes(count: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (count >= 1024 && unit < units.length - 1) {
    count /= 1024;
    unit += 1;
  }
  return `${count.toFixed(unit === 0 || count >= 100 ? 0 : 1)} ${units[unit]}`;
}

/** A length of time, as short as it can be said. */
export function duration(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${(seconds / 3600).toFixed(1)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

let hostAheadMs = 0;

/** The host's clock, as its latest reply told: a viewer's own may be minutes off. */
export function hostNow(): number {
  return Date.now() + hostAheadMs;
}

export function setHostTime(stamp: string): void {
  hostAheadMs = Date.parse(stamp) - Date.now();
}
