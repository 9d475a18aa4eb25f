// One camera: its picture, live or from the past, on one time line. `?t=` is a moment of the past, `&zoom=` how many seconds are shown.
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { Link, navigate } from "../../app/router";
import type { Device } from "../../api/types";
import { Button, IconButton } from "../../kit/Button";
import { EmptyState, Skeleton } from "../../kit/States";
import { StatusBadge } from "../../kit/StatusBadge";
import { toast, toastError } from "../../kit/Toast";
import { useKeys, type Binding } from "../../keys/keys";
import { Playback } from "../../player/playback";
import { RestartDialog } from "../../player/RestartDialog";
import { fullScreen, Stage } from "../../player/Stage";
import { useDevice, useIsAway } from "../../store/state";
import { common } from "../../strings/en/common";
import { device as text } from "../../strings/en/device";
import { player } from "../../strings/en/player";
import { bytes, clockTime, duration, hostNow, time } from "../../time/format";
import { DAY } from "../../time/ticks";
import { Calendar } from "./Calendar";
import { momentOf } from "./chunks";
import { fileName, withEnd } from "./clip";
import { ClipBar } from "./ClipBar";
import { Controls, ModeSwitch, type Actions } from "./Controls";
import { incidentBeside } from "./incidents";
import { Side } from "./Side";
import { KINDS } from "./timeline/draw";
import { usePins, useTimeline } from "./timeline/data";
import { around, atNow, LEAST_SPAN, spanOf, WIDEST, zoomed } from "./timeline/scale";
import { TimelineStore } from "./timeline/store";
import { Timeline, type ClipRange } from "./timeline/Timeline";
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

/** A young recording would be a hairline in a day. */
const FIRST_SPANS = [600_000, 3_600_000, 6 * 3_600_000];
/** How often the address follows what plays. */
const ADDRESS_MS = 2000;
/** Where "24 h" begins when it comes from live. */
const BACK_MS = 10_000;

const query = () => new URLSearchParams(location.search);

function firstView(device: Device): TimelineStore {
  const now = hostNow();
  const age = device.chunks.oldest ? now - Date.parse(device.chunks.oldest) : 0;
  const span = spanOf(query().get("zoom")) ?? FIRST_SPANS.find((one) => one >= age) ?? DAY;
  const at = momentOf(query().get("t"));
  return new TimelineStore(at === null ? atNow(span, now) : around(at, span, now));
}

function Shown({ device }: { device: Device }) {
  const isAway = useIsAway();
  const [playback] = useState(() => new Playback(device.id, device.playlist_url));
  const [store] = useState(() => firstView(device));
  const data = useTimeline(device.id, store);
  const { data: pins = [] } = usePins(device.id);
  const [clip, setClip] = useState<ClipRange | null>(null);
  const [dialog, setDialog] = useState<"restart" | "calendar" | null>(null);
  const screen = useRef<HTMLDivElement>(null);
  useAddress(playback, store);

  const begin = useCallback(() => {
    const at = momentOf(query().get("t"));
    if (at !== null) playback.seek(at, true);
  }, [playback]);

  const actions: Actions = {
    incident: (direction) =>
      void incidentBeside(device.id, playback.now(), direction).then((found) => {
        if (found) playback.seek(Date.parse(found.start));
        else toast(direction < 0 ? text.noIncidentBefore : text.noIncidentAfter);
      }, toastError),
    shot: () => save(playback, device.id),
    inset: () => void inset(playback.shownVideo),
    full: () => void fullScreen(screen.current),
    calendar: () => setDialog("calendar"),
    cut: () => setClip(clip ? null : { start: null, end: null }),
    zoom: (factor) => store.set(zoomed(store.view, factor, playback.now(), hostNow())),
  };
  const day = () => {
    store.isHeld = true;
    store.set(playback.view.mode === "live" ? atNow(DAY, hostNow()) : around(playback.now(), DAY, hostNow()));
    if (playback.view.mode === "live") playback.seek(playback.now() - BACK_MS, true);
  };
  const mark = (side: "start" | "end") => setClip(withEnd(clip, side, playback.now()));
  const move = (seconds: number) => (event: KeyboardEvent) => playback.seek(playback.now() + seconds * (event.shiftKey ? 12_000 : 1000));
  const keys: Binding[] = [
    { keys: " ", label: text.keys.play, run: playback.toggle },
    { keys: "ArrowLeft", label: text.keys.back, run: move(-5) },
    { keys: "ArrowRight", label: text.keys.on, run: move(5) },
    { keys: ",", label: text.frameBack, run: () => playback.step(-1) },
    { keys: ".", label: text.frameNext, run: () => playback.step(1) },
    { keys: "p", label: text.incidentBack, run: () => actions.incident(-1) },
    { keys: "n", label: text.incidentNext, run: () => actions.incident(1) },
    { keys: "<", label: text.keys.slower, run: () => playback.faster(-1) },
    { keys: ">", label: text.keys.faster, run: () => playback.faster(1) },
    { keys: "l", label: text.keys.live, run: playback.goLive },
    { keys: "d", label: text.keys.day, run: day },
    { keys: "c", label: text.calendar, run: actions.calendar },
    { keys: "+", label: text.zoomIn, run: () => actions.zoom(0.5) },
    { keys: "-", label: text.zoomOut, run: () => actions.zoom(2) },
    { keys: "i", label: text.keys.in, run: () => mark("start") },
    { keys: "o", label: text.keys.out, run: () => mark("end") },
    { keys: "x", label: text.keys.clear, run: () => setClip(null) },
    { keys: "e", label: text.keys.download, run: () => document.querySelector<HTMLElement>('.clip [data-act="download"][href]')?.click() },
    { keys: "r", label: player.restart.button, run: () => setDialog("restart") },
    { keys: "s", label: text.shot, run: actions.shot },
    { keys: "w", label: text.inset, run: actions.inset },
    { keys: "m", label: text.keys.mute, run: () => playback.setVolume(playback.view.volume || 1, !playback.view.isMuted) },
    { keys: "ArrowUp", label: text.keys.louder, run: () => playback.setVolume(playback.view.volume + 0.1) },
    { keys: "ArrowDown", label: text.keys.quieter, run: () => playback.setVolume(playback.view.volume - 0.1) },
    { keys: "f", label: text.keys.full, run: actions.full },
    { keys: "Escape", label: text.keys.wall, run: () => (clip ? setClip(null) : navigate("/")) },
  ];
  useKeys(device.name, keys);

  const ready = !isAway && device.hot.segments > 0;
  const why = isAway ? common.daemonAway : device.status === "starting" ? text.starting : text.noPicture(common.status[device.status].toLowerCase());
  const open = device.open_chunk;
  const growing = open ? { start: Date.parse(open.end), end: hostNow() } : null;
  return (
    <section className="device" data-device={device.id} aria-label={device.name}>
      <header className="page-head">
        <IconButton icon="back" label={common.toWall} onClick={() => navigate("/")} />
        <div className="device-names">
          <h1>{device.name}</h1>
          <span className="dim">{[device.area, device.source].filter(Boolean).join(" · ")}</span>
        </div>
        <StatusBadge status={isAway ? "unknown" : device.status} {...(device.since ? { title: common.since(time(device.since)) } : {})} />
        <span className="spacer" />
        <Button icon="again" data-act="restart" aria-label={player.restart.button} title={player.restart.button} onClick={() => setDialog("restart")}><span className="where-wide">{player.restart.button}</span></Button>
        <Button icon="calendar" data-act="calendar" aria-label={text.calendar} title={text.calendar} onClick={actions.calendar}><span className="where-wide">{text.calendar}</span></Button>
        <ModeSwitch playback={playback} day={day} ready={ready} />
      </header>
      {device.reason && <p className="device-reason" role="status">{device.reason}</p>}
      <div className="device-body">
        <div className="device-main">
          <div className="screen" ref={screen}>
            <Stage playback={playback} label={text.picture(device.name)} ready={ready} why={why} fps={typeof device.recorder.fps === "number" ? device.recorder.fps : null} onAttached={begin} />
            <Controls playback={playback} actions={actions} isCutting={clip !== null} />
            <Timeline playback={playback} store={store} data={data} pins={pins} growing={growing} clip={clip} setClip={setClip} label={text.timeline(device.name)} />
            <Legend zoom={actions.zoom} store={store} />
          </div>
          {clip && <ClipBar device={device} playback={playback} data={data} clip={clip} setClip={setClip} />}
          <Facts device={device} />
        </div>
        <Side device={device} playback={playback} incidents={data.incidents} pins={pins} />
      </div>
      {dialog === "restart" && <RestartDialog device={device} onClose={() => setDialog(null)} />}
      {dialog === "calendar" && (
        <Calendar
          device={device.id}
          at={playback.now()}
          close={() => setDialog(null)}
          choose={(chosen) => {
            setDialog(null);
            store.isHeld = true;
            store.set({ from: chosen.start, span: chosen.end - chosen.start });
            if (chosen.first !== null) playback.seek(chosen.first + 1, true);
          }}
        />
      )}
    </section>
  );
}

/** The address tells what is shown, so that a reload and a link lead back to it. */
function useAddress(playback: Playback, store: TimelineStore): void {
  useEffect(() => {
    let timer = 0;
    const write = () => {
      timer = 0;
      const said = query();
      if (playback.view.mode === "live") said.delete("t");
      else said.set("t", new Date(playback.now()).toISOString());
      said.set("zoom", String(Math.round(store.view.span / 1000)));
      navigate(`${location.pathname}?${said.toString()}`, { replace: true });
    };
    const soon = () => {
      timer ||= window.setTimeout(write, ADDRESS_MS);
    };
    playback.movers.add(soon);
    const stop = store.subscribe(soon);
    // Whoever reloads or leaves takes along what is shown right then.
    const leave = () => timer !== 0 && write();
    window.addEventListener("pagehide", leave);
    window.addEventListener("beforeunload", leave);
    return () => {
      window.clearTimeout(timer);
      playback.movers.delete(soon);
      stop();
      window.removeEventListener("pagehide", leave);
      window.removeEventListener("beforeunload", leave);
    };
  }, [playback, store]);
}

function Legend({ zoom, store }: { zoom: (factor: number) => void; store: TimelineStore }) {
  const span = useSyncExternalStore(store.subscribe, store.span);
  return (
    <div className="legend">
      <ul>
        {KINDS.map((kind) => <li key={kind} className={`kind ${kind}`}>{text.kinds[kind]}</li>)}
        <li className="kind sound">{text.sound}</li>
        <li className="kind pinned">{text.pinned}</li>
      </ul>
      <span className="legend-span dim">{text.shown(duration(span / 1000))}</span>
      <IconButton icon="zoomOut" label={text.zoomOut} disabled={span >= WIDEST} onClick={() => zoom(2)} />
      <IconButton icon="zoomIn" label={text.zoomIn} disabled={span <= LEAST_SPAN} onClick={() => zoom(0.5)} />
    </div>
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

/** The picture that is seen, as it was decoded. */
function save(playback: Playback, device: string): void {
  const video = playback.shownVideo;
  if (!video || video.videoWidth === 0) return;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  const at = playback.now();
  canvas.toBlob((blob) => {
    if (!blob) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${fileName(device, at)}.jpg`;
    link.click();
    window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    toast(text.shotSaved(clockTime(at)));
  }, "image/jpeg", 0.92);
}

async function inset(video: HTMLVideoElement | null): Promise<void> {
  try {
    if (document.pictureInPictureElement) await document.exitPictureInPicture();
    else if (video && document.pictureInPictureEnabled) await video.requestPictureInPicture();
    else toast(text.noInset, "bad");
  } catch (error) {
    toastError(error);
  }
}
