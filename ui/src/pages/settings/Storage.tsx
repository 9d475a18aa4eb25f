// What is kept, where and for how long, beside how much room there is for it.
import { ErrorState, Skeleton } from "../../kit/States";
import { settings } from "../../strings/en/settings";
import { host } from "../../strings/en/settings_host";
import { knobs } from "../../strings/en/settings_knobs";
import { refreshState, useHostState } from "../../store/state";
import { bytes } from "../../time/format";
import { useSettings } from "./detection/thresholds";
import { ARCHIVE } from "./knobs/knobs";
import { SectionForm } from "./knobs/SectionForm";
import { FileFacts } from "./parts/FileFacts";

const text = host.storage;
const GROUPS = [{ title: knobs.storage, knobs: ARCHIVE }];

export function Storage() {
  const { data } = useHostState();
  const now = useSettings();
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
      {now.error && !now.data && <ErrorState error={now.error} again={() => void now.refetch()} />}
      {!now.data && !now.error && <Skeleton className="settings-wait" />}
      {now.data && (
        <>
          <SectionForm section="archive" title={knobs.storage} now={now.data} groups={GROUPS} costs saved={knobs.storageSaved} changed={refreshState} />
          <h2 className="section-title">{text.fileTitle}</h2>
          <FileFacts sections={["archive", "storage", "hot", "cleaner"]} />
        </>
      )}
    </section>
  );
}
