// A day of all cameras at a glance: the worst of every minute, what it looked like, and the way there.
import { useEffect, useMemo, useRef, useState } from "react";
import { Link, navigate, useParam } from "../../app/router";
import type { Incident } from "../../api/types";
import { Button, IconButton } from "../../kit/Button";
import { EmptyState, ErrorState, Skeleton } from "../../kit/States";
import { useKeys } from "../../keys/keys";
import { heatmap as text } from "../../strings/en/heatmap";
import { incidents as incidentText } from "../../strings/en/incidents";
import { clockTime, dayName, duration, hostNow, minuteTime, ZONE } from "../../time/format";
import { Board, NAMES, type Cell } from "./Board";
import { Mosaic } from "./Mosaic";
import { columnOf, cut, dayAfter, firstOf, letterAt, MINUTE, momentOf, nextTrouble, rowHeight, rowsShown, startOf, today, within, type Row, type Show, type Strip } from "./strip";
import { useStrip } from "./useStrip";
import "./heatmap.css";

const SHOWS: Show[] = ["all", "ok", "ko"];
/** Hours that are shown at once. */
const SPANS = ["24", "6", "1"] as const;
type Span = (typeof SPANS)[number];
/** Of the window, at most: as the style has it. */
const STRIP_SHARE = 0.44;
/** The address follows the cursor when it rests. */
const REST_MS = 400;

export function Heatmap() {
  const [date, setDate] = useParam("date");
  const [shown, setShown] = useParam("show");
  const show: Show = shown === "ok" || shown === "ko" ? shown : "all";
  const [hours, setHours] = useParam("hours");
  const span: Span = hours === "6" || hours === "1" ? hours : "24";
  const { strip, incidents } = useStrip(date);
  const day = date ?? today(hostNow(), ZONE);
  const goTo = (next: string) => setDate(next > today(hostNow(), ZONE) ? null : next);
  return (
    <>
      <header className="page-head heat-head">
        <h1>{text.title}</h1>
        <span className="spacer" />
        <div className="heat-group" role="group" aria-label={text.show}>
          {SHOWS.map((one) => (
            <Button key={one} aria-pressed={one === show} title={text.showHints[one]} data-show={one} onClick={() => setShown(one === "all" ? null : one)}>{text.shows[one]}</Button>
          ))}
        </div>
        <div className="heat-group" role="group" aria-label={text.span}>
          {SPANS.map((one) => (
            <Button key={one} aria-pressed={one === span} data-hours={one} onClick={() => setHours(one === "24" ? null : one)}>{text.spans[one]}</Button>
          ))}
        </div>
        <div className="heat-group" role="group" aria-label={text.day}>
          <IconButton icon="back" label={text.before} onClick={() => goTo(dayAfter(day, -1))} />
          <input className="input heat-date" type="date" aria-label={text.day} value={day} max={today(hostNow(), ZONE)} onChange={(event) => event.target.value !== "" && goTo(event.target.value)} />
          <IconButton icon="next" label={text.after} disabled={date === null} onClick={() => goTo(dayAfter(day, 1))} />
          <Button aria-pressed={date === null} onClick={() => setDate(null)}>{text.live}</Button>
        </div>
      </header>
      {!strip.data && (strip.error ? <ErrorState error={strip.error} again={() => void strip.refetch()} /> : <Skeleton className="heat-skeleton" />)}
      {strip.data?.rows.length === 0 && <EmptyState icon="heatmap" title={text.none}><p>{text.noneHint}</p></EmptyState>}
      {strip.data && strip.data.rows.length > 0 && (
        <Day key={date} strip={strip.data} incidents={incidents} show={show} setShow={(next) => setShown(next === "all" ? null : next)} span={span} setSpan={(next) => setHours(next === "24" ? null : next)} grownAt={strip.dataUpdatedAt} />
      )}
    </>
  );
}

interface Cursor {
  /** Milliseconds since 1970, so that it stays where it is while the strip grows. */
  at: number;
  device: string;
}

interface Props {
  strip: Strip;
  incidents: Incident[];
  show: Show;
  setShow: (show: Show) => void;
  span: Span;
  setSpan: (span: Span) => void;
  grownAt: number;
}

function Day({ strip, incidents, show, setShow, span, setSpan, grownAt }: Props) {
  const [cursor, setCursor] = useState<Cursor | null>(begin);
  const rows = useMemo(() => rowsShown(strip.rows, show), [strip, show]);
  const last = strip.count - 1;
  const row = Math.max(0, rows.findIndex((one) => one.id === cursor?.device));
  const column = (cursor && columnOf(strip, cursor.at)) ?? last;
  useAddress(cursor);

  // What is shown stays where it is until the cursor leaves it; without a cursor it follows the newest minute.
  const left = useRef<number | null>(null);
  const count = Math.ceil((Number(span) * 60 * MINUTE) / strip.step);
  const skipped = firstOf(strip, count, cursor ? left.current : null, column);
  // Not with each move of the pointer: the canvas is painted when these change.
  const view = useMemo(() => cut({ ...strip, rows }, skipped, count), [strip, rows, skipped, count]);
  useEffect(() => {
    left.current = view.first;
  }, [view.first]);
  const onBoard = (act: (cell: Cell) => void) => (at: Cell) => act({ ...at, column: at.column + skipped });

  const put = (next: Cell) => {
    const device = rows[Math.min(rows.length - 1, Math.max(0, next.row))]?.id ?? "";
    setCursor({ device, at: startOf(strip, Math.min(last, Math.max(0, next.column))) });
  };
  const move = (columns: number, lines = 0) => put({ column: column + columns, row: row + lines });
  const jump = (forward: boolean) => {
    const found = nextTrouble(rows[row]?.states ?? "", column, forward);
    if (found !== null) put({ column: found, row });
  };
  const open = (at: Cell) => {
    const chosen = rows[at.row];
    if (chosen) navigate(momentOf(chosen.id, startOf(strip, at.column), strip.step, incidents).path);
  };
  const hour = Math.max(1, Math.round((60 * MINUTE) / strip.step));
  useKeys(text.title, [
    { keys: "ArrowLeft", label: text.keys.left, run: () => move(-1) },
    { keys: "ArrowRight", label: text.keys.right, run: () => move(1) },
    { keys: "ArrowUp", label: text.keys.up, run: () => move(0, -1) },
    { keys: "ArrowDown", label: text.keys.down, run: () => move(0, 1) },
    { keys: "PageUp", label: text.keys.pageUp, run: () => move(-hour) },
    { keys: "PageDown", label: text.keys.pageDown, run: () => move(hour) },
    { keys: "Home", label: text.keys.home, run: () => put({ column: 0, row }) },
    { keys: "End", label: text.keys.end, run: () => put({ column: last, row }) },
    { keys: "n", label: text.keys.next, run: () => jump(true) },
    { keys: "p", label: text.keys.previous, run: () => jump(false) },
    { keys: "+", label: text.keys.closer, run: () => setSpan(SPANS[Math.min(SPANS.length - 1, SPANS.indexOf(span) + 1)] ?? span) },
    { keys: "-", label: text.keys.wider, run: () => setSpan(SPANS[Math.max(0, SPANS.indexOf(span) - 1)] ?? span) },
    { keys: "v", label: text.keys.all, run: () => setShow(SHOWS[(SHOWS.indexOf(show) + 1) % SHOWS.length] ?? "all") },
    { keys: "Enter", label: text.keys.open, run: () => open({ column, row }) },
  ]);

  return (
    <>
      <ReadOut strip={strip} row={rows[row]} column={column} incidents={incidents} />
      {rows.length === 0 && show !== "all" && <p className="card heat-nothing" role="status">{text.noneLeft[show]}</p>}
      <div hidden={rows.length === 0}>
        <Board strip={view} rows={view.rows} show={show} cell={{ column: column - skipped, row }} scrub={onBoard(put)} open={onBoard(open)} />
      </div>
      {!strip.complete && <p className="heat-note" role="status">{text.incomplete}</p>}
      <Mosaic at={startOf(strip, column)} show={show} grownAt={grownAt} incidents={incidents} stripHeight={Math.min(rows.length * rowHeight(rows.length, false), window.innerHeight * STRIP_SHARE)} />
    </>
  );
}

/** From the address, so that a reload and a link lead to the same cell. */
function begin(): Cursor | null {
  const query = new URLSearchParams(location.search);
  const at = Date.parse(query.get("t") ?? "");
  return Number.isNaN(at) ? null : { at, device: query.get("device") ?? "" };
}

function useAddress(cursor: Cursor | null): void {
  useEffect(() => {
    if (!cursor) return;
    const timer = setTimeout(() => {
      // Somebody may have gone to another page by then.
      if (location.pathname !== "/heatmap") return;
      const query = new URLSearchParams(location.search);
      query.set("t", new Date(cursor.at).toISOString());
      query.set("device", cursor.device);
      navigate(`${location.pathname}?${query}`, { replace: true });
    }, REST_MS);
    return () => clearTimeout(timer);
  }, [cursor]);
}

function ReadOut({ strip, row, column, incidents }: { strip: Strip; row: Row | undefined; column: number; incidents: Incident[] }) {
  if (!row) return null;
  const from = startOf(strip, column);
  const letter = letterAt(row, column);
  const named = within(incidents, row.id, from, from + strip.step);
  const to = momentOf(row.id, from, strip.step, incidents);
  return (
    <div className="heat-readout" aria-live="polite">
      <span className="heat-when">{dayName(from)} <b>{minuteTime(from)}</b></span>
      <span className="heat-device">{row.name}</span>
      <span className="heat-state"><i className={`heat-swatch is-${NAMES[letter]}`} />{text.states[letter]}</span>
      <span className="heat-incidents dim">
        {named.map((one) => {
          const kind = incidentText.kinds[one.kind] ?? one.kind;
          const start = clockTime(Date.parse(one.start));
          return one.end === null ? text.sinceOpen(kind, start) : text.since(kind, start, duration(one.duration_seconds));
        }).join(" · ")}
      </span>
      <Link className="button" to={to.path} aria-label={text.open(row.name, clockTime(to.at))} title={text.open(row.name, clockTime(to.at))}>{text.openShort}</Link>
    </div>
  );
}
