// How the host does: its checks, its last day, where footage lies, who works on it and what waits.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ask } from "../../api/client";
import { Link } from "../../app/router";
import type { Device, State } from "../../api/types";
import { ErrorState, Skeleton } from "../../kit/States";
import { StatusBadge } from "../../kit/StatusBadge";
import { Table, type Column } from "../../kit/Table";
import { useCan } from "../../session/session";
import { useHostState } from "../../store/state";
import { system as text } from "../../strings/en/system";
import { bytes, duration, time } from "../../time/format";
import { Actors } from "./Actors";
import { Charts, useHistory } from "./Charts";
import { cardDays, ENDURANCE_DEFAULT, ENDURANCES, lostOf, rateOf, sum, type History } from "./facts";
import { Cleaner, Database, Storage } from "./Keeping";
import { lengthOf } from "./length";
import { Cache, Viewers } from "./Serving";
import { Transcoder } from "./Transcoder";
import "./system.css";

const HEALTH_MS = 10_000;
const RATE_MINUTES = 60;
const ENDURANCE_KEY = "capstan.endurance";

export function System() {
  const { data: state, error, refetch } = useHostState();
  const history = useHistory();
  const can = useCan();
  return (
    <>
      <header className="page-head">
        <h1>{text.title}</h1>
        {state && <span className="dim">{state.host.name} · {text.version(state.host.version)}</span>}
        <span className="spacer" />
        <nav className="system-links" aria-label={text.links}>
          <a href="/api/host/state">{text.state}</a>
          <a href="/metrics">{text.metrics}</a>
          <a href="/api/docs">{text.api}</a>
        </nav>
      </header>
      {!state && (error ? <ErrorState error={error} again={() => void refetch()} /> : <Skeleton className="system-skeleton" />)}
      {state && <Figures state={state} history={history} />}
      <Health />
      <Charts history={history} />
      {state && (
        <>
          <div className="system-grid">
            <Storage state={state} history={history} />
            <Transcoder devices={state.devices} />
            <Cleaner cleaner={state.cleaner} />
            <Database registry={state.registry} />
            {can("admin") && <Cache />}
          </div>
          {state.devices.length > 0 && <Cameras devices={state.devices} />}
          {can("operator") && <Viewers devices={state.devices} />}
          {state.webhooks.length > 0 && <Webhooks webhooks={state.webhooks} />}
          <Actors state={state} />
        </>
      )}
    </>
  );
}

function Figures({ state, history }: { state: State; history: History | undefined }) {
  const { devices, archive, load, registry } = state;
  const [endurance, setEndurance] = useEndurance();
  const lost = sum(devices, lostOf);
  const media = sum(devices, (device) => device.media_bytes);
  const written = sum(devices, (device) => device.written_bytes) + registry.written_bytes;
  const perMinute = rateOf(history?.writes ?? [], RATE_MINUTES);
  const bytesPerMinute = rateOf(history?.written_bytes ?? [], RATE_MINUTES);
  const days = cardDays(archive.total_bytes, endurance, bytesPerMinute);
  const facts: [string, string, string][] = [
    [text.recorded, bytes(sum(devices, (device) => device.chunks.bytes)), text.recordedHint],
    [text.lost, lost > 0 ? duration(lost) : text.nothing, text.lostHint],
    [text.load, `${Math.round(load.cpu_percent)} %`, text.loadHint],
    [text.free, archive.ok ? bytes(archive.free_bytes) : text.unavailable, text.freeHint],
    [text.writes, media > 0 ? `${(written / media).toFixed(2)} ×` : text.unknown, text.writesHint],
    [text.perMinute, perMinute === null ? text.unknown : Math.round(perMinute).toLocaleString(), text.perMinuteHint],
  ];
  const hint = text.cardHint(bytes((bytesPerMinute ?? 0) * 1440), bytes(archive.total_bytes), endurance.toLocaleString());
  return (
    <dl className="card facts system-figures" aria-label={text.figures}>
      {facts.map(([name, value, more]) => <div key={name} title={more}><dt>{name}</dt><dd className={name === text.lost && lost > 0 ? "is-bad" : undefined}>{value}</dd></div>)}
      <div className="system-card-life" title={hint}>
        <dt>{text.card}</dt>
        <dd>{days === null ? text.unknown : lengthOf(days)}</dd>
        <dd>
          <select className="select" aria-label={text.endurance} value={endurance} onChange={(event) => setEndurance(Number(event.target.value))}>
            {ENDURANCES.map((one) => <option key={one} value={one}>{text.times(one)}</option>)}
          </select>
        </dd>
      </div>
    </dl>
  );
}

/** What the card is said to take: known to who looks, not to the daemon. */
function useEndurance(): [number, (next: number) => void] {
  const [endurance, set] = useState(() => {
    try {
      const kept = Number(localStorage.getItem(ENDURANCE_KEY));
      return ENDURANCES.includes(kept) ? kept : ENDURANCE_DEFAULT;
    } catch {
      return ENDURANCE_DEFAULT;
    }
  });
  const keep = (next: number) => {
    set(next);
    try {
      localStorage.setItem(ENDURANCE_KEY, String(next));
    } catch {
      // It holds until the page is closed.
    }
  };
  return [endurance, keep];
}

function Health() {
  const { data, error, refetch } = useQuery({
    queryKey: ["health"],
    queryFn: ({ signal }) => ask("GET /api/host/health", { signal }),
    refetchInterval: HEALTH_MS,
  });
  if (!data) return error ? <ErrorState error={error} again={() => void refetch()} /> : <Skeleton className="system-skeleton" />;
  const bad = data.checks.filter((check) => !check.ok);
  const list = (checks: typeof bad) => (
    <ul>
      {checks.map((check) => (
        <li key={`${check.device ?? ""}/${check.name}`}>
          <span className={`status ${check.ok ? "good" : "bad"}`}>{check.device ? `${check.device}: ${check.name}` : check.name}</span>
          <span className="dim">{check.message}</span>
        </li>
      ))}
    </ul>
  );
  return (
    <section className="card system-health" aria-label={text.checks}>
      <details>
        <summary><h2 className={`status ${bad.length === 0 ? "good" : "bad"}`}>{bad.length === 0 ? text.healthy : text.failing(bad.length, data.checks.length)}</h2></summary>
        {list(data.checks.filter((check) => check.ok))}
      </details>
      {bad.length > 0 && list(bad)}
    </section>
  );
}

function Cameras({ devices }: { devices: Device[] }) {
  const words = text.cameras;
  const titled = (title: string, hint: string) => <span title={hint}>{title}</span>;
  const passedOver = (one: Device) => (one.analysis ? one.analysis.dropped + one.analysis.failed + one.analysis.skipped : 0);
  const lost = (one: Device) => {
    const reasons = Object.entries(one.lost_seconds).filter(([, seconds]) => seconds > 0);
    const why = reasons.map(([reason, seconds]) => words.lostBy(duration(seconds), words.reasons[reason] ?? reason)).join(", ");
    return lostOf(one) > 0 ? <span className="is-bad" title={why}>{duration(lostOf(one))}</span> : <span className="dim">0 s</span>;
  };
  const number = (value: number, isBad: boolean) => <span className={value === 0 ? "dim" : isBad ? "is-bad" : undefined}>{value.toLocaleString()}</span>;
  const columns: Column<Device>[] = [
    { key: "name", title: words.name, cell: (one) => <Link to={`/device/${encodeURIComponent(one.id)}`}>{one.name}</Link> },
    { key: "status", title: words.status, cell: (one) => <StatusBadge status={one.status} {...(one.reason ? { title: one.reason } : {})} /> },
    { key: "disk", title: words.disk, isNumber: true, cell: (one) => bytes(one.chunks.bytes) },
    { key: "ram", title: words.ram, isNumber: true, cell: (one) => bytes(one.hot.bytes) },
    { key: "waiting", title: words.waiting, isNumber: true, cell: (one) => titled(`${one.hot.waiting} s`, words.waitingHint) },
    { key: "queue", title: words.queue, isNumber: true, cell: (one) => titled(String(one.analysis?.queue_depth ?? 0), words.queueHint) },
    { key: "dropped", title: words.dropped, isNumber: true, cell: (one) => <span title={words.droppedHint}>{number(passedOver(one), false)}</span> },
    { key: "lost", title: words.lost, isNumber: true, cell: lost },
    { key: "restarts", title: words.restarts, isNumber: true, cell: (one) => <span title={words.restartsHint}>{number(one.ffmpeg_restarts, true)}</span> },
    { key: "failures", title: words.failures, isNumber: true, cell: (one) => <span title={words.failuresHint}>{number(one.commit_failures, true)}</span> },
    { key: "writes", title: words.writes, isNumber: true, cell: (one) => (one.media_bytes > 0 ? `${(one.written_bytes / one.media_bytes).toFixed(2)} ×` : text.unknown) },
  ];
  return (
    <section className="system-table">
      <h2>{words.title}</h2>
      <Table label={words.title} columns={columns} rows={devices} rowKey={(one) => one.id} />
    </section>
  );
}

function Webhooks({ webhooks }: { webhooks: State["webhooks"] }) {
  const words = text.webhooks;
  type Hook = State["webhooks"][number];
  const columns: Column<Hook>[] = [
    { key: "receiver", title: words.receiver, cell: (one) => <span className={`status ${one.error ? "bad" : "online"}`} title={one.error ?? undefined}>{one.receiver}</span>, wraps: true },
    { key: "sent", title: words.sent, isNumber: true, cell: (one) => one.sent.toLocaleString() },
    { key: "failed", title: words.failed, isNumber: true, cell: (one) => one.failed.toLocaleString() },
    { key: "dropped", title: words.dropped, isNumber: true, cell: (one) => one.dropped.toLocaleString() },
    { key: "waiting", title: words.waiting, isNumber: true, cell: (one) => one.waiting.toLocaleString() },
    { key: "last", title: words.last, cell: (one) => (one.last_sent ? time(one.last_sent) : text.never) },
  ];
  return (
    <section className="system-table">
      <h2>{words.title}</h2>
      <Table label={words.title} columns={columns} rows={webhooks} rowKey={(one) => one.receiver} />
    </section>
  );
}
