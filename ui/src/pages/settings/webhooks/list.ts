// Who is told, as a list that can be written back: what is left out of an entry stays as it is. Pure.
import type { Flat } from "../parts/paths";

export interface Webhook {
  id: string;
  /** Without its path, which may be a secret. */
  url: string;
  /** Hidden; absent when it signs nothing. */
  secret?: string;
  kinds: string[];
}

export interface Entry {
  id?: string;
  url?: string;
  secret?: string;
  kinds: string[];
}

export const KINDS = ["device_down", "device_up", "incident_opened", "incident_closed", "recording_lost"] as const;

export function toFlat(webhook: Webhook | null, at: string): Flat {
  const flat: Flat = { [`${at}.url`]: "", [`${at}.secret`]: "", unsigned: false };
  for (const kind of KINDS) flat[`kind:${kind}`] = webhook?.kinds.includes(kind) ?? false;
  return flat;
}

export function toEntry(webhook: Webhook | null, at: string, flat: Flat): Entry {
  const [url, secret] = [String(flat[`${at}.url`] ?? "").trim(), String(flat[`${at}.secret`] ?? "")];
  return {
    ...(webhook ? { id: webhook.id } : {}),
    ...(webhook && url === "" ? {} : { url }),
    ...(flat["unsigned"] === true ? { secret: "" } : secret === "" ? {} : { secret }),
    kinds: KINDS.filter((kind) => flat[`kind:${kind}`] === true),
  };
}

const kept = ({ id, kinds }: Webhook): Entry => ({ id, kinds });

/** The list with that entry in the place of the one of its id, or at its end. */
export function withEntry(list: readonly Webhook[], entry: Entry): Entry[] {
  const others = list.map((one) => (one.id === entry.id ? entry : kept(one)));
  return entry.id === undefined ? [...others, entry] : others;
}

export function without(list: readonly Webhook[], id: string): Entry[] {
  return list.filter((one) => one.id !== id).map(kept);
}
