// Pictures are asked for a few at a time: browsers open six connections to a host, and footage must not wait for stills.
// They come as bitmaps for a canvas: decoded off the main thread, and never mixed up with one the browser kept of that address.

/** Leaves room for the event stream, a player and a question. */
const AT_ONCE = 3;
const TIMEOUT_MS = 10_000;

export interface Picture {
  bitmap: ImageBitmap;
  /** When it was taken, in milliseconds since 1970. */
  at: number | null;
}

interface Wish {
  url: string;
  cache: RequestCache;
  signal: AbortSignal;
  done: (picture: Picture | null) => void;
}

const waiting: Wish[] = [];
let running = 0;

/** Null when there is none now, or nobody wants it any more. `draw` shows it. `forGood`: what that address shows never changes. */
export function picture(url: string, signal: AbortSignal, forGood = false): Promise<Picture | null> {
  return new Promise((done) => {
    waiting.push({ url, cache: forGood ? "default" : "no-store", signal, done });
    next();
  });
}

/** Onto a canvas that only ever shows pictures; the bitmap is used up. */
export function draw(canvas: HTMLCanvasElement, { bitmap }: Picture): void {
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  canvas.getContext("bitmaprenderer")?.transferFromImageBitmap(bitmap);
}

function next(): void {
  if (running >= AT_ONCE) return;
  // Newest wishes first: what was scrolled past is wanted least.
  const wish = waiting.pop();
  if (!wish) return;
  running += 1;
  void load(wish)
    .catch(() => null)
    .then(wish.done)
    .finally(() => {
      running -= 1;
      next();
    });
}

async function load({ url, cache, signal }: Wish): Promise<Picture | null> {
  if (signal.aborted) return null;
  const end = new AbortController();
  const stop = () => end.abort();
  const timer = setTimeout(stop, TIMEOUT_MS);
  signal.addEventListener("abort", stop, { once: true });
  try {
    const reply = await fetch(url, { cache, signal: end.signal });
    if (!reply.ok) return null;
    const taken = Date.parse(reply.headers.get("X-Picture-Time") ?? "");
    const bitmap = await createImageBitmap(await reply.blob());
    if (signal.aborted) {
      bitmap.close();
      return null;
    }
    return { bitmap, at: Number.isNaN(taken) ? null : taken };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}
