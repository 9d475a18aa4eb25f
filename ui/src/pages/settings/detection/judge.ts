// What thresholds would say of what was seen and heard. The daemon judges; this shows which way an edit would move it. Pure.
import type { Reply } from "../../../api/client";

export type Frame = Reply<"GET /api/host/metadata/{device}">["frames"][number];

export interface Thresholds {
  black_luma: number;
  black_share: number;
  black_rows: [number, number];
  freeze_min_pixels: number;
  silence_db: number;
}

/** Those typed where they are numbers, else those in force. */
export function effective(base: Thresholds, typed: Record<string, unknown>): Thresholds {
  const take = (key: "black_luma" | "black_share" | "freeze_min_pixels" | "silence_db") => (typeof typed[key] === "number" ? typed[key] : base[key]);
  const rows = typed["black_rows"];
  const fine = Array.isArray(rows) && rows.every((row) => typeof row === "number") && (rows as number[]).length === 2 && (rows as [number, number])[0] < (rows as [number, number])[1];
  return {
    black_luma: take("black_luma"),
    black_share: take("black_share"),
    black_rows: fine ? (rows as [number, number]) : base.black_rows,
    freeze_min_pixels: take("freeze_min_pixels"),
    silence_db: take("silence_db"),
  };
}

/** Percent of the pixels that are dark, in the rows that are looked at, as the daemon counts them. `pixels` is RGBA. */
export function darkPercent(pixels: ArrayLike<number>, width: number, height: number, { black_luma, black_rows }: Pick<Thresholds, "black_luma" | "black_rows">): number {
  const row = (percent: number) => Math.floor((height * Math.min(percent, 100)) / 100);
  const first = row(black_rows[0]);
  const end = Math.min(height, Math.max(row(black_rows[1]), Math.min(first + 1, height)));
  let dark = 0;
  for (let at = first * width * 4; at < end * width * 4; at += 4) {
    const luma = 0.299 * (pixels[at] ?? 0) + 0.587 * (pixels[at + 1] ?? 0) + 0.114 * (pixels[at + 2] ?? 0);
    if (Math.round(luma) <= black_luma) dark += 1;
  }
  const all = (end - first) * width;
  return all === 0 ? 0 : (100 * dark) / all;
}

/** More dark than that is black, unless something plays in it. */
export function isBlack(percent: number | null, share: number): boolean | null {
  return percent === null ? null : percent > share * 100;
}

export function isSilent(db: number | null, limit: number): boolean | null {
  return db === null ? null : db < limit;
}

/** Fewer changed pixels than that is no motion for certain; more may be, if they touch each other. */
export function isStill(percent: number | null, pixels: number, least: number): boolean | null {
  return percent === null ? null : (percent / 100) * pixels < least;
}

/** Height of 0 to 1 between `low` and `high`. `power` below 1 spreads what is small. */
export function scaled(low: number, high: number, power = 1): (value: number) => number {
  return (value) => Math.min(1, Math.max(0, (value - low) / (high - low))) ** power;
}

export type Measure = "black_pct" | "freeze_diff" | "mean_volume_db";

/** `x` and `y` of 0 to 1 for each frame that was measured; apart where something is missing. `scale` gives the height. */
export function trace(frames: Frame[], measure: Measure, from: number, to: number, scale: (value: number) => number): [number, number][][] {
  const lines: [number, number][][] = [[]];
  for (const frame of frames) {
    const value = frame[measure];
    if (value === null) {
      if ((lines.at(-1)?.length ?? 0) > 0) lines.push([]);
      continue;
    }
    const x = (Date.parse(frame.time) - from) / (to - from);
    lines.at(-1)?.push([x, scale(value)]);
  }
  return lines.filter((line) => line.length > 0);
}

/** Percent of the judged frames for which `test` says yes. */
export function share(frames: Frame[], test: (frame: Frame) => boolean | null): number | null {
  const judged = frames.map(test).filter((one) => one !== null);
  return judged.length === 0 ? null : (100 * judged.filter(Boolean).length) / judged.length;
}
