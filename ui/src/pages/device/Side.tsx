// Beside the picture: the incidents that the time line shows, the files, the pins.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { ask } from "../../api/client";
import type { Device } from "../../api/types";
import { Button, IconButton } from "../../kit/Button";
import { Tabs } from "../../kit/Tabs";
import { toastError } from "../../kit/Toast";
import type { Playback } from "../../player/playback";
import { useCan } from "../../session/session";
import { queries } from "../../store/queries";
import { device as text } from "../../strings/en/device";
import { bytes, duration, hostNow, time } from "../../time/format";
import { ChunkList } from "./ChunkList";
import { useChunks } from "./chunks";
import { pinsKey, type Pin } from "./timeline/data";
import type { Mark } from "./timeline/draw";

type Key = keyof typeof text.sideTabs;
const ROWS = 40;

interface Props {
  device: Device;
  playback: Playback;
  incidents: Mark[];
  pins: Pin[];
}

export function Side({ device, playback, incidents, pins }: Props) {
  const [tab, setTab] = useState<Key>("incidents");
  return (
    <aside className="card device-side" aria-label={text.side}>
      <Tabs label={text.side} tabs={(Object.keys(text.sideTabs) as Key[]).map((key) => ({ key, title: text.sideTabs[key] }))} chosen={tab} choose={setTab} />
      <div className="side-panel" role="tabpanel" aria-labelledby={`tab-${tab}`} tabIndex={0}>
        {tab === "incidents" && <Incidents incidents={incidents} playback={playback} />}
        {tab === "files" && <Files device={device} playback={playback} />}
        {tab === "pins" && <Pins device={device.id} pins={pins} playback={playback} />}
      </div>
    </aside>
  );
}

function Incidents({ incidents, playback }: { incidents: Mark[]; playback: Playback }) {
  const [all, setAll] = useState(false);
  if (incidents.length === 0) return <p className="dim">{text.noIncidents}</p>;
  const newest = [...incidents].sort((one, other) => other.start - one.start);
  return (
    <>
      <ol className="side-list">
        {(all ? newest : newest.slice(0, ROWS)).map((one) => (
          <li key={one.id}>
            <button type="button" className="side-row" onClick={() => playback.seek(one.start)} data-incident={one.id}>
              <span className={`kind ${one.kind}`}>{text.kinds[one.kind]}</span>
              <span className="side-when">{time(one.start)}</span>
              <span className="side-more dim">{one.end > hostNow() - 2000 ? text.goingOn : duration((one.end - one.start) / 1000)}</span>
            </button>
          </li>
        ))}
      </ol>
      {newest.length > ROWS && !all && <Button kind="quiet" onClick={() => setAll(true)}>{text.showAll(newest.length)}</Button>}
    </>
  );
}

function Files({ device, playback }: { device: Device; playback: Playback }) {
  const { data: chunks } = useChunks(device.id);
  const open = device.open_chunk;
  return (
    <>
      <p className="growing" hidden={!open}>{open && text.growing(time(open.start), bytes(open.bytes))}</p>
      <ChunkList device={device.id} chunks={chunks} play={(chunk) => playback.seek(Date.parse(chunk.start) + 1, true)} />
    </>
  );
}

function Pins({ device, pins, playback }: { device: string; pins: Pin[]; playback: Playback }) {
  const can = useCan();
  const remove = useMutation({
    mutationFn: (id: number) => ask("DELETE /api/host/pins/{id}", { path: { id: String(id) } }),
    onSettled: () => queries.invalidateQueries({ queryKey: pinsKey(device) }),
    onError: toastError,
  });
  if (pins.length === 0) return <p className="dim">{text.noPins}</p>;
  return (
    <ol className="side-list">
      {pins.map((pin) => (
        <li key={pin.id} className="side-pin" data-pin={pin.id}>
          <button type="button" className="side-row" onClick={() => playback.seek(Date.parse(pin.start) + 1)}>
            <span className="side-when">{time(pin.start)}</span>
            <span className="side-more dim">{duration((Date.parse(pin.end) - Date.parse(pin.start)) / 1000)}</span>
            <span className="side-why">{pin.why}</span>
            <span className="side-until dim">{pin.until === null ? text.forEver : text.until(time(pin.until))} · {text.pinnedBy(pin.by)}</span>
          </button>
          {can("operator") && <IconButton icon="trash" label={text.unpin} onClick={() => remove.mutate(pin.id)} />}
        </li>
      ))}
    </ol>
  );
}
