// Pictures are asked for a few at a time: browsers open six connections to a host, and footage must not wait for stills.

/** Leaves room for the event stream, a player and a question. */
const AT_ONCE = 3;

interface Wish {
  url: string;
  signal: AbortSignal;
  take: (image: HTMLImageElement) => void;
  fail: () => void;
}

const waiting: Wish[] = [];
let running = 0;

/** The decoded picture, ready to be put in the page; null when there is none or nobody wants it any more. */
export function picture(url: string, signal: AbortSignal): Promise<HTMLImageElement | null> {
  return new Promise((resolve) => {
    waiting.push({ url, signal, take: resolve, fail: () => resolve(null) });
    next();
  });
}

function next(): void {
  if (running >= AT_ONCE) return;
  // Newest wishes first: what was scrolled past is wanted least.
  const wish = waiting.pop();
  if (!wish) return;
  if (wish.signal.aborted) {
    wish.fail();
    return next();
  }
  running += 1;
  const image = new Image();
  image.decoding = "async";
  image.alt = "";
  image.src = wish.url;
  const stop = () => (image.src = "");
  wish.signal.addEventListener("abort", stop, { once: true });
  void image
    .decode()
    .then(() => (wish.signal.aborted ? wish.fail() : wish.take(image)), wish.fail)
    .finally(() => {
      wish.signal.removeEventListener("abort", stop);
      running -= 1;
      next();
    });
}
