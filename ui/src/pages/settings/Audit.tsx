// Who changed what, when, and what it was before.
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ask, type Reply } from "../../api/client";
import { Button } from "../../kit/Button";
import { EmptyState, ErrorState, Skeleton } from "../../kit/States";
import { settings } from "../../strings/en/settings";
import { host } from "../../strings/en/settings_host";
import { fullTime, time } from "../../time/format";
import { changes, type Change } from "./audit";

const text = host.audit;
const PAGE = 100;

type Entry = Reply<"GET /api/audit">["entries"][number];

export function Audit() {
  const [filter, setFilter] = useState("");
  const { data, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery({
    queryKey: ["audit"],
    queryFn: ({ signal, pageParam }) => ask("GET /api/audit", { query: { limit: PAGE, ...(pageParam === null ? {} : { before: pageParam }) }, signal }),
    initialPageParam: null as number | null,
    getNextPageParam: (last) => (last.entries.length < PAGE ? undefined : last.entries.at(-1)?.id),
  });
  const entries = data?.pages.flatMap((page) => page.entries) ?? [];
  const wanted = filter.toLowerCase();
  const shown = entries.filter((entry) => `${entry.who} ${entry.subject} ${text.actions[entry.action] ?? entry.action}`.toLowerCase().includes(wanted));
  return (
    <section>
      <header className="section-head">
        <h2>{settings.audit}</h2>
        <span className="spacer" />
        <input className="input section-filter" type="search" aria-label={text.filter} placeholder={text.filter} value={filter} onChange={(event) => setFilter(event.target.value)} />
      </header>
      {error && !data && <ErrorState error={error} again={() => void refetch()} />}
      {!data && !error && <Skeleton className="settings-wait" />}
      {data && shown.length === 0 && <EmptyState icon="log" title={entries.length === 0 ? text.none : text.nothingFits} />}
      {shown.length > 0 && (
        <ul className="rows" aria-label={text.list}>{shown.map((entry) => <Line key={entry.id} entry={entry} />)}</ul>
      )}
      {hasNextPage && <div className="form-acts"><Button disabled={isFetchingNextPage} onClick={() => void fetchNextPage()}>{text.older}</Button></div>}
    </section>
  );
}

/** The subject of these is where somebody came from. */
const FROM = new Set(["signed_in", "refused_to_sign_in"]);

function Line({ entry }: { entry: Entry }) {
  const what = changes(entry.before, entry.after);
  return (
    <li className="row audit-row">
      <time dateTime={entry.at} title={fullTime(Date.parse(entry.at))}>{time(entry.at)}</time>
      <span className="audit-who">{entry.who}</span>
      <span className="audit-what">
        {text.actions[entry.action] ?? entry.action}
        {entry.subject !== "" && <strong> {FROM.has(entry.action) ? text.from(entry.subject) : entry.subject}</strong>}
      </span>
      {what.length > 0 && (
        <div className="audit-change">
          {what.length <= FEW ? <Changes what={what} /> : (
            <details>
              <summary>{what.map((one) => one.field).slice(0, FEW).join(", ")} …</summary>
              <Changes what={what} />
            </details>
          )}
        </div>
      )}
    </li>
  );
}

/** So many are shown at once. */
const FEW = 4;

function Changes({ what }: { what: Change[] }) {
  return (
    <dl>
      {what.map((one) => (
        <div key={one.field}>
          <dt>{one.field}</dt>
          <dd>{one.before !== null && <del>{one.before}</del>} {one.after !== null && <ins>{one.after}</ins>}</dd>
        </div>
      ))}
    </dl>
  );
}
