// What was black, frozen, silent or gone, newest first, as it happens; where people say what they think of it.
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useLayoutEffect, useMemo, useRef, useState, useSyncExternalStore, type MouseEvent } from "react";
import { address } from "../../api/client";
import type { Incident } from "../../api/types";
import { Link, navigate, useSearch } from "../../app/router";
import { Button, IconButton } from "../../kit/Button";
import { Icon } from "../../kit/Icon";
import { EmptyState, ErrorState, Skeleton } from "../../kit/States";
import { toastError } from "../../kit/Toast";
import { useKeys } from "../../keys/keys";
import { useCan } from "../../session/session";
import { useDevices } from "../../store/state";
import { incidents as text } from "../../strings/en/incidents";
import { duration, fullTime, hostNow, time } from "../../time/format";
import { EvidenceDialog, Thumbnails } from "./Evidence";
import { Filters, setFilter } from "./Filters";
import { Judge } from "./Judge";
import { between, FILTERS, filterOf, lasted, queryOf, type Act, type Asked } from "./list";
import { idsOf, useIncidents } from "./useIncidents";
import "./incidents.css";

const NARROW = "(max-width: 900px)";
/** As in the style. */
const ROW_PX = 60;
const ROW_NARROW_PX = 116;
/** Rows from the end when the next page is asked for. */
const AHEAD = 20;

export function Incidents() {
  const search = useSearch();
  // The question stays the same until the filter changes: "the last hour" is that of choosing it, and grows.
  const asked = useMemo(() => queryOf(filterOf(search), hostNow()), [search]);
  const filter = filterOf(search);
  const list = useIncidents(asked);
  const { data: devices } = useDevices();
  const rows = useMemo(() => list.data?.pages.flatMap((page) => page.incidents) ?? [], [list.data]);
  // All that was loaded was judged away: what is left comes up.
  const isBehind = rows.length === 0 && list.hasNextPage;
  const { fetchNextPage } = list;
  useEffect(() => {
    if (isBehind) void fetchNextPage();
  }, [isBehind, fetchNextPage]);
  const isFiltered = FILTERS.some((name) => filter[name] !== null);
  const clearFilter = () => setFilter(Object.fromEntries(FILTERS.map((name) => [name, null])));
  return (
    <>
      <header className="page-head">
        <h1>{text.title}</h1>
        <span className="spacer" />
        <a className="button" href={address("GET /api/host/incidents.csv", {} as never, asked)} download title={text.csvHint}><Icon name="download" />{text.csv}</a>
      </header>
      <Filters filter={filter} devices={devices ?? []} />
      {!list.data && (list.error ? <ErrorState error={list.error} again={() => void list.refetch()} /> : <Skeleton className="incidents-skeleton" />)}
      {list.data && isBehind && <Skeleton className="incidents-skeleton" />}
      {list.data && rows.length === 0 && !isBehind && (
        <EmptyState icon="check" title={isFiltered ? text.noneFit : text.none}>
          {isFiltered ? <Button onClick={clearFilter}>{text.clearFilter}</Button> : <p>{text.noneHint}</p>}
        </EmptyState>
      )}
      {rows.length > 0 && (
        <List
          rows={rows}
          asked={asked}
          nameOf={(id) => devices?.find((one) => one.id === id)?.name ?? id}
          more={() => list.hasNextPage && !list.isFetchingNextPage && void list.fetchNextPage()}
          put={list.put}
        />
      )}
    </>
  );
}

interface ListProps {
  rows: Incident[];
  asked: Asked;
  nameOf: (device: string) => string;
  more: () => void;
  put: (changed: Incident) => void;
}

type Shown = { act: Act; ids: string[] } | { act: "enlarge" } | null;

function List({ rows, asked, nameOf, more, put }: ListProps) {
  const mayJudge = useCan()("operator");
  const [cursor, setCursor] = useState<string | null>(null);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [isSelecting, setSelecting] = useState(false);
  const [shown, setShown] = useState<Shown>(null);
  const anchor = useRef<string | null>(null);
  const now = useNow(rows.some((one) => one.end === null));
  const at = useCursorIndex(rows, cursor);
  const current = rows[at];
  const { place, virtual, height } = useRows(rows, more);

  // A selection is one of its filter.
  useEffect(() => setSelected(new Set()), [asked]);

  const focusAt = (index: number) => {
    const next = rows[Math.min(rows.length - 1, Math.max(0, index))];
    if (!next) return;
    setCursor(next.id);
    virtual.scrollToIndex(rows.indexOf(next), { align: "auto" });
    requestAnimationFrame(() => place.current?.querySelector<HTMLElement>(`[data-incident="${CSS.escape(next.id)}"]`)?.focus({ preventScroll: true }));
  };
  const pick = (id: string, isRange: boolean) => {
    const next = new Set(selected);
    const ids = isRange ? between(rows.map((one) => one.id), anchor.current, id) : [id];
    const adds = isRange || !selected.has(id);
    for (const one of ids) {
      if (adds) next.add(one);
      else next.delete(one);
    }
    anchor.current = id;
    setSelected(next);
  };
  const pickAll = async () => {
    if (selected.size > 0) return setSelected(new Set());
    setSelecting(true);
    try {
      setSelected(new Set(await idsOf(asked)));
    } catch (error) {
      toastError(error);
    } finally {
      setSelecting(false);
    }
  };
  const judge = (act: Act) => {
    const ids = selected.size > 0 ? [...selected] : current ? [current.id] : [];
    if (ids.length > 0) setShown({ act, ids });
  };
  const judged = (changed: Incident[]) => {
    for (const one of changed) put(one);
    setSelected(new Set());
  };
  const operatorKeys = [
    { keys: "x", label: text.keys.select, run: () => current && pick(current.id, false) },
    { keys: "X", label: text.selectAll, run: () => void pickAll() },
    { keys: "a", label: text.keys.acknowledge, run: () => judge("acknowledge") },
    { keys: "d", label: text.keys.discard, run: () => judge("discard") },
    { keys: "r", label: text.keys.restore, run: () => judge("restore") },
    { keys: "c", label: text.keys.say, run: () => judge("say") },
    { keys: "Escape", label: text.keys.clear, run: () => setSelected(new Set()) },
  ];
  useKeys(text.title, [
    { keys: "j", label: text.keys.next, run: () => focusAt(cursor === null ? 0 : at + 1) },
    { keys: "k", label: text.keys.previous, run: () => focusAt(at - 1) },
    { keys: "Enter", label: text.keys.open, run: () => current && navigate(pathOf(current)) },
    { keys: "e", label: text.keys.enlarge, run: () => current && setShown({ act: "enlarge" }) },
    ...(mayJudge ? operatorKeys : []),
  ]);

  const columns = [text.kind, text.device, text.start, text.duration, text.state, text.evidence, text.comment];
  return (
    <>
      <div className={mayJudge ? "card incidents may-judge" : "card incidents"} role="grid" aria-label={text.title} aria-rowcount={rows.length + 1} aria-multiselectable={mayJudge}>
        <div className="incidents-head" role="row" aria-rowindex={1}>
          {mayJudge && (
            <span role="columnheader">
              <input
                type="checkbox"
                aria-label={text.selectAll}
                title={text.selectAll}
                disabled={isSelecting}
                checked={selected.size > 0 && selected.size >= rows.length}
                ref={(box) => {
                  if (box) box.indeterminate = selected.size > 0 && selected.size < rows.length;
                }}
                onChange={(event) => {
                  event.target.blur();
                  void pickAll();
                }}
              />
            </span>
          )}
          {columns.map((name) => <span key={name} role="columnheader">{name}</span>)}
        </div>
        <div ref={place} className="incidents-rows" role="rowgroup" style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map(({ index, start }) => {
            const one = rows[index];
            if (!one) return null;
            return (
              <Row
                key={one.id}
                one={one}
                index={index}
                name={nameOf(one.device)}
                now={now}
                isCursor={index === at}
                isSelected={selected.has(one.id)}
                mayJudge={mayJudge}
                style={{ height, transform: `translateY(${start - virtual.options.scrollMargin}px)` }}
                point={() => setCursor(one.id)}
                pick={(isRange) => {
                  setCursor(one.id);
                  pick(one.id, isRange);
                }}
                judge={(act) => {
                  setCursor(one.id);
                  setShown({ act, ids: [one.id] });
                }}
                enlarge={() => {
                  setCursor(one.id);
                  setShown({ act: "enlarge" });
                }}
              />
            );
          })}
        </div>
      </div>
      {(selected.size > 0 || isSelecting) && (
        <div className="incidents-bulk" role="toolbar" aria-label={text.selected(selected.size)}>
          <span role="status">{isSelecting ? text.selecting : text.selected(selected.size)}</span>
          <Button kind="primary" icon="check" disabled={isSelecting} onClick={() => judge("acknowledge")}>{text.acknowledge}</Button>
          <Button disabled={isSelecting} onClick={() => judge("discard")}>{text.discard}</Button>
          <Button disabled={isSelecting} onClick={() => judge("restore")}>{text.restore}</Button>
          <Button disabled={isSelecting} onClick={() => judge("say")}>{text.say}</Button>
          <IconButton icon="close" label={text.clear} onClick={() => setSelected(new Set())} />
        </div>
      )}
      {shown?.act === "enlarge" && current && (
        <EvidenceDialog
          one={current}
          name={nameOf(current.device)}
          what={whatOf(current, nameOf(current.device))}
          path={pathOf(current)}
          now={now}
          step={(by) => setCursor(rows[Math.min(rows.length - 1, Math.max(0, at + by))]?.id ?? null)}
          close={() => setShown(null)}
        />
      )}
      {shown && shown.act !== "enlarge" && (
        <Judge act={shown.act} ids={shown.ids} comment={shown.ids.length === 1 ? (rows.find((one) => one.id === shown.ids[0])?.comment ?? "") : ""} done={judged} close={() => setShown(null)} />
      )}
    </>
  );
}

interface RowProps {
  one: Incident;
  index: number;
  name: string;
  now: number;
  isCursor: boolean;
  isSelected: boolean;
  mayJudge: boolean;
  style: { height: number; transform: string };
  point: () => void;
  pick: (isRange: boolean) => void;
  judge: (act: Act) => void;
  enlarge: () => void;
}

function Row({ one, index, name, now, isCursor, isSelected, mayJudge, style, point, pick, judge, enlarge }: RowProps) {
  const what = whatOf(one, name);
  const kind = text.kinds[one.kind] ?? one.kind;
  const onClick = (event: MouseEvent) => {
    point();
    if (event.shiftKey && mayJudge) {
      event.preventDefault();
      pick(true);
    }
  };
  return (
    <div
      className={`incident ${isCursor ? "is-cursor" : ""} ${one.discarded ? "is-discarded" : ""}`}
      role="row"
      aria-rowindex={index + 2}
      aria-selected={isSelected}
      tabIndex={isCursor ? 0 : -1}
      data-incident={one.id}
      data-state={one.state}
      style={style}
      onFocus={point}
      onClick={onClick}
    >
      {mayJudge && (
        <span role="gridcell" className="incident-pick">
          <input
            type="checkbox"
            tabIndex={-1}
            aria-label={text.select(what)}
            checked={isSelected}
            onChange={() => undefined}
            onClick={(event) => {
              event.stopPropagation();
              // A field that has the focus has the keys, too.
              event.currentTarget.closest<HTMLElement>('[role="row"]')?.focus();
              pick(event.shiftKey);
            }}
          />
        </span>
      )}
      <span role="gridcell" className="incident-kind"><span className={`status ${one.state === "open" ? "bad" : ""}`}>{kind}</span></span>
      <span role="gridcell" className="incident-device" title={name}>{name}</span>
      <span role="gridcell" className="incident-start"><Link to={pathOf(one)} tabIndex={-1} title={text.moment(fullTime(new Date(one.start)))}>{time(one.start)}</Link></span>
      <span role="gridcell" className={`incident-duration is-${one.severity}`} title={text.severities[one.severity]}>{duration(lasted(one, now))}</span>
      <span role="gridcell" className="incident-state">{one.state === "open" ? text.open : text.closed}</span>
      <span role="gridcell" className="incident-evidence"><Thumbnails one={one} what={what} enlarge={enlarge} /></span>
      <span role="gridcell" className="incident-said">
        <span className="incident-comment">
          {one.acknowledged && <span className="mark good">{text.acknowledged}</span>}
          {one.discarded && <span className="mark">{text.discarded}</span>}
          {one.comment !== "" && <span title={one.comment}>{one.comment}</span>}
        </span>
        {mayJudge && (
          <span className="incident-acts">
            {!one.acknowledged && <IconButton icon="check" label={`${text.acknowledge}: ${what}`} tabIndex={-1} onClick={() => judge("acknowledge")} />}
            {!one.discarded && <IconButton icon="close" label={`${text.discard}: ${what}`} tabIndex={-1} onClick={() => judge("discard")} />}
            <IconButton icon="edit" label={`${text.say}: ${what}`} tabIndex={-1} onClick={() => judge("say")} />
          </span>
        )}
      </span>
    </div>
  );
}

const pathOf = (one: Incident) => `/device/${encodeURIComponent(one.device)}?t=${encodeURIComponent(one.start)}`;
const whatOf = (one: Incident, name: string) => text.what(text.kinds[one.kind] ?? one.kind, name, time(one.start));

/** Where the cursor stands; when its incident is gone, where it stood. */
function useCursorIndex(rows: Incident[], cursor: string | null): number {
  const last = useRef(0);
  const found = rows.findIndex((one) => one.id === cursor);
  const at = found >= 0 ? found : Math.min(last.current, rows.length - 1);
  useEffect(() => {
    last.current = at;
  });
  return at;
}

/** Rows in sight alone are in the page; what comes in above them does not move them. */
function useRows(rows: Incident[], more: () => void) {
  const place = useRef<HTMLDivElement>(null);
  const isNarrow = useMedia(NARROW);
  const height = isNarrow ? ROW_NARROW_PX : ROW_PX;
  const [margin, setMargin] = useState(0);
  useLayoutEffect(() => {
    const top = place.current?.getBoundingClientRect().top;
    if (top !== undefined) setMargin(top + window.scrollY);
  }, [isNarrow]);
  const virtual = useWindowVirtualizer({ count: rows.length, estimateSize: () => height, overscan: 8, scrollMargin: margin, getItemKey: (index) => rows[index]?.id ?? index });
  useLayoutEffect(() => virtual.measure(), [virtual, height]);

  const seen = useRef<{ id: string; index: number } | null>(null);
  useLayoutEffect(() => {
    const before = seen.current;
    if (!before || window.scrollY <= margin) return;
    const index = rows.findIndex((one) => one.id === before.id);
    if (index >= 0 && index !== before.index) window.scrollBy({ top: (index - before.index) * height, behavior: "instant" });
  }, [rows, height, margin]);
  const items = virtual.getVirtualItems();
  useEffect(() => {
    const index = Math.max(0, Math.floor((window.scrollY - margin) / height));
    const top = rows[index];
    seen.current = top ? { id: top.id, index } : null;
  });

  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (last >= rows.length - AHEAD) more();
    // eslint-disable-next-line react-hooks/exhaustive-deps -- `more` is new on each render and always the same
  }, [last, rows.length]);
  return { place, virtual, height };
}

function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (listener) => {
      const media = matchMedia(query);
      media.addEventListener("change", listener);
      return () => media.removeEventListener("change", listener);
    },
    () => matchMedia(query).matches,
  );
}

/** Moves each second while something lasts. */
function useNow(isNeeded: boolean): number {
  const [now, setNow] = useState(hostNow);
  useEffect(() => {
    if (!isNeeded) return;
    const timer = setInterval(() => setNow(hostNow()), 1000);
    return () => clearInterval(timer);
  }, [isNeeded]);
  return now;
}
