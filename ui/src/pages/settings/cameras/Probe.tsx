// Opens the source as it is typed, and shows what came of it, before anything is saved.
import { useMutation } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { ask, type Body } from "../../../api/client";
import { ApiError, messageOf } from "../../../api/error";
import { draw } from "../../../api/pictures";
import { Button } from "../../../kit/Button";
import { Spinner } from "../../../kit/States";
import { cameras as text } from "../../../strings/en/settings_cameras";
import type { Flat } from "../parts/paths";
import { source } from "./form";

/** The daemon gives it five seconds, and FFmpeg some to start and end. */
const TAKES_MS = 30_000;

export function Probe({ value, id, useCopy }: { value: Flat; id?: string; useCopy?: () => void }) {
  const wanted = source(value);
  const probe = useMutation({
    mutationFn: (asked: Record<string, unknown>) =>
      ask("POST /api/cameras/probe", { body: { source: asked, ...(id === undefined ? {} : { id }) } as Body<"POST /api/cameras/probe">, timeoutMs: TAKES_MS }),
  });
  const seen = probe.data;
  const isStale = seen !== undefined && JSON.stringify(probe.variables) !== JSON.stringify(wanted);
  const { error } = probe;
  const said = error === null ? null : error instanceof ApiError && error.path !== null ? `${text.fields[error.path] ?? error.path}: ${error.message}` : messageOf(error);
  return (
    <aside className="probe" aria-label={text.probe}>
      <div className="probe-still">
        {seen?.still && <Still url={seen.still} isOld={isStale} />}
        {probe.isPending && <div className="probe-note"><Spinner label={text.probing} /><span>{text.probing}</span></div>}
        {!probe.isPending && !seen?.still && <div className="probe-note">{seen ? text.probeFailed : text.probeEmpty}</div>}
      </div>
      <Button icon="play" data-act="probe" disabled={probe.isPending} onClick={() => probe.mutate(wanted)}>{probe.isPending ? text.probing : text.probe}</Button>
      <div className="probe-said" aria-live="polite">
        {said !== null && <p className="notice bad" data-probe="fault">{said}</p>}
        {seen && !seen.ok && <p className="notice bad" data-probe="reason">{seen.message ?? seen.reason ?? text.probeFailed}</p>}
        {isStale && <p className="dim">{text.probeStale}</p>}
        {seen && (seen.video || seen.audio || seen.ok) && (
          <dl className="pairs" data-probe="facts">
            <div><dt>{text.video}</dt><dd>{seen.video ? `${seen.video.codec}, ${text.pictures(`${seen.video.width}×${seen.video.height}`, seen.video.fps === null ? null : String(Number(seen.video.fps.toFixed(2))))}` : text.noVideo}</dd></div>
            <div><dt>{text.audio}</dt><dd>{seen.audio ? text.tone(seen.audio.codec, seen.audio.sample_rate, seen.audio.channels) : text.noAudio}{seen.audio && !seen.audio.flows && ` (${text.silent})`}</dd></div>
            <div><dt>{text.format}</dt><dd>{seen.format || "–"} <span className="dim">{text.probeSeconds(seen.seconds)}</span></dd></div>
          </dl>
        )}
        {seen?.ok && seen.video?.copy && useCopy && value["quality"] !== "copy" && (
          <p className="notice">{text.canCopy} <Button kind="quiet" onClick={useCopy}>{text.useCopy}</Button></p>
        )}
        {seen && !seen.ok && seen.words.length > 0 && (
          <details>
            <summary>{text.words}</summary>
            <pre className="probe-words">{seen.words.join("\n")}</pre>
          </details>
        )}
      </div>
    </aside>
  );
}

/** On a canvas: the Content-Security-Policy allows no images of `data:`. */
function Still({ url, isOld }: { url: string; isOld: boolean }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    let isWanted = true;
    const bytes = Uint8Array.from(atob(url.split(",")[1] ?? ""), (letter) => letter.charCodeAt(0));
    void createImageBitmap(new Blob([bytes], { type: "image/jpeg" })).then((bitmap) => {
      if (isWanted && canvas.current) draw(canvas.current, { bitmap, at: null });
    }, () => undefined);
    return () => {
      isWanted = false;
    };
  }, [url]);
  return <canvas ref={canvas} role="img" aria-label={text.still} width="0" className={isOld ? "old" : ""} />;
}
