// Where footage lies and how long there is room; who deletes, and the database.
import type { State } from "../../api/types";
import { system as text } from "../../strings/en/system";
import { bytes, duration, time } from "../../time/format";
import { diskParts, holdsSeconds, rateOf, sum, type History } from "./facts";
import { lengthOf } from "./length";
import { Bar, FactList } from "./parts";

/** Points of the history over which a rate is taken. */
const RATE_MINUTES = 60;

export function Storage({ state, history }: { state: State; history: History | undefined }) {
  const { devices, archive, cleaner } = state;
  const [used, quota, waits] = [sum(devices, (one) => one.hot.bytes), sum(devices, (one) => one.hot.quota_bytes), sum(devices, (one) => one.hot.waiting_bytes)];
  const holds = holdsSeconds(devices, rateOf(history?.media_bytes ?? [], RATE_MINUTES));
  const footage = sum(devices, (one) => one.chunks.bytes);
  const { forecast, library } = cleaner;
  const words = text.storage;
  return (
    <section className="card system-card" aria-label={words.title}>
      <header><h2>{words.title}</h2></header>
      <div className="store" title={words.hotHint}>
        <span className="store-name">{words.hot}</span>
        <span>{words.hotOf(bytes(used), bytes(quota))}</span>
        <Bar label={words.hot} total={quota} parts={[{ name: words.waits, bytes: waits, kind: "used" }, { name: words.live, bytes: Math.max(0, used - waits), kind: "other" }]} />
        {holds !== null && <span className="dim">{words.holds(duration(holds))}</span>}
        {cleaner.hot_error && <span className="system-warning">{cleaner.hot_error}</span>}
      </div>
      <div className="store">
        <span className="store-name">{words.disk}</span>
        <span>{archive.ok ? words.diskOf(bytes(archive.free_bytes), bytes(archive.total_bytes)) : text.unavailable}</span>
        <Bar label={words.disk} total={archive.total_bytes} parts={diskParts(archive.total_bytes, archive.free_bytes, footage, archive.min_free_bytes, words)} />
        {forecast ? (
          <span className="dim">{words.rate(bytes(forecast.bytes_per_day))} · {words.lasts(lengthOf(forecast.holds_days), lengthOf(forecast.wanted_days))}</span>
        ) : (
          <span className="dim">{words.noForecast}</span>
        )}
        {forecast && forecast.days_until_full !== null && <span className="system-warning">{words.full(lengthOf(forecast.days_until_full))}</span>}
        {archive.error && <span className="system-warning">{archive.error}</span>}
        {cleaner.out_of_space && <span className="system-warning">{words.outOfSpace}</span>}
      </div>
      {library && (
        <div className="store">
          <span className="store-name">{words.library}</span>
          <span title={words.away(library.root)}>{library.ok ? words.diskOf(bytes(library.free_bytes), bytes(library.total_bytes)) : text.unavailable}</span>
          <Bar label={words.library} total={library.total_bytes} parts={diskParts(library.total_bytes, library.free_bytes, library.library_bytes, 0, words)} />
          {library.error && <span className="system-warning">{library.error}</span>}
        </div>
      )}
    </section>
  );
}

export function Cleaner({ cleaner }: { cleaner: State["cleaner"] }) {
  const words = text.cleaner;
  const when = (stamp: string | null) => (stamp ? time(stamp) : text.never);
  return (
    <section className="card system-card" aria-label={words.title}>
      <header>
        <h2>{words.title}</h2>
        <span className={`status ${cleaner.error ? "bad" : cleaner.gate === "open" ? "online" : "warn"}`}>{words.gates[cleaner.gate]}</span>
      </header>
      {cleaner.error && <p className="system-warning" role="status">{cleaner.error}</p>}
      {cleaner.backlog && <p className="system-warning">{words.backlog}</p>}
      <FactList
        label={words.title}
        facts={[
          [words.lastRound, when(cleaner.last_round)],
          [words.lastSuccess, when(cleaner.last_success)],
          [words.expired, cleaner.expired.toLocaleString(), words.expiredHint],
          [words.evicted, cleaner.evicted.toLocaleString(), words.evictedHint],
          [words.shelved, cleaner.shelved.toLocaleString()],
          [words.unknown, cleaner.unknown_files.toLocaleString()],
        ]}
      />
    </section>
  );
}

export function Database({ registry }: { registry: State["registry"] }) {
  const words = text.database;
  const open = Object.values(registry.open).reduce((total, one) => total + one, 0);
  return (
    <section className="card system-card" aria-label={words.title}>
      <header>
        <h2>{words.title}</h2>
        <span className={`status ${registry.state === "ready" ? "online" : "bad"}`}>{words.states[registry.state]}</span>
      </header>
      {registry.error && <p className="system-warning" role="status">{registry.error}</p>}
      <FactList
        label={words.title}
        facts={[
          [words.size, bytes(registry.bytes)],
          [words.written, bytes(registry.written_bytes)],
          [words.transactions, registry.transactions.toLocaleString()],
          [words.queue, registry.queue.toLocaleString()],
          [words.open, open.toLocaleString()],
          [words.backup, registry.last_backup ? time(registry.last_backup) : text.never],
          ...(registry.dropped > 0 ? [[words.dropped, registry.dropped.toLocaleString()] as [string, string]] : []),
        ]}
      />
    </section>
  );
}
