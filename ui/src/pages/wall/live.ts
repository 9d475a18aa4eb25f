// Which tile is live: the one that is pointed at, or has the focus of the keyboard. One at a time, and only after a moment:
// a pointer that passes by wants nothing.
import { useEffect, useMemo, useRef, useState, type FocusEvent, type PointerEvent } from "react";

const DWELL_MS = 250;

const idOf = (target: EventTarget) => (target instanceof Element ? (target.closest<HTMLElement>("[data-cell]")?.dataset["cell"] ?? null) : null);

export function useLiveTile() {
  const [live, setLive] = useState<string | null>(null);
  const timer = useRef<number | undefined>(undefined);
  const handlers = useMemo(() => {
    let wanted: string | null = null;
    const want = (id: string | null) => {
      if (id === wanted) return;
      wanted = id;
      window.clearTimeout(timer.current);
      // At once where it stops, and before the next begins.
      setLive(null);
      if (id !== null) timer.current = window.setTimeout(() => setLive(id), DWELL_MS);
    };
    return {
      onPointerOver: (event: PointerEvent) => event.pointerType !== "touch" && want(idOf(event.target)),
      onPointerLeave: () => want(null),
      onFocus: (event: FocusEvent) => event.target.matches(":focus-visible") && want(idOf(event.target)),
      onBlur: () => want(null),
      /** It went out of sight. Whoever is wanted next stays so. */
      gone: (id: string) => id === wanted && want(null),
      stop: () => want(null),
    };
  }, []);
  const { gone, stop, ...listeners } = handlers;
  useEffect(() => {
    const hide = () => document.hidden && stop();
    document.addEventListener("visibilitychange", hide);
    return () => {
      document.removeEventListener("visibilitychange", hide);
      window.clearTimeout(timer.current);
    };
  }, [stop]);
  return { live, listeners, gone, stop };
}
