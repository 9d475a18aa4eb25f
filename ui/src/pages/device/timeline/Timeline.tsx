// The time line: what is recorded, what happened, how loud it was; click, drag, wheel, pinch and keys move in it.
import { useEffect, useRef, type KeyboardEvent, type RefObject } from "react";
import type { Playback } from "../../../player/playback";
import { device as text } from "../../../strings/en/device";
import { clockTime, dayName, duration, fullTime, hostNow } from "../../../time/format";
import { coloursOf, HEIGHT, KINDS, paint, ROWS, type Colours } from "./draw";
import type { Pin, TimelineData } from "./data";
import { following, nearest, panned, toTime, toX, zoomed, type Span } from "./scale";
import type { TimelineStore } from "./store";

export interface ClipRange {
  start: number | null;
  end: number | null;
}

interface Props {
  playback: Playback;
  store: TimelineStore;
  data: TimelineData;
  pins: Pin[];
  growing: Span | null;
  clip: ClipRange | null;
  setClip: (clip: ClipRange) => void;
  label: string;
}

/** A pointer that moved less than this has clicked. */
const CLICK_PX = 4;
const HANDLE_PX = 10;
const WHEEL_ZOOM = 1.0015;
const STILL_WIDTH = 192;
/** Stills asked for beforehand, over what is shown. */
const AHEAD_STILLS = 48;

export function Timeline({ playback, store, data, pins, growing, clip, setClip, label }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const popover = useRef<HTMLDivElement>(null);
  const latest = useRef({ data, pins, growing, clip, setClip });
  const redraw = useRef<() => void>(() => undefined);
  useEffect(() => {
    latest.current = { data, pins, growing, clip, setClip };
    redraw.current();
  }, [data, pins, growing, clip, setClip]);

  useEffect(() => {
    const [host, surface, hint] = [place.current, canvas.current, popover.current];
    const context = surface?.getContext("2d");
    if (!host || !surface || !hint || !context) return;
    const machine = new Machine(host, surface, context, hint, playback, store, latest);
    redraw.current = machine.dirty;
    return machine.start();
  }, [playback, store]);

  const onKey = (event: KeyboardEvent) => {
    const step = store.view.span / 100;
    const to = { ArrowLeft: -step, ArrowRight: step, PageUp: -step * 10, PageDown: step * 10 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    playback.seek(playback.now() + to);
  };
  return (
    <div className="timeline" ref={place}>
      <div className="timeline-hint" ref={popover} hidden>
        <canvas width="1" height="1" aria-hidden="true" />
        <strong />
        <span />
      </div>
      <canvas
        ref={canvas}
        className="timeline-canvas"
        role="slider"
        tabIndex={0}
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={0}
        onKeyDown={onKey}
      />
    </div>
  );
}

type Grip = { kind: "seek" } | { kind: "pan"; from: number; span: number } | { kind: "handle"; side: "start" | "end" };

/** What is drawn and what pointers do: sixty times a second, past React. */
class Machine {
  private width = 1;
  private frame = 0;
  private colours: Colours | null = null;
  private font = "12px sans-serif";
  private hover: { x: number; y: number } | null = null;
  private readonly pointers = new Map<number, { x: number; y: number }>();
  private grip: Grip | null = null;
  private beganAt = { x: 0, moved: false };
  private pinch: { distance: number; span: number; at: number } | null = null;
  private spoken = 0;
  private fetched = "";

  constructor(
    private readonly host: HTMLElement,
    private readonly canvas: HTMLCanvasElement,
    private readonly context: CanvasRenderingContext2D,
    private readonly hint: HTMLElement,
    private readonly playback: Playback,
    private readonly store: TimelineStore,
    private readonly latest: RefObject<Pick<Props, "data" | "pins" | "growing" | "clip" | "setClip">>,
  ) {}

  start(): () => void {
    const end = new AbortController();
    const { signal } = end;
    const on = (name: string, act: (event: PointerEvent) => void) => this.canvas.addEventListener(name, act as EventListener, { signal });
    on("pointerdown", this.down);
    on("pointermove", this.move);
    on("pointerup", this.up);
    on("pointercancel", this.up);
    on("pointerleave", this.leave);
    this.canvas.addEventListener("wheel", this.wheel, { signal, passive: false });
    const resized = new ResizeObserver(([entry]) => {
      if (!entry) return;
      this.width = Math.max(1, entry.contentRect.width);
      this.colours = null;
      this.dirty();
    });
    resized.observe(this.host);
    // Another theme has other colours.
    const themed = new MutationObserver(() => {
      this.colours = null;
      this.dirty();
    });
    themed.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    const preferred = matchMedia("(prefers-color-scheme: light)");
    preferred.addEventListener("change", () => ((this.colours = null), this.dirty()), { signal });
    const moved = (at: number) => {
      if (this.grip === null && !this.store.isHeld) this.store.set(following(this.store.view, at, this.playback.view.mode === "live", hostNow()));
      else if (this.store.isHeld && at >= this.store.view.from && at <= this.store.view.from + this.store.view.span) this.store.isHeld = false;
      this.dirty();
    };
    this.playback.movers.add(moved);
    const stop = this.store.subscribe(this.dirty);
    this.dirty();
    return () => {
      end.abort();
      resized.disconnect();
      themed.disconnect();
      stop();
      this.playback.movers.delete(moved);
      cancelAnimationFrame(this.frame);
    };
  }

  dirty = (): void => {
    if (this.frame === 0) this.frame = requestAnimationFrame(this.draw);
  };

  private draw = (): void => {
    this.frame = 0;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [Math.round(this.width * ratio), Math.round(HEIGHT * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) [this.canvas.width, this.canvas.height] = [width, height];
    if (!this.colours) {
      this.colours = coloursOf(this.host);
      const style = getComputedStyle(this.host);
      this.font = `${style.fontSize} ${style.fontFamily}`;
    }
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const { data, pins, growing, clip } = this.latest.current;
    const at = this.playback.now();
    const { view } = this.store;
    paint(this.context, this.width, {
      view, now: hostNow(), playhead: at, hover: this.hover && this.grip === null ? toTime(view, this.width, this.hover.x) : null,
      coverage: data.coverage, gaps: data.gaps, growing, incidents: data.incidents, sound: data.sound, stepMs: data.stepMs,
      pins: pins.map((one) => ({ start: Date.parse(one.start), end: Date.parse(one.end) })), clip,
    }, this.colours, this.font);
    // What the pointer hits: for whoever looks from outside.
    Object.assign(this.canvas.dataset, { from: Math.round(view.from), span: Math.round(view.span) });
    this.speak(at);
    this.fetchAhead();
  };

  /** Twice a second is often enough for whoever listens to it. */
  private speak(at: number): void {
    const now = performance.now();
    if (now - this.spoken < 500) return;
    this.spoken = now;
    const { view } = this.store;
    const set = (name: string, value: string) => this.canvas.setAttribute(name, value);
    set("aria-valuenow", Math.min(100, Math.max(0, ((at - view.from) / view.span) * 100)).toFixed(1));
    set("aria-valuetext", text.timelineAt(fullTime(at), duration(view.span / 1000)));
  }

  /** Stills over what is shown are there before somebody points at them. */
  private fetchAhead(): void {
    const { from, span } = this.store.view;
    const step = span / AHEAD_STILLS;
    const key = `${Math.round(Math.log2(span) * 2)}:${Math.round(from / (span / 4))}`;
    if (key === this.fetched || this.grip !== null) return;
    this.fetched = key;
    const { coverage } = this.latest.current.data;
    const moments = Array.from({ length: AHEAD_STILLS }, (_, index) => from + (index + 0.5) * step).filter((at) => coverage.some((one) => one.start <= at && at < one.end));
    this.playback.previews.prefetch(moments);
    if (coverage.length === 0) this.fetched = "";
  }

  private at(event: PointerEvent | WheelEvent): { x: number; y: number } {
    const box = this.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  private grab(x: number, y: number): Grip {
    const { view } = this.store;
    const { clip } = this.latest.current;
    for (const side of ["start", "end"] as const) {
      const at = clip?.[side];
      if (at !== null && at !== undefined && y >= ROWS.track[0] - 4 && Math.abs(toX(view, this.width, at) - x) <= HANDLE_PX) return { kind: "handle", side };
    }
    return y < ROWS.ruler[1] ? { kind: "pan", from: view.from, span: view.span } : { kind: "seek" };
  }

  private down = (event: PointerEvent): void => {
    if (event.button !== 0) return;
    const { x, y } = this.at(event);
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, { x, y });
    if (this.pointers.size === 2) return this.beginPinch();
    if (this.pointers.size > 2) return;
    this.beganAt = { x, moved: false };
    this.grip = this.grab(x, y);
    // At once: a click is not to wait for its end. A finger may be the first of two, though.
    if (this.grip.kind === "seek" && event.pointerType !== "touch") this.click(x, y);
    this.dirty();
  };

  private click(x: number, y: number): void {
    const { view } = this.store;
    const [top, bottom] = ROWS.incidents;
    const incident = y >= top && y <= bottom ? this.incidentAt(x, y) : null;
    this.store.isHeld = false;
    this.playback.seek(incident ? incident.start : toTime(view, this.width, x));
  }

  private move = (event: PointerEvent): void => {
    const { x, y } = this.at(event);
    if (this.pointers.has(event.pointerId)) this.pointers.set(event.pointerId, { x, y });
    if (this.pinch) return this.pinching();
    if (this.grip === null) return this.hovered(x, y, event.pointerType);
    if (!this.beganAt.moved && Math.abs(x - this.beganAt.x) < CLICK_PX) return;
    this.beganAt.moved = true;
    const { grip } = this;
    const at = toTime(this.store.view, this.width, x);
    if (grip.kind === "pan") {
      this.store.isHeld = true;
      this.store.set(panned({ from: grip.from, span: grip.span }, ((this.beganAt.x - x) / this.width) * grip.span, hostNow()));
    } else if (grip.kind === "handle") this.moveHandle(grip.side, at);
    else this.playback.scrub(at);
    if (grip.kind !== "pan") this.show(x, at);
  };

  private up = (event: PointerEvent): void => {
    const { x, y } = this.at(event);
    const isMine = this.pointers.delete(event.pointerId);
    if (this.pinch) {
      if (this.pointers.size < 2) this.pinch = null;
      this.grip = null;
      return;
    }
    const { grip } = this;
    this.grip = null;
    if (!isMine || grip === null || event.type === "pointercancel") return this.leave();
    if (grip.kind === "seek") {
      if (this.beganAt.moved) this.playback.seek(toTime(this.store.view, this.width, x));
      else if (event.pointerType === "touch") this.click(x, y);
    }
    if (event.pointerType === "touch") this.leave();
    this.dirty();
  };

  private leave = (): void => {
    if (this.grip !== null) return;
    this.hover = null;
    this.hint.hidden = true;
    this.dirty();
  };

  private beginPinch(): void {
    const [one, other] = [...this.pointers.values()];
    if (!one || !other) return;
    this.grip = null;
    this.hint.hidden = true;
    this.pinch = { distance: Math.max(20, Math.abs(one.x - other.x)), span: this.store.view.span, at: toTime(this.store.view, this.width, (one.x + other.x) / 2) };
  }

  /** Two fingers: apart zooms in, together out, both along pans; the moment between them stays between them. */
  private pinching(): void {
    const [one, other] = [...this.pointers.values()];
    if (!one || !other || !this.pinch) return;
    const span = (this.pinch.span * this.pinch.distance) / Math.max(20, Math.abs(one.x - other.x));
    const middle = (one.x + other.x) / 2;
    this.store.isHeld = true;
    const next = zoomed({ from: this.pinch.at - (middle / this.width) * span, span }, 1, this.pinch.at, hostNow());
    this.store.set(next);
  }

  private wheel = (event: WheelEvent): void => {
    event.preventDefault();
    const { x } = this.at(event);
    const { view } = this.store;
    const scale = event.deltaMode === 1 ? 16 : 1;
    this.store.isHeld = true;
    const across = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.store.set(panned(view, ((across * scale) / this.width) * view.span, hostNow()));
    else this.store.set(zoomed(view, WHEEL_ZOOM ** (event.deltaY * scale), toTime(view, this.width, x), hostNow()));
    if (this.hover) this.hovered(this.hover.x, this.hover.y, "mouse");
  };

  private moveHandle(side: "start" | "end", at: number): void {
    const { clip, setClip } = this.latest.current;
    if (!clip) return;
    const to = Math.min(at, hostNow());
    const other = side === "start" ? clip.end : clip.start;
    // Past the other one, they change places.
    if (other !== null && (side === "start" ? to > other : to < other)) {
      if (this.grip?.kind === "handle") this.grip.side = side === "start" ? "end" : "start";
      return setClip(side === "start" ? { start: other, end: to } : { start: to, end: other });
    }
    setClip({ ...clip, [side]: to });
  }

  private incidentAt(x: number, y: number) {
    const [top, bottom] = ROWS.incidents;
    const kind = KINDS[Math.min(KINDS.length - 1, Math.floor(((y - top) / (bottom - top)) * KINDS.length))];
    const { incidents } = this.latest.current.data;
    const { view } = this.store;
    return nearest(incidents.filter((one) => one.kind === kind), view, this.width, x) ?? nearest(incidents, view, this.width, x);
  }

  private hovered(x: number, y: number, pointer: string): void {
    if (pointer === "touch") return;
    this.hover = { x, y };
    const grip = this.grab(x, y);
    this.canvas.style.cursor = grip.kind === "handle" ? "ew-resize" : grip.kind === "pan" ? "grab" : "pointer";
    this.dirty();
    if (grip.kind === "pan") {
      this.hint.hidden = true;
      return;
    }
    const at = toTime(this.store.view, this.width, x);
    this.playback.map.prefetch(at);
    const incident = y >= ROWS.incidents[0] && y <= ROWS.incidents[1] ? this.incidentAt(x, y) : null;
    const gap = this.latest.current.data.gaps.find((one) => one.start <= at && at < one.end);
    const more = incident ? text.incidentOf(text.kinds[incident.kind], duration((incident.end - incident.start) / 1000)) : at > hostNow() ? text.future : gap ? text.reasons[gap.reason] : "";
    this.show(x, at, more);
  }

  /** The still of that moment, its time, and what there is to say of it. */
  private show(x: number, at: number, more = ""): void {
    const [picture, when, what] = [...this.hint.children] as [HTMLCanvasElement, HTMLElement, HTMLElement];
    const isToday = dayName(at) === dayName(hostNow());
    when.textContent = isToday ? clockTime(at) : `${dayName(at)} ${clockTime(at)}`;
    what.textContent = more;
    what.hidden = more === "";
    const put = (): boolean => {
      const found = this.playback.previews.now(at);
      if (!found) return false;
      const { bitmap } = found;
      if (picture.width !== bitmap.width) [picture.width, picture.height] = [bitmap.width, bitmap.height];
      picture.getContext("2d")?.drawImage(bitmap, 0, 0);
      picture.dataset["at"] = String(found.at);
      return true;
    };
    picture.classList.toggle("none", !put());
    if (picture.classList.contains("none")) {
      const asked = x;
      this.playback.previews.want(at, () => {
        const isSame = this.hover?.x === asked || this.grip !== null;
        if (isSame && put()) picture.classList.remove("none");
      });
    }
    this.hint.hidden = false;
    const half = STILL_WIDTH / 2 + 5;
    this.hint.style.left = `${Math.min(Math.max(x, half), Math.max(half, this.width - half))}px`;
  }
}
