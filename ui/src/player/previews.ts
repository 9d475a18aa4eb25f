// Preview stills of a device: which there are, hour by hour, and their pictures, decoded and kept for scrubbing.
import { ask } from "../api/client";
import { picture } from "../api/pictures";
import { hostNow } from "../time/format";

const HOUR = 3_600_000;
/** 160 of 320 × 180 are 37 MB. */
const KEPT = 160;
const LISTS_KEPT = 60;
/** The list of the hour that is recorded grows. */
const FRESH_MS = 10_000;
/** A still tells of the moments after it up to this long: beyond, there was nothing. */
export const REACH_MS = 90_000;

interface List {
  asked: number;
  stills: Still[];
  wait: Promise<void> | null;
}

export interface Still {
  at: number;
  url: string;
}

/** The last that was taken at or before the moment. Sorted. */
export function stillBefore(stills: readonly Still[], at: number): Still | null {
  let [low, high] = [0, stills.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((stills[middle]?.at ?? 0) <= at) low = middle + 1;
    else high = middle;
  }
  return stills[low - 1] ?? null;
}

/** `…/1795825340753.jpg`: when it was taken. */
export function stillOf(url: string): Still | null {
  const at = Number(/\/(\d+)\.jpg(\?|$)/.exec(url)?.[1] ?? Number.NaN);
  return Number.isFinite(at) ? { at, url } : null;
}

export class Previews {
  private readonly lists = new Map<number, List>();
  private readonly bitmaps = new Map<string, ImageBitmap>();
  private readonly asked = new Map<string, AbortController>();
  private end = new AbortController();

  constructor(private readonly device: string) {}

  /** Ends what is under way and lets go of all pictures. */
  clear(): void {
    this.end.abort();
    this.end = new AbortController();
    for (const bitmap of this.bitmaps.values()) bitmap.close();
    this.bitmaps.clear();
  }

  /** What can be shown of that moment right now: its still, or the nearest one that was looked at and is still decoded. */
  now(at: number): { bitmap: ImageBitmap; at: number; isExact: boolean } | null {
    const still = this.still(at);
    const exact = still && this.bitmaps.get(still.url);
    if (still && exact) return { bitmap: exact, at: still.at, isExact: true };
    return null;
  }

  /** Asks for what that moment shows; `done` when it can be shown. What was asked for before and is not on its way yet is dropped. */
  want(at: number, done: () => void): void {
    const still = this.still(at);
    const list = this.list(Math.floor(at / HOUR));
    if (list.wait) void list.wait.then(() => !this.end.signal.aborted && this.load(at, done)).catch(() => undefined);
    else if (still) this.load(at, done);
  }

  /** The pictures of these moments, so that they are there when somebody scrubs over them. */
  prefetch(moments: number[]): void {
    // The newest wish is served first: the middle of what is looked at is asked for last.
    for (const at of moments) this.want(at, () => undefined);
  }

  private load(at: number, done: () => void): void {
    const still = this.still(at);
    if (!still) return;
    const { url } = still;
    const kept = this.bitmaps.get(url);
    if (kept) {
      // Used last, dropped last.
      this.bitmaps.delete(url);
      this.bitmaps.set(url, kept);
      return done();
    }
    if (this.asked.has(url)) return;
    const end = new AbortController();
    this.end.signal.addEventListener("abort", () => end.abort(), { once: true });
    this.asked.set(url, end);
    void picture(url, end.signal, true).then((found) => {
      this.asked.delete(url);
      if (!found) return;
      this.bitmaps.set(url, found.bitmap);
      const [oldest] = this.bitmaps.entries();
      if (this.bitmaps.size > KEPT && oldest) {
        this.bitmaps.delete(oldest[0]);
        oldest[1].close();
      }
      done();
    });
  }

  private still(at: number): Still | null {
    const hour = Math.floor(at / HOUR);
    const found = stillBefore(this.lists.get(hour)?.stills ?? [], at) ?? stillBefore(this.lists.get(hour - 1)?.stills ?? [], at);
    return found && at - found.at < REACH_MS ? found : null;
  }

  private list(hour: number): List {
    const before = this.lists.get(hour);
    const isFresh = before && ((hour + 1) * HOUR < hostNow() - HOUR || performance.now() - before.asked < FRESH_MS);
    if (isFresh) return before;
    const list: List = { asked: performance.now(), stills: before?.stills ?? [], wait: null };
    const date = new Date(hour * HOUR);
    const query = { date: date.toISOString().slice(0, 10) };
    list.wait = ask("GET /api/host/thumbnails/{device}/{hour}", { path: { device: this.device, hour: date.getUTCHours() }, query, signal: this.end.signal })
      .then(({ thumbnails }) => {
        list.stills = thumbnails.flatMap((url) => stillOf(url) ?? []).sort((one, other) => one.at - other.at);
      })
      .catch(() => {
        list.asked = -Infinity;
      })
      .finally(() => {
        list.wait = null;
      });
    this.lists.set(hour, list);
    const [oldest] = this.lists.keys();
    if (this.lists.size > LISTS_KEPT && oldest !== undefined) this.lists.delete(oldest);
    return list;
  }
}
