// The newest picture of a device: when something happens there, and now and then. What shows a tile shows its picture at
// once: the last one of each device is kept for when it is scrolled back to.
import { useEffect, useRef, useState } from "react";
import { address } from "../../api/client";
import { draw, picture } from "../../api/pictures";
import { subscribe } from "../../events/hub";
import { useIsAway } from "../../store/state";
import { wall as text } from "../../strings/en/wall";

/** The fewer there are to look at, the more often: about three a second in all. */
const EACH_MS = 330;
const EVERY_MS = { least: 2000, most: 10_000 };
/** However much happens. */
const AT_MOST_EVERY_MS = 1000;
/** What is scrolled past is not asked for. */
const REST_MS = 80;
const WIDTH = 480;
/** Half a megabyte each. */
const KEPT = 48;

interface Kept {
  canvas: HTMLCanvasElement;
  at: number;
}

/** The oldest first. */
const pictures = new Map<string, Kept>();
let shown = 0;

function keep(id: string, canvas: HTMLCanvasElement): void {
  pictures.delete(id);
  pictures.set(id, { canvas, at: performance.now() });
  for (const [oldest, { canvas }] of pictures) {
    if (pictures.size <= KEPT) break;
    if (canvas.isConnected) continue;
    pictures.delete(oldest);
  }
}

export function Thumbnail({ id, hasPicture }: { id: string; hasPicture: boolean }) {
  const frame = useRef<HTMLDivElement>(null);
  const [has, setHas] = useState(() => pictures.has(id));
  const isAway = useIsAway();
  const wanted = hasPicture && !isAway;

  useEffect(() => {
    shown += 1;
    const old = pictures.get(id);
    if (old) frame.current?.prepend(old.canvas);
    return () => {
      shown -= 1;
    };
  }, [id]);

  useEffect(() => {
    if (!wanted) return;
    const end = new AbortController();
    let timer: number | undefined;
    let asked = pictures.get(id)?.at ?? -Infinity;
    let busy = false;
    // React keeps each update of a component until it renders again, even one to the same value: none for each picture.
    let isTold = pictures.has(id);
    const later = () => {
      window.clearTimeout(timer);
      const every = Math.min(EVERY_MS.most, Math.max(EVERY_MS.least, shown * EACH_MS));
      timer = window.setTimeout(() => void refresh(), Math.max(REST_MS, asked + every - performance.now()));
    };
    const refresh = async () => {
      if (busy || document.hidden || performance.now() - asked < AT_MOST_EVERY_MS) return later();
      busy = true;
      asked = performance.now();
      const newest = await picture(address("GET /api/host/screenshot/{device}", { device: id }, { width: WIDTH }), end.signal);
      busy = false;
      if (end.signal.aborted) return;
      if (newest) {
        const canvas = pictures.get(id)?.canvas ?? document.createElement("canvas");
        canvas.setAttribute("aria-hidden", "true");
        draw(canvas, newest);
        keep(id, canvas);
        if (!canvas.isConnected) frame.current?.prepend(canvas);
        if (!isTold) setHas(true);
        isTold = true;
      }
      later();
    };
    later();
    const stop = subscribe({ device: id, topics: ["device", "commit", "incident"] }, () => void refresh());
    const look = () => document.hidden || void refresh();
    document.addEventListener("visibilitychange", look);
    return () => {
      end.abort();
      window.clearTimeout(timer);
      stop();
      document.removeEventListener("visibilitychange", look);
    };
  }, [wanted, id]);

  return (
    <div ref={frame} className={has && !hasPicture ? "thumbnail old" : "thumbnail"}>
      {!has && <span className="thumbnail-note">{hasPicture ? "" : text.noPicture}</span>}
    </div>
  );
}
