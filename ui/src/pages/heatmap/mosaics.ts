// Mosaics of minutes, the last ones kept as they came: scrubbing back shows them at once. The daemon draws one at a time, so a
// minute is asked for when the pointer rests, and its neighbours once it is there.
import { useEffect, useRef, useState, type RefObject } from "react";
import { address } from "../../api/client";
import { MINUTE, minuteName, type Show } from "./strip";

const KEPT = 160;
const REST_MS = 50;
const TIMEOUT_MS = 8000;
const NEIGHBOURS = [1, -1, 2, -2, 3, -3];
/** Stills and verdicts come up to a commit late. */
const SETTLES_MS = 3 * MINUTE;

const kept = new Map<string, Blob>();

export function addressOf(at: number, show: Show): string {
  const { minute, date } = minuteName(at);
  const suffix = show === "all" ? "" : `_${show}`;
  const pattern = `GET /api/host/heatmap/{minute}${suffix}.jpg` as "GET /api/host/heatmap/{minute}.jpg";
  return address(pattern, { minute } as never, { date });
}

async function load(url: string, isSettled: boolean, signal: AbortSignal): Promise<Blob | null> {
  const known = kept.get(url);
  if (known) {
    kept.delete(url);
    kept.set(url, known);
    return known;
  }
  const end = new AbortController();
  const stop = () => end.abort();
  const timer = setTimeout(stop, TIMEOUT_MS);
  signal.addEventListener("abort", stop, { once: true });
  try {
    const reply = await fetch(url, { signal: end.signal });
    if (!reply.ok) return null;
    const blob = await reply.blob();
    if (isSettled) kept.set(url, blob);
    for (const oldest of kept.keys()) {
      if (kept.size <= KEPT) break;
      kept.delete(oldest);
    }
    return blob;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}

async function paint(canvas: HTMLCanvasElement | null, blob: Blob, signal: AbortSignal): Promise<Shown["picture"]> {
  const bitmap = await createImageBitmap(blob);
  const { width, height } = bitmap;
  if (canvas && !signal.aborted) {
    [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
    canvas.getContext("bitmaprenderer")?.transferFromImageBitmap(bitmap);
  } else bitmap.close();
  return { width, height };
}

export interface Shown {
  /** The minute that the picture shows, which may be the one before while the next is on its way. */
  at: number | null;
  /** Of which it was asked, and its size; null before there is one. */
  show: Show;
  picture: { width: number; height: number } | null;
  /** There is none of the minute that is asked for. */
  missing: boolean;
}

/** Draws the mosaic of that minute onto the canvas. `now` moves when what is shown may have changed. */
export function useMosaic(canvas: RefObject<HTMLCanvasElement | null>, at: number | null, show: Show, now: number): Shown {
  const [shown, setShown] = useState<Shown>({ at: null, show, picture: null, missing: false });
  const latest = useRef(now);
  useEffect(() => {
    latest.current = now;
  });
  // A young minute is asked for again as the strip grows.
  const version = at !== null && now - at < SETTLES_MS ? now : 0;
  useEffect(() => {
    if (at === null) return;
    const end = new AbortController();
    const settled = (minute: number) => latest.current - minute > SETTLES_MS;
    const url = addressOf(at, show);
    const run = async () => {
      const blob = await load(url, settled(at), end.signal);
      if (end.signal.aborted) return;
      const picture = blob && (await paint(canvas.current, blob, end.signal));
      if (end.signal.aborted) return;
      setShown((before) => (picture ? { at, show, picture, missing: false } : { ...before, missing: true }));
      for (const by of NEIGHBOURS) {
        const minute = at + by * MINUTE;
        if (settled(minute)) await load(addressOf(minute, show), true, end.signal);
      }
    };
    const failed = () => !end.signal.aborted && setShown((before) => ({ ...before, missing: true }));
    const timer = setTimeout(() => void run().catch(failed), kept.has(url) ? 0 : REST_MS);
    return () => {
      clearTimeout(timer);
      end.abort();
    };
  }, [canvas, at, show, version]);
  return shown;
}
