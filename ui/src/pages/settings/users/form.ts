// A user as a flat form: a box for each area and camera. Pure.
import type { Reply } from "../../../api/client";
import type { Flat } from "../parts/paths";

export type User = Reply<"GET /api/users/{user}">;

export function toFlat(user: User | null): Flat {
  const flat: Flat = { name: user?.name ?? "", role: user?.role ?? "viewer", password: "" };
  for (const area of user?.areas ?? []) flat[`area:${area}`] = true;
  for (const camera of user?.cameras ?? []) flat[`camera:${camera}`] = true;
  return flat;
}

/** An admin sees everything: the daemon wants none then. */
export function rights(flat: Flat, role: string): { areas: string[]; cameras: string[] } {
  const chosen = (part: string) => (role === "admin" ? [] : Object.keys(flat).filter((key) => key.startsWith(part) && flat[key] === true).map((key) => key.slice(part.length)));
  return { areas: chosen("area:"), cameras: chosen("camera:") };
}
