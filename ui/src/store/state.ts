// /api/host/state, kept fresh: asked for now and then for its figures, and at once when an event says that a device changed.
import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { ask } from "../api/client";
import type { Device, State } from "../api/types";
import { onResync, useEvents, useLink } from "../events/hub";
import { setHostTime } from "../time/format";
import { queries } from "./queries";

const KEY = ["state"];
/** Figures grow by themselves; what matters comes as an event. */
const EVERY_MS = 5000;
/** While no event comes through. */
const DOWN_MS = 2000;
/** Events come in bursts: a restart of the daemon has one per device and step. */
const TOGETHER_MS = 250;

async function load(signal: AbortSignal): Promise<State> {
  const state = await ask("GET /api/host/state", { signal });
  setHostTime(state.host.time);
  return state;
}

function useHostQuery<T>(select: (state: State) => T) {
  const link = useLink();
  return useQuery({
    queryKey: KEY,
    queryFn: ({ signal }) => load(signal),
    select,
    refetchInterval: link === "down" ? DOWN_MS : EVERY_MS,
  });
}

const whole = (state: State) => state;
const devicesOf = (state: State) => state.devices;

/** The whole state; re-renders whenever anything in it changed. */
export function useHostState() {
  return useHostQuery(whole);
}

export function useDevices() {
  return useHostQuery(devicesOf);
}

/** One device; undefined while it is not known, null when there is none of that name. */
export function useDevice(id: string): Device | null | undefined {
  const { data } = useHostQuery((state) => state.devices.find((one) => one.id === id) ?? null);
  return data;
}

/** Whether what is shown is how things are: events flow or the last question was answered. */
export function useIsAway(): boolean {
  const link = useLink();
  const { isError } = useHostQuery(() => null);
  return link === "down" || isError;
}

let timer: ReturnType<typeof setTimeout> | undefined;

/** Asks again soon; many calls make one question. */
export function refreshState(): void {
  timer ??= setTimeout(() => {
    timer = undefined;
    void queries.invalidateQueries({ queryKey: KEY });
  }, TOGETHER_MS);
}

/** Once, at the root. */
export function useStateEvents(): void {
  useEvents({ topics: ["device", "lost"] }, refreshState);
  useEffect(() => onResync(() => void queries.invalidateQueries()), []);
}
