// One device, live and past, behind one set of controls: decides which player shows what, and says so. Outside React.
import { messageOf, type ApiError } from "../api/error";
import { onResync } from "../events/hub";
import { player as text } from "../strings/en/player";
import { clockTime, hostNow } from "../time/format";
import { CLIP_MS, clipAt, ENCODED_MS, isHevc, type Gap, type Span, type Stretch } from "./footage";
import { FootageMap, type Place } from "./footage_map";
import { LivePlayer, type View as LiveView } from "./live";
import { PastPlayer, type Cue } from "./past";
import { Previews } from "./previews";
import { reasonOf } from "./reason";
import { keepSound, keptSound, maySound, whenTouched } from "./sound";
import { BEGIN, type Elements, type PlaybackView } from "./view";
import { Watching } from "./watching";

/** Nearer to now than this is live: it has not come as far as the playlist yet. */
export const LIVE_EDGE_MS = 3000;
/** A click whose picture is there sooner shows no still in between. */
const STILL_AFTER_MS = 80;
const BUSY_AFTER_MS = 400;
/** Somebody who drags rests here. */
const REST_MS = 140;
const NOTE_MS = 4000;
const RETRY_MS = 2000;
/** What a clip of one file alone leaves out at its start: less than a picture. */
const EDGE_MS = 2;
/** A live picture that was held for longer goes on from where it was held. */
const HELD_MS = 8000;

export const SPEEDS = [0.25, 0.5, 1, 1.5, 2, 4, 8, 16];

export class Playback {
  view = BEGIN;
  readonly map: FootageMap;
  readonly previews: Previews;
  /** Called for every picture: where the playhead is now. */
  readonly movers = new Set<(at: number) => void>();
  private readonly listeners = new Set<() => void>();
  private live: LivePlayer | null = null;
  private past: PastPlayer | null = null;
  private elements: Elements | null = null;
  private at = hostNow();
  private turn = 0;
  private timers = { still: 0, busy: 0, rest: 0, note: 0, retry: 0 };
  private isScrubbing = false;
  /** The picture of what was asked for last is not there yet: a still may stand for it. */
  private isAwaiting = false;
  private heldAt: number | null = null;
  private isReady = false;
  private fps: number | null = null;
  /** Spans of clips that failed: there, file by file. */
  private careful: Span[] = [];
  private broken: Span[] = [];
  private h264 = false;
  private readonly watching: Watching;

  constructor(readonly device: string, private readonly playlistUrl: string) {
    this.map = new FootageMap(device);
    this.previews = new Previews(device);
    this.watching = new Watching(device);
  }

  attach(elements: Elements): () => void {
    this.elements = elements;
    const stopMap = this.map.listen();
    const stopResync = onResync(() => {
      this.map.forget();
      this.watching.forget();
    });
    this.live = new LivePlayer(elements.live, this.playlistUrl, (view) => this.liveChanged(view));
    const past = new PastPlayer(elements.past, {
      frame: (at) => this.pastMoved(at),
      shown: () => this.pastShown(),
      next: (end) => this.next(end),
      ended: (end) => this.caughtUp(end),
      failed: (cue, url, error) => void this.failed(cue, url, error),
      blind: (cue) => this.refuse(cue, "H.265"),
      encoding: (encoding) => this.become({ encoding, ...(encoding === null ? {} : { note: text.encoding(Math.round(encoding * 100)) }) }),
      waiting: (isWaiting) => (isWaiting ? this.soonBusy() : this.notBusy()),
    });
    past.device = this.device;
    this.past = past;
    const stopWatching = this.watching.listen();
    const sound = keptSound();
    const isEarly = !sound.isMuted && !maySound();
    this.sound(sound.volume, sound.isMuted || isEarly);
    const stopTouch = isEarly ? whenTouched(() => this.sound(sound.volume, false)) : () => undefined;
    const moved = () => this.view.surface === "live" && this.view.mode !== "past" && this.liveMoved();
    elements.live.addEventListener("timeupdate", moved);
    return () => {
      elements.live.removeEventListener("timeupdate", moved);
      stopMap();
      stopResync();
      stopTouch();
      stopWatching();
      this.previews.clear();
      for (const timer of Object.values(this.timers)) window.clearTimeout(timer);
      this.turn += 1;
      this.live?.destroy();
      this.past?.destroy();
      this.live = this.past = this.elements = null;
      this.view = BEGIN;
    };
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  snapshot = (): PlaybackView => this.view;

  /** The moment of the picture that is shown, or that was asked for. */
  now(): number {
    return this.at;
  }

  setReady(ready: boolean, why: string, fps: number | null): void {
    this.fps = fps;
    this.isReady = ready;
    this.live?.setReady(ready, why);
  }

  goLive = (): void => {
    this.turn += 1;
    this.stopWaiting();
    this.past?.pause();
    this.heldAt = null;
    this.become({ mode: "live", isPaused: false, note: "", offer: null, rate: 1, isBusy: false });
    this.setRate(1);
    this.live?.play();
    this.at = hostNow();
    this.tellMoved();
  };

  /** To that moment; plays on unless it was held. */
  seek = (to: number, play = !this.view.isPaused): void => {
    this.isScrubbing = false;
    if (to > hostNow() - LIVE_EDGE_MS) return this.goLive();
    const turn = (this.turn += 1);
    this.stopWaiting();
    this.heldAt = null;
    this.isAwaiting = true;
    this.at = to;
    this.become({ mode: "past", isPaused: !play, offer: null, note: "", encoding: null });
    // The picture stands until the new one is there.
    if (this.view.surface === "live") {
      if (this.view.hasPicture) this.elements?.live.pause();
      else this.live?.setAside();
    }
    this.tellMoved();
    this.timers.still = window.setTimeout(() => this.showStill(to), STILL_AFTER_MS);
    this.soonBusy();
    const known = this.map.peek(to);
    if (known) return this.place(to, known, turn);
    this.map.at(to).then(
      (place) => turn === this.turn && this.place(to, place, turn),
      (error: unknown) => turn === this.turn && this.tell(messageOf(error), 0),
    );
  };

  /** While somebody drags: stills at once, video where it rests. */
  scrub = (to: number): void => {
    const at = Math.min(to, hostNow());
    this.isScrubbing = this.isAwaiting = true;
    this.at = at;
    this.tellMoved();
    this.showStill(at);
    window.clearTimeout(this.timers.rest);
    this.timers.rest = window.setTimeout(() => {
      if (!this.isScrubbing) return;
      const wasPaused = this.view.isPaused;
      this.seek(at, false);
      this.isScrubbing = true;
      this.become({ isPaused: wasPaused });
    }, REST_MS);
  };

  toggle = (): void => (this.view.isPaused ? this.play() : this.pause());

  play(): void {
    if (this.view.mode === "past") {
      this.become({ isPaused: false });
      return this.past?.play();
    }
    const held = this.heldAt;
    this.heldAt = null;
    if (held !== null && hostNow() - held > HELD_MS && this.view.mode === "live") return this.seek(held, true);
    this.become({ isPaused: false });
    void this.elements?.live.play().catch(() => undefined);
  }

  pause(): void {
    this.become({ isPaused: true });
    if (this.view.mode === "past") return this.past?.pause();
    this.heldAt = this.live?.shownAt ?? this.at;
    this.elements?.live.pause();
  }

  step = (direction: 1 | -1): void => {
    if (!this.view.isPaused) this.pause();
    const seconds = this.fps ? 1 / this.fps : 0.04;
    if (this.view.mode !== "past") {
      const video = this.elements?.live;
      if (video) video.currentTime += direction * seconds;
      return;
    }
    if (this.past && !this.past.step(direction, seconds)) this.seek(this.at + direction * (this.past.frameLength || seconds) * 1000, false);
  };

  setRate = (rate: number): void => {
    // What is live comes at its own speed.
    if (this.view.mode === "live" && rate > 1) return;
    if (this.view.mode === "live" && rate < 1) this.become({ mode: "behind" });
    this.become({ rate });
    this.past?.setRate(rate);
    if (this.elements && this.view.mode !== "live") this.elements.live.playbackRate = rate;
  };

  faster = (direction: 1 | -1): void => {
    const at = SPEEDS.indexOf(this.view.rate);
    const next = SPEEDS[at + direction];
    if (next !== undefined) this.setRate(next);
  };

  setVolume = (volume: number, isMuted = volume === 0): void => {
    const level = Math.min(1, Math.max(0, volume));
    this.sound(level, isMuted);
    keepSound({ volume: level, isMuted });
  };

  private sound(volume: number, isMuted: boolean): void {
    this.become({ volume, isMuted });
    for (const video of this.videos()) Object.assign(video, { volume, muted: isMuted });
  }

  /** The element whose picture is seen. */
  get shownVideo(): HTMLVideoElement | null {
    return (this.view.surface === "live" ? this.elements?.live : this.past?.video) ?? null;
  }

  /** Everything past that this browser cannot play is encoded for it from now on. */
  acceptH264 = (): void => {
    this.h264 = true;
    this.seek(this.at, true);
  };

  private videos(): HTMLVideoElement[] {
    return this.elements ? [this.elements.live, ...this.elements.past] : [];
  }

  private place(to: number, place: Place, turn: number): void {
    const { here, gap } = place;
    if (here && !this.broken.some((one) => one.start <= to && to < one.end)) return this.show(to, here, place.file);
    if (!here && (gap === null || gap.reason === "not_committed")) return this.behind(to);
    void this.jump(to, here ? null : gap, turn);
  }

  private show(to: number, stretch: Stretch, file: Span | null): void {
    const cue = this.cue(to, stretch, file);
    if (cue === null) return this.refuse({ ...stretch, at: to, asH264: false }, isHevc(stretch.codec) ? "H.265" : stretch.codec);
    if (!this.past) return;
    this.past.show(to, () => cue);
    if (!this.view.isPaused && !this.isScrubbing) this.past.play();
    else this.past.pause();
  }

  /** Null: this browser cannot play it, and nobody asked for another codec yet. */
  private cue(at: number, stretch: Stretch, file: Span | null): Cue | null {
    const canPlay = document.createElement("video").canPlayType(`video/mp4; codecs="${stretch.codec}"`) !== "";
    if (!canPlay && !this.h264) return null;
    const span = clipAt(stretch, at, canPlay ? CLIP_MS : ENCODED_MS);
    const isCareful = file !== null && this.careful.some((one) => one.start < span.end && span.start < one.end);
    if (isCareful) {
      // Times are told to the millisecond below: the very start may belong to the file before.
      span.start = Math.max(span.start, file.start + EDGE_MS);
      span.end = Math.min(span.end, file.end);
    }
    return { ...span, at, asH264: !canPlay };
  }

  /** Over a gap, to what follows it. */
  private async jump(to: number, gap: Gap | null, turn: number): Promise<void> {
    try {
      const stretch = await this.after(to);
      if (turn !== this.turn) return;
      if (!stretch) return this.behind(to);
      const note = gap ? text.gap(text.reasons[gap.reason], clockTime(stretch.start)) : this.view.note;
      this.seek(stretch.start);
      this.tell(note);
    } catch (error) {
      if (turn === this.turn) this.tell(messageOf(error), 0);
    }
  }

  /** What plays next, whatever cannot be read left out. */
  private async after(at: number): Promise<Stretch | null> {
    for (let from = at; ; ) {
      const skipped = this.broken.find((one) => one.start <= from && from < one.end);
      if (skipped) {
        from = skipped.end;
        const { here } = await this.map.at(from);
        if (here && !this.broken.some((one) => one.start <= from && from < one.end)) return { ...here, start: from };
        if (here) continue;
      }
      const next = await this.map.after(from);
      if (!next || !this.broken.some((one) => one.start <= next.start && next.start < one.end)) return next;
      from = next.start;
    }
  }

  private async next(end: number): Promise<Cue | null> {
    if (this.view.isPaused && this.isScrubbing) return null;
    let { here, file } = await this.map.at(end);
    let at = end;
    const isBroken = () => this.broken.some((one) => one.start <= at && at < one.end);
    if (here && here.end - at < 40) here = null;
    if (!here || isBroken()) {
      const after = await this.after(end);
      if (!after) return null;
      at = after.start;
      ({ here, file } = await this.map.at(at));
    }
    return here && this.cue(at, here, file);
  }

  /** From the live window in RAM. */
  private behind(at: number): void {
    if (!this.isReady) {
      this.notBusy();
      return this.tell(text.nothingAfter(clockTime(at)), 0);
    }
    this.past?.pause();
    this.become({ mode: "behind", rate: Math.min(this.view.rate, 1) });
    this.live?.play(at);
  }

  /** Playing has come to where nothing is on the disk yet. */
  private caughtUp(end: number): void {
    if (hostNow() - end < LIVE_EDGE_MS) return this.goLive();
    this.behind(end);
  }

  private liveChanged(live: LiveView): void {
    if (this.view.mode === "past") return;
    if (live.hasPicture && this.view.surface === "past") {
      this.become({ surface: "live" });
      this.past?.clear();
    }
    if (live.hasPicture) {
      this.notBusy();
      this.isAwaiting = false;
      this.become({ isStill: false });
    }
    const isMine = this.view.surface === "live" && (this.view.mode === "live" || !live.hasPicture);
    this.become({ note: live.note, ...(isMine ? { badge: live.badge } : {}), ...(this.view.surface === "live" ? { hasPicture: live.hasPicture } : {}) });
  }

  private liveMoved(): void {
    const shown = this.live?.shownAt ?? null;
    if (shown === null) return;
    if (!this.isScrubbing) {
      this.at = shown;
      this.tellMoved();
    }
    const delay = Math.max(0, hostNow() - shown);
    this.become({ delaySeconds: Math.round(delay / 100) / 10, ...(this.view.mode === "behind" ? { badge: text.behind(Math.round(delay / 1000)) } : {}) });
  }

  private pastMoved(at: number): void {
    if (this.view.mode !== "past" || this.view.surface !== "past") return;
    if (this.elements) this.elements.frame.dataset["at"] = new Date(at).toISOString();
    if (this.isScrubbing) return;
    this.at = at;
    this.become({ badge: text.recorded(clockTime(at)) });
    this.tellMoved();
  }

  private pastShown(): void {
    if (this.view.mode !== "past") return;
    // Somebody still drags: what they rest on comes next.
    const isPassed = this.isScrubbing && this.timers.rest !== 0;
    if (!isPassed) {
      this.isAwaiting = false;
      // What was said of how it came here stays for as long as it takes to read.
      this.stopWaiting(true);
      this.become({ isStill: false });
    }
    if (this.view.surface === "live") {
      this.become({ surface: "past" });
      this.live?.setAside();
    }
    this.become({ hasPicture: true, isBusy: false, encoding: null, delaySeconds: null, ...(this.timers.note === 0 ? { note: "" } : {}) });
    const clip = this.past?.clip;
    if (clip) this.pastMoved(clip.start + (this.past?.video.currentTime ?? 0) * 1000);
  }

  private refuse(cue: Cue, codec: string): void {
    this.stopWaiting();
    if (this.h264 && !cue.asH264) {
      // It said that it could, and showed nothing.
      this.past?.clear();
      return this.past?.show(cue.at, () => ({ ...clipAt(cue, cue.at, ENCODED_MS), at: cue.at, asH264: true }));
    }
    this.past?.pause();
    this.become({ offer: codec, note: "", isBusy: false });
    this.showStill(cue.at);
  }

  /** What could not be fetched or decoded: says why, and goes on behind it. */
  private async failed(cue: Cue, url: string | null, error: unknown): Promise<void> {
    const turn = (this.turn += 1);
    this.stopWaiting();
    const why = url === null ? (error as ApiError) : await reasonOf(url);
    if (turn !== this.turn) return;
    if (why?.isPassing) {
      this.tell(why.message, 0);
      this.timers.retry = window.setTimeout(() => turn === this.turn && this.seek(cue.at), RETRY_MS);
      return;
    }
    if (why?.kind === "too_many" || why?.status === 401 || why?.status === 403) return this.tell(why.message, 0);
    this.map.forget(cue.at - 3_600_000);
    const place = await this.map.at(cue.at).catch(() => null);
    if (turn !== this.turn) return;
    // One file of many: what lies in the others still plays.
    const file = place?.file ?? null;
    const isWhole = file === null || cue.end - cue.start <= file.end - file.start;
    if (file && !isWhole) {
      this.careful.push({ start: cue.start, end: cue.end });
      this.become({ mode: "past" });
      return this.seek(cue.at);
    }
    this.broken.push(file ?? { start: cue.at, end: Math.max(cue.end, cue.at + 1) });
    const gone = why === null ? text.unreadable : why.kind === "not_found" || why.kind === "gone" ? text.deleted : why.message;
    const next = await this.after(cue.at).catch(() => null);
    if (turn !== this.turn) return;
    if (next) {
      this.seek(next.start);
      this.tell(text.goesOn(gone, clockTime(cue.at), clockTime(next.start)));
    } else this.tell(gone, 0);
  }

  private showStill(at: number): void {
    const found = this.previews.now(at);
    if (found) return this.drawStill(found.bitmap, found.at);
    this.previews.want(at, () => {
      const late = this.isAwaiting || this.view.offer !== null ? this.previews.now(this.at) : null;
      if (late) this.drawStill(late.bitmap, late.at);
    });
  }

  private drawStill(bitmap: ImageBitmap, at: number): void {
    const canvas = this.elements?.still;
    if (!canvas) return;
    if (canvas.width !== bitmap.width) [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
    canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
    if (this.elements) this.elements.frame.dataset["still"] = new Date(at).toISOString();
    this.become({ isStill: true, hasPicture: true, badge: text.recorded(clockTime(this.at)) });
  }

  private soonBusy(): void {
    window.clearTimeout(this.timers.busy);
    this.timers.busy = window.setTimeout(() => this.become({ isBusy: true }), BUSY_AFTER_MS);
  }

  private notBusy(): void {
    window.clearTimeout(this.timers.busy);
    this.become({ isBusy: false });
  }

  private stopWaiting(keepsNote = false): void {
    for (const name of ["still", "busy", "rest", "retry", ...(keepsNote ? [] : (["note"] as const))] as const) {
      window.clearTimeout(this.timers[name]);
      this.timers[name] = 0;
    }
    this.become({ isBusy: false });
  }

  /** `ms` 0: until something else happens. */
  private tell(note: string, ms = NOTE_MS): void {
    window.clearTimeout(this.timers.note);
    this.timers.note = 0;
    this.become({ note });
    if (ms > 0)
      this.timers.note = window.setTimeout(() => {
        this.timers.note = 0;
        this.become({ note: "" });
      }, ms);
  }

  private tellMoved(): void {
    for (const move of this.movers) move(this.at);
  }

  private become(part: Partial<PlaybackView>): void {
    const next = { ...this.view, ...part };
    if ((Object.keys(part) as (keyof PlaybackView)[]).every((key) => next[key] === this.view[key])) return;
    this.view = next;
    if (this.elements) Object.assign(this.elements.frame.dataset, { mode: next.mode, surface: next.surface });
    this.watching.set(this.elements !== null && next.mode === "past");
    for (const listener of this.listeners) listener();
  }
}
