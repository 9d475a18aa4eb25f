// A camera as a flat form and back. The daemon judges; here is only which fields there are and how they are written. Pure.
import type { Reply } from "../../../api/client";
import { nested, number, said, type Flat } from "../parts/paths";

export type Camera = Reply<"GET /api/cameras/{id}">;
export type Kind = "rtsp" | "http" | "v4l2" | "file" | "screen" | "test" | "replay";

/** Those that people have first. */
export const KINDS: Kind[] = ["rtsp", "http", "v4l2", "file", "screen", "test", "replay"];
export const PATTERNS = ["testsrc2", "testsrc", "smptebars", "smptehdbars", "rgbtestsrc", "mandelbrot"];

type How = "text" | "number" | "flag" | "spells";

interface Spec {
  how: How;
  /** Sent also when it is empty, so that the daemon says what is missing. */
  needed?: boolean;
  start?: string | boolean;
}

const SOURCES: Record<Kind, Record<string, Spec>> = {
  rtsp: { url: { how: "text", needed: true }, transport: { how: "text", start: "tcp" } },
  http: { url: { how: "text", needed: true } },
  v4l2: { path: { how: "text", needed: true }, format: { how: "text" }, size: { how: "text" }, audio: { how: "text" } },
  file: { path: { how: "text", needed: true }, loop: { how: "flag", start: true } },
  screen: { display: { how: "text", needed: true }, size: { how: "text", needed: true } },
  test: { pattern: { how: "text", start: "testsrc2" }, tone: { how: "number", start: "440" }, black: { how: "spells" }, freeze: { how: "spells" }, silence: { how: "spells" }, period: { how: "number" } },
  replay: { dir: { how: "text", needed: true }, speed: { how: "number", start: "1" } },
};

export const DETECT: Record<string, How | "choice" | "rows"> = {
  black_luma: "number",
  black_share: "number",
  black_rows: "rows",
  freeze_min_pixels: "number",
  ignore_small_motion: "choice",
  silence_db: "number",
  open_after_seconds: "number",
  close_after_seconds: "number",
  join_gap_seconds: "number",
};

export const DETECT_FIELDS = Object.keys(DETECT).map((key) => `detect.${key}`);

export function sourceFields(kind: Kind): string[] {
  return Object.keys(SOURCES[kind]).map((key) => `source.${key}`);
}

/** All that the form may show, for faults to find their place. */
export function fields(kind: Kind): string[] {
  return ["id", "name", "area", "enabled", "quality", "size", "fps", "audio", "source.kind", ...sourceFields(kind), "live.segments", "live.max_age", ...DETECT_FIELDS];
}

/** Nothing typed yet. */
export function blank(): Flat {
  const flat: Flat = { id: "", name: "", area: "", enabled: true, quality: "sd", size: "", fps: "", audio: "auto", "source.kind": "rtsp", "live.segments": "", "live.max_age": "" };
  for (const specs of Object.values(SOURCES)) for (const [key, { how, start }] of Object.entries(specs)) flat[`source.${key}`] ??= start ?? (how === "flag" ? false : "");
  for (const field of DETECT_FIELDS) flat[field] = "";
  return flat;
}

/** For `If-Match`. */
export function tagOf(camera: Camera): string {
  return `"${camera.revision ?? ""}"`;
}

/** With the tag of what was read: an edit belongs to it, also over a session that ends in the middle. */
export function toFlat(camera: Camera): Flat {
  const flat: Flat = { ...blank(), etag: tagOf(camera) };
  const put = (path: string, value: unknown) => {
    if (value === undefined || value === null) return;
    flat[path] = typeof value === "boolean" && path !== "detect.ignore_small_motion" ? value : path.startsWith("source.") && Array.isArray(value) ? spells(value as number[][]) : said(value);
  };
  for (const key of ["id", "name", "area", "enabled", "quality", "size", "fps", "audio"] as const) put(key, camera[key]);
  for (const [part, values] of [["source", camera.source], ["live", camera.live], ["detect", camera.detect]] as const) {
    for (const [key, value] of Object.entries(values)) put(`${part}.${key}`, value);
  }
  return flat;
}

export function source(flat: Flat): Record<string, unknown> {
  const kind = String(flat["source.kind"]) as Kind;
  const found: Record<string, unknown> = { kind };
  for (const [key, { how, needed }] of Object.entries(SOURCES[kind] ?? {})) {
    const value = flat[`source.${key}`];
    if (how === "flag") found[key] = value === true;
    else if (value !== "" || needed) found[key] = how === "number" ? number(String(value)) : how === "spells" ? readSpells(String(value)) : String(value).trim();
  }
  return found;
}

/** As the daemon wants it: what is empty is left out, and means what all cameras have. */
export function toBody(flat: Flat): Record<string, unknown> {
  const body: Record<string, unknown> = { id: flat["id"], name: flat["name"], area: flat["area"], enabled: flat["enabled"], quality: flat["quality"], audio: flat["audio"], source: source(flat) };
  if (flat["size"] !== "") body["size"] = flat["size"];
  for (const path of ["fps", "live.segments", "live.max_age"]) if (flat[path] !== "") body[path] = number(String(flat[path]));
  for (const [key, value] of Object.entries(detect(flat))) body[`detect.${key}`] = value;
  return nested(body);
}

/** Thresholds that say something, by their keys. */
export function detect(flat: Flat): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const [key, how] of Object.entries(DETECT)) {
    const value = String(flat[`detect.${key}`] ?? "");
    if (value === "") continue;
    found[key] = how === "choice" ? value === "true" : how === "rows" ? readRows(value) : number(value);
  }
  return found;
}

function readRows(text: string): unknown {
  const parts = text.split(/[\s,–-]+/).filter((part) => part !== "").map(number);
  return parts.length === 2 ? parts : text;
}

function spells(spans: number[][]): string {
  return spans.map(([from, to]) => `${said(from)}-${said(to)}`).join(", ");
}

/** `10-15, 40-45`; what is none is sent as it is. */
function readSpells(text: string): unknown {
  const spans = text.split(",").map((part) => part.trim().split(/\s*[-–]\s*/).map(number));
  return spans.every((span) => span.length === 2) ? spans : text;
}
