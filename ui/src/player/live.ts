// One video element that shows a device live, or what it recorded in the last minutes (hls.js). Outside React: it lives by
// events of the video and by the clock; the component only shows what it says.
import type HlsType from "hls.js";
import type { ErrorData } from "hls.js";
import { device as text } from "../strings/en/device";
import { hostNow } from "../time/format";

/** How long to wait before asking a silent device again: it makes a segment a second once it is back. */
const RETRY_MS = 2000;
/** A live picture that has not moved for this long is told, not shown as if it were fresh. */
const STALLED_MS = 6000;
/** A picture that stands still although segments come: the player is stuck, a new one is not. */
const STUCK_MS = 12_000;

/** What is to be shown over the picture. */
export interface View {
  note: string;
  badge: string;
  isLive: boolean;
  hasPicture: boolean;
}

/** Where a moment lies in a live playlist, in seconds from its first segment; -1 when it lies behind the last. */
export function positionIn(playlist: string, at: number): number {
  let [position, found] = [0, -1];
  let date: number | null = null;
  for (const line of playlist.split("\n")) {
    const [, stamp] = /^#EXT-X-PROGRAM-DATE-TIME:(.*)/.exec(line) ?? [];
    if (stamp !== undefined) date = Date.parse(stamp);
    const [, seconds] = /^#EXTINF:([\d.]+)/.exec(line) ?? [];
    if (seconds === undefined || date === null) continue;
    const end = date + Number(seconds) * 1000;
    // Of a gap, what follows it.
    if (at < end) {
      found = position + Math.max(0, at - date) / 1000;
      break;
    }
    position += Number(seconds);
    date = end;
  }
  return found;
}

export class LivePlayer {
  view: View = { note: "", badge: "", isLive: true, hasPicture: false };
  private hls: HlsType | null = null;
  private retry = 0;
  private visible = false;
  private ready = false;
  /** Somebody else shows the picture: nothing is fetched. */
  private isAside = false;
  /** Where to begin instead of the newest: milliseconds since 1970. */
  private from: number | null = null;
  private movedAt = performance.now();
  /** Counts what was started, so that a library that arrives late does not revive what was stopped meanwhile. */
  private turn = 0;
  private readonly end = new AbortController();
  private readonly frame: HTMLElement;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly playlistUrl: string,
    private readonly changed: (view: View) => void,
  ) {
    this.frame = video.parentElement ?? video;
    const { signal } = this.end;
    video.addEventListener("timeupdate", () => this.moved(), { signal });
    video.addEventListener("loadeddata", () => this.pictureArrived(), { signal });
    const watch = window.setInterval(() => this.watch(), 1000);
    // Browsers allow six connections to a host: only what is on screen streams.
    const seen = new IntersectionObserver((entries) => this.show(entries.some((entry) => entry.isIntersecting)));
    seen.observe(video);
    signal.addEventListener("abort", () => {
      window.clearInterval(watch);
      seen.disconnect();
    });
  }

  destroy(): void {
    this.end.abort();
    this.visible = false;
    this.stop();
  }

  /** Whether the device has segments to show. Asking sooner would only be refused. */
  setReady(ready: boolean, why: string): void {
    const begins = ready && !this.ready;
    this.ready = ready;
    if (this.isAside) return;
    if (begins && this.visible && !this.hls) void this.startLive();
    if (!ready && !this.hls) this.say(why);
  }

  /** From the newest picture on, or from a moment of the last minutes. */
  play(from: number | null = null): void {
    this.isAside = false;
    this.from = from;
    this.stop();
    if (this.visible) void this.startLive();
  }

  /** Until `play`: nothing is fetched or shown. */
  setAside(): void {
    if (this.isAside) return;
    this.isAside = true;
    this.stop();
  }

  /** When the picture that is shown was taken. */
  get shownAt(): number | null {
    return this.hls?.playingDate?.getTime() ?? null;
  }

  private show(visible: boolean): void {
    if (visible === this.visible) return;
    this.visible = visible;
    if (this.isAside) return;
    if (visible) void this.startLive();
    else this.stop();
  }

  private async startLive(): Promise<void> {
    if (!this.ready) return;
    this.stop();
    const turn = this.turn;
    this.say(text.connecting);
    this.movedAt = performance.now();
    try {
      const { Hls, workerPath } = await import("./hls");
      if (turn !== this.turn) return;
      if (!Hls.isSupported()) {
        // Safari on phones: no Media Source, but HLS of its own.
        this.video.src = this.playlistUrl;
        return;
      }
      const startPosition = this.from === null ? -1 : await this.position(this.from);
      if (turn !== this.turn) return;
      // Two segments behind the newest; hls.js adds one after each stall, and a faster pace wins back what it lost. Who looks
      // at what has been is not to be hurried.
      const live =
        startPosition < 0
          ? { liveSyncDurationCount: 2, liveMaxLatencyDurationCount: 12, maxLiveSyncPlaybackRate: 1.15 }
          : { startPosition, liveSyncDurationCount: 2, liveMaxLatencyDurationCount: Infinity, maxLiveSyncPlaybackRate: 1 };
      const hls = new Hls({ workerPath, ...live, maxBufferLength: 12, backBufferLength: 10 });
      this.hls = hls;
      hls.on(Hls.Events.ERROR, (_event, error) => error.fatal && this.failed(Hls, error));
      hls.loadSource(this.playlistUrl);
      hls.attachMedia(this.video);
    } catch (error) {
      console.warn(error);
      this.again(text.noLive);
    }
  }

  /** Where that moment lies in the playlist as it is now: its first segment is second 0 of the player. -1: the newest. */
  private async position(at: number): Promise<number> {
    const reply = await fetch(this.playlistUrl, { cache: "no-store" });
    return reply.ok ? positionIn(await reply.text(), at) : -1;
  }

  private failed(library: typeof HlsType, error: ErrorData): void {
    const { BUFFER_ADD_CODEC_ERROR, MANIFEST_INCOMPATIBLE_CODECS_ERROR } = library.ErrorDetails;
    const codec = error.details === BUFFER_ADD_CODEC_ERROR || error.details === MANIFEST_INCOMPATIBLE_CODECS_ERROR;
    this.again(codec ? text.noCodec : text.noLive);
  }

  private again(why: string): void {
    this.stop();
    this.say(why);
    this.retry = window.setTimeout(() => this.visible && void this.startLive(), RETRY_MS);
  }

  private stop(): void {
    this.turn += 1;
    window.clearTimeout(this.retry);
    this.hls?.destroy();
    this.hls = null;
    this.video.removeAttribute("src");
    this.video.load();
    this.become({ badge: "", hasPicture: false });
    delete this.frame.dataset["shown"];
    delete this.frame.dataset["delay"];
  }

  /** An H.265 file "plays" without a picture where the codec is missing: currentTime alone proves nothing. */
  private pictureArrived(): void {
    this.become({ hasPicture: true });
    this.say(this.video.videoWidth > 0 ? "" : text.soundOnly);
  }

  private watch(): void {
    const live = !this.isAside && this.visible && !this.video.paused && this.hls !== null;
    if (!live) return;
    const still = performance.now() - this.movedAt;
    if (still > STUCK_MS && this.ready) this.again(text.connectingAgain);
    else if (still > STALLED_MS && this.view.note === "") this.say(text.still);
    else if (still < STALLED_MS && this.view.note === text.still) this.say("");
  }

  /** When the picture on screen was taken, and how long ago that is. */
  private moved(): void {
    this.movedAt = performance.now();
    if (this.video.videoWidth === 0) return;
    const shown = this.hls?.playingDate;
    const delay = shown ? (hostNow() - shown.getTime()) / 1000 : null;
    this.become({ badge: delay === null ? text.live : text.liveBehind(Math.max(0, Math.round(delay))), isLive: true });
    if (shown) this.frame.dataset["shown"] = shown.toISOString();
    if (delay !== null) this.frame.dataset["delay"] = delay.toFixed(1);
  }

  private say(note: string): void {
    this.become({ note });
  }

  private become(part: Partial<View>): void {
    const next = { ...this.view, ...part };
    const same = (Object.keys(next) as (keyof View)[]).every((key) => next[key] === this.view[key]);
    if (same) return;
    this.view = next;
    this.changed(next);
  }
}
