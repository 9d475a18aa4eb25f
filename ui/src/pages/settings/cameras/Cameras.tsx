// The list of cameras: how each does, where it is written down, and what may be done with it.
import { useMemo, useRef, useState } from "react";
import { Link, navigate, useParam } from "../../../app/router";
import { Button } from "../../../kit/Button";
import { Menu, type Item } from "../../../kit/Menu";
import { EmptyState, ErrorState, Skeleton } from "../../../kit/States";
import { StatusBadge } from "../../../kit/StatusBadge";
import { toast, toastError } from "../../../kit/Toast";
import { useKeys } from "../../../keys/keys";
import { useCan } from "../../../session/session";
import { common } from "../../../strings/en/common";
import { settings } from "../../../strings/en/settings";
import { cameras as text } from "../../../strings/en/settings_cameras";
import { time } from "../../../time/format";
import { Confirm } from "../parts/Confirm";
import { CameraPage } from "./CameraPage";
import type { Camera } from "./form";
import { useActive, useCameras, useRemoval, useSwitch } from "./queries";
import "./cameras.css";

export function Cameras({ item }: { item?: string }) {
  return item === undefined ? <CameraList /> : <CameraPage key={item} id={item} />;
}

export const cameraPath = (id: string) => `/settings/cameras/${id === "+" ? id : encodeURIComponent(id)}`;

function CameraList() {
  const isAdmin = useCan()("admin");
  const { data, error, refetch } = useCameras();
  const active = useActive().data;
  const [filter, setFilter] = useParam("filter");
  const search = useRef<HTMLInputElement>(null);
  useKeys(settings.cameras, [
    { keys: "/", label: text.keyFilter, run: () => search.current?.focus() },
    ...(isAdmin ? [{ keys: "n", label: text.keyAdd, run: () => navigate(cameraPath("+")) }] : []),
  ]);
  const states = useMemo(() => new Map(active?.cameras.map((one) => [one.id, one])), [active]);
  const wanted = (filter ?? "").toLowerCase();
  const shown = data?.cameras.filter((one) => `${one.id} ${one.name} ${one.area} ${one.source["kind"]}`.toLowerCase().includes(wanted)) ?? [];
  return (
    <section>
      <header className="section-head">
        <h2>{settings.cameras}</h2>
        {active && <span className="dim">{text.count(active.online, active.total)}</span>}
        <span className="spacer" />
        <input ref={search} className="input section-filter" type="search" aria-label={text.filter} placeholder={text.filter} value={filter ?? ""} onChange={(event) => setFilter(event.target.value)} />
        {isAdmin && <Button kind="primary" icon="add" data-act="add-camera" onClick={() => navigate(cameraPath("+"))}>{text.add}</Button>}
      </header>
      {data && !data.complete && <p className="notice" role="status">{text.starting}</p>}
      {error && !data && <ErrorState error={error} again={() => void refetch()} />}
      {!data && !error && <Skeleton className="settings-wait" />}
      {data?.cameras.length === 0 && <EmptyState icon="device" title={text.none}><p>{text.noneHint}</p></EmptyState>}
      {shown.length > 0 && (
        <ul className="rows" aria-label={text.list}>
          {shown.map((camera) => <Row key={camera.id} camera={camera} active={states.get(camera.id)} isAdmin={isAdmin} />)}
        </ul>
      )}
    </section>
  );
}

type Active = NonNullable<ReturnType<typeof useActive>["data"]>["cameras"][number];

function Row({ camera, active, isAdmin }: { camera: Camera; active: Active | undefined; isAdmin: boolean }) {
  const [removing, setRemoving] = useState(false);
  const turn = useSwitch();
  const removal = useRemoval();
  const name = camera.name || camera.id;
  const isOurs = camera.origin === "api" && isAdmin;
  const kind = String(camera.source["kind"]);
  const recorded = active?.availability_24h;
  const items: Item[] = [
    { label: isOurs ? settings.edit : text.show(name), icon: "edit", act: () => navigate(cameraPath(camera.id)) },
    { label: text.watch, icon: "play", act: () => navigate(`/device/${encodeURIComponent(camera.id)}`) },
    ...(isOurs ? [{ label: text.removeOf, icon: "trash" as const, act: () => setRemoving(true) }] : []),
  ];
  return (
    <li className="row camera-row" data-camera={camera.id}>
      <div className="row-main">
        <Link to={cameraPath(camera.id)} className="row-name">{name}</Link>
        <span className="row-more">{[camera.id === name ? "" : camera.id, camera.area].filter(Boolean).join(" · ")}</span>
      </div>
      <div className="row-state">
        <StatusBadge status={active?.status ?? "unknown"} {...(active?.since ? { title: common.since(time(active.since)) } : {})} />
        {(camera.refused ?? active?.message) && <span className="row-more">{camera.refused ? text.refused(camera.refused) : active?.message}</span>}
      </div>
      <div className="row-fact"><span className="row-key">{text.source}</span>{text.kinds[kind] ?? kind}</div>
      <div className="row-fact number"><span className="row-key">{text.recorded}</span>{recorded === null || recorded === undefined ? "–" : `${(Math.floor(recorded * 1000) / 10).toFixed(1)} %`}</div>
      <div className="row-fact"><span className="row-key">{text.from}</span><span className="tag" title={isOurs ? undefined : text.fileHint}>{text.origin[camera.origin]}</span></div>
      <div className="row-acts">
        {isAdmin && (
          <input
            type="checkbox"
            role="switch"
            className="switch"
            aria-label={text.enable(name)}
            title={camera.origin === "file" ? text.fileHint : text.enable(name)}
            checked={turn.isPending ? !camera.enabled : camera.enabled}
            disabled={!isOurs || turn.isPending}
            onChange={() => turn.mutate(camera, { onError: toastError, onSuccess: (now) => toast(now.enabled ? text.enabled(name) : text.disabled(name)) })}
          />
        )}
        <Menu label={text.more(name)} icon="more" items={items} />
      </div>
      {removing && (
        <Confirm
          title={text.removeTitle(name)}
          act={text.removeOf}
          busy={removal.isPending}
          error={removal.error}
          close={() => setRemoving(false)}
          run={() => removal.mutate(camera, { onSuccess: () => toast(text.removed(name)) })}
        >
          <p>{text.removeHint}</p>
        </Confirm>
      )}
    </li>
  );
}
