// What the daemon tells: the shapes of docs/api.md that this page reads.

export interface OpenChunk {
  url: string;
  start: string;
  end: string;
  bytes: number;
}

export interface Device {
  id: string;
  name: string;
  area: string;
  source: string;
  status: string;
  since: string | null;
  reason: string | null;
  playlist_url: string;
  manifest_url: string;
  hot: { segments: number; waiting: number; bytes: number };
  chunks: { count: number; bytes: number; oldest: string | null; newest: string | null };
  open_chunk: OpenChunk | null;
  lost_seconds: Record<string, number>;
  media_bytes: number;
  written_bytes: number;
}

export interface State {
  host: { version: string; time: string };
  devices: Device[];
  archive: { ok: boolean; free_bytes: number };
}

export interface Chunk {
  name: string;
  url: string;
  start: string;
  end: string;
  duration_seconds: number;
  bytes: number;
  codecs: string;
  gaps: number;
}

export interface Manifest {
  manifests: Chunk[];
}

export interface Check {
  name: string;
  device?: string;
  ok: boolean;
  message: string;
}

export interface Live {
  id: string;
  name: string;
  area: string;
  playlist_url: string;
}

export interface Me {
  /** False where nobody has to sign in. */
  auth: boolean;
  user: { name: string; role: string } | null;
  csrf_token?: string;
  /** What everybody may see. */
  live: Live[];
}

/** Nobody is signed in, or no longer. */
export class Unauthorized extends Error {}

let csrf = "";

/** Changes must bring it along besides the cookie. */
export function setCsrf(token: string): void {
  csrf = token;
}

export async function send<T>(method: string, url: string, body: unknown): Promise<T> {
  const headers = { "Content-Type": "application/json", ...(csrf ? { "X-CSRF-Token": csrf } : {}) };
  const signal = AbortSignal.timeout(20_000);
  return told<T>(await fetch(url, { method, headers, body: JSON.stringify(body), signal }));
}

/** 503 carries a body as well: a host that is not healthy still says why. */
export async function getJson<T>(url: string): Promise<T> {
  return told<T>(await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(10_000) }));
}

async function told<T>(reply: Response): Promise<T> {
  const body: unknown = await reply.json();
  const error = (body as { error?: { message?: string } } | null)?.error;
  if (error && reply.status === 401) throw new Unauthorized(error.message ?? reply.statusText);
  if (error) throw new Error(error.message ?? reply.statusText);
  return body as T;
}
