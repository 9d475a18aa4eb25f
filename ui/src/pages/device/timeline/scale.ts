// Which stretch of time the time line shows: zoom, pan, follow. Pure: milliseconds and pixels.
import { DAY } from "../../../time/ticks";

export interface Span {
  start: number;
  end: number;
}

export interface View {
  from: number;
  span: number;
}

export const LEAST_SPAN = 10_000;
/** By zooming. */
export const WIDEST = DAY;
/** By the calendar: a local day has up to 25 h. */
export const MOST_SPAN = DAY + 3_600_000;
/** Room behind now, so that the newest is not glued to the edge. */
const AHEAD = 0.03;

export const toX = (view: View, width: number, at: number): number => ((at - view.from) / view.span) * width;
export const toTime = (view: View, width: number, x: number): number => view.from + (x / width) * view.span;

/** Within what there may be: not into the future, not shorter or longer than can be shown. */
export function within(view: View, now: number): View {
  const span = Math.min(MOST_SPAN, Math.max(LEAST_SPAN, view.span));
  return { span, from: Math.max(0, Math.min(view.from, now + span * AHEAD - span)) };
}

/** By that factor around the moment, which keeps its place. */
export function zoomed(view: View, factor: number, around: number, now: number): View {
  const span = Math.min(Math.max(WIDEST, Math.min(view.span, MOST_SPAN)), Math.max(LEAST_SPAN, view.span * factor));
  return within({ span, from: around - ((around - view.from) / view.span) * span }, now);
}

export function panned(view: View, ms: number, now: number): View {
  return within({ ...view, from: view.from + ms }, now);
}

/** The newest at the right. */
export function atNow(span: number, now: number): View {
  return within({ span, from: now }, now);
}

export function around(at: number, span: number, now: number): View {
  return within({ span, from: at - span / 2 }, now);
}

/** Turns the page when the playhead leaves it; live is followed bit by bit. */
export function following(view: View, at: number, isLive: boolean, now: number): View {
  if (isLive) return at > view.from + view.span * (1 - AHEAD) || at < view.from ? atNow(view.span, now) : view;
  if (at >= view.from && at <= view.from + view.span * 0.98) return view;
  const isAhead = at > view.from && at < view.from + view.span * 1.5;
  return isAhead ? within({ ...view, from: at - view.span * 0.1 }, now) : around(at, view.span, now);
}

/** The lengths in which the daemon is asked: the same tiles whatever the zoom between two of them. */
export const TILES = [600_000, 3_600_000, 6 * 3_600_000, DAY];

export interface Tile extends Span {
  length: number;
}

/** What to ask for: two at most. `MOST_SPAN` is longer than a tile by the hour of a long day. */
export function tilesOf(view: View): Tile[] {
  const length = TILES.find((one) => one >= view.span) ?? DAY;
  const tiles: Tile[] = [];
  for (let start = Math.floor(view.from / length) * length; start < view.from + view.span; start += length) tiles.push({ start, end: start + length, length });
  return tiles;
}

/** Seconds: shorter gaps are not told. Coarse enough for a day, fine enough that nothing to be seen is lost. */
export const resolutionOf = (length: number): number => (length >= DAY ? 5 : length >= 6 * 3_600_000 ? 1 : 0);
/** Seconds of one bar of sound. */
export const stepOf = (length: number): number => Math.max(1, length / 720_000);

/** What lies under a pointer within so many pixels. */
export function nearest<T extends Span>(spans: readonly T[], view: View, width: number, x: number, reach = 4): T | null {
  let best: T | null = null;
  let least = reach;
  for (const one of spans) {
    const [left, right] = [toX(view, width, one.start), toX(view, width, one.end)];
    const away = x < left ? left - x : x > right ? x - right : 0;
    if (away < least || (away === 0 && best !== null && one.end - one.start < best.end - best.start)) {
      best = one;
      least = Math.max(away, 0.001);
    }
  }
  return best;
}

/** `zoom=` of an address: seconds. */
export function spanOf(text: string | null): number | null {
  const seconds = Number(text ?? Number.NaN);
  return text !== null && Number.isFinite(seconds) && seconds > 0 ? Math.min(MOST_SPAN, Math.max(LEAST_SPAN, seconds * 1000)) : null;
}
