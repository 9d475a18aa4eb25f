// What is recorded of a device, hour by hour as it is needed: looked up before a click where possible.
import { ask } from "../api/client";
import { subscribe } from "../events/hub";
import { hostNow } from "../time/format";
import { footageOf, joined, spanAfter, spanAt, type Footage, type Gap, type Span, type Stretch } from "./footage";

const HOUR = 3_600_000;
/** Hours kept; the one looked at last stays longest. */
const KEPT = 48;
/** What grows is asked for again after this time, and at once when a commit is told. */
const FRESH_MS = 4000;

interface Known {
  asked: number;
  footage: Footage | null;
  wait: Promise<Footage>;
}

export interface Place {
  /** What plays at that moment. */
  here: Stretch | null;
  /** Why nothing does. */
  gap: Gap | null;
  /** The file that holds it. */
  file: Span | null;
}

export class FootageMap {
  private readonly hours = new Map<number, Known>();

  constructor(private readonly device: string) {}

  /** Hears of what is committed, until the function that it returns is called. */
  listen(): () => void {
    return subscribe({ topics: ["commit"], device: this.device }, () => this.forget(hostNow() - HOUR));
  }

  /** What was learned from that moment on may have changed. */
  forget(from = 0): void {
    for (const [hour, known] of this.hours) if ((hour + 1) * HOUR > from) known.asked = -Infinity;
  }

  /** What is known of the moment now; null: it must be asked for. */
  peek(at: number): Place | null {
    const hour = Math.floor(at / HOUR);
    const known = this.hours.get(hour);
    if (!known?.footage || this.isStale(hour, known)) return null;
    return this.place(at, known.footage);
  }

  async at(at: number): Promise<Place> {
    return this.peek(at) ?? this.place(at, await this.hour(Math.floor(at / HOUR)));
  }

  /** The next that plays after the moment; null when nothing does. Looks over gaps of any length. */
  async after(at: number): Promise<Stretch | null> {
    const here = await this.hour(Math.floor(at / HOUR));
    const near = spanAfter(here.stretches, at);
    if (near) return near;
    // One look over all that follows, coarse: it only has to tell where.
    const { coverage } = await ask("GET /api/host/timeline/{device}", {
      path: { device: this.device },
      query: { from: iso(at), to: iso(hostNow()), resolution: 1 },
    });
    const first = coverage.map((one) => ({ ...one, start: Date.parse(one.start), end: Date.parse(one.end) })).find((one) => one.start > at);
    return first ?? null;
  }

  prefetch(at: number): void {
    const hour = Math.floor(at / HOUR);
    const known = this.hours.get(hour);
    if (!known || this.isStale(hour, known)) void this.hour(hour).catch(() => undefined);
  }

  /** Footage goes on over full hours: neighbours that are known lengthen it. */
  private place(at: number, footage: Footage): Place {
    const here = spanAt(footage.stretches, at);
    if (!here) return { here: null, gap: spanAt(footage.gaps, at), file: null };
    const around = [-1, 1].flatMap((step) => this.hours.get(Math.floor(at / HOUR) + step)?.footage?.stretches ?? []);
    return { here: spanAt(joined([...footage.stretches, ...around]), at), gap: null, file: spanAt(footage.files, at) };
  }

  private isStale(hour: number, known: Known): boolean {
    const mayChange = (hour + 1) * HOUR > hostNow() - HOUR;
    return known.asked === -Infinity || (mayChange && performance.now() - known.asked > FRESH_MS);
  }

  private hour(hour: number): Promise<Footage> {
    const before = this.hours.get(hour);
    if (before && !this.isStale(hour, before)) return before.wait;
    const query = { from: iso(hour * HOUR), to: iso((hour + 1) * HOUR) };
    const wait = ask("GET /api/host/timeline/{device}", { path: { device: this.device }, query }).then(footageOf);
    const known: Known = { asked: performance.now(), footage: before?.footage ?? null, wait };
    this.hours.delete(hour);
    this.hours.set(hour, known);
    const [oldest] = this.hours.keys();
    if (this.hours.size > KEPT && oldest !== undefined) this.hours.delete(oldest);
    wait.then(
      (footage) => (known.footage = footage),
      () => (known.asked = -Infinity),
    );
    return wait;
  }
}

const iso = (at: number) => new Date(at).toISOString();
