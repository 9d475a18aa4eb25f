// One device on the page: its player, its state, its last 24 hours and its chunks.
import { getJson, type Chunk, type Device, type Manifest } from "./api";
import { bytes, el, seconds, setText, time } from "./dom";
import { Player } from "./player";
import { strip } from "./strip";

/** Rows shown before "all": an hour and a half of chunks. */
const ROWS = 9;

export class DeviceView {
  readonly element: HTMLElement;
  private readonly player: Player;
  private readonly title = el("h2");
  private readonly pill = el("span", { className: "pill" });
  private readonly reason = el("p", { className: "reason", hidden: true });
  private readonly facts = el("dl");
  private readonly day = el("div", { className: "day" });
  private readonly rows = el("ol", { className: "chunks" });
  private readonly more = el("button", { type: "button", className: "quiet", hidden: true });
  private readonly live = el("button", { type: "button", hidden: true }, "Back to live");
  private device: Device;
  private chunks: Chunk[] = [];
  private drawn = "";
  private all = false;

  constructor(device: Device) {
    this.device = device;
    this.player = new Player(device.playlist_url, `Picture of ${device.name}`);
    this.more.addEventListener("click", () => {
      this.all = !this.all;
      this.draw();
    });
    this.live.addEventListener("click", () => {
      this.player.playLive();
      this.draw();
    });
    const side = el("div", {}, this.reason, this.facts);
    const head = el("div", { className: "head" }, this.title, this.pill, this.live);
    const legend = el("div", { className: "legend" }, el("span", {}, "24 h ago"), el("span", {}, "now"));
    this.element = el("section", { className: "device" }, head, this.player.element, side, this.day, legend, this.rows, this.more);
    this.element.setAttribute("aria-label", device.name);
    this.update(device);
  }

  update(device: Device): void {
    this.device = device;
    setText(this.title, device.name);
    setText(this.pill, device.status);
    this.pill.className = `pill ${device.status}`;
    setText(this.reason, device.reason ?? "");
    this.reason.hidden = !device.reason;
    const lost = Object.values(device.lost_seconds).reduce((sum, one) => sum + one, 0);
    const ratio = device.media_bytes > 0 ? (device.written_bytes / device.media_bytes).toFixed(3) : "–";
    const facts: [string, string][] = [
      ["Source", device.area ? `${device.source} · ${device.area}` : device.source],
      ["Since", device.since ? time(device.since) : "–"],
      ["In RAM", `${device.hot.segments} s · ${bytes(device.hot.bytes)}, ${device.hot.waiting} to commit`],
      ["On disk", `${device.chunks.count} chunks · ${bytes(device.chunks.bytes)}`],
      ["Recording", device.open_chunk ? `since ${time(device.open_chunk.start)} · ${bytes(device.open_chunk.bytes)}` : "–"],
      ["Lost", lost > 0 ? seconds(lost) : "nothing"],
      ["Written per media byte", ratio],
    ];
    this.setFacts(facts);
    this.draw();
  }

  async refreshChunks(): Promise<void> {
    const manifest = await getJson<Manifest>(this.device.manifest_url);
    this.chunks = manifest.manifests.sort((a, b) => Date.parse(b.start) - Date.parse(a.start));
    this.draw();
  }

  private setFacts(facts: [string, string][]): void {
    if (this.facts.childElementCount === 0) {
      for (const [name] of facts) this.facts.append(el("div", {}, el("dt", {}, name), el("dd")));
    }
    this.facts.querySelectorAll("dd").forEach((dd, i) => setText(dd, facts[i]?.[1] ?? ""));
  }

  private draw(): void {
    const minute = Math.floor(Date.now() / 10_000);
    const state = JSON.stringify([this.chunks, this.device.open_chunk?.end, this.all, this.player.playing, minute]);
    if (state === this.drawn) return;
    this.drawn = state;
    this.live.hidden = this.player.playing === null;
    this.day.replaceChildren(strip(this.chunks, this.device.open_chunk, Date.now(), (chunk) => this.play(chunk)));
    // The list has buttons: it is rebuilt only when it differs, or keyboard focus would be lost every poll.
    const shown = this.chunks.slice(0, this.all ? undefined : ROWS);
    const key = JSON.stringify([shown, this.player.playing]);
    if (this.rows.dataset["key"] !== key) {
      this.rows.dataset["key"] = key;
      this.rows.replaceChildren(...(shown.length > 0 ? shown.map((chunk) => this.row(chunk)) : [el("li", { className: "empty" }, "No finished chunk yet.")]));
    }
    this.more.hidden = this.chunks.length <= ROWS;
    setText(this.more, this.all ? "Show fewer" : `Show all ${this.chunks.length}`);
  }

  private row(chunk: Chunk): HTMLLIElement {
    const playing = this.player.playing === chunk.url;
    const button = el("button", { type: "button", className: "quiet" }, playing ? "Playing" : "Play");
    button.setAttribute("aria-label", `Play the chunk of ${time(chunk.start)}`);
    button.addEventListener("click", () => this.play(chunk));
    const link = el("a", { href: chunk.url, download: `${this.device.id}-${chunk.start.replace(/[:.]/g, "-")}.mp4` }, "MP4");
    const gaps = chunk.gaps > 0 ? ` · ${chunk.gaps} gaps` : "";
    const text = el("span", { title: `${chunk.start} – ${chunk.end} UTC\n${chunk.name}\n${chunk.codecs}` }, `${time(chunk.start)} · ${seconds(chunk.duration_seconds)} · ${bytes(chunk.bytes)}${gaps}`);
    return el("li", { className: playing ? "playing" : "" }, text, button, link);
  }

  private play(chunk: Chunk): void {
    this.player.playChunk(chunk.url);
    this.draw();
  }
}
