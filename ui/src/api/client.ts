// Every question to the daemon goes through `ask`: typed by the daemon's own description, with a limit on time, the CSRF
// token, and errors of one shape. Pictures and streams have addresses instead: `address`.
import { ApiError, errorOf } from "./error";
import type { Operations } from "./schema";
import { common } from "../strings/en/common";

export type Operation = keyof Operations;
export type Reply<K extends Operation> = Operations[K]["reply"];
export type Query<K extends Operation> = Operations[K]["query"];
export type Body<K extends Operation> = Operations[K]["body"];

const TIMEOUT_MS = 15_000;

export interface Options<K extends Operation> {
  path?: Operations[K]["path"];
  query?: Query<K>;
  body?: Body<K>;
  /** Ends the question when nobody wants the answer any more: react-query hands one in. */
  signal?: AbortSignal;
  timeoutMs?: number;
  /** Asked even as the page is left. */
  keepalive?: boolean;
  /** The ETag of what is changed. */
  ifMatch?: string;
}

export interface Answer<T> {
  body: T;
  status: number;
  etag: string | null;
}

let csrf = "";
let unauthorized: () => void = () => undefined;

/** Changes must bring it along besides the cookie. */
export function setCsrf(token: string): void {
  csrf = token;
}

/** What to do when a session has ended: session/ asks who is there. */
export function whenUnauthorized(act: () => void): void {
  unauthorized = act;
}

export async function ask<K extends Operation>(operation: K, options: Options<K> = {}): Promise<Reply<K>> {
  return (await askFully(operation, options)).body;
}

/** With the status and the ETag, for what is changed with `ifMatch`. */
export async function askFully<K extends Operation>(operation: K, options: Options<K> = {}): Promise<Answer<Reply<K>>> {
  const { method, url } = target(operation, options.path, options.query);
  const headers: Record<string, string> = {};
  if (options.body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && csrf !== "") headers["X-CSRF-Token"] = csrf;
  if (options.ifMatch !== undefined) headers["If-Match"] = options.ifMatch;
  const limit = AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS);
  const request: RequestInit = { method, headers, cache: "no-store", signal: either(options.signal, limit) };
  if (options.keepalive === true) request.keepalive = true;
  if (options.body !== undefined) request.body = JSON.stringify(options.body);
  let reply: Response;
  let text: string;
  try {
    reply = await fetch(url, request);
    text = await reply.text();
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw limit.aborted ? new ApiError("timeout", common.daemonSlow) : new ApiError("network", common.daemonAway);
  }
  const body = parse(text, reply);
  const error = errorOf(reply.status, body);
  if (error?.status === 401 && operation !== "POST /api/auth/login") unauthorized();
  if (error) {
    error.retryAfter = Number(reply.headers.get("retry-after")) || null;
    throw error;
  }
  return { body: body as Reply<K>, status: reply.status, etag: reply.headers.get("etag") };
}

/** Of what is not JSON: pictures, clips, playlists. */
export function address<K extends Operation>(operation: K, path: Operations[K]["path"], query?: Query<K>): string {
  return target(operation, path, query).url;
}

export function target(operation: string, path: object = {}, query: object = {}): { method: string; url: string } {
  const [method = "GET", pattern = "/"] = operation.split(" ");
  const parts = path as Record<string, unknown>;
  const url = pattern.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(parts[name])));
  const said = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== null) said.set(name, String(value));
  const text = said.toString();
  return { method, url: text === "" ? url : `${url}?${text}` };
}

function parse(text: string, reply: Response): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError("unreadable", `status ${reply.status}`, reply.status);
  }
}

/** `AbortSignal.any`, which browsers of 2022 lack. */
function either(one: AbortSignal | undefined, other: AbortSignal): AbortSignal {
  if (!one) return other;
  const both = new AbortController();
  for (const signal of [one, other]) {
    if (signal.aborted) both.abort(signal.reason);
    signal.addEventListener("abort", () => both.abort(signal.reason), { once: true });
  }
  return both.signal;
}
