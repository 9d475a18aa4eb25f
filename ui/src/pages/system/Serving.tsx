// Who watches now, for operators, and how often replies are given again, for admins.
import { useMutation, useQuery } from "@tanstack/react-query";
import { ask } from "../../api/client";
import type { Reply } from "../../api/client";
import type { Device } from "../../api/types";
import { Button } from "../../kit/Button";
import { Table, type Column } from "../../kit/Table";
import { toast, toastError } from "../../kit/Toast";
import { queries } from "../../store/queries";
import { system as text } from "../../strings/en/system";
import { duration, time } from "../../time/format";
import { FactList } from "./parts";

/** Sessions end 15 s after the last sign of life: more often tells nothing. */
const EVERY_MS = 10_000;
const CACHE_KEY = ["cache"];

type Viewing = Reply<"GET /api/viewer/active">["sessions"][number];

export function Viewers({ devices }: { devices: Device[] }) {
  const words = text.viewers;
  const { data: active } = useQuery({ queryKey: ["viewers"], queryFn: ({ signal }) => ask("GET /api/viewer/active", { signal }), refetchInterval: EVERY_MS });
  const { data: stats } = useQuery({ queryKey: ["viewer-stats"], queryFn: ({ signal }) => ask("GET /api/viewer/stats", { signal }), refetchInterval: EVERY_MS });
  if (!active) return null;
  const columns: Column<Viewing>[] = [
    { key: "camera", title: words.camera, cell: (one) => devices.find((device) => device.id === one.device)?.name ?? one.device },
    { key: "client", title: words.client, cell: (one) => one.client },
    { key: "agent", title: words.agent, cell: (one) => one.agent, wraps: true },
    { key: "began", title: words.began, cell: (one) => time(one.began) },
    { key: "watched", title: words.watched, cell: (one) => duration(one.watched_seconds), isNumber: true },
  ];
  return (
    <section className="system-table" aria-label={words.title} data-viewers={active.viewers}>
      <h2>{words.title} <span className="dim">{active.viewers === 0 ? words.none : words.now(active.viewers)}</span></h2>
      {stats !== undefined && stats.refused > 0 && <p className="system-warning">{words.refused(stats.refused)}</p>}
      {active.sessions.length > 0 && <Table label={words.list} columns={columns} rows={active.sessions} rowKey={(one) => String(one.number)} />}
    </section>
  );
}

export function Cache() {
  const words = text.cache;
  const { data } = useQuery({ queryKey: CACHE_KEY, queryFn: ({ signal }) => ask("GET /api/cache/stats", { signal }), refetchInterval: EVERY_MS });
  const clear = useMutation({
    mutationFn: () => ask("POST /api/cache/clear"),
    onSuccess: ({ data: { removed } }) => {
      toast(words.cleared(removed));
      void queries.invalidateQueries({ queryKey: CACHE_KEY });
    },
    onError: toastError,
  });
  if (!data) return null;
  const { hits, misses, sets, evictions, size, maxSize, hitRate } = data.data;
  return (
    <section className="card system-card" aria-label={words.title}>
      <header>
        <h2>{words.title}</h2>
        <span className="spacer" />
        <Button data-act="clear-cache" disabled={clear.isPending} onClick={() => clear.mutate()}>{words.clear}</Button>
      </header>
      <FactList
        label={words.title}
        facts={[
          [words.hitRate, hitRate],
          [words.hits, hits.toLocaleString()],
          [words.misses, misses.toLocaleString()],
          [words.sets, sets.toLocaleString()],
          [words.evictions, evictions.toLocaleString()],
          [words.size, words.of(size.toLocaleString(), maxSize.toLocaleString())],
        ]}
      />
    </section>
  );
}
