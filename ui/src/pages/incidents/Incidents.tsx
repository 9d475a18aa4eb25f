// What was black, frozen, silent or gone, newest first, as it happens.
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "../../app/router";
import { ask } from "../../api/client";
import type { Incident } from "../../api/types";
import { useEvents } from "../../events/hub";
import { Button } from "../../kit/Button";
import { Icon } from "../../kit/Icon";
import { EmptyState, ErrorState, Skeleton } from "../../kit/States";
import { Table, type Column } from "../../kit/Table";
import { queries } from "../../store/queries";
import { useDevices } from "../../store/state";
import { incidents as text } from "../../strings/en/incidents";
import { duration, time } from "../../time/format";
import "./incidents.css";

const KEY = ["incidents"];

export function Incidents() {
  useEvents({ topics: ["incident"] }, () => void queries.invalidateQueries({ queryKey: KEY }));
  const { data, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery({
    queryKey: KEY,
    queryFn: ({ signal, pageParam }) => ask("GET /api/host/incidents", { query: pageParam === null ? {} : { after: pageParam }, signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next ?? null,
  });
  const { data: devices } = useDevices();
  const nameOf = (id: string) => devices?.find((one) => one.id === id)?.name ?? id;
  const rows = data?.pages.flatMap((page) => page.incidents) ?? [];
  const columns: Column<Incident>[] = [
    { key: "kind", title: text.kind, cell: (one) => <span className={`status ${one.state === "open" ? "bad" : ""}`}>{text.kinds[one.kind] ?? one.kind}</span> },
    { key: "device", title: text.device, cell: (one) => nameOf(one.device) },
    {
      key: "start",
      title: text.start,
      cell: (one) => <Link to={`/device/${encodeURIComponent(one.device)}?t=${encodeURIComponent(one.start)}`} title={text.moment(time(one.start))}>{time(one.start)}</Link>,
    },
    { key: "duration", title: text.duration, cell: (one) => duration(one.duration_seconds), isNumber: true },
    { key: "severity", title: text.severity, cell: (one) => text.severities[one.severity] ?? one.severity },
    { key: "state", title: text.state, cell: (one) => (one.state === "open" ? text.open : text.closed) },
  ];
  return (
    <>
      <header className="page-head">
        <h1>{text.title}</h1>
        <span className="spacer" />
        <a className="button" href="/api/host/incidents.csv" download title={text.csvHint}><Icon name="download" />{text.csv}</a>
      </header>
      {!data && (error ? <ErrorState error={error} again={() => void refetch()} /> : <Skeleton className="incidents-skeleton" />)}
      {data && rows.length === 0 && <EmptyState icon="check" title={text.none}><p>{text.noneHint}</p></EmptyState>}
      {rows.length > 0 && <Table label={text.title} columns={columns} rows={rows} rowKey={(one) => one.id} />}
      {hasNextPage && <Button className="incidents-more" disabled={isFetchingNextPage} onClick={() => void fetchNextPage()}>{text.more}</Button>}
    </>
  );
}
