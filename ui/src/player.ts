// One video element that shows a device live (hls.js) or plays one of its finished chunks (natively).
import Hls, { type ErrorData } from "hls.js";
import workerPath from "hls.js/dist/hls.worker.js?url";

import { el, setText } from "./dom";

/** How long to wait before asking a silent device again: it makes a segment a second once it is back. */
const RETRY_MS = 2000;
/** A live picture that has not moved for this long is told, not shown as if it were fresh. */
const STALLED_MS = 6000;

export class Player {
  readonly element: HTMLElement;
  private readonly video = el("video", { muted: true, autoplay: true, playsInline: true, controls: true });
  private readonly note = el("p", { className: "note" });
  private hls: Hls | null = null;
  private retry = 0;
  private visible = false;
  private chunk: string | null = null;
  private movedAt = performance.now();

  constructor(private readonly playlistUrl: string, label: string) {
    this.video.setAttribute("aria-label", label);
    this.element = el("div", { className: "player" }, this.video, this.note);
    this.video.addEventListener("timeupdate", () => (this.movedAt = performance.now()));
    this.video.addEventListener("loadeddata", () => this.pictureArrived());
    this.video.addEventListener("error", () => this.chunk && this.say("This browser cannot play the chunk."));
    window.setInterval(() => this.watch(), 1000);
    // Browsers allow six connections to a host: only what is on screen streams.
    new IntersectionObserver((seen) => this.show(seen.some((entry) => entry.isIntersecting))).observe(this.element);
  }

  /** The chunk that plays, by its address; null while live. */
  get playing(): string | null {
    return this.chunk;
  }

  playChunk(url: string): void {
    this.stop();
    this.chunk = url;
    this.say("");
    this.video.src = url;
    void this.video.play().catch(() => undefined);
  }

  playLive(): void {
    this.stop();
    this.chunk = null;
    if (this.visible) this.startLive();
  }

  private show(visible: boolean): void {
    if (visible === this.visible) return;
    this.visible = visible;
    if (this.chunk) return;
    if (visible) this.startLive();
    else this.stop();
  }

  private startLive(): void {
    this.say("Connecting…");
    this.movedAt = performance.now();
    if (!Hls.isSupported()) {
      // Safari on phones: no Media Source, but HLS of its own.
      this.video.src = this.playlistUrl;
      return;
    }
    const hls = new Hls({ workerPath, liveSyncDurationCount: 3, maxBufferLength: 12, backBufferLength: 10 });
    this.hls = hls;
    hls.on(Hls.Events.ERROR, (_event, error) => error.fatal && this.failed(error));
    hls.loadSource(this.playlistUrl);
    hls.attachMedia(this.video);
  }

  private failed(error: ErrorData): void {
    const codec = error.details === Hls.ErrorDetails.BUFFER_ADD_CODEC_ERROR || error.details === Hls.ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR;
    this.stop();
    this.say(codec ? "This browser cannot play the device's codec." : "No live picture.");
    this.retry = window.setTimeout(() => this.visible && this.startLive(), RETRY_MS);
  }

  private stop(): void {
    window.clearTimeout(this.retry);
    this.hls?.destroy();
    this.hls = null;
    this.video.removeAttribute("src");
    this.video.load();
  }

  /** An H.265 file "plays" without a picture where the codec is missing: currentTime alone proves nothing. */
  private pictureArrived(): void {
    this.say(this.video.videoWidth > 0 ? "" : "Sound only, or a codec this browser cannot show.");
  }

  private watch(): void {
    const live = this.chunk === null && this.visible && !this.video.paused && this.video.readyState > 0;
    if (live && performance.now() - this.movedAt > STALLED_MS) this.say("The picture stands still.");
    else if (live && this.note.textContent === "The picture stands still.") this.say("");
  }

  private say(text: string): void {
    setText(this.note, text);
    this.note.hidden = text === "";
    // Controls of a player without a picture only cover the reason.
    this.video.controls = this.video.readyState > 0;
  }
}
