// A range that is cut out: how long, how large, and which incident lies next. Pure.
import type { Chunk } from "../../api/types";
import type { ClipRange } from "./timeline/Timeline";
import type { Span } from "./timeline/scale";

/** Bytes of the footage within the range, as its files have them. */
export function sizeOf(files: readonly (Span & { bytes: number })[], range: Span): number {
  let sum = 0;
  for (const { start, end, bytes } of files) {
    const overlap = Math.min(end, range.end) - Math.max(start, range.start);
    if (overlap > 0 && end > start) sum += (bytes * overlap) / (end - start);
  }
  return sum;
}

/** Milliseconds of the range in which nothing was recorded. */
export function missingIn(gaps: readonly Span[], range: Span): number {
  return gaps.reduce((sum, gap) => sum + Math.max(0, Math.min(gap.end, range.end) - Math.max(gap.start, range.start)), 0);
}

/** Both ends, in order and of some length; null while one is missing. */
export function rangeOf(clip: ClipRange | null): Span | null {
  if (clip === null || clip.start === null || clip.end === null || clip.end - clip.start < 40) return null;
  return { start: clip.start, end: clip.end };
}

/** Sets one end; the other goes where it would lie on the wrong side. */
export function withEnd(clip: ClipRange | null, side: "start" | "end", at: number): ClipRange {
  const next = { start: clip?.start ?? null, end: clip?.end ?? null, [side]: at };
  if (next.start !== null && next.end !== null && next.end <= next.start) return side === "start" ? { start: at, end: null } : { start: null, end: at };
  return next;
}

/** `1:02:03.4` */
export function lengthText(ms: number): string {
  const tenths = Math.round(ms / 100);
  const [hours, minutes, seconds] = [Math.floor(tenths / 36_000), Math.floor(tenths / 600) % 60, Math.floor(tenths / 10) % 60];
  const two = (value: number) => String(value).padStart(2, "0");
  return `${hours > 0 ? `${hours}:` : ""}${two(minutes)}:${two(seconds)}.${tenths % 10}`;
}

export function fileName(device: string, start: number): string {
  return `${device}-${new Date(start).toISOString().replace(/[:.]/g, "-")}`;
}

export const spanOfChunk = (chunk: Pick<Chunk, "start" | "end">): Span => ({ start: Date.parse(chunk.start), end: Date.parse(chunk.end) });
