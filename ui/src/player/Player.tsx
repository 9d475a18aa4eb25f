// The picture of a device, live or of a chunk, with what there is to say over it.
import { useEffect, useRef, useState, type ReactNode } from "react";
import type { Chunk } from "../api/types";
import { device as text } from "../strings/en/device";
import { LivePlayer, type View } from "./live";
import "./player.css";

interface Props {
  playlistUrl: string;
  label: string;
  /** Whether there is something live to ask for; and what to say when there is not. */
  ready: boolean;
  why: string;
  /** What to play instead of live, from `at` seconds on. Another object plays it anew. */
  chunk?: { chunk: Chunk; at: number } | null;
  onEnded?: (chunk: Chunk) => void;
  children?: ReactNode;
}

export function Player({ playlistUrl, label, ready, why, chunk = null, onEnded, children }: Props) {
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
  useEffect(() => {
    if (player.current && onEnded) player.current.ended = onEnded;
  });
  const isPast = useRef(false);
  useEffect(() => {
    if (chunk) player.current?.playChunk(chunk.chunk, chunk.at);
    else if (isPast.current) player.current?.playLive();
    isPast.current = chunk !== null;
  }, [playlistUrl, chunk]);
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
