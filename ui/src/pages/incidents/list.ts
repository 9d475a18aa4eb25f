// What the list shows: filters in the address, and what an event changes of it. Pure.
import type { Query } from "../../api/client";
import type { Incident } from "../../api/types";

export type Review = "new" | "acknowledged" | "discarded";
export type Span = "1h" | "24h" | "7d" | "own";

export const FILTERS = ["device", "kind", "open", "review", "span", "from", "to"] as const;

/** As the address says it; what nobody could have chosen is as if it were not there. */
export interface Filter {
  device: string | null;
  kind: string | null;
  open: "1" | "0" | null;
  review: Review | null;
  span: Span | null;
  /** Local times of the form `YYYY-MM-DDTHH:MM`, with the span `own`. */
  from: string | null;
  to: string | null;
}

const HOURS: Partial<Record<Span, number>> = { "1h": 1, "24h": 24, "7d": 168 };
const KINDS = ["blackscreen", "freeze", "silence", "signal_lost"];
const LOCAL = /^\d{4}-\d\d-\d\dT\d\d:\d\d$/;

export function filterOf(search: string): Filter {
  const query = new URLSearchParams(search);
  const one = <T extends string>(name: string, allowed: readonly T[]) => allowed.find((word) => word === query.get(name)) ?? null;
  const local = (name: string) => (LOCAL.test(query.get(name) ?? "") ? query.get(name) : null);
  return {
    device: query.get("device"),
    kind: one("kind", KINDS),
    open: one("open", ["1", "0"]),
    review: one("review", ["new", "acknowledged", "discarded"]),
    span: one("span", ["1h", "24h", "7d", "own"]),
    from: local("from"),
    to: local("to"),
  };
}

export type Asked = Omit<Query<"GET /api/host/incidents">, "limit" | "after">;

/** What the daemon is asked. `now` is rounded down to the minute, so that the same question has the same words. */
export function queryOf(filter: Filter, now: number): Asked {
  const asked: Asked = {};
  if (filter.device !== null) asked.device = filter.device;
  if (filter.kind !== null) asked.kind = filter.kind as NonNullable<Asked["kind"]>;
  if (filter.open !== null) asked.open = filter.open;
  if (filter.review === "new") [asked.acknowledged, asked.discarded] = ["0", "0"];
  else if (filter.review !== null) asked[filter.review] = "1";
  const hours = filter.span === null ? undefined : HOURS[filter.span];
  if (hours !== undefined) asked.from = new Date(Math.floor(now / 60_000) * 60_000 - hours * 3_600_000).toISOString();
  if (filter.span === "own") {
    const [from, to] = [local(filter.from), local(filter.to)];
    if (from !== null) asked.from = from;
    // A span that ends before it begins is one that somebody is still choosing.
    if (to !== null && (from === null || from < to)) asked.to = to;
  }
  return asked;
}

function local(text: string | null): string | null {
  const at = text === null ? Number.NaN : new Date(text).getTime();
  return Number.isNaN(at) ? null : new Date(at).toISOString();
}

/** Whether the daemon would list it. */
export function fits(asked: Asked, one: Incident): boolean {
  const flag = (wanted: string | undefined, is: boolean) => wanted === undefined || (wanted === "1") === is;
  const from = asked.from === undefined ? -Infinity : Date.parse(String(asked.from));
  const to = asked.to === undefined ? Infinity : Date.parse(String(asked.to));
  return (
    (asked.device === undefined || asked.device === one.device) &&
    (asked.kind === undefined || asked.kind === one.kind) &&
    flag(asked.open, one.state === "open") &&
    flag(asked.acknowledged, one.acknowledged) &&
    flag(asked.discarded, one.discarded) &&
    (one.end === null || Date.parse(one.end) > from) &&
    Date.parse(one.start) < to
  );
}

export interface Page {
  incidents: Incident[];
  next?: string;
}

function isNewer(one: Incident, other: Incident): boolean {
  return one.start === other.start ? one.id > other.id : one.start > other.start;
}

/** The pages with that incident as it is now: in its place, or gone where it no longer fits. The same pages where nothing changed. */
export function withChange(pages: Page[], asked: Asked, changed: Incident): Page[] {
  const old = pages.findIndex((page) => page.incidents.some((one) => one.id === changed.id));
  const isWanted = fits(asked, changed);
  if (old >= 0) {
    return pages.map((page, index) => {
      if (index !== old) return page;
      const kept = page.incidents.flatMap((one) => (one.id !== changed.id ? [one] : isWanted ? [changed] : []));
      return { ...page, incidents: kept };
    });
  }
  if (!isWanted || pages.length === 0) return pages;
  const place = pages.findIndex((page) => {
    const oldest = page.incidents.at(-1);
    return page.next === undefined || (oldest !== undefined && isNewer(changed, oldest));
  });
  // Older than all that was asked for so far: it comes with its page.
  if (place < 0) return pages;
  return pages.map((page, index) => {
    if (index !== place) return page;
    const at = page.incidents.findIndex((one) => isNewer(changed, one));
    const before = at < 0 ? page.incidents.length : at;
    return { ...page, incidents: [...page.incidents.slice(0, before), changed, ...page.incidents.slice(before)] };
  });
}

/** From the one that was chosen before to this one, in the order of the list. */
export function between(ids: string[], from: string | null, to: string): string[] {
  const [a, b] = [from === null ? -1 : ids.indexOf(from), ids.indexOf(to)];
  if (b < 0) return [];
  return a < 0 ? [to] : ids.slice(Math.min(a, b), Math.max(a, b) + 1);
}

export function inBatches<T>(all: T[], most: number): T[][] {
  const batches: T[][] = [];
  for (let at = 0; at < all.length; at += most) batches.push(all.slice(at, at + most));
  return batches;
}

export type Act = "acknowledge" | "discard" | "restore" | "say";

/** What an act changes. A comment that is empty for many leaves theirs; of one it is what was entered. */
export function editOf(act: Act, comment: string, isMany: boolean): { acknowledged?: boolean; discarded?: boolean; comment?: string } {
  const said = isMany && comment === "" ? {} : { comment };
  switch (act) {
    case "acknowledge":
      return { acknowledged: true, ...said };
    case "discard":
      return { discarded: true, ...said };
    case "restore":
      return { acknowledged: false, discarded: false };
    case "say":
      return { comment };
  }
}

/** `first`, `worst` or `last`, by its address. */
export function shotOf(url: string): string {
  return /-(first|worst|last)\.jpg$/.exec(url)?.[1] ?? "first";
}

/** How long it lasts: one that is open goes on. */
export function lasted(one: Incident, now: number): number {
  return one.end === null ? Math.max(one.duration_seconds, (now - Date.parse(one.start)) / 1000) : one.duration_seconds;
}
