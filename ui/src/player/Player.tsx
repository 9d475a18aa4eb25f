// The live picture of a device, with what there is to say over it.
import { useEffect, useRef, useState, type ReactNode } from "react";
import { device as text } from "../strings/en/device";
import { LivePlayer, type View } from "./live";
import "./player.css";

interface Props {
  playlistUrl: string;
  label: string;
  /** Whether there is something live to ask for; and what to say when there is not. */
  ready: boolean;
  why: string;
  children?: ReactNode;
}

export function Player({ playlistUrl, label, ready, why, children }: Props) {
  const video = useRef<HTMLVideoElement>(null);
  const player = useRef<LivePlayer | null>(null);
  const [view, setView] = useState<View>({ note: "", badge: "", isLive: true, hasPicture: false });
  useEffect(() => {
    const element = video.current;
    if (!element) return;
    const one = new LivePlayer(element, playlistUrl, setView);
    player.current = one;
    return () => {
      player.current = null;
      one.destroy();
    };
  }, [playlistUrl]);
  useEffect(() => player.current?.setReady(ready, why), [playlistUrl, ready, why]);
  return (
    <div className="player">
      {/* Controls of a player without a picture only cover the reason. */}
      <video ref={video} aria-label={label} muted autoPlay playsInline controls={view.hasPicture} />
      <span className={view.isLive ? "badge live" : "badge"} hidden={view.badge === ""}>{view.badge || text.live}</span>
      <p className="player-note" hidden={view.note === ""}>{view.note}</p>
      {children}
    </div>
  );
}
