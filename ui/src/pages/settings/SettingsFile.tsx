// The settings file of the host: read again, with what came of it, and all that it says.
import { useMutation } from "@tanstack/react-query";
import { ask } from "../../api/client";
import { ApiError, messageOf } from "../../api/error";
import { Button } from "../../kit/Button";
import { queries } from "../../store/queries";
import { settings } from "../../strings/en/settings";
import { host } from "../../strings/en/settings_host";
import { refreshCameras, TAKES_MS } from "./cameras/queries";
import { SETTINGS } from "./detection/thresholds";
import { FileFacts } from "./parts/FileFacts";

const text = host.file;

export function SettingsFile() {
  const reload = useMutation({
    mutationFn: () => ask("POST /api/host/reload", { body: {} as never, timeoutMs: TAKES_MS }),
    onSettled: () => {
      refreshCameras();
      void queries.invalidateQueries({ queryKey: SETTINGS });
    },
  });
  const report = reload.data;
  const lists = report
    ? ([
        [text.added, report.added],
        [text.changed, report.changed],
        [text.removed, report.removed],
        [text.thresholds, report.thresholds],
        [text.settings, report.settings],
        [text.needsRestart, report.needs_restart],
        [text.refused, report.refused.map((one) => `${one.device}: ${one.message}`)],
      ] as const).filter(([, names]) => names.length > 0)
    : [];
  return (
    <section>
      <header className="section-head"><h2>{settings.file}</h2></header>
      <div className="card settings-stack">
        <p>{text.hint}</p>
        <div className="settings-line">
          <p className="dim">{text.reloadHint}</p>
          <Button kind="primary" data-act="reload" disabled={reload.isPending} onClick={() => reload.mutate()}>{reload.isPending ? text.reloading : text.reload}</Button>
        </div>
        <div aria-live="polite" data-report={report ? "done" : reload.error ? "fault" : undefined}>
          {reload.error && (
            <p className="notice bad">
              {reload.error instanceof ApiError && reload.error.path !== null && <strong>{text.faultAt(reload.error.path)}: </strong>}
              {messageOf(reload.error)}
            </p>
          )}
          {report && (
            <>
              <h3>{text.report}</h3>
              {lists.length === 0 && <p>{text.nothing}</p>}
              <dl className="pairs">{lists.map(([title, names]) => <div key={title}><dt>{title}</dt><dd>{names.join(", ")}</dd></div>)}</dl>
            </>
          )}
        </div>
      </div>
      <h2 className="section-title">{text.all}</h2>
      <FileFacts sections={["server", "auth", "archive", "storage", "hot", "capture", "analysis", "cleaner", "transcode", "ffmpeg", "limits"]} all />
    </section>
  );
}
