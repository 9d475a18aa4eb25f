// One device on the page: its player, its state, what is recorded of it and its chunks.
import { getJson, type Chunk, type Device, type Manifest } from "./api";
import { bytes, el, hostNow, seconds, setFacts, setText, time } from "./dom";
import { Player } from "./player";
import { strip } from "./strip";

/** Rows shown before "all". */
const ROWS = 4;

export class DeviceView {
  readonly element: HTMLElement;
  private readonly player: Player;
  private readonly title = el("h2");
  private readonly place = el("span", { className: "place" });
  private readonly pill = el("span", { className: "pill" });
  private readonly reason = el("p", { className: "reason", hidden: true });
  private readonly facts = el("dl", { className: "facts" });
  private readonly day = el("div", { className: "day" });
  private readonly growing = el("p", { className: "growing", hidden: true });
  private readonly rows = el("ol", { className: "chunks" });
  private readonly more = el("button", { type: "button", className: "quiet more", hidden: true });
  private readonly live = el("button", { type: "button", className: "back", hidden: true }, "Back to live");
  private device: Device;
  private chunks: Chunk[] = [];
  private drawn = "";
  private all = false;

  constructor(device: Device) {
    this.device = device;
    this.player = new Player(device.playlist_url, `Picture of ${device.name}`);
    this.player.ended = (chunk) => this.playAfter(chunk);
    this.player.element.append(this.live);
    this.more.addEventListener("click", () => {
      this.all = !this.all;
      this.draw();
    });
    this.live.addEventListener("click", () => {
      this.player.playLive();
      this.draw();
    });
    const names = el("div", { className: "names" }, this.title, this.place);
    const head = el("div", { className: "head" }, names, this.pill);
    const body = el("div", { className: "body" }, head, this.reason, this.facts, this.day, this.growing, this.rows, this.more);
    this.element = el("section", { className: "device" }, this.player.element, body);
    this.element.setAttribute("aria-label", device.name);
    this.element.dataset["device"] = device.id;
    this.update(device);
  }

  update(device: Device): void {
    this.device = device;
    setText(this.title, device.name);
    setText(this.place, [device.area, device.source].filter(Boolean).join(" · "));
    setText(this.pill, device.status);
    this.pill.className = `pill ${device.status}`;
    this.pill.title = device.since ? `since ${time(device.since)}` : "";
    setText(this.reason, device.reason ?? "");
    this.reason.hidden = !device.reason;
    const lost = Object.values(device.lost_seconds).reduce((sum, one) => sum + one, 0);
    const ratio = device.media_bytes > 0 ? `${(device.written_bytes / device.media_bytes).toFixed(2)} ×` : "–";
    setFacts(this.facts, [
      ["In RAM", `${device.hot.segments} s · ${bytes(device.hot.bytes)}`, "The live window; new footage waits here for its commit"],
      ["On disk", `${bytes(device.chunks.bytes)}`, "All chunks of this device"],
      ["Lost", lost > 0 ? seconds(lost) : "nothing", "Seconds that were captured and did not reach the disk"],
      ["Disk writes", ratio, "Bytes written per byte of video and sound, since the start"],
    ]);
    const open = device.open_chunk;
    this.growing.hidden = !open;
    if (open) setText(this.growing, `Recording since ${time(open.start)} · ${bytes(open.bytes)} on disk`);
    this.player.setReady(device.hot.segments > 0, device.status === "starting" ? "Starting…" : `No picture: ${device.status}.`);
    this.draw();
  }

  /** The daemon does not answer: asking for pictures would only fail until it does. */
  away(): void {
    setText(this.pill, "unknown");
    this.pill.className = "pill";
    this.growing.hidden = true;
    this.player.setReady(false, "The daemon does not answer.");
  }

  /** It is no longer shown. */
  gone(): void {
    this.player.setReady(false, "");
    this.player.stop();
    this.element.remove();
  }

  async refreshChunks(): Promise<void> {
    const manifest = await getJson<Manifest>(this.device.manifest_url);
    this.chunks = manifest.manifests.sort((a, b) => Date.parse(b.start) - Date.parse(a.start));
    this.draw();
  }

  private draw(): void {
    const playing = this.player.playing?.url ?? null;
    const moment = Math.floor(hostNow() / 4000);
    const state = JSON.stringify([this.chunks, this.device.open_chunk?.end, this.all, playing, moment]);
    if (state === this.drawn) return;
    this.drawn = state;
    this.live.hidden = playing === null;
    this.day.replaceChildren(strip(this.chunks, this.device.open_chunk, hostNow(), (chunk, at) => this.play(chunk, at)));
    // The list has buttons: it is rebuilt only when it differs, or keyboard focus would be lost every poll.
    const shown = this.chunks.slice(0, this.all ? undefined : ROWS);
    const key = JSON.stringify([shown, playing]);
    if (this.rows.dataset["key"] !== key) {
      this.rows.dataset["key"] = key;
      this.rows.replaceChildren(...(shown.length > 0 ? shown.map((chunk) => this.row(chunk)) : [el("li", { className: "empty" }, "No finished chunk yet.")]));
    }
    this.more.hidden = this.chunks.length <= ROWS;
    setText(this.more, this.all ? "Show fewer" : `Show all ${this.chunks.length} chunks`);
  }

  private row(chunk: Chunk): HTMLLIElement {
    const playing = this.player.playing?.url === chunk.url;
    const button = el("button", { type: "button", className: "play" }, playing ? "■" : "▶");
    button.setAttribute("aria-label", `${playing ? "Stop" : "Play"} the chunk of ${time(chunk.start)}`);
    button.addEventListener("click", () => (playing ? this.leave() : this.play(chunk)));
    const file = `${this.device.id}-${chunk.start.replace(/[:.]/g, "-")}.mp4`;
    const link = el("a", { href: chunk.url, download: file, title: "Download this chunk" }, "MP4");
    const gaps = chunk.gaps > 0 ? ` · ${chunk.gaps} ${chunk.gaps === 1 ? "gap" : "gaps"}` : "";
    const when = el("span", { className: "when", title: `${chunk.start} – ${chunk.end}\n${chunk.name}\n${chunk.codecs}` }, time(chunk.start));
    const size = el("span", { className: "size" }, `${seconds(chunk.duration_seconds)} · ${bytes(chunk.bytes)}${gaps}`);
    return el("li", { className: playing ? "playing" : "" }, button, when, size, link);
  }

  private play(chunk: Chunk, at = 0): void {
    this.player.playChunk(chunk, at);
    this.draw();
  }

  private leave(): void {
    this.player.playLive();
    this.draw();
  }

  /** Chunks follow each other, and the newest one leads back to live. */
  private playAfter(chunk: Chunk): void {
    const later = this.chunks.filter((one) => Date.parse(one.start) > Date.parse(chunk.start));
    const next = later[later.length - 1];
    if (next) this.play(next);
    else this.leave();
  }
}
