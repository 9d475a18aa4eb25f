// What went wrong with a question to the daemon, in its own words where it had any.

/** Kinds of the daemon (docs/api.md), and those of a question that never got an answer. */
export type ErrorKind =
  | "invalid" | "not_found" | "gone" | "unauthorized" | "forbidden" | "too_many" | "conflict" | "precondition_failed"
  | "precondition_required" | "stale" | "unavailable" | "full" | "io" | "corrupt" | "internal" | "method_not_allowed" | "too_long"
  | "network" | "timeout" | "unreadable";

export class ApiError extends Error {
  /** Seconds after which asking again may help, where the daemon says so. */
  retryAfter: number | null = null;

  constructor(
    readonly kind: ErrorKind,
    message: string,
    readonly status = 0,
    /** The field or parameter at fault: `source.url`. */
    readonly path: string | null = null,
    /** What else the error tells: `clip_url`, `playlist_url`, `spans`. */
    readonly more: Record<string, unknown> = {},
  ) {
    super(message);
    this.name = "ApiError";
  }

  /** The daemon was not reached: it restarts, or the network is gone. */
  get isAway(): boolean {
    return this.kind === "network" || this.kind === "timeout";
  }

  /** Worth asking again by itself. */
  get isPassing(): boolean {
    return this.isAway || this.kind === "unavailable" || this.kind === "stale";
  }
}

/** The error of a reply with `body`; null when the body is no error, whatever the status (health answers 503 with its checks). */
export function errorOf(status: number, body: unknown): ApiError | null {
  const error = (body as { error?: Record<string, unknown> } | null)?.error;
  if (error === undefined || error === null || typeof error !== "object") return null;
  const { kind, message, path, ...more } = error;
  const said = typeof message === "string" ? message : `status ${status}`;
  return new ApiError(kind as ErrorKind, said, status, typeof path === "string" ? path : null, more);
}

/** For people. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
