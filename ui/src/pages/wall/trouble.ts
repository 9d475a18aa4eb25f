// What is wrong with a device, if anything, and since when: its status, and the incidents that are open there. Pure.
import type { Device, DeviceStatus, Incident } from "../../api/types";

export type TroubleKind = "failed" | "offline" | "blackscreen" | "freeze" | "degraded" | "silence";

export interface Trouble {
  kind: TroubleKind;
  since: string | null;
}

/** What a tile shows, and nothing that changes by itself: a tile is drawn anew only when one of these differs. */
export interface TileFacts {
  id: string;
  name: string;
  area: string;
  status: DeviceStatus;
  reason: string | null;
  trouble: TroubleKind | null;
  since: string | null;
  /** Asking a device without pictures would only be refused. */
  hasPicture: boolean;
  playlistUrl: string;
}

/** Worst first. A camera without a picture is worse than one without a sound. */
const WORST: TroubleKind[] = ["failed", "offline", "blackscreen", "freeze", "degraded", "silence"];

type Seen = Pick<Device, "status" | "since" | "analysis">;
export type OpenIncident = Pick<Incident, "device" | "kind" | "start">;

/** `open`: the open incidents of this device; null while the list is not known: then the newest verdict must do. */
export function troubleOf(device: Seen, open: OpenIncident[] | null): Trouble | null {
  if (device.status === "disabled") return null;
  const found: Trouble[] = [];
  if (device.status === "failed" || device.status === "offline" || device.status === "degraded") found.push({ kind: device.status, since: device.since });
  for (const one of open ?? []) {
    // A signal that is lost is told by the status; as an incident it outlives it by the seconds that joining takes.
    if (one.kind !== "signal_lost") found.push({ kind: one.kind, since: one.start });
  }
  if (open === null && device.status === "online") {
    if (device.analysis?.blackscreen) found.push({ kind: "blackscreen", since: null });
    if (device.analysis?.freeze) found.push({ kind: "freeze", since: null });
  }
  return found.reduce<Trouble | null>((worst, one) => (worst === null || WORST.indexOf(one.kind) < WORST.indexOf(worst.kind) ? one : worst), null);
}

export function factsOf(device: Device, open: OpenIncident[] | null): TileFacts {
  const trouble = troubleOf(device, open);
  return {
    id: device.id,
    name: device.name,
    area: device.area ?? "",
    status: device.status,
    reason: device.reason,
    trouble: trouble?.kind ?? null,
    since: trouble ? trouble.since : device.since,
    hasPicture: (device.status === "online" || device.status === "degraded") && device.hot.newest_picture_age_seconds !== null,
    playlistUrl: device.playlist_url,
  };
}

/** The facts of all, those that are as they were being the very objects of before. */
export function allFacts(devices: Device[], incidents: OpenIncident[] | null, before: ReadonlyMap<string, TileFacts>): Map<string, TileFacts> {
  const open = new Map<string, OpenIncident[]>();
  for (const one of incidents ?? []) {
    const list = open.get(one.device);
    if (list) list.push(one);
    else open.set(one.device, [one]);
  }
  return new Map(
    devices.map((device) => {
      const facts = factsOf(device, incidents === null ? null : (open.get(device.id) ?? []));
      const old = before.get(device.id);
      return [device.id, old && isSame(old, facts) ? old : facts];
    }),
  );
}

function isSame(one: TileFacts, other: TileFacts): boolean {
  return (Object.keys(one) as (keyof TileFacts)[]).every((key) => one[key] === other[key]);
}

/** Smaller is worse: the kinds of trouble, then those that start, the well, the disabled. */
export function rank({ trouble, status }: Pick<TileFacts, "trouble" | "status">): number {
  if (trouble !== null) return WORST.indexOf(trouble);
  return WORST.length + (status === "starting" ? 0 : status === "disabled" ? 2 : 1);
}
