// Two video elements that play clips of the archive natively, one shown and one that loads what comes next, so that the last
// picture stands until the new one is there. Outside React: it lives by events of the videos.
import { clipAddress, encoded } from "./encoded";
import type { Span } from "./footage";

/** One clip, and where in it to begin. */
export interface Cue extends Span {
  at: number;
  /** Encoded anew, since this browser lacks its codec. */
  asH264: boolean;
}

export interface Hooks {
  /** A picture of that moment is on the screen. */
  frame: (at: number) => void;
  /** The first picture of what was asked for can be seen: from now on it is this player that is to be shown. */
  shown: () => void;
  /** What plays after that moment; null: nothing yet. */
  next: (end: number) => Promise<Cue | null>;
  /** It has played to that moment and nothing follows. */
  ended: (end: number) => void;
  failed: (cue: Cue, url: string | null, error: unknown) => void;
  /** It plays without a picture: the codec is missing. */
  blind: (cue: Cue) => void;
  encoding: (part: number | null) => void;
  waiting: (isWaiting: boolean) => void;
}

interface Slot {
  video: HTMLVideoElement;
  cue: Cue | null;
  url: string | null;
  /** Where to go once the seek before has come to its end. */
  want: number | null;
  load: AbortController | null;
  /** Time of the picture that is shown, in seconds of the clip. */
  mediaTime: number;
  /** Of the picture before, while they come one after the other. */
  before: number | null;
}

/** Asked for that long before it is needed, at normal speed. */
const AHEAD_MS = 12_000;
const HALF_FRAME = 0.5;

export class PastPlayer {
  private readonly slots: [Slot, Slot];
  private front: Slot;
  /** Loads what is to be shown as soon as it can be. */
  private pending: Slot | null = null;
  /** Has loaded, or loads, what follows the front. */
  private following: Slot | null = null;
  private isAsking = false;
  /** What follows that one could not be fetched: asked for again only once it is needed. */
  private noAhead: Cue | null = null;
  private wantsPlay = false;
  private rate = 1;
  /** The last lengths of a picture that were seen. */
  private lengths: number[] = [];
  private stepTo: number | null = null;
  private readonly end = new AbortController();

  constructor(videos: [HTMLVideoElement, HTMLVideoElement], private readonly hooks: Hooks) {
    const slot = (video: HTMLVideoElement): Slot => ({ video, cue: null, url: null, want: null, load: null, mediaTime: 0, before: null });
    this.slots = [slot(videos[0]), slot(videos[1])];
    this.front = this.slots[0];
    for (const one of this.slots) this.listen(one);
    this.raise();
  }

  destroy(): void {
    this.end.abort();
    for (const slot of this.slots) this.empty(slot);
  }

  get video(): HTMLVideoElement {
    return this.front.video;
  }

  get clip(): Cue | null {
    return this.front.cue;
  }

  /** Length of one picture as they come, in seconds; 0 while it is not known. */
  get frameLength(): number {
    return [...this.lengths].sort((one, other) => one - other)[this.lengths.length >> 1] ?? 0;
  }

  /** Shows that moment: in the clip that is there when it holds it, else in the one that `cue` makes. */
  show(at: number, cue: () => Cue): void {
    this.stepTo = null;
    const holder = [this.front, this.other].find((slot) => slot.cue && slot.url !== null && slot.cue.start <= at && at < slot.cue.end && !slot.video.error);
    if (this.pending && this.pending !== holder) this.empty(this.pending);
    if (holder) {
      this.pending = holder;
      if (holder === this.following) this.following = null;
      this.seek(holder, at);
      return;
    }
    const slot = this.front.cue === null ? this.front : this.other;
    this.following = null;
    this.pending = slot;
    this.load(slot, cue());
  }

  play(): void {
    this.wantsPlay = true;
    if (!this.pending) this.start(this.front);
  }

  pause(): void {
    this.wantsPlay = false;
    for (const { video } of this.slots) video.pause();
  }

  /** Nothing is fetched any more; the last picture goes. */
  clear(): void {
    this.wantsPlay = false;
    this.pending = this.following = null;
    for (const slot of this.slots) this.empty(slot);
  }

  setRate(rate: number): void {
    this.rate = rate;
    for (const { video } of this.slots) video.defaultPlaybackRate = video.playbackRate = rate;
  }

  /** One picture on or back. False: it lies in another clip. */
  step(direction: 1 | -1, fallbackSeconds: number): boolean {
    const { cue, video } = this.front;
    // A step may come while the one before is still under way.
    if (!cue || video.readyState < 1) return true;
    const length = this.frameLength || fallbackSeconds;
    // Into the middle of a picture: its edges are not exact.
    const base = this.stepTo ?? this.front.mediaTime;
    const to = base + direction * length;
    if (to < -length * HALF_FRAME || to >= video.duration - length * HALF_FRAME) return false;
    this.stepTo = to;
    this.seekTo(this.front, Math.max(0, to + length * HALF_FRAME));
    return true;
  }

  private get other(): Slot {
    return this.front === this.slots[0] ? this.slots[1] : this.slots[0];
  }

  private listen(slot: Slot): void {
    const { video } = slot;
    const { signal } = this.end;
    const on = (name: string, act: () => void) => video.addEventListener(name, act, { signal });
    on("loadedmetadata", () => {
      if (video.videoWidth === 0 && slot.cue && slot === this.pending) this.hooks.blind(slot.cue);
    });
    on("loadeddata", () => this.ready(slot));
    on("canplay", () => this.ready(slot));
    on("seeked", () => {
      if (slot.want === null) return this.ready(slot);
      const want = slot.want;
      slot.want = null;
      video.currentTime = want;
    });
    on("timeupdate", () => slot === this.front && this.look());
    on("ended", () => slot === this.front && !this.pending && void this.goOn());
    on("waiting", () => slot === this.front && !video.seeking && this.hooks.waiting(true));
    on("playing", () => slot === this.front && this.hooks.waiting(false));
    on("error", () => this.broke(slot));
    const each = (_: number, { mediaTime }: { mediaTime: number }) => {
      if (signal.aborted) return;
      if (slot === this.front) this.presented(slot, mediaTime);
      video.requestVideoFrameCallback(each);
    };
    // Safari before 15.4 lacks it: there, a time of the player's clock does.
    if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(each);
    else on("timeupdate", () => slot === this.front && this.presented(slot, (video as HTMLVideoElement).currentTime));
  }

  private presented(slot: Slot, mediaTime: number): void {
    if (!slot.cue) return;
    const passed = slot.before === null ? 0 : mediaTime - slot.before;
    // At a higher speed pictures are left out.
    if (passed > 0.004 && passed < 1.5 && this.rate <= 1) this.lengths = [...this.lengths.slice(-14), passed];
    slot.before = slot.video.paused || slot.video.seeking ? null : mediaTime;
    slot.mediaTime = mediaTime;
    // Pictures are told late: of several steps in a row, that of an earlier one may come after the last seek has ended.
    const isThere = this.stepTo !== null && Math.abs(mediaTime - this.stepTo) < (this.frameLength || 0.04) * HALF_FRAME;
    if (isThere || !slot.video.paused) this.stepTo = null;
    this.hooks.frame(slot.cue.start + mediaTime * 1000);
  }

  private load(slot: Slot, cue: Cue): void {
    this.empty(slot);
    slot.cue = cue;
    const load = new AbortController();
    slot.load = load;
    const wish = { start: iso(cue.start), end: iso(cue.end) };
    const go = (url: string) => {
      if (load.signal.aborted) return;
      slot.url = url;
      slot.mediaTime = 0;
      const { video } = slot;
      // A media fragment (W3C Media Fragments 1.0 §4.2.1): no picture before that place is fetched.
      const at = Math.max(0, (slot.cue?.at ?? cue.at) - cue.start) / 1000;
      video.preload = "auto";
      video.src = at > 0 ? `${url}#t=${at.toFixed(3)}` : url;
      video.defaultPlaybackRate = video.playbackRate = this.rate;
    };
    if (!cue.asH264) return go(clipAddress(this.device, wish));
    const tell = (part: number | null) => slot === this.pending && this.hooks.encoding(part);
    tell(0);
    encoded(this.device, { ...wish, codec: "h264" }, load.signal, tell)
      .then(({ url }) => go(url))
      .catch((error: unknown) => {
        if (load.signal.aborted) return;
        const isPending = slot === this.pending;
        this.empty(slot);
        if (isPending) this.hooks.failed(cue, null, error);
      })
      .finally(() => tell(null));
  }

  /** Whose footage it plays. */
  device = "";

  private seek(slot: Slot, at: number): void {
    if (!slot.cue) return;
    slot.cue.at = at;
    this.seekTo(slot, Math.max(0, (at - slot.cue.start) / 1000));
  }

  /** A seek that is under way comes to its end first: so each shows its picture while somebody drags. */
  private seekTo(slot: Slot, seconds: number): void {
    const { video } = slot;
    slot.before = null;
    if (video.readyState === 0 || video.seeking) slot.want = seconds;
    else if (Math.abs(video.currentTime - seconds) < 0.001 && video.readyState >= 2) this.ready(slot);
    else video.currentTime = seconds;
  }

  private ready(slot: Slot): void {
    if (slot !== this.pending || slot.video.readyState < 2 || slot.video.seeking || slot.video.videoWidth === 0) return;
    if (slot.want !== null) {
      const want = slot.want;
      slot.want = null;
      slot.video.currentTime = want;
      return;
    }
    this.pending = null;
    this.become(slot);
    this.hooks.shown();
  }

  private become(slot: Slot): void {
    const before = this.front;
    this.front = slot;
    this.raise();
    if (before !== slot) {
      before.video.pause();
      if (document.pictureInPictureElement === before.video) void slot.video.requestPictureInPicture().catch(() => undefined);
    }
    if (slot.cue) this.hooks.frame(slot.cue.start + slot.video.currentTime * 1000);
    if (this.wantsPlay) this.start(slot);
  }

  private raise(): void {
    for (const slot of this.slots) slot.video.classList.toggle("front", slot === this.front);
  }

  private start(slot: Slot): void {
    slot.video.playbackRate = this.rate;
    if (slot.video.ended) void this.goOn();
    else void slot.video.play().catch(() => undefined);
  }

  /** Near the end of a clip, what follows is asked for. */
  private look(): void {
    const { cue, video } = this.front;
    if (!cue || this.pending || this.following || this.isAsking || video.paused || this.noAhead === cue) return;
    const left = cue.end - cue.start - video.currentTime * 1000;
    if (left < AHEAD_MS * Math.max(1, this.rate)) void this.prepare(cue);
  }

  private async prepare(cue: Cue): Promise<void> {
    this.isAsking = true;
    try {
      const next = await this.hooks.next(cue.end);
      if (!next || this.front.cue !== cue || this.pending) return;
      this.following = this.other;
      this.load(this.other, next);
    } catch {
      // Asked for again when it is needed.
    } finally {
      this.isAsking = false;
    }
  }

  private async goOn(): Promise<void> {
    const cue = this.front.cue;
    if (!cue) return;
    const { following } = this;
    if (following?.cue) {
      this.following = null;
      this.pending = following;
      this.ready(following);
      return;
    }
    let next: Cue | null = null;
    try {
      next = await this.hooks.next(cue.end);
    } catch (error) {
      return this.hooks.failed({ ...cue, at: cue.end }, null, error);
    }
    if (this.front.cue !== cue || this.pending) return;
    if (!next) return this.hooks.ended(cue.end);
    this.pending = this.other;
    this.load(this.other, next);
  }

  private broke(slot: Slot): void {
    const { cue, url } = slot;
    if (!cue || url === null || this.end.signal.aborted) return;
    const isNeeded = slot === this.pending || (slot === this.front && !this.pending);
    const at = slot === this.front && slot !== this.pending ? cue.start + slot.video.currentTime * 1000 : cue.at;
    const error = slot.video.error;
    if (slot === this.following) {
      this.following = null;
      this.noAhead = this.front.cue;
    }
    if (slot === this.pending) this.pending = null;
    // The one that is shown keeps its last picture.
    if (slot !== this.front) this.empty(slot);
    else slot.url = null;
    if (isNeeded) this.hooks.failed({ ...cue, at }, url, error);
  }

  private empty(slot: Slot): void {
    slot.load?.abort();
    if (slot === this.following) this.following = null;
    Object.assign(slot, { cue: null, url: null, want: null, load: null, mediaTime: 0, before: null });
    if (slot.video.hasAttribute("src")) {
      slot.video.removeAttribute("src");
      slot.video.load();
    }
  }
}

const iso = (at: number) => new Date(at).toISOString();
