// Tells the daemon that somebody looks at what a device recorded. Who looks at it live is known by what the player asks for;
// the past is files, which anybody may fetch.
import { ask } from "../api/client";
import { ApiError } from "../api/error";

/** Due every 5 s; a session of which nothing is heard for 15 s is over. */
const BEAT_MS = 5000;

export class Watching {
  private session: string | null = null;
  private timer = 0;
  private isWanted = false;
  private isAsking = false;

  constructor(private readonly device: string) {}

  /** Until the function that it returns is called. */
  listen(): () => void {
    // A page that a browser keeps for "back" begins another one when it is shown again.
    const leave = () => this.stop();
    window.addEventListener("pagehide", leave);
    return () => {
      window.removeEventListener("pagehide", leave);
      this.set(false);
    };
  }

  /** Whether the past is what is shown. */
  set(isWatching: boolean): void {
    if (isWatching === this.isWanted) return;
    this.isWanted = isWatching;
    window.clearInterval(this.timer);
    if (!isWatching) return this.stop();
    this.timer = window.setInterval(() => void this.beat(), BEAT_MS);
    void this.beat();
  }

  /** The daemon was away and may know nothing of it any more. */
  forget(): void {
    this.session = null;
  }

  /** Nobody looks any more, or live: its player's questions begin a session of their own, which the next of these takes over. */
  private stop(): void {
    const { session } = this;
    this.session = null;
    if (session !== null) void ask("POST /api/viewer/stop", { body: { session }, keepalive: true }).catch(() => undefined);
  }

  private async beat(): Promise<void> {
    if (document.hidden) return this.stop();
    if (this.isAsking) return;
    this.isAsking = true;
    try {
      if (this.session === null) {
        const { session } = await ask("POST /api/viewer/start", { body: { device: this.device } });
        this.session = session;
        // Gone while the daemon answered.
        if (!this.isWanted) this.stop();
      } else await ask("POST /api/viewer/heartbeat", { body: { session: this.session } });
    } catch (error) {
      // It ended meanwhile, as after a night of the computer: with the next beat another begins. All else is tried again.
      if (error instanceof ApiError && error.kind === "not_found") this.session = null;
    } finally {
      this.isAsking = false;
    }
  }
}
