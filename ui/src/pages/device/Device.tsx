// One camera: its picture, live or from the past, and what is recorded of it. `?t=` is a moment of the past.
import { useCallback, useEffect, useRef, useState } from "react";
import { navigate, useParam, Link } from "../../app/router";
import type { Chunk, Device } from "../../api/types";
import { Button, IconButton } from "../../kit/Button";
import { EmptyState, Skeleton } from "../../kit/States";
import { StatusBadge } from "../../kit/StatusBadge";
import { useKeys } from "../../keys/keys";
import { Player } from "../../player/Player";
import { RestartDialog } from "../../player/RestartDialog";
import { useDevice, useIsAway } from "../../store/state";
import { common } from "../../strings/en/common";
import { device as text } from "../../strings/en/device";
import { player as playerText } from "../../strings/en/player";
import { bytes, duration, time } from "../../time/format";
import { ChunkList } from "./ChunkList";
import { chunkAfter, chunkAt, momentOf, useChunks } from "./chunks";
import { Strip } from "./Strip";
import "./device.css";

export function DevicePage({ id }: { id: string }) {
  const device = useDevice(id);
  useEffect(() => {
    if (device) document.title = `${device.name} · ${common.product}`;
    return () => {
      document.title = common.product;
    };
  }, [device]);
  if (device === undefined) return <Skeleton className="device-skeleton" />;
  if (device === null) {
    return (
      <EmptyState icon="device" title={text.unknown(id)} isPage>
        <p>{text.unknownHint}</p>
        <Link to="/">{common.toWall}</Link>
      </EmptyState>
    );
  }
  return <Shown device={device} />;
}

interface Playing {
  chunk: Chunk;
  at: number;
}

function Shown({ device }: { device: Device }) {
  const isAway = useIsAway();
  const [moment, setMoment] = useParam("t");
  const [playing, setPlaying] = useState<Playing | null>(null);
  const picture = useRef<HTMLDivElement>(null);
  const [restart, setRestart] = useState(false);
  const { data: chunks } = useChunks(device.id);

  // The address says where to begin, once what is recorded is known.
  const begun = useRef(false);
  useEffect(() => {
    const at = momentOf(moment);
    if (begun.current || !chunks) return;
    begun.current = true;
    if (at !== null) setPlaying(chunkAt(chunks, at));
  }, [chunks, moment]);

  const play = (chunk: Chunk, at = 0) => {
    setPlaying({ chunk, at });
    setMoment(new Date(Date.parse(chunk.start) + at * 1000).toISOString());
  };
  const goLive = () => {
    setPlaying(null);
    setMoment(null);
  };
  const ended = useCallback(
    (chunk: Chunk) => {
      const next = chunkAfter(chunks ?? [], chunk);
      setPlaying(next && { chunk: next, at: 0 });
      if (!next) setMoment(null);
    },
    // eslint-disable-next-line react-hooks/exhaustive-deps -- setMoment is new on each render and always the same
    [chunks],
  );

  const video = () => picture.current?.querySelector("video");
  useKeys(device.name, [
    { keys: " ", label: text.keyPlay, run: () => void toggle(video()) },
    { keys: "l", label: text.keyLive, run: goLive },
    { keys: "m", label: text.keyMute, run: () => mute(video()) },
    { keys: "r", label: playerText.restart.button, run: () => setRestart(true) },
    { keys: "f", label: text.keyFull, run: () => void full(video()) },
    { keys: "Escape", label: text.keyWall, run: () => navigate("/") },
  ]);

  const open = device.open_chunk;
  const ready = !isAway && device.hot.segments > 0;
  const why = isAway ? common.daemonAway : device.status === "starting" ? text.starting : text.noPicture(common.status[device.status].toLowerCase());
  return (
    <section className="device" data-device={device.id} aria-label={device.name}>
      <header className="page-head">
        <IconButton icon="back" label={common.toWall} onClick={() => navigate("/")} />
        <div className="device-names">
          <h1>{device.name}</h1>
          <span className="dim">{[device.area, device.source].filter(Boolean).join(" · ")}</span>
        </div>
        <span className="spacer" />
        <Button data-act="restart" onClick={() => setRestart(true)}>{playerText.restart.button}</Button>
        <StatusBadge status={isAway ? "unknown" : device.status} {...(device.since ? { title: common.since(time(device.since)) } : {})} />
      </header>
      {device.reason && <p className="device-reason" role="status">{device.reason}</p>}
      <div className="device-body">
        <div className="device-main" ref={picture}>
          <Player playlistUrl={device.playlist_url} label={text.picture(device.name)} ready={ready} why={why} chunk={playing} onEnded={ended}>
            {playing && <Button className="back" onClick={goLive}>{text.backToLive}</Button>}
          </Player>
          <Strip chunks={chunks ?? []} open={open} play={play} />
          <Facts device={device} />
        </div>
        <aside className="card device-side">
          <h2>{text.chunks}</h2>
          <p className="growing" hidden={!open}>{open && text.growing(time(open.start), bytes(open.bytes))}</p>
          <ChunkList device={device.id} chunks={chunks} playing={playing?.chunk ?? null} play={play} stop={goLive} />
        </aside>
      </div>
      {restart && <RestartDialog device={device} onClose={() => setRestart(false)} />}
    </section>
  );
}

function Facts({ device }: { device: Device }) {
  const lost = Object.values(device.lost_seconds).reduce((sum, one) => sum + one, 0);
  const facts: [string, string, string][] = [
    [text.inRam, `${device.hot.segments} s · ${bytes(device.hot.bytes)}`, text.inRamHint],
    [text.onDisk, bytes(device.chunks.bytes), text.onDiskHint],
    [text.lost, lost > 0 ? duration(lost) : text.nothing, text.lostHint],
    [text.writes, device.media_bytes > 0 ? `${(device.written_bytes / device.media_bytes).toFixed(2)} ×` : "–", text.writesHint],
  ];
  return (
    <dl className="card facts device-facts">
      {facts.map(([name, value, hint]) => <div key={name} title={hint}><dt>{name}</dt><dd>{value}</dd></div>)}
    </dl>
  );
}

async function toggle(video: HTMLVideoElement | null | undefined): Promise<void> {
  if (video?.paused) await video.play().catch(() => undefined);
  else video?.pause();
}

function mute(video: HTMLVideoElement | null | undefined): void {
  if (video) video.muted = !video.muted;
}

async function full(video: HTMLVideoElement | null | undefined): Promise<void> {
  if (document.fullscreenElement) await document.exitFullscreen();
  else await video?.parentElement?.requestFullscreen().catch(() => undefined);
}
