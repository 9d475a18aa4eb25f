// The days that have footage, month by month; a click goes to the first of that day. Arrows lead from day to day.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState, type KeyboardEvent } from "react";
import { ask } from "../../api/client";
import { IconButton } from "../../kit/Button";
import { Dialog } from "../../kit/Dialog";
import { ErrorState } from "../../kit/States";
import { device as text } from "../../strings/en/device";
import { hostNow, ZONE } from "../../time/format";
import { dayBounds, localDate } from "../../time/ticks";
import { dayMoved, daysOf, monthAfter, placesBefore, type Day } from "./days";

const iso = (at: number) => new Date(at).toISOString();
const long = new Intl.DateTimeFormat(undefined, { dateStyle: "long", timeZone: "UTC" });
const title = new Intl.DateTimeFormat(undefined, { month: "long", year: "numeric", timeZone: "UTC" });

export function Calendar({ device, at, choose, close }: { device: string; at: number; choose: (day: Day) => void; close: () => void }) {
  const now = hostNow();
  const [chosen, today] = [localDate(at, ZONE), localDate(now, ZONE)];
  /** The day that has, or would have, the focus of the keyboard. */
  const [day, setDay] = useState(chosen);
  const month = day.slice(0, 7);
  const [start] = dayBounds(`${month}-01`, ZONE);
  const [end] = dayBounds(`${monthAfter(month, 1)}-01`, ZONE);
  const { data, error, refetch } = useQuery({
    queryKey: ["days", device, month],
    queryFn: async ({ signal }) => {
      // Whether there is a day, not what it holds: a minute is fine enough.
      const query = { from: iso(start), to: iso(Math.min(end, now + 60_000)), resolution: 60 };
      const told = await ask("GET /api/host/timeline/{device}", { path: { device }, query, signal });
      return told.coverage.map((one) => ({ start: Date.parse(one.start), end: Date.parse(one.end) }));
    },
    enabled: start < now,
    staleTime: 60_000,
  });
  const days = daysOf(month, data ?? [], now, ZONE);
  const grid = useRef<HTMLDivElement>(null);
  const isLed = useRef(true);
  // At first the day that is shown, then wherever the arrows lead; not when the months are turned by their buttons.
  useEffect(() => {
    if (isLed.current) grid.current?.querySelector<HTMLElement>(`[data-date="${day}"]`)?.focus();
    isLed.current = false;
  }, [day]);
  const turn = (by: number) => setDay(dayMoved(day, by < 0 ? "PageUp" : "PageDown", today));
  const onKey = (event: KeyboardEvent) => {
    const next = dayMoved(day, event.key, today);
    if (next === day) return;
    event.preventDefault();
    isLed.current = true;
    setDay(next);
  };
  return (
    <Dialog title={text.calendar} close={close}>
      <div className="calendar-head">
        <IconButton icon="back" label={text.monthBefore} data-act="month-before" onClick={() => turn(-1)} />
        <strong aria-live="polite">{title.format(new Date(`${month}-01T00:00:00Z`))}</strong>
        <IconButton icon="next" label={text.monthAfter} disabled={end > now} data-act="month-after" onClick={() => turn(1)} />
      </div>
      {error ? (
        <ErrorState error={error} again={() => void refetch()} />
      ) : (
        <div ref={grid} className="calendar" role="group" aria-label={text.calendarKeys} data-month={data ? month : undefined} onKeyDown={onKey}>
          {text.weekdays.map((name) => <span key={name} className="calendar-name" aria-hidden="true">{name}</span>)}
          {Array.from({ length: placesBefore(month) }, (_, index) => <span key={index} />)}
          {days.map((one) => (
            <button
              key={one.date}
              type="button"
              className={one.date === chosen ? "calendar-day chosen" : "calendar-day"}
              tabIndex={one.date === day ? 0 : -1}
              aria-disabled={one.first === null}
              aria-current={one.date === today ? "date" : undefined}
              aria-label={text.dayOf(long.format(new Date(`${one.date}T00:00:00Z`)), one.first === null ? 0 : Math.max(1, Math.round(one.share * 100)))}
              data-date={one.date}
              onFocus={() => setDay(one.date)}
              onClick={() => one.first !== null && choose(one)}
            >
              {Number(one.date.slice(8))}
              <span className="calendar-share"><span style={{ width: `${Math.max(one.first === null ? 0 : 6, one.share * 100)}%` }} /></span>
            </button>
          ))}
        </div>
      )}
    </Dialog>
  );
}
