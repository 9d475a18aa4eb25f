// The last 24 hours of one device as a strip: what is recorded, one mark per chunk.
import type { Chunk, OpenChunk } from "./api";
import { time } from "./dom";

const SVG = "http://www.w3.org/2000/svg";
const DAY_MS = 86_400_000;
const WIDTH = 1440;

export function strip(chunks: Chunk[], open: OpenChunk | null, now: number, play: (chunk: Chunk) => void): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} 24`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "strip");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `Recorded in the last 24 hours: ${chunks.length} chunks`);
  const at = (stamp: string) => ((Date.parse(stamp) - (now - DAY_MS)) / DAY_MS) * WIDTH;
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
    mark(chunk.start, chunk.end, "sealed", `${time(chunk.start)} – ${time(chunk.end)}`).addEventListener("click", () => play(chunk));
  }
  if (open) mark(open.start, open.end, "open", `recording since ${time(open.start)}`);
  return svg;
}
