// The strip of a span and the incidents in it, growing by events: what happens asks again for the last minutes alone.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { ask } from "../../api/client";
import type { Incident } from "../../api/types";
import { useEvents } from "../../events/hub";
import { queries } from "../../store/queries";
import { hostNow, ZONE } from "../../time/format";
import { grown, spanOf, stripOf, tailFrom, type Strip } from "./strip";

/** Commits of all cameras come within a second of each other. */
const TOGETHER_MS = 1500;
/** Where nothing happens, the window moves on all the same. */
const EVERY_MS = 60_000;
/** Of one day; more are drawn all the same, only not named. */
const INCIDENTS_MAX = 1000;
/** A day, and the minute that has begun. */
const LIVE_MAX = 1440;

const iso = (at: number) => new Date(at).toISOString();

export function useStrip(date: string | null) {
  const key = ["heatmap", date];
  const named = ["heatmap-incidents", date];
  const { isLive } = spanOf(date, hostNow(), ZONE);
  const strip = useQuery({
    queryKey: key,
    queryFn: async ({ signal }): Promise<Strip> => {
      const { from, to } = spanOf(date, hostNow(), ZONE);
      return stripOf(await ask("GET /api/host/heatmap", { query: { from: iso(from), to: iso(to) }, signal }));
    },
    refetchInterval: isLive ? EVERY_MS : false,
    placeholderData: (before) => before,
  });
  const incidents = useQuery({
    queryKey: named,
    queryFn: async ({ signal }): Promise<Incident[]> => {
      const { from, to } = spanOf(date, hostNow(), ZONE);
      const query = { from: iso(from), to: iso(to), limit: INCIDENTS_MAX, discarded: "0" } as const;
      return (await ask("GET /api/host/incidents", { query, signal })).incidents;
    },
    placeholderData: (before) => before,
  });

  const later = useLater();
  const grow = async () => {
    const base = queries.getQueryData<Strip>(key);
    if (!base) return;
    const tail = stripOf(await ask("GET /api/host/heatmap", { query: { from: iso(tailFrom(base)), step: base.step / 1000 } }));
    const next = grown(base, tail, date === null ? LIVE_MAX : Number.MAX_SAFE_INTEGER);
    if (next) queries.setQueryData(key, next);
    else await queries.invalidateQueries({ queryKey: key });
  };
  useEvents({ topics: ["commit", "lost", "device"] }, () => {
    if (isLive) later("grow", () => void grow().catch(() => undefined));
  });
  useEvents({ topics: ["incident"] }, (event) => {
    later("name", () => void queries.invalidateQueries({ queryKey: named }));
    // What somebody discarded is well again, however long ago it was.
    if (event.kind === "incident_changed") later("all", () => void queries.invalidateQueries({ queryKey: key }));
    else if (isLive) later("grow", () => void grow().catch(() => undefined));
  });
  return { strip, incidents: incidents.data ?? [], isLive };
}

/** Runs what it is given soon, once for all that asked meanwhile under the same name. */
function useLater(): (name: string, act: () => void) => void {
  const timers = useRef(new Map<string, ReturnType<typeof setTimeout>>());
  useEffect(() => {
    const all = timers.current;
    return () => {
      for (const timer of all.values()) clearTimeout(timer);
      all.clear();
    };
  }, []);
  return (name, act) => {
    if (timers.current.has(name)) return;
    const run = () => {
      timers.current.delete(name);
      act();
    };
    timers.current.set(name, setTimeout(run, TOGETHER_MS));
  };
}
