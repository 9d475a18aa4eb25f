// Somebody saved the camera while it was edited here: both changes are shown side by side, and saved together.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ask } from "../../../api/client";
import { ApiError } from "../../../api/error";
import { Button } from "../../../kit/Button";
import { Dialog } from "../../../kit/Dialog";
import { ErrorState, Skeleton } from "../../../kit/States";
import { common } from "../../../strings/en/common";
import { cameras as text } from "../../../strings/en/settings_cameras";
import { time } from "../../../time/format";
import type { Flat, Value } from "../parts/paths";
import { toFlat, type Camera } from "./form";
import { merge } from "./merge";
import { readCamera } from "./queries";

interface Props {
  id: string;
  base: Flat;
  mine: Flat;
  busy: boolean;
  close: () => void;
  save: (wanted: Flat, now: Camera) => void;
  drop: (now: Camera) => void;
}

export function MergeDialog({ id, base, mine, busy, close, save, drop }: Props) {
  const { data, error } = useQuery({
    queryKey: ["camera-conflict", id],
    queryFn: async () => {
      const [now, log] = await Promise.all([readCamera(id), ask("GET /api/audit", { query: { limit: 50 } }).catch(() => null)]);
      return { now, by: log?.entries.find((entry) => entry.subject === id && entry.action === "camera_changed") };
    },
    staleTime: 0,
    gcTime: 0,
  });
  const [chosen, setChosen] = useState<Record<string, "mine" | "theirs">>({});
  const found = data && merge(base, mine, toFlat(data.now));
  const taken = found?.theirs.filter((one) => one.path !== "etag") ?? [];
  const wanted = found && { ...found.value, ...Object.fromEntries(found.clashes.map((one) => [one.path, chosen[one.path] === "theirs" ? one.theirs : one.mine])) };
  const isGone = error instanceof ApiError && error.kind === "not_found";
  return (
    <Dialog
      title={isGone ? text.goneTitle : text.conflictTitle}
      close={close}
      actions={
        data && wanted ? (
          <>
            <Button onClick={close}>{common.cancel}</Button>
            <Button kind="danger" disabled={busy} data-act="drop-mine" onClick={() => drop(data.now)}>{text.mergeDrop}</Button>
            <Button kind="primary" disabled={busy} data-act="merge" onClick={() => save(wanted, data.now)}>{text.mergeSave}</Button>
          </>
        ) : undefined
      }
    >
      {error && !isGone && <ErrorState error={error} />}
      {!data && !error && <Skeleton className="settings-wait" />}
      {data && found && (
        <>
          <p>{data.by ? text.conflictBy(data.by.who, time(data.by.at)) : text.conflictSomebody}</p>
          {found.clashes.length === 0 && <p>{text.conflictNone}</p>}
          {found.clashes.map((one) => (
            <fieldset key={one.path} className="merge-clash">
              <legend>{text.fields[one.path] ?? one.path}: {text.conflictBoth}</legend>
              {(["mine", "theirs"] as const).map((side) => (
                <label key={side} className="flag">
                  <input type="radio" name={`merge-${one.path}`} value={side} checked={(chosen[one.path] ?? "mine") === side} onChange={() => setChosen({ ...chosen, [one.path]: side })} />
                  <span><span className="dim">{text[side]}</span> {shown(one[side])}</span>
                </label>
              ))}
            </fieldset>
          ))}
          {taken.length > 0 && (
            <div>
              <h3>{text.conflictTaken}</h3>
              <dl className="pairs">
                {taken.map((one) => (
                  <div key={one.path}><dt>{text.fields[one.path] ?? one.path}</dt><dd>{shown(one.theirs)} <span className="dim was">{shown(base[one.path] ?? "")}</span></dd></div>
                ))}
              </dl>
            </div>
          )}
        </>
      )}
    </Dialog>
  );
}

function shown(value: Value): string {
  if (typeof value === "boolean") return value ? text.yes : text.no;
  return value === "" ? text.empty : value;
}
