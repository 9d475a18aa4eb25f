// What is recorded of one device, as a strip that ends now: one mark per chunk, a click plays from there.
import type { Chunk, OpenChunk } from "./api";
import { el, time } from "./dom";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1440;
const HOUR_MS = 3_600_000;
/** What the strip may span. The first that holds everything is used: a young recording would be a hairline in a day. */
const SPANS: [number, string][] = [
  [HOUR_MS / 6, "10 min ago"],
  [HOUR_MS, "1 h ago"],
  [6 * HOUR_MS, "6 h ago"],
  [24 * HOUR_MS, "24 h ago"],
];
const LONGEST = SPANS[SPANS.length - 1] as [number, string];

export function strip(chunks: Chunk[], open: OpenChunk | null, now: number, play: (chunk: Chunk, at: number) => void): HTMLElement {
  const starts = [...chunks, ...(open ? [open] : [])].map((one) => Date.parse(one.start));
  const age = starts.length > 0 ? now - Math.min(...starts) : 0;
  const [span, label] = SPANS.find(([length]) => length >= age) ?? LONGEST;
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} 24`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "strip");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `Recorded since ${label}: ${chunks.length} chunks`);
  const at = (stamp: string) => ((Date.parse(stamp) - (now - span)) / span) * WIDTH;
  const mark = (start: string, end: string, name: string, title: string): SVGRectElement => {
    const rect = document.createElementNS(SVG, "rect");
    const from = Math.max(0, at(start));
    rect.setAttribute("x", from.toFixed(2));
    // A chunk of a few seconds would be thinner than a pixel.
    rect.setAttribute("width", Math.max(2, at(end) - from).toFixed(2));
    rect.setAttribute("height", "24");
    rect.setAttribute("class", name);
    const tip = document.createElementNS(SVG, "title");
    tip.textContent = title;
    rect.append(tip);
    svg.append(rect);
    return rect;
  };
  for (const chunk of chunks) {
    if (at(chunk.end) < 0) continue;
    mark(chunk.start, chunk.end, "sealed", `${time(chunk.start)} – ${time(chunk.end)}`).addEventListener("click", (event) => {
      const box = svg.getBoundingClientRect();
      const clicked = now - span + ((event.clientX - box.left) / box.width) * span;
      play(chunk, Math.max(0, (clicked - Date.parse(chunk.start)) / 1000));
    });
  }
  // The file still grows: it is shown, not played.
  if (open) mark(open.start, new Date(now).toISOString(), "open", `recording since ${time(open.start)}`);
  const legend = el("div", { className: "legend" }, el("span", {}, label), el("span", {}, "now"));
  return el("div", {}, svg, legend);
}
