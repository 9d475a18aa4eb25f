// What the figures of the host come to. Pure.
import type { Device, State } from "../../api/types";
import type { Reply } from "../../api/client";

export type History = Reply<"GET /api/host/history">;
export type Actor = State["actors"][number];

export interface Node {
  actor: Actor;
  /** Its last part: `merger`. */
  name: string;
  children: Node[];
}

/** The root first, the singletons, then the devices with their stages below them. */
export function treeOf(actors: Actor[]): Node[] {
  const nodes = new Map(actors.map((actor): [string, Node] => [actor.name, { actor, name: actor.name.split("/").at(-1) ?? actor.name, children: [] }]));
  const roots: Node[] = [];
  for (const [path, node] of nodes) {
    const parent = nodes.get(path.slice(0, path.lastIndexOf("/")));
    if (parent) parent.children.push(node);
    else roots.push(node);
  }
  const rank = (node: Node) => (node.name === "supervisor" ? 0 : isDevice(node) ? 2 : 1);
  return roots.sort((one, other) => rank(one) - rank(other) || one.actor.name.localeCompare(other.actor.name));
}

export function isDevice(node: Node): boolean {
  return /^device\/[^/]+$/.test(node.actor.name);
}

/** What its description is found under. */
export function kindOf(node: Node): string {
  return isDevice(node) ? "device" : node.name;
}

export function allOf(node: Node): Node[] {
  return [node, ...node.children.flatMap(allOf)];
}

export function restartsOf(node: Node): number {
  return allOf(node).reduce((sum, one) => sum + one.actor.restarts, 0);
}

export function isWell(node: Node): boolean {
  return allOf(node).every((one) => one.actor.state === "running");
}

export function sum(devices: Device[], of: (device: Device) => number): number {
  return devices.reduce((total, device) => total + of(device), 0);
}

export function lostOf(device: Device): number {
  return Object.values(device.lost_seconds).reduce((total, one) => total + one, 0);
}

/** Per minute, over the last `minutes` points; null while there is none. */
export function rateOf(column: number[], minutes: number): number | null {
  const last = column.slice(-minutes);
  return last.length === 0 ? null : last.reduce((total, one) => total + one, 0) / last.length;
}

/** How often a card of that size can be written in full; what its maker promises, or the lesser of what is told of such cards. */
export const ENDURANCES = [300, 1000, 3000, 10_000];
export const ENDURANCE_DEFAULT = 1000;

/** Days until the card is worn out; null while nobody knows how much is written. */
export function cardDays(totalBytes: number, fullWrites: number, bytesPerMinute: number | null): number | null {
  if (bytesPerMinute === null || totalBytes <= 0) return null;
  return bytesPerMinute === 0 ? Infinity : (totalBytes * fullWrites) / (bytesPerMinute * 1440);
}

export interface Part {
  name: string;
  bytes: number;
  kind: "used" | "other" | "reserve";
}

/** What lies on a disk; the rest is free. */
export function diskParts(total: number, free: number, footage: number, reserve: number, names: { footage: string; others: string; reserve: string }): Part[] {
  const used = Math.max(0, total - free);
  const own = Math.min(footage, used);
  return [
    { name: names.footage, bytes: own, kind: "used" },
    { name: names.others, bytes: used - own, kind: "other" },
    { name: names.reserve, bytes: Math.min(reserve, free), kind: "reserve" },
  ];
}

/** Seconds of new footage that fit into RAM while no commit comes through. */
export function holdsSeconds(devices: Device[], mediaPerMinute: number | null): number | null {
  if (mediaPerMinute === null || mediaPerMinute <= 0) return null;
  const room = sum(devices, (device) => Math.max(0, device.hot.quota_bytes - device.hot.waiting_bytes));
  return (room / mediaPerMinute) * 60;
}

/** Where the wall clock was set back, what came before would lie on top: it is left out. */
export function inOrder(history: History): { at: number[]; keep: boolean[] } {
  const times = history.at.map((stamp) => Date.parse(stamp) / 1000);
  const keep = times.map(() => true);
  let next = Infinity;
  for (let index = times.length - 1; index >= 0; index -= 1) {
    const time = times[index] ?? 0;
    if (time >= next) keep[index] = false;
    else next = time;
  }
  return { at: times.filter((_, index) => keep[index]), keep };
}
