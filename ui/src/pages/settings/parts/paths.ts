// Forms are flat: each field by the path that the daemon calls it by, so that its messages find their field. Pure.
import { ApiError } from "../../../api/error";

export type Value = string | boolean;
export type Flat = Record<string, Value>;

/** The field that a path belongs to: itself, or the nearest that holds it. `source.black[0]` is of `source.black`. */
export function nearest(path: string, fields: readonly string[]): string | null {
  for (let at = path; at !== ""; at = at.replace(/(\[\d+\]|\.?[^.[\]]+)$/, "")) if (fields.includes(at)) return at;
  return null;
}

/** The same error at a field of the form; what is of no field is of the whole. */
export function placed(error: unknown, fields: readonly string[]): unknown {
  if (!(error instanceof ApiError) || error.path === null) return error;
  const field = nearest(error.path, fields);
  if (field === error.path) return error;
  return new ApiError(error.kind, `${error.path}: ${error.message}`, error.status, field, error.more);
}

/** A number where it is one; else as it was typed, for the daemon to say what is wrong with it. */
export function number(text: string): number | string {
  const trimmed = text.trim().replace(",", ".");
  return trimmed !== "" && Number.isFinite(Number(trimmed)) ? Number(trimmed) : text;
}

/** `{"a.b": 1}` as `{a: {b: 1}}`. */
export function nested(flat: Record<string, unknown>): Record<string, unknown> {
  const whole: Record<string, unknown> = {};
  for (const [path, value] of Object.entries(flat)) {
    const parts = path.split(".");
    let at = whole;
    for (const part of parts.slice(0, -1)) at = (at[part] ??= {}) as Record<string, unknown>;
    at[parts.at(-1) ?? path] = value;
  }
  return whole;
}

/** As people write it: 0.95 where the daemon's 32 bits say 0.949999988079071. */
export function said(value: unknown): string {
  if (typeof value === "number") return String(Number(value.toPrecision(6)));
  if (Array.isArray(value)) return value.map(said).join(", ");
  if (value === null || value === undefined) return "";
  return String(value);
}
