// The newest picture and the last minutes of a camera, judged by thresholds that are typed but not saved.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { address, ask } from "../../../api/client";
import { picture } from "../../../api/pictures";
import { detection as text } from "../../../strings/en/settings_detection";
import { hostNow } from "../../../time/format";
import { said } from "../parts/paths";
import { darkPercent, effective, isBlack, isSilent, isStill, scaled, share, trace, type Frame, type Measure, type Thresholds } from "./judge";
import { useThresholds } from "./thresholds";
import "./detection.css";

const LAST_MS = 120_000;
const EVERY_MS = 2000;

/** `own`: what the camera says now; `typed`: what it, or all of them, shall say. */
export function Preview({ device, typed, own = {} }: { device: string; typed: Record<string, unknown>; own?: Record<string, unknown> }) {
  const inForce = useThresholds();
  const frames = useQuery({
    queryKey: ["preview", device],
    queryFn: async ({ signal }) => {
      const to = hostNow();
      const from = to - LAST_MS;
      const asked = await ask("GET /api/host/metadata/{device}", { path: { device }, query: { from: new Date(from).toISOString(), duration: LAST_MS / 1000, step: 1 }, signal });
      return { frames: asked.frames, from, to };
    },
    refetchInterval: EVERY_MS,
    retry: false,
  });
  const size = /^(\d+)x(\d+)$/.exec(inForce?.thumbnailSize ?? "");
  const pixels = size ? Number(size[1]) * Number(size[2]) : 0;
  const base = inForce?.all;
  const now = base && effective(base, own);
  const would = base && effective(base, typed);
  return (
    <section className="preview" aria-label={text.preview} data-preview={device}>
      <header>
        <h3>{text.preview}</h3>
        <p className="dim">{text.previewHint}</p>
      </header>
      <div className="preview-parts">
        <Picture device={device} thresholds={would} />
        <div className="preview-traces">
          {now && would && MEASURES.map((measure) => <Trace key={measure.key} measure={measure} frames={frames.data?.frames ?? []} from={frames.data?.from ?? 0} to={frames.data?.to ?? 1} now={now} would={would} pixels={pixels} />)}
          {frames.data?.frames.length === 0 && <p className="dim">{text.noFrames}</p>}
        </div>
      </div>
    </section>
  );
}

interface Shown {
  key: Measure;
  unit: string;
  scale: (value: number) => number;
  /** Where the threshold lies, in the same unit. */
  limit: (thresholds: Thresholds, pixels: number) => number;
  judge: (value: number | null, thresholds: Thresholds, pixels: number) => boolean | null;
}

const MEASURES: Shown[] = [
  { key: "black_pct", unit: "%", scale: scaled(0, 100), limit: (all) => all.black_share * 100, judge: (value, all) => isBlack(value, all.black_share) },
  { key: "freeze_diff", unit: "%", scale: scaled(0, 100, 1 / 3), limit: (all, pixels) => (pixels === 0 ? 0 : (100 * all.freeze_min_pixels) / pixels), judge: (value, all, pixels) => isStill(value, pixels, all.freeze_min_pixels) },
  { key: "mean_volume_db", unit: "dB", scale: scaled(-90, 0), limit: (all) => all.silence_db, judge: (value, all) => isSilent(value, all.silence_db) },
];

function Trace({ measure, frames, from, to, now, would, pixels }: { measure: Shown; frames: Frame[]; from: number; to: number; now: Thresholds; would: Thresholds; pixels: number }) {
  const { key, unit, scale } = measure;
  const newest = frames.findLast((frame) => frame[key] !== null)?.[key] ?? null;
  const lines = trace(frames, key, from, to, scale);
  const level = (thresholds: Thresholds) => 100 - 100 * scale(measure.limit(thresholds, pixels));
  const say = (thresholds: Thresholds) => {
    const part = share(frames, (frame) => measure.judge(frame[key], thresholds, pixels));
    return part === null ? text.unknownShare : text.ofTime(part.toFixed(0));
  };
  const verdict = measure.judge(newest, would, pixels);
  return (
    <figure className="trace" data-measure={key} data-verdict={String(verdict)}>
      <figcaption>
        <span className="trace-name">{text.measures[key]}</span>
        <span className="trace-value">{newest === null ? "–" : `${newest.toFixed(key === "freeze_diff" ? 2 : 1)} ${unit}`}</span>
        <span className={verdict ? "status bad" : "status"}>{text.judged[key]}: {text.verdict[String(verdict)]}</span>
      </figcaption>
      <svg viewBox="0 0 300 100" preserveAspectRatio="none" aria-hidden="true">
        {lines.map((line, index) => <polyline key={index} points={line.map(([x, y]) => `${(x * 300).toFixed(1)},${(100 - y * 100).toFixed(1)}`).join(" ")} />)}
        <line className="was" x1="0" x2="300" y1={level(now)} y2={level(now)} />
        <line className="would" x1="0" x2="300" y1={level(would)} y2={level(would)} />
      </svg>
      <dl>
        <div><dt>{text.was}</dt><dd>{limitSaid(measure, now, pixels)} · {text.judged[key]} {say(now)}</dd></div>
        <div className="would"><dt>{text.would}</dt><dd>{limitSaid(measure, would, pixels)} · {text.judged[key]} {say(would)}</dd></div>
      </dl>
    </figure>
  );
}

function limitSaid({ limit, unit }: Shown, thresholds: Thresholds, pixels: number): string {
  return `${said(Number(limit(thresholds, pixels).toPrecision(3)))} ${unit}`;
}

/** On a canvas of its own, whose pixels are counted as the daemon would. */
function Picture({ device, thresholds }: { device: string; thresholds: Thresholds | undefined }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [pixels, setPixels] = useState<ImageData | null>(null);
  const [isTried, setTried] = useState(false);
  useEffect(() => {
    const end = new AbortController();
    let isBusy = false;
    const look = async () => {
      if (isBusy || document.hidden) return;
      isBusy = true;
      const newest = await picture(address("GET /api/host/screenshot/{device}", { device }, { width: 320 }), end.signal);
      isBusy = false;
      if (end.signal.aborted) return;
      setTried(true);
      const context = canvas.current?.getContext("2d", { willReadFrequently: true });
      if (!newest || !context || !canvas.current) return;
      const { bitmap } = newest;
      [canvas.current.width, canvas.current.height] = [bitmap.width, bitmap.height];
      context.drawImage(bitmap, 0, 0);
      setPixels(context.getImageData(0, 0, bitmap.width, bitmap.height));
      bitmap.close();
    };
    void look();
    const timer = setInterval(() => void look(), EVERY_MS);
    return () => {
      end.abort();
      clearInterval(timer);
      setPixels(null);
    };
  }, [device]);
  const dark = pixels && thresholds ? darkPercent(pixels.data, pixels.width, pixels.height, thresholds) : null;
  const [first, end] = thresholds?.black_rows ?? [0, 100];
  return (
    <div className="preview-picture">
      <div className="preview-frame">
        <canvas ref={canvas} role="img" aria-label={text.picture} />
        {pixels && <span className="preview-rows" style={{ top: `${first}%`, bottom: `${100 - end}%` }} />}
        {!pixels && isTried && <span className="thumbnail-note">{text.noPicture}</span>}
      </div>
      <p className="dim" data-dark={dark?.toFixed(1)}>{dark === null ? " " : text.counted(dark.toFixed(1))}</p>
    </div>
  );
}
