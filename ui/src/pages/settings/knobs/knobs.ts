// Settings of the file that can be changed here, as a flat form and back: an empty field is the file's. Pure.
import { number, said, type Flat } from "../parts/paths";
import { bytesOf, saidSize, sizeOf } from "../parts/sizes";

export type How =
  | "number"
  | "text"
  /** Of the daemon's sizes. */
  | "size"
  /** A number of bytes. */
  | "bytes"
  /** Yes, no, or as the file. */
  | "flag"
  | "choice";

export interface Knob {
  key: string;
  how: How;
  choices?: readonly string[];
}

export type Values = Record<string, unknown>;

export const ARCHIVE: readonly Knob[] = [
  { key: "window_hours", how: "number" },
  { key: "retention_days", how: "number" },
  { key: "max_bytes", how: "size" },
  { key: "device_max_bytes", how: "size" },
  { key: "min_free_bytes", how: "size" },
];

const CODECS = ["auto", "hevc_qsv", "hevc_vaapi", "hevc_nvenc", "hevc_v4l2m2m", "libx265"];
const PRESETS = ["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"];

export const TRANSCODE = {
  when: [
    { key: "run_schedule", how: "text" },
    { key: "min_age_days", how: "number" },
    { key: "pause_between_seconds", how: "number" },
    { key: "idle_seconds", how: "number" },
    { key: "error_pause_seconds", how: "number" },
  ],
  gates: [
    { key: "max_cpu_percent", how: "number" },
    { key: "max_io_wait", how: "number" },
    { key: "min_free_space_gb", how: "number" },
    { key: "max_write_bytes_per_day", how: "bytes" },
  ],
  how: [
    { key: "codec", how: "choice", choices: CODECS },
    { key: "preset", how: "choice", choices: PRESETS },
    { key: "quality", how: "number" },
    { key: "verify_quality", how: "flag" },
    { key: "target_space_savings", how: "number" },
    { key: "min_savings_percent", how: "number" },
    { key: "keep_original_days", how: "number" },
  ],
} satisfies Record<string, readonly Knob[]>;

/** A value as it stands in the form, or beside it. */
export function shown(knob: Knob, value: unknown): string {
  if (value === undefined || value === null) return "";
  return knob.how === "size" || knob.how === "bytes" ? saidSize(value) : said(value);
}

export function toFlat(section: string, knobs: readonly Knob[], own: Values): Flat {
  return Object.fromEntries(knobs.map((knob) => [`${section}.${knob.key}`, shown(knob, own[knob.key])]));
}

/** The section as it shall be; what is no number or size goes as it was typed, for the daemon to say what is wrong with it. */
export function toSection(section: string, knobs: readonly Knob[], flat: Flat): Values {
  const values: Values = {};
  for (const { key, how } of knobs) {
    const text = String(flat[`${section}.${key}`] ?? "");
    if (text.trim() === "") continue;
    if (how === "number") values[key] = number(text);
    else if (how === "size") values[key] = sizeOf(text) ?? text;
    else if (how === "bytes") values[key] = bytesOf(text) ?? text;
    else if (how === "flag") values[key] = text === "true";
    else values[key] = text.trim();
  }
  return values;
}

/** Whether the form says something else than the file. */
export function differs(knob: Knob, typed: string, file: unknown): boolean {
  return typed.trim() !== "" && typed.trim() !== shown(knob, file);
}
