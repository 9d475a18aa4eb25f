// The wall on a wall: one group after another over the whole screen, with nothing around it. It keeps the screen awake.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { createPortal } from "react-dom";
import { IconButton } from "../../kit/Button";
import { useKeys } from "../../keys/keys";
import { useIsAway } from "../../store/state";
import { common } from "../../strings/en/common";
import { wall as text } from "../../strings/en/wall";
import { cssOf } from "./Grid";
import { screensOf, type Columns, type Sizes } from "./layout";
import { useLiveTile } from "./live";
import type { Group } from "./order";
import { Tile } from "./Tile";
import { PACES } from "./view";

interface Props {
  groups: Group[];
  columns: Columns;
  sizes: Sizes;
  showArea: boolean;
  pace: number;
  setPace: (seconds: number) => void;
  close: () => void;
}

export function Kiosk({ groups, columns, sizes, showArea, pace, setPace, close }: Props) {
  const [isPaused, setPaused] = useState(false);
  const [turn, setTurn] = useState(0);
  const place = useRef<HTMLDivElement>(null);
  const size = useSize(place);
  const screens = useMemo(() => (size ? screensOf(groups, columns, size.width, size.height, sizes) : []), [groups, columns, size, sizes]);
  const at = screens.length === 0 ? 0 : ((turn % screens.length) + screens.length) % screens.length;
  const screen = screens[at];
  const { live, listeners, gone } = useLiveTile();
  const isAway = useIsAway();
  useWakeLock();
  useFullScreen(close);
  useAlone();
  useEffect(() => {
    if (isPaused || screens.length < 2) return;
    // `turn` counts too: what was turned to by hand stands as long as the others.
    const timer = window.setTimeout(() => setTurn(turn + 1), pace * 1000);
    return () => window.clearTimeout(timer);
  }, [isPaused, pace, turn, screens.length]);
  useKeys(text.kiosk.title, [
    { keys: "Escape", label: text.kiosk.leave, run: close },
    { keys: "f", label: text.kiosk.leave, run: close },
    { keys: " ", label: isPaused ? text.kiosk.go : text.kiosk.pause, run: () => setPaused(!isPaused) },
    { keys: "ArrowLeft", label: text.kiosk.previous, run: () => setTurn(turn - 1) },
    { keys: "ArrowRight", label: text.kiosk.next, run: () => setTurn(turn + 1) },
  ]);
  return createPortal(
    <section className={isAway ? "kiosk away" : "kiosk"} aria-label={text.kiosk.title}>
      <header className="kiosk-head">
        <h1>{screen ? text.kiosk.part(screen.title || text.title, screen.part, screen.parts) : text.title}</h1>
        {isAway && <p className="kiosk-away" role="status">{common.daemonAway} {common.tryingAgain}</p>}
        <span className="spacer" />
        {screens.length > 1 && <span className="dim">{text.kiosk.place(at + 1, screens.length)}</span>}
        <div className="kiosk-controls">
          <IconButton icon="back" label={text.kiosk.previous} disabled={screens.length < 2} onClick={() => setTurn(turn - 1)} />
          <IconButton icon={isPaused ? "play" : "pause"} label={isPaused ? text.kiosk.go : text.kiosk.pause} aria-pressed={isPaused} onClick={() => setPaused(!isPaused)} />
          <IconButton icon="next" label={text.kiosk.next} disabled={screens.length < 2} onClick={() => setTurn(turn + 1)} />
          <select className="select" aria-label={text.kiosk.pace} value={pace} onChange={(event) => setPace(Number(event.target.value))}>
            {[...new Set([...PACES, pace])].sort((one, other) => one - other).map((seconds) => <option key={seconds} value={seconds}>{text.kiosk.paceOf(seconds)}</option>)}
          </select>
          <IconButton icon="close" label={text.kiosk.leave} onClick={close} />
        </div>
        {screens.length > 1 && !isPaused && <span key={`${turn} ${pace}`} className="kiosk-pace" style={{ animationDuration: `${pace}s` }} />}
      </header>
      <div ref={place} className="kiosk-tiles" style={screen && { ...cssOf(sizes, screen.columns), gridTemplateColumns: `repeat(${screen.columns}, ${screen.tileWidth}px)` }} {...listeners}>
        {screen?.tiles.map((tile) => (
          <div key={tile.id} className="wall-cell" data-cell={tile.id}>
            <Tile facts={tile} isLive={live === tile.id} isActive showArea={showArea} gone={gone} />
          </div>
        ))}
        {size && !screen && <p className="dim">{text.kiosk.nothing}</p>}
      </div>
    </section>,
    document.body,
  );
}

function useSize(element: { current: HTMLElement | null }): { width: number; height: number } | null {
  const [size, setSize] = useState<{ width: number; height: number } | null>(null);
  useLayoutEffect(() => {
    const own = element.current;
    if (!own) return;
    const observer = new ResizeObserver(([entry]) => entry && setSize({ width: entry.contentRect.width, height: entry.contentRect.height }));
    observer.observe(own);
    return () => observer.disconnect();
  }, [element]);
  return size;
}

/** The browser's own full screen where somebody pressed for it; a link into the rotation fills the window only. */
function useFullScreen(close: () => void): void {
  const latest = useRef(close);
  useEffect(() => {
    latest.current = close;
  });
  useEffect(() => {
    if (navigator.userActivation?.isActive ?? true) void document.documentElement.requestFullscreen?.().catch(() => undefined);
    const left = () => document.fullscreenElement === null && latest.current();
    document.addEventListener("fullscreenchange", left);
    return () => {
      document.removeEventListener("fullscreenchange", left);
      if (document.fullscreenElement) void document.exitFullscreen().catch(() => undefined);
    };
  }, []);
}

/** What it covers can be neither reached nor read. */
function useAlone(): void {
  useEffect(() => {
    const root = document.querySelector<HTMLElement>(".app");
    if (!root) return;
    root.inert = true;
    return () => {
      root.inert = false;
    };
  }, []);
}

/** Where there is one: browsers give it to pages of https and of this very host. It ends whenever the page is hidden. */
function useWakeLock(): void {
  useEffect(() => {
    let lock: WakeLockSentinel | null = null;
    let isOver = false;
    const ask = async () => {
      if (document.hidden || !("wakeLock" in navigator)) return;
      const got = await navigator.wakeLock.request("screen").catch(() => null);
      if (isOver) await got?.release();
      else lock = got;
    };
    void ask();
    const again = () => void ask();
    document.addEventListener("visibilitychange", again);
    return () => {
      isOver = true;
      document.removeEventListener("visibilitychange", again);
      void lock?.release();
    };
  }, []);
}
