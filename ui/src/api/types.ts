// Names for what the daemon replies, taken from the generated schema.
import type { Reply } from "./client";

export type State = Reply<"GET /api/host/state">;
export type Device = State["devices"][number];
export type DeviceStatus = Device["status"];
export type OpenChunk = NonNullable<Device["open_chunk"]>;
export type Chunk = Reply<"GET /host/stream/{device}/segments/archive_manifest.json">["manifests"][number];
export type Check = Reply<"GET /api/host/health">["checks"][number];
export type Me = Reply<"GET /api/auth/me">;
export type Incident = Reply<"GET /api/host/incidents">["incidents"][number];
export type Timeline = Reply<"GET /api/host/timeline/{device}">;
