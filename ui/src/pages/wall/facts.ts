// What the tiles show, kept fresh: the devices, and the incidents that are open.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef } from "react";
import { ask } from "../../api/client";
import { useEvents } from "../../events/hub";
import { queries } from "../../store/queries";
import { useDevices } from "../../store/state";
import { allFacts, type OpenIncident, type TileFacts } from "./trouble";

/** Below the key of all lists of incidents: whoever asks for those anew asks for this too. */
const KEY = ["incidents", "open"];
const MOST = 1000;
/** Events say when something changes; this is for one that was missed. */
const EVERY_MS = 60_000;
/** A daemon that starts tells of many at once. */
const TOGETHER_MS = 250;

function useOpenIncidents(): OpenIncident[] | null {
  const timer = useRef<number | undefined>(undefined);
  const { data } = useQuery({
    queryKey: KEY,
    queryFn: async ({ signal }) => (await ask("GET /api/host/incidents", { query: { open: "1", discarded: "0", limit: MOST }, signal })).incidents,
    refetchInterval: EVERY_MS,
  });
  useEvents({ topics: ["incident"] }, () => {
    timer.current ??= window.setTimeout(() => {
      timer.current = undefined;
      void queries.invalidateQueries({ queryKey: KEY });
    }, TOGETHER_MS);
  });
  useEffect(() => () => window.clearTimeout(timer.current), []);
  return data ?? null;
}

export function useFacts(): { facts: TileFacts[] | undefined; error: unknown; again: () => void } {
  const { data: devices, error, refetch } = useDevices();
  const incidents = useOpenIncidents();
  const before = useRef<ReadonlyMap<string, TileFacts>>(new Map());
  const facts = useMemo(() => {
    if (!devices) return undefined;
    const now = allFacts(devices, incidents, before.current);
    const same = now.size === before.current.size && [...now].every(([id, one]) => before.current.get(id) === one);
    if (!same) before.current = now;
    return before.current;
  }, [devices, incidents]);
  const list = useMemo(() => (facts ? [...facts.values()] : undefined), [facts]);
  return { facts: list, error, again: () => void refetch() };
}
