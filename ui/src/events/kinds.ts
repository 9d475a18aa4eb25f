// What the event stream tells (docs/api.md, Events), and what passes between the tabs and the one stream they share.

export type Topic = "device" | "commit" | "lost" | "incident" | "job";

export const TOPICS: Topic[] = ["device", "commit", "lost", "incident", "job"];

export interface HostEvent {
  id: number;
  at: string;
  topic: Topic;
  /** `device_up`, `incident_opened`, `job_progress`, … */
  kind: string;
  device?: string;
  [more: string]: unknown;
}

/** `up`: events flow; whoever hears it asks anew for what it shows, since some may have been missed. */
export type Link = "waiting" | "up" | "down";

export type FromStream = { type: "link"; link: Link } | { type: "event"; event: HostEvent } | { type: "missed" };

/** A tab says whether it wants events: nobody does before signing in. */
export type ToStream = { type: "want" } | { type: "enough" } | { type: "bye" };
