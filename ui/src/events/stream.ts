// The one connection to /api/events, as long as somebody wants it. Runs in the shared worker, or in the tab where there is none.
import { TOPICS, type FromStream, type HostEvent, type Link } from "./kinds";

/** After a refusal; a browser by itself comes back only where a connection broke. */
const BACK_OFF_MS = [1000, 2000, 4000, 8000, 15_000];

export class Stream {
  link: Link = "waiting";
  private source: EventSource | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private failures = 0;
  private last: number | null = null;

  constructor(private readonly tell: (message: FromStream) => void) {}

  open(): void {
    if (this.source) return;
    clearTimeout(this.timer);
    const source = new EventSource(this.last === null ? "/api/events" : `/api/events?after=${this.last}`);
    this.source = source;
    source.onopen = () => {
      this.failures = 0;
      this.say("up");
    };
    source.onerror = () => {
      this.say("down");
      if (source.readyState === EventSource.CLOSED) this.again();
    };
    for (const topic of TOPICS) {
      source.addEventListener(topic, (message: MessageEvent<string>) => {
        const event = { ...(JSON.parse(message.data) as Omit<HostEvent, "topic">), topic } as HostEvent;
        this.last = event.id;
        this.tell({ type: "event", event });
      });
    }
    source.addEventListener("missed", () => this.tell({ type: "missed" }));
  }

  close(): void {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
    // Another user may see other devices: nothing goes on from here.
    this.last = null;
    this.failures = 0;
    this.say("waiting");
  }

  private again(): void {
    this.source?.close();
    this.source = null;
    const wait = BACK_OFF_MS[Math.min(this.failures, BACK_OFF_MS.length - 1)];
    this.failures += 1;
    this.timer = setTimeout(() => this.open(), wait);
  }

  private say(link: Link): void {
    if (link === this.link) return;
    this.link = link;
    this.tell({ type: "link", link });
  }
}
