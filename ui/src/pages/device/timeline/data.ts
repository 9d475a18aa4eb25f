// What the time line shows, asked of the daemon tile by tile.
import { useQueries, useQuery } from "@tanstack/react-query";
import { useMemo, useRef, useSyncExternalStore } from "react";
import { ask } from "../../../api/client";
import type { Timeline } from "../../../api/types";
import { useEvents } from "../../../events/hub";
import { queries } from "../../../store/queries";
import { hostNow } from "../../../time/format";
import type { Level, Mark } from "./draw";
import { resolutionOf, stepOf, type Span, type Tile } from "./scale";
import type { TimelineStore } from "./store";

/** What is over does not change, unless it is deleted. */
const OVER_MS = 120_000;
/** However often footage is committed. */
const GROWS_MS = 3000;

export interface TileData {
  coverage: Span[];
  gaps: (Span & { reason: Timeline["gaps"][number]["reason"] })[];
  incidents: Mark[];
  files: (Span & { bytes: number })[];
}

export interface TimelineData extends TileData {
  sound: Level[];
  stepMs: number;
  isComplete: boolean;
  isFailed: boolean;
}

const iso = (at: number) => new Date(at).toISOString();

function useLatest(tiles: Tile[], what: string, device: string): void {
  const asked = useRef(0);
  useEvents({ topics: ["commit", "incident"], device }, () => {
    if (performance.now() - asked.current < GROWS_MS) return;
    asked.current = performance.now();
    for (const tile of tiles) if (tile.end > hostNow() - OVER_MS) void queries.invalidateQueries({ queryKey: [what, device, tile.length, tile.start] });
  });
}

/** Both sorts of tiles; what was shown before stays until what is wanted now has come. */
export function useTimeline(device: string, store: TimelineStore): TimelineData {
  const tiles = useSyncExternalStore(store.subscribe, store.tilesNow);
  useLatest(tiles, "timeline", device);
  useLatest(tiles, "sound", device);
  const staleTime = (tile: Tile) => (tile.end > hostNow() - OVER_MS ? GROWS_MS : 10 * 60_000);
  const told = useQueries({
    queries: tiles.map((tile) => ({
      queryKey: ["timeline", device, tile.length, tile.start],
      queryFn: ({ signal }: { signal: AbortSignal }) =>
        ask("GET /api/host/timeline/{device}", { path: { device }, query: { from: iso(tile.start), to: iso(Math.min(tile.end, hostNow() + 3_600_000)), resolution: resolutionOf(tile.length) }, signal }).then(tileOf),
      staleTime: staleTime(tile),
      enabled: tile.start < hostNow(),
    })),
  });
  const heard = useQueries({
    queries: tiles.map((tile) => ({
      queryKey: ["sound", device, tile.length, tile.start],
      queryFn: ({ signal }: { signal: AbortSignal }) => sound(device, tile, signal),
      staleTime: staleTime(tile),
      enabled: tile.start < hostNow(),
    })),
  });
  const before = useRef<TimelineData | null>(null);
  const stamp = [...told, ...heard].map((one) => one.dataUpdatedAt).join();
  return useMemo(() => {
    const parts = told.flatMap((one) => one.data ?? []);
    const isComplete = told.every((one) => one.data !== undefined || !one.isFetching);
    if (!isComplete && before.current && parts.length === 0) return { ...before.current, isComplete };
    const ids = new Set<string>();
    const data: TimelineData = {
      coverage: parts.flatMap((one) => one.coverage),
      gaps: parts.flatMap((one) => one.gaps),
      files: parts.flatMap((one) => one.files),
      // One that reaches over the edge of a tile is in both.
      incidents: parts.flatMap((one) => one.incidents).filter((one) => !ids.has(one.id) && ids.add(one.id)),
      sound: heard.some((one) => one.data) ? heard.flatMap((one) => one.data ?? []) : (before.current?.sound ?? []),
      stepMs: stepOf(tiles[0]?.length ?? 0) * 1000,
      isComplete,
      isFailed: told.some((one) => one.isError),
    };
    before.current = data;
    return data;
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the results are new arrays on each render; their stamp tells
  }, [stamp, tiles]);
}

function tileOf(told: Timeline): TileData {
  const span = (one: { start: string; end: string | null }): Span => ({ start: Date.parse(one.start), end: one.end === null ? hostNow() : Date.parse(one.end) });
  return {
    coverage: told.coverage.map(span),
    gaps: told.gaps.map((one) => ({ ...span(one), reason: one.reason })),
    incidents: told.incidents.map((one) => ({ ...span(one), id: one.id, kind: one.kind, isDiscarded: one.discarded })),
    files: told.chunks.map((one) => ({ ...span(one), bytes: one.bytes })),
  };
}

async function sound(device: string, tile: Tile, signal: AbortSignal): Promise<Level[]> {
  const query = { from: iso(tile.start), to: iso(Math.min(tile.end, hostNow())), step: stepOf(tile.length), limit: 2000 };
  if (tile.start >= hostNow()) return [];
  const { frames } = await ask("GET /api/host/metadata/{device}", { path: { device }, query, signal });
  return frames.map((one) => ({ at: Date.parse(one.time), level: one.volume_percentage === null ? null : one.volume_percentage / 100, isSilent: one.audio === false }));
}

export type Pin = Awaited<ReturnType<typeof loadPins>>[number];

async function loadPins(device: string, signal: AbortSignal) {
  return (await ask("GET /api/host/pins", { query: { device }, signal })).pins.filter((one) => one.active);
}

export const pinsKey = (device: string) => ["pins", device];

export function usePins(device: string) {
  return useQuery({ queryKey: pinsKey(device), queryFn: ({ signal }) => loadPins(device, signal), staleTime: 30_000 });
}
