// Paints the time line onto its canvas. Knows nothing of pointers or of the daemon.
import type { Incident } from "../../../api/types";
import { dayName, ZONE } from "../../../time/format";
import { ticks } from "../../../time/ticks";
import type { Span } from "./scale";
import { toX, type View } from "./scale";

export type Kind = Incident["kind"];
/** A row each, so that colour is not the only sign. */
export const KINDS: Kind[] = ["signal_lost", "blackscreen", "freeze", "silence"];

export interface Mark extends Span {
  id: string;
  kind: Kind;
  isDiscarded: boolean;
}

export interface Level {
  at: number;
  /** 0 to 1; null: nobody listened. */
  level: number | null;
  isSilent: boolean;
}

export interface Scene {
  view: View;
  now: number;
  playhead: number | null;
  hover: number | null;
  coverage: Span[];
  gaps: Span[];
  growing: Span | null;
  incidents: Mark[];
  sound: Level[];
  stepMs: number;
  pins: Span[];
  clip: { start: number | null; end: number | null } | null;
}

export interface Colours {
  [name: string]: string;
}

const NAMES = ["bg", "surface", "raised", "line", "line-strong", "text", "dim", "accent", "accent-soft", "good", "warn", "bad", "live"];

/** Rows, top to bottom. */
export const ROWS = { ruler: [0, 22], track: [24, 50], incidents: [53, 73], sound: [76, 100] } as const;
export const HEIGHT = 102;
const LABEL_PX = 76;

export function coloursOf(element: Element): Colours {
  const style = getComputedStyle(element);
  return Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

export const colourOf = (kind: Kind): string => ({ signal_lost: "bad", blackscreen: "text", freeze: "accent", silence: "warn" })[kind];

export function paint(canvas: CanvasRenderingContext2D, width: number, scene: Scene, colours: Colours, font: string): void {
  const { view } = scene;
  const x = (at: number) => toX(view, width, at);
  const colour = (name: string) => colours[name] ?? "";
  const end = view.from + view.span;
  const isSeen = (one: Span) => one.end > view.from && one.start < end;
  /** At least two pixels: what is short is still to be seen. */
  const bar = (one: Span, top: number, height: number, least = 2) => {
    const left = Math.max(-4, x(one.start));
    canvas.fillRect(left, top, Math.max(least, Math.min(width + 4, x(one.end)) - left), height);
  };
  canvas.clearRect(0, 0, width, HEIGHT);

  const [top, bottom] = ROWS.track;
  canvas.fillStyle = colour("raised");
  canvas.fillRect(0, top, width, bottom - top);
  canvas.fillStyle = colour("accent");
  canvas.globalAlpha = 0.62;
  for (const one of scene.coverage) if (isSeen(one)) bar(one, top, bottom - top, 1);
  canvas.globalAlpha = 1;
  // A gap of a second is wider than a hair, or nobody would find it.
  canvas.fillStyle = colour("raised");
  for (const one of scene.gaps) if (isSeen(one)) bar(one, top, bottom - top, 1.5);
  if (scene.growing && isSeen(scene.growing)) {
    canvas.fillStyle = colour("live");
    bar(scene.growing, top, bottom - top);
  }
  if (end > scene.now) {
    canvas.fillStyle = colour("bg");
    canvas.fillRect(x(scene.now), top, width, bottom - top);
  }
  canvas.fillStyle = colour("good");
  for (const one of scene.pins) if (isSeen(one)) bar(one, bottom - 3, 3, 3);

  drawTicks(canvas, width, view, x, colour, font);

  const rows = ROWS.incidents;
  const row = (rows[1] - rows[0]) / KINDS.length;
  for (const one of scene.incidents) {
    if (!isSeen(one)) continue;
    canvas.fillStyle = colour(colourOf(one.kind));
    canvas.globalAlpha = one.isDiscarded ? 0.3 : 1;
    bar(one, rows[0] + KINDS.indexOf(one.kind) * row, row - 1, 3);
  }
  canvas.globalAlpha = 1;

  const [loud, base] = ROWS.sound;
  for (const one of scene.sound) {
    const span = { start: one.at, end: one.at + scene.stepMs };
    if (!isSeen(span)) continue;
    canvas.fillStyle = one.level === null ? colour("line") : one.isSilent ? colour("warn") : colour("dim");
    const height = one.level === null ? 1 : Math.max(1.5, one.level * (base - loud));
    bar(span, base - height, height, 1);
  }

  drawClip(canvas, width, scene, x, colour);
  const line = (at: number, name: string, thickness: number, from: number) => {
    canvas.fillStyle = colour(name);
    canvas.fillRect(Math.round(x(at)) - thickness / 2, from, thickness, HEIGHT - from);
  };
  if (scene.hover !== null) line(scene.hover, "dim", 1, top);
  if (scene.playhead !== null) {
    line(scene.playhead, "text", 2, top - 2);
    canvas.fillStyle = colour("text");
    const at = Math.round(x(scene.playhead));
    canvas.beginPath();
    canvas.moveTo(at - 6, top - 7);
    canvas.lineTo(at + 6, top - 7);
    canvas.lineTo(at, top + 1);
    canvas.fill();
  }
}

function drawTicks(canvas: CanvasRenderingContext2D, width: number, view: View, x: (at: number) => number, colour: (name: string) => string, font: string): void {
  const most = Math.max(2, Math.floor(width / LABEL_PX));
  const marks = ticks(view.from, view.from + view.span, ZONE, most);
  const step = marks.length > 1 ? (marks[1]?.at ?? 0) - (marks[0]?.at ?? 0) : view.span;
  const label = step < 60_000 ? seconds : minutes;
  canvas.font = font;
  canvas.textBaseline = "middle";
  // Which day the left edge lies in, unless a day begins close by.
  const day = dayName(view.from);
  const room = canvas.measureText(day).width + 20;
  const isNear = marks.some((one) => one.isDay && x(one.at) < room + 40);
  if (!isNear) {
    canvas.fillStyle = colour("text");
    canvas.textAlign = "left";
    canvas.fillText(day, 8, 11);
  }
  for (const { at, isDay } of marks) {
    const place = x(at);
    canvas.fillStyle = colour(isDay ? "line-strong" : "line");
    canvas.fillRect(Math.round(place), 18, 1, HEIGHT - 18);
    const text = isDay ? dayName(at) : label.format(at);
    const half = canvas.measureText(text).width / 2;
    if (place - half < (isNear ? 0 : room) || place + half > width) continue;
    canvas.fillStyle = colour(isDay ? "text" : "dim");
    canvas.textAlign = "center";
    canvas.fillText(text, place, 11);
  }
}

function drawClip(canvas: CanvasRenderingContext2D, width: number, { clip, view }: Scene, x: (at: number) => number, colour: (name: string) => string): void {
  if (!clip) return;
  const [top] = ROWS.track;
  const left = clip.start === null ? null : x(clip.start);
  const right = clip.end === null ? null : x(clip.end);
  canvas.fillStyle = colour("bg");
  canvas.globalAlpha = 0.62;
  if (left !== null && left > 0) canvas.fillRect(0, top, Math.min(left, width), HEIGHT - top);
  if (right !== null && right < width) canvas.fillRect(Math.max(0, right), top, width, HEIGHT - top);
  canvas.globalAlpha = 1;
  canvas.fillStyle = colour("accent");
  for (const [place, side] of [[left, 1], [right, -1]] as const) {
    if (place === null || place < -20 || place > width + 20) continue;
    canvas.fillRect(Math.round(place) - (side > 0 ? 0 : 2), top - 2, 2, HEIGHT - top + 2);
    canvas.beginPath();
    canvas.roundRect(Math.round(place) - (side > 0 ? 0 : 10), top - 2, 10, 20, 3);
    canvas.fill();
  }
  if (left !== null && right !== null && view.span > 0) canvas.fillRect(left, top - 2, Math.max(0, right - left), 2);
}

const minutes = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const seconds = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
