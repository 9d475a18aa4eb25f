// How the host does: its checks, and the figures of all its devices together.
import { useQuery } from "@tanstack/react-query";
import { ask } from "../../api/client";
import type { Device, State } from "../../api/types";
import { ErrorState, Skeleton } from "../../kit/States";
import { useHostState } from "../../store/state";
import { system as text } from "../../strings/en/system";
import { bytes, duration } from "../../time/format";
import "./system.css";

const HEALTH_MS = 10_000;

export function System() {
  const { data: state, error, refetch } = useHostState();
  return (
    <>
      <header className="page-head">
        <h1>{text.title}</h1>
        {state && <span className="dim">{state.host.name} · {text.version(state.host.version)}</span>}
      </header>
      {!state && (error ? <ErrorState error={error} again={() => void refetch()} /> : <Skeleton className="system-skeleton" />)}
      {state && <Figures state={state} />}
      <Health />
      <nav className="system-links" aria-label={text.links}>
        <a href="/api/host/state">{text.state}</a>
        <a href="/metrics">{text.metrics}</a>
        <a href="/api/docs">{text.api}</a>
      </nav>
    </>
  );
}

function Figures({ state: { devices, archive, load } }: { state: State }) {
  const sum = (of: (device: Device) => number) => devices.reduce((total, device) => total + of(device), 0);
  const lost = sum((device) => Object.values(device.lost_seconds).reduce((total, one) => total + one, 0));
  const media = sum((device) => device.media_bytes);
  const written = sum((device) => device.written_bytes);
  const facts: [string, string, string][] = [
    [text.recorded, bytes(sum((device) => device.chunks.bytes)), text.recordedHint],
    [text.lost, lost > 0 ? duration(lost) : text.nothing, text.lostHint],
    [text.writes, media > 0 ? `${(written / media).toFixed(2)} ×` : "–", text.writesHint],
    [text.free, archive.ok ? bytes(archive.free_bytes) : text.unavailable, text.freeHint],
    [text.load, `${Math.round(load.cpu_percent)} %`, text.loadHint],
  ];
  return (
    <dl className="card facts system-figures" aria-label={text.figures}>
      {facts.map(([name, value, hint]) => <div key={name} title={hint}><dt>{name}</dt><dd>{value}</dd></div>)}
    </dl>
  );
}

function Health() {
  const { data, error, refetch } = useQuery({
    queryKey: ["health"],
    queryFn: ({ signal }) => ask("GET /api/host/health", { signal }),
    refetchInterval: HEALTH_MS,
  });
  if (!data) return error ? <ErrorState error={error} again={() => void refetch()} /> : <Skeleton className="system-skeleton" />;
  const bad = data.checks.filter((check) => !check.ok);
  return (
    <section className="card system-health" aria-label={text.checks}>
      <h2 className={`status ${bad.length === 0 ? "good" : "bad"}`}>{bad.length === 0 ? text.healthy : text.failing(bad.length, data.checks.length)}</h2>
      <ul>
        {[...bad, ...data.checks.filter((check) => check.ok)].map((check) => (
          <li key={`${check.device ?? ""}/${check.name}`}>
            <span className={`status ${check.ok ? "good" : "bad"}`}>{check.device ? `${check.device}: ${check.name}` : check.name}</span>
            <span className="dim">{check.message}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
