// What is kept, where and for how long, beside how much room there is for it.
import { settings } from "../../strings/en/settings";
import { host } from "../../strings/en/settings_host";
import { useHostState } from "../../store/state";
import { bytes } from "../../time/format";
import { FileFacts } from "./parts/FileFacts";

const text = host.storage;

export function Storage() {
  const { data } = useHostState();
  const forecast = data?.cleaner.forecast;
  const days = (count: number | null | undefined) => (count === null || count === undefined ? "–" : text.days(count));
  return (
    <section>
      <header className="section-head"><h2>{settings.storage}</h2></header>
      <dl className="facts card settings-facts">
        <div><dt>{text.free}</dt><dd>{data?.archive.free_bytes == null ? "–" : bytes(data.archive.free_bytes)}</dd></div>
        <div><dt>{text.min}</dt><dd>{data ? bytes(data.archive.min_free_bytes) : "–"}</dd></div>
        <div><dt>{text.perDay}</dt><dd>{forecast?.bytes_per_day == null ? "–" : bytes(forecast.bytes_per_day)}</dd></div>
        <div><dt>{text.holds}</dt><dd>{days(forecast?.holds_days)}</dd></div>
        <div><dt>{text.wanted}</dt><dd>{days(forecast?.wanted_days)}</dd></div>
        <div><dt>{text.full}</dt><dd>{days(forecast?.days_until_full)}</dd></div>
      </dl>
      <FileFacts sections={["archive", "storage", "hot", "cleaner"]} />
    </section>
  );
}
