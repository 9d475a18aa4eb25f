// What all cameras saw in a minute: the daemon's picture, and over each tile of it the way to that camera at that minute.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState, type CSSProperties } from "react";
import { ask } from "../../api/client";
import type { Incident } from "../../api/types";
import { Link } from "../../app/router";
import { heatmap as text } from "../../strings/en/heatmap";
import { clockTime, dayName, hostNow, minuteTime } from "../../time/format";
import { useMosaic } from "./mosaics";
import { MINUTE, minuteName, momentOf, type Show } from "./strip";
import { leastWidth, tilesOf } from "./tiles";

/** A minute that is over may still get a verdict for so long. */
const SETTLES_MS = 3 * MINUTE;

interface Props {
  at: number;
  show: Show;
  grownAt: number;
  incidents: Incident[];
  /** How high the strip above is, in pixels. */
  stripHeight: number;
}

export function Mosaic({ at, show, grownAt, incidents, stripHeight }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const minute = Math.floor(at / MINUTE) * MINUTE;
  // The host's time at the last look: it moves with what is known, not with each rendering.
  const [now, setNow] = useState(hostNow);
  useEffect(() => setNow(hostNow()), [grownAt]);
  const shown = useMosaic(canvas, minute, show, now);
  const { data: devices = [] } = useMinute(shown.at, now);
  const tiles = shown.picture ? tilesOf(devices, shown.show, shown.picture) : [];
  const when = shown.at === null ? null : `${dayName(shown.at)} ${minuteTime(shown.at)}`;
  const size = shown.picture ?? { width: 16, height: 9 };
  return (
    <figure className="card heat-mosaic" style={{ "--strip": `${stripHeight}px` } as CSSProperties} data-minute={shown.at === null ? undefined : new Date(shown.at).toISOString()}>
      <figcaption>
        <span>{text.mosaicOf[show]}</span>
        <span className="dim">{when ?? ""}</span>
      </figcaption>
      <div className="heat-picture" style={{ "--ratio": size.width / size.height, "--least": `${leastWidth(size)}px` } as CSSProperties} hidden={shown.at === null}>
        <canvas ref={canvas} role="img" aria-label={when === null ? text.mosaicBusy : text.mosaic(when)} />
        {shown.at !== null && (
          <ul aria-label={text.mosaicTiles}>
            {tiles.map(({ id, name, status, ...place }) => {
              const to = momentOf(id, shown.at ?? minute, MINUTE, incidents);
              const label = text.open(name, clockTime(to.at));
              return (
                <li key={id} style={Object.fromEntries(Object.entries(place).map(([side, percent]) => [side, `${percent}%`]))}>
                  <Link to={to.path} aria-label={label} title={label} data-tile={id} data-status={status} />
                </li>
              );
            })}
          </ul>
        )}
      </div>
      {shown.missing && <p className="dim" role="status">{text.mosaicNone}</p>}
    </figure>
  );
}

/** How each did in that minute: who is in its pictures. */
function useMinute(at: number | null, now: number) {
  const version = at !== null && now - at < SETTLES_MS ? now : 0;
  return useQuery({
    queryKey: ["heatmap-minute", at, version],
    queryFn: async ({ signal }) => {
      const { minute, date } = minuteName(at ?? 0);
      return (await ask("GET /api/host/heatmap/{minute}.json", { path: { minute }, query: { date }, signal })).devices;
    },
    enabled: at !== null,
    staleTime: Infinity,
    // Of the same minute, while it is asked for again.
    placeholderData: (before, query) => (query?.queryKey[1] === at ? before : undefined),
  });
}
