// Events in this tab: who wants which, and whether the daemon is heard.
import { useEffect, useRef, useSyncExternalStore } from "react";
import type { FromStream, HostEvent, Link, ToStream, Topic } from "./kinds";
import { Stream } from "./stream";

export interface Filter {
  topics?: Topic[];
  device?: string;
}

interface Subscriber extends Filter {
  hear: (event: HostEvent) => void;
}

const subscribers = new Set<Subscriber>();
const linkListeners = new Set<() => void>();
/** Called when what is shown may be out of date: after each reconnection, and when events were missed. */
const resyncs = new Set<() => void>();
let link: Link = "waiting";
let send: ((message: ToStream) => void) | null = null;

function receive(message: FromStream): void {
  if (message.type === "event") {
    for (const one of subscribers) if (isWanted(one, message.event)) one.hear(message.event);
    return;
  }
  if (message.type === "link") {
    if (message.link === link) return;
    link = message.link;
    for (const listener of linkListeners) listener();
  }
  if (message.type === "missed" || link === "up") for (const resync of resyncs) resync();
}

export function isWanted(filter: Filter, event: HostEvent): boolean {
  if (filter.topics && !filter.topics.includes(event.topic)) return false;
  return filter.device === undefined || filter.device === event.device;
}

function connect(): (message: ToStream) => void {
  // Phones have none; there, one tab is looked at at a time.
  if (typeof SharedWorker === "undefined") {
    const own = new Stream(receive);
    return (message) => (message.type === "want" ? own.open() : own.close());
  }
  const worker = new SharedWorker(new URL("./worker.ts", import.meta.url), { type: "module", name: "capstan-events" });
  worker.port.onmessage = ({ data }: MessageEvent<FromStream>) => receive(data);
  return (message) => worker.port.postMessage(message);
}

/** Somebody is signed in and looks. */
export function listen(): void {
  send ??= connect();
  send({ type: "want" });
  window.addEventListener("pagehide", leave);
  window.addEventListener("pageshow", comeBack);
}

export function stopListening(): void {
  window.removeEventListener("pagehide", leave);
  window.removeEventListener("pageshow", comeBack);
  send?.({ type: "enough" });
  receive({ type: "link", link: "waiting" });
}

const leave = () => send?.({ type: "bye" });
/** From the browser's cache of pages. */
const comeBack = (event: PageTransitionEvent) => event.persisted && send?.({ type: "want" });

export function subscribe(filter: Filter, hear: (event: HostEvent) => void): () => void {
  const one = { ...filter, hear };
  subscribers.add(one);
  return () => subscribers.delete(one);
}

export function onResync(act: () => void): () => void {
  resyncs.add(act);
  return () => resyncs.delete(act);
}

/** Hears events while the component is shown. `hear` may be another function each time. */
export function useEvents(filter: Filter, hear: (event: HostEvent) => void): void {
  const latest = useRef(hear);
  useEffect(() => {
    latest.current = hear;
  });
  const topics = filter.topics?.join(",");
  const { device } = filter;
  useEffect(() => {
    const wanted: Filter = {};
    if (topics !== undefined) wanted.topics = topics.split(",") as Topic[];
    if (device !== undefined) wanted.device = device;
    return subscribe(wanted, (event) => latest.current(event));
  }, [topics, device]);
}

export function useLink(): Link {
  return useSyncExternalStore(
    (listener) => {
      linkListeners.add(listener);
      return () => linkListeners.delete(listener);
    },
    () => link,
  );
}
