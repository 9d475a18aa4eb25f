// What is recorded, as a strip that ends now: one mark per chunk, a click plays from there.
import { useEffect, useState } from "react";
import type { Chunk, OpenChunk } from "../../api/types";
import { device as text } from "../../strings/en/device";
import { hostNow, time } from "../../time/format";

const WIDTH = 1440;
const HOUR_MS = 3_600_000;
/** What it may span. The first that holds everything is used: a young recording would be a hairline in a day. */
const SPANS: [number, string][] = [[HOUR_MS / 6, text.ago.m10], [HOUR_MS, text.ago.h1], [6 * HOUR_MS, text.ago.h6]];
const LONGEST: [number, string] = [24 * HOUR_MS, text.ago.h24];
const MOVES_MS = 4000;

export function Strip({ chunks, open, play }: { chunks: Chunk[]; open: OpenChunk | null; play: (chunk: Chunk, at: number) => void }) {
  const [now, setNow] = useState(hostNow);
  useEffect(() => {
    const timer = window.setInterval(() => setNow(hostNow()), MOVES_MS);
    return () => window.clearInterval(timer);
  }, []);
  const starts = [...chunks, ...(open ? [open] : [])].map((one) => Date.parse(one.start));
  const age = starts.length > 0 ? now - Math.min(...starts) : 0;
  const [span, label] = SPANS.find(([length]) => length >= age) ?? LONGEST;
  const x = (stamp: string | number) => Math.max(0, ((new Date(stamp).getTime() - (now - span)) / span) * WIDTH);
  // A chunk of a few seconds would be thinner than a pixel.
  const box = (start: string, end: string | number) => ({ x: x(start), width: Math.max(2, x(end) - x(start)), height: 24 });
  const clicked = (event: React.MouseEvent<SVGRectElement>, chunk: Chunk) => {
    const whole = event.currentTarget.ownerSVGElement?.getBoundingClientRect();
    if (!whole) return;
    const at = now - span + ((event.clientX - whole.left) / whole.width) * span;
    play(chunk, Math.max(0, (at - Date.parse(chunk.start)) / 1000));
  };
  return (
    <div>
      <svg className="strip" viewBox={`0 0 ${WIDTH} 24`} preserveAspectRatio="none" role="img" aria-label={text.recordedSince(label, chunks.length)}>
        {chunks.filter((one) => x(one.end) > 0).map((one) => (
          <rect key={one.url} className="sealed" {...box(one.start, one.end)} onClick={(event) => clicked(event, one)}>
            <title>{`${time(one.start)} – ${time(one.end)}`}</title>
          </rect>
        ))}
        {/* The file still grows: it is shown, not played. */}
        {open && <rect className="open" {...box(open.start, now)}><title>{text.recordingSince(time(open.start))}</title></rect>}
      </svg>
      <div className="strip-legend"><span>{label}</span><span>{text.now}</span></div>
    </div>
  );
}
