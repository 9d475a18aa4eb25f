// What becomes of old footage: what holds the transcoder, what it does and saved, and its switch for those who may.
import { useMutation, useQuery } from "@tanstack/react-query";
import { ask } from "../../api/client";
import type { State } from "../../api/types";
import { Button } from "../../kit/Button";
import { Menu } from "../../kit/Menu";
import { ErrorState, Skeleton } from "../../kit/States";
import { toast, toastError } from "../../kit/Toast";
import { useCan } from "../../session/session";
import { queries } from "../../store/queries";
import { refreshState } from "../../store/state";
import { system } from "../../strings/en/system";
import { bytes, duration, time } from "../../time/format";
import { FactList } from "./parts";

const text = system.transcoder;
const KEY = ["transcode"];
const EVERY_MS = 5000;
const WORKING_MS = 2000;

export function Transcoder({ devices }: { devices: State["devices"] }) {
  const isAdmin = useCan()("admin");
  const { data, error, refetch } = useQuery({
    queryKey: KEY,
    queryFn: ({ signal }) => ask("GET /api/transcode", { signal }),
    refetchInterval: (query) => (query.state.data?.status.current ? WORKING_MS : EVERY_MS),
  });
  const turn = useMutation({
    mutationFn: (on: boolean) => (on ? ask("POST /api/transcode/enable") : ask("POST /api/transcode/disable")),
    onSuccess: (told, on) => {
      queries.setQueryData(KEY, told);
      refreshState();
      toast(on ? text.enabled : text.disabled);
    },
    onError: toastError,
  });
  const run = useMutation({
    mutationFn: (force: boolean) => ask("POST /api/transcode/run", { body: { all: true, force } }),
    onSuccess: () => {
      toast(text.accepted);
      void refetch();
    },
    onError: toastError,
  });
  if (!data) return error ? <ErrorState error={error} again={() => void refetch()} /> : <Skeleton className="card system-card system-skeleton" />;
  const { status } = data;
  const current = status.current;
  const isHeld = status.state !== "running" && status.gate !== "open";
  const nameOf = (id: string) => devices.find((one) => one.id === id)?.name ?? id;
  const errors = Object.entries(data.errors);
  return (
    <section className="card system-card" aria-label={text.title} data-transcoder={status.state}>
      <header>
        <h2>{text.title}</h2>
        <span className={`status ${status.state === "running" ? "online" : ""}`}>{text.states[status.state]}</span>
        <span className="spacer" />
        {isAdmin && (
          <>
            <Button data-act="switch" disabled={turn.isPending} onClick={() => turn.mutate(!status.enabled)}>{status.enabled ? text.disable : text.enable}</Button>
            {status.enabled && <Menu label={text.run} icon="play" items={[{ label: text.runDue, act: () => run.mutate(false) }, { label: text.runAll, act: () => run.mutate(true) }]} />}
          </>
        )}
      </header>
      <p className="system-why">
        {isHeld && <span>{text.gates[status.gate]}{status.detail ? ` (${status.detail})` : ""}</span>}
        <span className="dim">
          {[isHeld && status.since && text.since(time(status.since)), status.next_run && text.next(time(status.next_run))].filter(Boolean).join(" · ")}
        </span>
      </p>
      {current && (
        <div className="system-current">
          <span>{text.current(nameOf(current.device), time(current.start))}</span>
          <span className="dim">{[`${Math.round(current.progress * 100)} %`, text.speed(current.speed.toFixed(1)), current.paused_seconds >= 1 && text.pausedFor(duration(current.paused_seconds))].filter(Boolean).join(" · ")}</span>
          <progress max={1} value={current.progress} aria-label={text.progress(nameOf(current.device))} />
        </div>
      )}
      {data.warning && <p className="system-warning" role="status">{data.warning}</p>}
      <FactList
        label={text.title}
        facts={[
          [text.saved, bytes(data.space_saved)],
          [text.savings, data.average_savings_percent === null ? system.unknown : `${data.average_savings_percent} %`, text.target(data.target_savings_percent)],
          [text.files, data.files_transcoded.toLocaleString()],
          [text.failed, data.files_failed.toLocaleString(), errors.map(([why, times]) => `${why}: ${times}`).join(", ")],
          [text.rolledBack, data.files_rolled_back.toLocaleString()],
          [text.queued, status.queued.toLocaleString()],
          [text.originals, status.originals.count === 0 ? "0" : text.originalsOf(status.originals.count, bytes(status.originals.bytes))],
          [text.today, bytes(data.written_today_bytes)],
          [text.last, data.last_transcoded ? time(data.last_transcoded) : system.never],
        ]}
      />
      {errors.length > 0 && <p className="dim system-errors">{text.errors}: {errors.map(([why, times]) => `${why} ${times}`).join(" · ")}</p>}
    </section>
  );
}
