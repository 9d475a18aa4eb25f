// The picture of a device, live and past: three videos and a still in one place, of which one is seen.
import { useEffect, useRef, useSyncExternalStore, type ReactNode } from "react";
import { Button } from "../kit/Button";
import { device as text } from "../strings/en/device";
import { player } from "../strings/en/player";
import type { Playback } from "./playback";
import type { PlaybackView } from "./view";
import "./player.css";

export function usePlayback(playback: Playback): PlaybackView {
  return useSyncExternalStore(playback.subscribe, playback.snapshot);
}

interface Props {
  playback: Playback;
  label: string;
  ready: boolean;
  why: string;
  fps: number | null;
  onAttached: () => void;
  children?: ReactNode;
}

export function Stage({ playback, label, ready, why, fps, onAttached, children }: Props) {
  const frame = useRef<HTMLDivElement>(null);
  const live = useRef<HTMLVideoElement>(null);
  const one = useRef<HTMLVideoElement>(null);
  const other = useRef<HTMLVideoElement>(null);
  const still = useRef<HTMLCanvasElement>(null);
  const view = usePlayback(playback);
  const attached = useRef(onAttached);
  useEffect(() => {
    if (!frame.current || !live.current || !one.current || !other.current || !still.current) return;
    const detach = playback.attach({ frame: frame.current, live: live.current, past: [one.current, other.current], still: still.current });
    attached.current();
    return detach;
  }, [playback]);
  useEffect(() => playback.setReady(ready, why, fps), [playback, ready, why, fps]);
  const isLive = view.surface === "live";
  return (
    <div className={view.isStill ? "player stage with-still" : "player stage"} ref={frame} onDoubleClick={(event) => void fullScreen(event.currentTarget)}>
      <video ref={one} className="past" aria-label={isLive ? undefined : label} aria-hidden={isLive} tabIndex={-1} playsInline onClick={playback.toggle} />
      <video ref={other} className="past" aria-hidden="true" tabIndex={-1} playsInline onClick={playback.toggle} />
      <video ref={live} className={isLive ? "live seen" : "live"} aria-label={isLive ? label : undefined} aria-hidden={!isLive} tabIndex={-1} muted autoPlay playsInline onClick={playback.toggle} />
      <canvas ref={still} className="stage-still" width="16" height="9" aria-hidden="true" />
      <span className={view.mode === "live" && isLive ? "badge live" : "badge"} hidden={view.badge === ""}>{view.badge || text.live}</span>
      <span className="stage-busy" hidden={!view.isBusy && view.encoding === null} aria-hidden="true" />
      <p className="player-note" role="status" hidden={view.note === "" || view.offer !== null}>{view.note}</p>
      {view.offer !== null && (
        <div className="stage-offer" role="alert">
          <p>{player.hevc(view.offer)}</p>
          <Button kind="primary" data-act="h264" onClick={playback.acceptH264}>{player.asH264}</Button>
          <p className="stage-offer-hint">{player.asH264Hint}</p>
        </div>
      )}
      {children}
    </div>
  );
}

/** The picture with its controls and the time line, if it stands in such a place. */
export async function fullScreen(from: Element | null): Promise<void> {
  if (document.fullscreenElement) await document.exitFullscreen();
  else await (from?.closest(".screen") ?? from)?.requestFullscreen().catch(() => undefined);
}
