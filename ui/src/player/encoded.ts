// A span as H.264, for browsers that lack the codec it was recorded in: at once where it is H.264 already, else by a job of the daemon.
import { address, ask, target } from "../api/client";
import { ApiError, errorOf } from "../api/error";
import type { Query, Reply } from "../api/client";

type Wish = Query<"GET /api/host/clip/{device}.mp4">;
type Job = Reply<"GET /api/host/clip-jobs/{id}">;

/** The daemon ends a job of which nobody asks for 20 s. */
const POLL_MS = 500;

export const clipAddress = (device: string, wish: Wish): string => address("GET /api/host/clip/{device}.mp4", { device }, wish);

/**
 * Where that clip plays, once it is made. `progress` from 0 to 1 while it is. A job that nobody wants any more is taken back.
 */
export async function encoded(device: string, wish: Wish, signal: AbortSignal, progress: (part: number, size: number) => void): Promise<{ url: string; bytes: number }> {
  const url = clipAddress(device, wish);
  let job = await begin(url, signal);
  if (job === null) return { url, bytes: 0 };
  const id = idOf(job.job_url);
  try {
    while (!job.success || job.url === undefined) {
      progress(job.progress, job.size);
      await rest(POLL_MS, signal);
      job = await ask("GET /api/host/clip-jobs/{id}", { path: { id }, signal });
    }
    progress(1, job.size);
    return { url: job.url, bytes: job.size };
  } catch (error) {
    if (signal.aborted) void ask("DELETE /api/host/clip-jobs/{id}", { path: { id } }).catch(() => undefined);
    throw error;
  }
}

/** Null: the clip is there as it is. Its reply is either a job or the file itself, whose bytes are not wanted here. */
async function begin(url: string, signal: AbortSignal): Promise<Job | null> {
  const reply = await fetch(url, { headers: { Range: "bytes=0-0" }, cache: "no-store", signal });
  if (reply.headers.get("Content-Type")?.startsWith("video/")) {
    await reply.body?.cancel();
    return null;
  }
  const body: unknown = await reply.json();
  const error = errorOf(reply.status, body);
  if (error) throw error;
  return body as Job;
}

export function idOf(jobUrl: string): string {
  const pattern = target("GET /api/host/clip-jobs/{id}", { id: "" }).url;
  if (!jobUrl.startsWith(pattern)) throw new ApiError("unreadable", jobUrl);
  return decodeURIComponent(jobUrl.slice(pattern.length));
}

function rest(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    }, { once: true });
  });
}
