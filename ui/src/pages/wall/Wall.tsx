// All cameras at a glance, by area: who is well, who is not, and what each sees.
import { useMemo, useRef } from "react";
import { Link, useParam } from "../../app/router";
import type { Device } from "../../api/types";
import { Button } from "../../kit/Button";
import { EmptyState, ErrorState, Skeleton } from "../../kit/States";
import { StatusBadge } from "../../kit/StatusBadge";
import { useKeys } from "../../keys/keys";
import { useDevices } from "../../store/state";
import { common } from "../../strings/en/common";
import { wall } from "../../strings/en/wall";
import { time } from "../../time/format";
import { byArea, fits } from "./order";
import { Thumbnail } from "./Thumbnail";
import "./wall.css";

export function Wall() {
  const { data: devices, error, refetch } = useDevices();
  const [filter, setFilter] = useParam("filter");
  const search = useRef<HTMLInputElement>(null);
  useKeys(wall.title, [{ keys: "/", label: wall.keyFilter, run: () => search.current?.focus() }]);
  const groups = useMemo(() => byArea((devices ?? []).filter((one) => fits(one, filter ?? ""))), [devices, filter]);
  const online = devices?.filter((one) => one.status === "online").length ?? 0;
  return (
    <>
      <header className="page-head">
        <h1>{wall.title}</h1>
        {devices && <span className="dim">{wall.online(online, devices.length)}</span>}
        <span className="spacer" />
        <input
          ref={search}
          className="input wall-filter"
          type="search"
          aria-label={wall.filter}
          placeholder={wall.filterHint}
          value={filter ?? ""}
          onChange={(event) => setFilter(event.target.value)}
          onKeyDown={(event) => event.key === "Escape" && event.currentTarget.blur()}
        />
      </header>
      {!devices && (error ? <ErrorState error={error} again={() => void refetch()} /> : <Waiting />)}
      {devices?.length === 0 && <EmptyState icon="device" title={wall.none}><p>{wall.noneHint}</p></EmptyState>}
      {devices && devices.length > 0 && groups.length === 0 && (
        <EmptyState icon="search" title={wall.nothingFits}><Button onClick={() => setFilter(null)}>{common.close}</Button></EmptyState>
      )}
      {groups.map((group) => (
        <section key={group.area} className="wall-area" aria-label={group.area || wall.elsewhere}>
          {(groups.length > 1 || group.area !== "") && <h2>{group.area || wall.elsewhere}</h2>}
          <ul className="wall-tiles">
            {group.devices.map((device) => <Tile key={device.id} device={device} />)}
          </ul>
        </section>
      ))}
    </>
  );
}

function Tile({ device }: { device: Device }) {
  return (
    <li>
      <Link to={`/device/${encodeURIComponent(device.id)}`} className="tile" data-tile={device.id}>
        <Thumbnail device={device} />
        <span className="tile-foot">
          <span className="tile-name">{device.name}</span>
          <StatusBadge status={device.status} {...(device.since ? { title: common.since(time(device.since)) } : {})} />
        </span>
        {device.reason && <span className="tile-reason">{device.reason}</span>}
      </Link>
    </li>
  );
}

function Waiting() {
  return (
    <ul className="wall-tiles" aria-busy="true" aria-label={common.loading}>
      {Array.from({ length: 6 }, (_, index) => <li key={index}><Skeleton className="tile-skeleton" /></li>)}
    </ul>
  );
}
