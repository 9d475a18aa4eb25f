// The transcoder: on or off, what holds it, and what rules it.
import { useMutation, useQuery } from "@tanstack/react-query";
import { ask } from "../../api/client";
import { ErrorState, Skeleton } from "../../kit/States";
import { toast, toastError } from "../../kit/Toast";
import { useEvents } from "../../events/hub";
import { useCan } from "../../session/session";
import { queries } from "../../store/queries";
import { settings } from "../../strings/en/settings";
import { host } from "../../strings/en/settings_host";
import { knobs } from "../../strings/en/settings_knobs";
import { bytes, time } from "../../time/format";
import { useSettings } from "./detection/thresholds";
import { TRANSCODE } from "./knobs/knobs";
import { SectionForm } from "./knobs/SectionForm";
import { FileFacts } from "./parts/FileFacts";

const text = host.transcoder;
const KEY = ["transcode"];
const EVERY_MS = 5000;
const AFTER_MS = 1500;

export function Transcoder() {
  const { data, error, refetch } = useQuery({ queryKey: KEY, queryFn: ({ signal }) => ask("GET /api/transcode", { signal }), refetchInterval: EVERY_MS });
  const now = useSettings().data;
  const may = useCan()("admin");
  useEvents({ topics: ["job"] }, (event) => event["job"] === "transcode" && event.kind !== "job_progress" && void refetch());
  const turn = useMutation({
    mutationFn: (on: boolean) => (on ? ask("POST /api/transcode/enable", { body: {} as never }) : ask("POST /api/transcode/disable", { body: {} as never })),
    onSuccess: (now) => {
      queries.setQueryData(KEY, now);
      toast(now.status.enabled ? text.turnedOn : text.turnedOff);
    },
    onError: toastError,
  });
  const next = data?.status.next_run;
  const groups = [
    { title: knobs.when, hint: [knobs.whenHint, next ? `${knobs.nextRun(time(next))}.` : ""].join(" ").trim(), knobs: TRANSCODE.when },
    { title: knobs.gates, knobs: TRANSCODE.gates },
    { title: knobs.how, knobs: TRANSCODE.how },
  ];
  return (
    <section>
      <header className="section-head"><h2>{settings.transcoder}</h2></header>
      {error && !data && <ErrorState error={error} again={() => void refetch()} />}
      {!data && !error && <Skeleton className="settings-wait" />}
      {data && (
        <div className="card settings-stack settings-apart">
          <label className="flag">
            <input type="checkbox" role="switch" className="switch" data-act="transcoder" checked={data.status.enabled} disabled={!may || turn.isPending} onChange={() => turn.mutate(!data.status.enabled)} />
            <span>{text.on}</span>
          </label>
          <dl className="facts">
            <div><dt>{text.state}</dt><dd>{text.states[data.status.state] ?? data.status.state}</dd></div>
            <div><dt>{text.held}</dt><dd>{data.status.detail ?? data.status.gate ?? "–"}</dd></div>
            <div><dt>{text.next}</dt><dd data-fact="next">{next ? time(next) : "–"}</dd></div>
            <div><dt>{text.saved}</dt><dd>{bytes(data.space_saved)}</dd></div>
            <div><dt>{text.files}</dt><dd>{data.files_transcoded}</dd></div>
            <div><dt>{text.failed}</dt><dd>{data.files_failed}</dd></div>
          </dl>
          {data.warning && data.average_savings_percent !== null && <p className="notice">{text.warning(data.average_savings_percent, data.target_savings_percent)}</p>}
        </div>
      )}
      {now && (
        <>
          {/* It looks at the new ones within a second. */}
          <SectionForm section="transcode" title={text.schedule} now={now} groups={groups} saved={knobs.transcoderSaved} changed={() => setTimeout(() => void refetch(), AFTER_MS)} />
          <h2 className="section-title">{host.storage.fileTitle}</h2>
        </>
      )}
      <FileFacts sections={["transcode"]} />
    </section>
  );
}
