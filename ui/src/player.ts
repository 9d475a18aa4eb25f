// One video element that shows a device live (hls.js) or plays one of its finished chunks (natively).
import type HlsType from "hls.js";
import type { ErrorData } from "hls.js";

import type { Chunk } from "./api";
import { clockTime, el, hostNow, setText } from "./dom";

/** How long to wait before asking a silent device again: it makes a segment a second once it is back. */
const RETRY_MS = 2000;
/** A live picture that has not moved for this long is told, not shown as if it were fresh. */
const STALLED_MS = 6000;
/** A picture that stands still although segments come: the player is stuck, a new one is not. */
const STUCK_MS = 12_000;
const STILL = "The picture stands still.";

export class Player {
  readonly element: HTMLElement;
  /** Called when a chunk has played to its end. */
  ended: (chunk: Chunk) => void = () => this.playLive();
  private readonly video = el("video", { muted: true, autoplay: true, playsInline: true });
  private readonly badge = el("span", { className: "badge", hidden: true });
  private readonly note = el("p", { className: "note", hidden: true });
  private hls: HlsType | null = null;
  private retry = 0;
  private visible = false;
  private ready = false;
  private chunk: Chunk | null = null;
  private movedAt = performance.now();
  /** Counts what was started, so that a library that arrives late does not revive what was stopped meanwhile. */
  private turn = 0;

  constructor(private readonly playlistUrl: string, label: string) {
    this.video.setAttribute("aria-label", label);
    this.element = el("div", { className: "player" }, this.video, this.badge, this.note);
    this.video.addEventListener("timeupdate", () => {
      this.movedAt = performance.now();
      this.tell();
    });
    this.video.addEventListener("loadeddata", () => this.pictureArrived());
    this.video.addEventListener("error", () => this.chunk && this.say("This browser cannot play the chunk."));
    this.video.addEventListener("ended", () => this.chunk && this.ended(this.chunk));
    window.setInterval(() => this.watch(), 1000);
    // Browsers allow six connections to a host: only what is on screen streams.
    new IntersectionObserver((seen) => this.show(seen.some((entry) => entry.isIntersecting))).observe(this.element);
  }

  /** The chunk that plays; null while live. */
  get playing(): Chunk | null {
    return this.chunk;
  }

  /** Whether the device has segments to show. Asking sooner would only be refused. */
  setReady(ready: boolean, why: string): void {
    const begins = ready && !this.ready;
    this.ready = ready;
    if (this.chunk) return;
    if (begins && this.visible && !this.hls) void this.startLive();
    if (!ready && !this.hls) this.say(why);
  }

  /** Natively: only ever a finished chunk, whose size is known. `at` in seconds from its start. */
  playChunk(chunk: Chunk, at = 0): void {
    this.stop();
    this.chunk = chunk;
    this.say("");
    // A media fragment (W3C Media Fragments 1.0 §4.2.1): no frame before that place is fetched.
    this.video.src = at > 0 ? `${chunk.url}#t=${at.toFixed(1)}` : chunk.url;
    void this.video.play().catch(() => undefined);
  }

  playLive(): void {
    this.stop();
    this.chunk = null;
    if (this.visible) void this.startLive();
  }

  private show(visible: boolean): void {
    if (visible === this.visible) return;
    this.visible = visible;
    if (this.chunk) return;
    if (visible) void this.startLive();
    else this.stop();
  }

  private async startLive(): Promise<void> {
    if (!this.ready) return;
    this.stop();
    const turn = this.turn;
    this.say("Connecting…");
    this.movedAt = performance.now();
    try {
      const { Hls, workerPath } = await import("./hls");
      if (turn !== this.turn) return;
      if (!Hls.isSupported()) {
        // Safari on phones: no Media Source, but HLS of its own.
        this.video.src = this.playlistUrl;
        return;
      }
      // Two segments behind the newest; hls.js adds one after each stall, and a faster pace wins back what it lost.
      const live = { liveSyncDurationCount: 2, liveMaxLatencyDurationCount: 12, maxLiveSyncPlaybackRate: 1.15 };
      const hls = new Hls({ workerPath, ...live, maxBufferLength: 12, backBufferLength: 10 });
      this.hls = hls;
      hls.on(Hls.Events.ERROR, (_event, error) => error.fatal && this.failed(Hls, error));
      hls.loadSource(this.playlistUrl);
      hls.attachMedia(this.video);
    } catch (error) {
      console.warn(error);
      this.again("No live picture.");
    }
  }

  private failed(library: typeof HlsType, error: ErrorData): void {
    const { BUFFER_ADD_CODEC_ERROR, MANIFEST_INCOMPATIBLE_CODECS_ERROR } = library.ErrorDetails;
    const codec = error.details === BUFFER_ADD_CODEC_ERROR || error.details === MANIFEST_INCOMPATIBLE_CODECS_ERROR;
    this.again(codec ? "This browser cannot play the device's codec." : "No live picture.");
  }

  private again(why: string): void {
    this.stop();
    this.say(why);
    this.retry = window.setTimeout(() => this.visible && void this.startLive(), RETRY_MS);
  }

  stop(): void {
    this.turn += 1;
    window.clearTimeout(this.retry);
    this.hls?.destroy();
    this.hls = null;
    this.video.removeAttribute("src");
    this.video.load();
    this.badge.hidden = true;
    delete this.element.dataset["shown"];
    delete this.element.dataset["delay"];
  }

  /** An H.265 file "plays" without a picture where the codec is missing: currentTime alone proves nothing. */
  private pictureArrived(): void {
    this.say(this.video.videoWidth > 0 ? "" : "Sound only, or a codec this browser cannot show.");
  }

  private watch(): void {
    const live = this.chunk === null && this.visible && !this.video.paused && this.hls !== null;
    if (!live) return;
    const still = performance.now() - this.movedAt;
    if (still > STUCK_MS && this.ready) this.again("Connecting again…");
    else if (still > STALLED_MS && this.note.hidden) this.say(STILL);
    else if (still < STALLED_MS && this.note.textContent === STILL) this.say("");
  }

  /** When the picture on screen was taken, and how long ago that is. */
  private tell(): void {
    if (this.video.videoWidth === 0) return;
    this.badge.hidden = false;
    if (this.chunk) {
      const shown = new Date(Date.parse(this.chunk.start) + this.video.currentTime * 1000);
      this.badge.className = "badge";
      setText(this.badge, `Recorded ${clockTime(shown)}`);
      return;
    }
    const shown = this.hls?.playingDate;
    const delay = shown ? (hostNow() - shown.getTime()) / 1000 : null;
    this.badge.className = "badge live";
    setText(this.badge, delay === null ? "Live" : `Live · ${Math.max(0, Math.round(delay))} s`);
    this.badge.title = "Seconds between the camera's picture and this one";
    if (shown) this.element.dataset["shown"] = shown.toISOString();
    if (delay !== null) this.element.dataset["delay"] = delay.toFixed(1);
  }

  private say(text: string): void {
    setText(this.note, text);
    this.note.hidden = text === "";
    // Controls of a player without a picture only cover the reason.
    this.video.controls = this.video.readyState > 0;
  }
}
