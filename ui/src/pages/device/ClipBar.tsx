// A range to take away: its ends, length and size; as it is, smaller, as a link, or pinned.
import { useEffect, useRef, useState } from "react";
import { toast, toastError } from "../../kit/Toast";
import { Button, IconButton } from "../../kit/Button";
import { Icon } from "../../kit/Icon";
import { Select } from "../../kit/Field";
import { clipAddress, encoded } from "../../player/encoded";
import type { Playback } from "../../player/playback";
import { useCan } from "../../session/session";
import { device as text } from "../../strings/en/device";
import { bytes, clockTime, duration } from "../../time/format";
import { fileName, lengthText, missingIn, rangeOf, sizeOf, withEnd } from "./clip";
import { PinDialog, ShareDialog } from "./Keep";
import type { TimelineData } from "./timeline/data";
import type { ClipRange } from "./timeline/Timeline";

type Preset = keyof typeof text.clip.presets;
type Work = { state: "none" } | { state: "running"; part: number } | { state: "done"; url: string; bytes: number };

interface Props {
  device: { id: string; name: string };
  playback: Playback;
  data: TimelineData;
  clip: ClipRange;
  setClip: (clip: ClipRange | null) => void;
}

const iso = (at: number) => new Date(Math.round(at)).toISOString();

export function ClipBar({ device, playback, data, clip, setClip }: Props) {
  const can = useCan();
  const [preset, setPreset] = useState<Preset>("fast");
  const [work, setWork] = useState<Work>({ state: "none" });
  const [dialog, setDialog] = useState<"share" | "pin" | null>(null);
  const job = useRef<AbortController | null>(null);
  const range = rangeOf(clip);
  const key = range ? `${range.start}-${range.end}-${preset}` : "";
  // Another range is another file.
  useEffect(() => {
    setWork({ state: "none" });
    return () => job.current?.abort();
  }, [key]);

  const encode = async () => {
    if (!range) return;
    const end = new AbortController();
    job.current = end;
    setWork({ state: "running", part: 0 });
    try {
      const done = await encoded(device.id, { start: iso(range.start), end: iso(range.end), preset }, end.signal, (part) => setWork({ state: "running", part }));
      if (!end.signal.aborted) setWork({ state: "done", ...done });
    } catch (error) {
      if (end.signal.aborted) return;
      setWork({ state: "none" });
      toastError(error);
    }
  };
  const stop = () => {
    job.current?.abort();
    setWork({ state: "none" });
  };
  const missing = range ? missingIn(data.gaps, range) : 0;
  const url = range ? clipAddress(device.id, { start: iso(range.start), end: iso(range.end) }) : undefined;
  const file = range ? fileName(device.id, range.start) : "";
  return (
    <section className="card clip" aria-label={text.clip.title}>
      <div className="clip-ends">
        <End label={text.clip.in} at={clip.start} set={() => setClip(withEnd(clip, "start", playback.now()))} setLabel={text.clip.setIn} act="in" go={(at) => playback.seek(at)} />
        <End label={text.clip.out} at={clip.end} set={() => setClip(withEnd(clip, "end", playback.now()))} setLabel={text.clip.setOut} act="out" go={(at) => playback.seek(at)} />
        {range ? (
          <dl className="clip-facts">
            <div><dt>{text.clip.length}</dt><dd data-clip="length">{lengthText(range.end - range.start)}</dd></div>
            <div><dt>{text.clip.size}</dt><dd data-clip="size">{bytes(sizeOf(data.files, range))}</dd></div>
          </dl>
        ) : (
          <p className="dim clip-hint">{text.clip.hint}</p>
        )}
        {missing > 1000 && <span className="status warn">{text.clip.missing(duration(missing / 1000))}</span>}
        <span className="spacer" />
        <IconButton icon="close" label={text.clip.close} data-act="clip-close" onClick={() => setClip(null)} />
      </div>
      <div className="clip-acts">
        <a className={range ? "button primary" : "button primary off"} {...(range ? { href: url, download: `${file}.mp4` } : { "aria-disabled": true })} data-act="download"><Icon name="download" />{text.clip.download}</a>
        <Button icon="play" disabled={!range} onClick={() => range && playback.seek(range.start, true)}>{text.clip.play}</Button>
        {can("operator") && <Button icon="share" data-act="share" disabled={!range} onClick={() => setDialog("share")}>{text.clip.share}</Button>}
        {can("operator") && <Button icon="pin" data-act="pin" disabled={!range} onClick={() => setDialog("pin")}>{text.clip.pin}</Button>}
        <span className="spacer" />
        <div className="clip-encode">
          <Select label={text.clip.preset} value={preset} disabled={work.state === "running"} onChange={(event) => setPreset(event.target.value as Preset)} name="preset">
            {(Object.keys(text.clip.presets) as Preset[]).map((one) => <option key={one} value={one}>{text.clip.presets[one]}</option>)}
          </Select>
          {work.state === "running" ? (
            <>
              <progress className="clip-progress" max="1" value={work.part} aria-label={text.clip.encoding(Math.round(work.part * 100))} />
              <span className="clip-percent" data-clip="progress" data-part={work.part}>{text.clip.encoding(Math.round(work.part * 100))}</span>
              <Button data-act="stop" onClick={stop}>{text.clip.stop}</Button>
            </>
          ) : work.state === "done" ? (
            <a className="button primary" href={work.url} download={`${file}-${preset}.mp4`} data-act="encoded"><Icon name="download" />{text.clip.encoded(bytes(work.bytes))}</a>
          ) : (
            <Button data-act="encode" disabled={!range} onClick={() => void encode()}>{text.clip.encode}</Button>
          )}
        </div>
      </div>
      {dialog === "share" && range && <ShareDialog device={device.id} range={range} close={() => setDialog(null)} />}
      {dialog === "pin" && range && (
        <PinDialog
          device={device.id}
          range={range}
          close={(isPinned) => {
            setDialog(null);
            if (isPinned) toast(text.pin.done);
          }}
        />
      )}
    </section>
  );
}

function End({ label, at, set, setLabel, act, go }: { label: string; at: number | null; set: () => void; setLabel: string; act: string; go: (at: number) => void }) {
  return (
    <div className="clip-end">
      <span className="dim">{label}</span>
      {at === null ? <span className="clip-at">{text.clip.none}</span> : <button type="button" className="clip-at" data-clip={act} title={text.toMoment(clockTime(at))} onClick={() => go(at)}>{clockTime(at)}</button>}
      <Button data-act={act} onClick={set}>{setLabel}</Button>
    </div>
  );
}
