// The newest picture of a device. It is asked for while it is on screen: when something happens there, and now and then.
import { useEffect, useRef, useState } from "react";
import { address } from "../../api/client";
import { draw, picture } from "../../api/pictures";
import type { Device } from "../../api/types";
import { subscribe } from "../../events/hub";
import { useIsAway } from "../../store/state";
import { wall } from "../../strings/en/wall";

const EVERY_MS = 10_000;
/** However much happens. */
const AT_MOST_EVERY_MS = 1000;
const WIDTH = 480;

/** Asking a device without pictures would only be refused. */
function hasPicture(device: Device): boolean {
  return (device.status === "online" || device.status === "degraded") && device.hot.newest_picture_age_seconds !== null;
}

export function Thumbnail({ device }: { device: Device }) {
  const frame = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [shown, setShown] = useState(false);
  const [seen, setSeen] = useState(false);
  const isAway = useIsAway();
  const { id } = device;
  const wanted = seen && !isAway && hasPicture(device);

  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    // A screen ahead: a picture is there when it is scrolled to.
    const observer = new IntersectionObserver((entries) => setSeen(entries.at(-1)?.isIntersecting ?? false), { rootMargin: "50%" });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    if (!wanted) return;
    const end = new AbortController();
    let asked = -Infinity;
    let busy = false;
    const refresh = async () => {
      if (busy || document.hidden || performance.now() - asked < AT_MOST_EVERY_MS) return;
      busy = true;
      asked = performance.now();
      const newest = await picture(address("GET /api/host/screenshot/{device}", { device: id }, { width: WIDTH }), end.signal);
      busy = false;
      if (!newest || !canvas.current) return;
      draw(canvas.current, newest);
      setShown(true);
    };
    void refresh();
    const timer = window.setInterval(() => void refresh(), EVERY_MS);
    const stop = subscribe({ device: id, topics: ["device", "commit", "incident"] }, () => void refresh());
    return () => {
      end.abort();
      window.clearInterval(timer);
      stop();
    };
  }, [wanted, id]);

  const isOld = shown && !hasPicture(device);
  return (
    <div ref={frame} className={isOld ? "thumbnail old" : "thumbnail"}>
      <canvas ref={canvas} hidden={!shown} aria-hidden="true" />
      {!shown && <span className="thumbnail-note">{hasPicture(device) ? "" : wall.noPicture}</span>}
    </div>
  );
}
