// The days that have footage, month by month; a click goes to the first of that day.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ask } from "../../api/client";
import { IconButton } from "../../kit/Button";
import { Dialog } from "../../kit/Dialog";
import { ErrorState } from "../../kit/States";
import { device as text } from "../../strings/en/device";
import { hostNow, ZONE } from "../../time/format";
import { dayBounds, localDate } from "../../time/ticks";
import { daysOf, monthAfter, monthOf, placesBefore, type Day } from "./days";

const iso = (at: number) => new Date(at).toISOString();
const title = new Intl.DateTimeFormat(undefined, { month: "long", year: "numeric", timeZone: "UTC" });

export function Calendar({ device, at, choose, close }: { device: string; at: number; choose: (day: Day) => void; close: () => void }) {
  const now = hostNow();
  const [month, setMonth] = useState(() => monthOf(at, ZONE));
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
  const [chosen, today] = [localDate(at, ZONE), localDate(now, ZONE)];
  return (
    <Dialog title={text.calendar} close={close}>
      <div className="calendar-head">
        <IconButton icon="back" label={text.monthBefore} onClick={() => setMonth(monthAfter(month, -1))} />
        <strong aria-live="polite">{title.format(new Date(`${month}-01T00:00:00Z`))}</strong>
        <IconButton icon="next" label={text.monthAfter} disabled={end > now} onClick={() => setMonth(monthAfter(month, 1))} />
      </div>
      {error ? (
        <ErrorState error={error} again={() => void refetch()} />
      ) : (
        <div className="calendar" role="group" aria-label={text.calendar}>
          {text.weekdays.map((name) => <span key={name} className="calendar-name" aria-hidden="true">{name}</span>)}
          {Array.from({ length: placesBefore(month) }, (_, index) => <span key={index} />)}
          {days.map((day) => (
            <button
              key={day.date}
              type="button"
              className={day.date === chosen ? "calendar-day chosen" : "calendar-day"}
              disabled={day.first === null}
              aria-current={day.date === today ? "date" : undefined}
              aria-label={text.dayOf(day.date, day.first === null ? 0 : Math.max(1, Math.round(day.share * 100)))}
              data-date={day.date}
              onClick={() => choose(day)}
            >
              {Number(day.date.slice(8))}
              <span className="calendar-share"><span style={{ width: `${Math.max(day.first === null ? 0 : 6, day.share * 100)}%` }} /></span>
            </button>
          ))}
        </div>
      )}
    </Dialog>
  );
}
