// What there is to play around a moment, as the timeline tells it. Pure: milliseconds since 1970 in, spans out.
import type { Timeline } from "../api/types";

export interface Span {
  start: number;
  end: number;
}

/** Footage without a hole, in one codec. */
export interface Stretch extends Span {
  /** RFC 6381. */
  codec: string;
}

export interface Gap extends Span {
  reason: Timeline["gaps"][number]["reason"];
}

export interface Footage extends Span {
  stretches: Stretch[];
  gaps: Gap[];
  /** The files that hold it: where one is damaged, the others still play. */
  files: Span[];
}

/** A clip of this length is asked for: its table has some 40 KB, so that a click costs little even on a slow line. */
export const CLIP_MS = 120_000;
/** Of what is encoded for this browser first: it plays after a few seconds. */
export const ENCODED_MS = 20_000;
/** A rest shorter than this is not worth a clip of its own. */
const LEAST_MS = 500;

export function footageOf(timeline: Pick<Timeline, "start" | "end" | "coverage" | "gaps" | "chunks">): Footage {
  const span = <T extends { start: string; end: string }>(one: T) => ({ ...one, start: Date.parse(one.start), end: Date.parse(one.end) });
  const files: Span[] = timeline.chunks.map(({ start, end }) => ({ start: Date.parse(start), end: Date.parse(end) }));
  // Sound may reach a little into the next file, or end a little before it: each ends where the next begins.
  for (const [index, file] of files.entries()) {
    const next = files[index + 1];
    if (next && next.start - file.end < LEAST_MS) file.end = Math.max(file.start, next.start);
  }
  return { start: Date.parse(timeline.start), end: Date.parse(timeline.end), stretches: timeline.coverage.map(span), gaps: timeline.gaps.map(span), files };
}

/** The span that holds the moment. Sorted by start. */
export function spanAt<T extends Span>(spans: readonly T[], at: number): T | null {
  let [low, high] = [0, spans.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((spans[middle]?.end ?? 0) > at) high = middle;
    else low = middle + 1;
  }
  const found = spans[low];
  return found && found.start <= at ? found : null;
}

/** The first that begins after the moment. */
export function spanAfter<T extends Span>(spans: readonly T[], at: number): T | null {
  return spans.find((one) => one.start > at) ?? null;
}

/** The latest that ended before the moment. */
export function spanBefore<T extends Span>(spans: readonly T[], at: number): T | null {
  return spans.findLast((one) => one.end <= at) ?? null;
}

/** Neighbours that continue each other are one: an hour's footage is asked for hour by hour. */
export function joined(stretches: Stretch[]): Stretch[] {
  const out: Stretch[] = [];
  for (const one of [...stretches].sort((a, b) => a.start - b.start)) {
    const last = out.at(-1);
    if (last && last.codec === one.codec && one.start <= last.end + 1) last.end = Math.max(last.end, one.end);
    else out.push({ ...one });
  }
  return out;
}

/** Which clip of the stretch to ask for, for that moment: of a fixed grid, so that what is near is in the same one. */
export function clipAt(stretch: Span, at: number, length = CLIP_MS): Span {
  const grid = Math.floor(at / length) * length;
  let start = Math.max(stretch.start, grid);
  let end = Math.min(stretch.end, grid + length);
  if (stretch.end - end < LEAST_MS) end = stretch.end;
  if (start - stretch.start < LEAST_MS) start = stretch.start;
  return { start, end };
}

export const isHevc = (codec: string): boolean => /^(hvc1|hev1)/.test(codec);
