// Why an address gives no footage: a <video> only says that it does not.
import { ApiError, errorOf } from "../api/error";
import { player as text } from "../strings/en/player";

/** What the daemon says to that address; null when it serves it: then the bytes are what is wrong. */
export async function reasonOf(url: string): Promise<ApiError | null> {
  try {
    const reply = await fetch(url, { headers: { Range: "bytes=0-0" }, cache: "no-store" });
    if (reply.ok) {
      await reply.body?.cancel();
      return null;
    }
    const error = errorOf(reply.status, await reply.json().catch(() => null));
    return error ?? new ApiError("unreadable", `status ${reply.status}`, reply.status);
  } catch {
    return new ApiError("network", text.away);
  }
}
