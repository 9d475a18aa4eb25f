// Who is told of what happens. The settings file says whom; how it goes is told by the daemon.
import { ErrorState, Skeleton, EmptyState } from "../../kit/States";
import { settings } from "../../strings/en/settings";
import { host } from "../../strings/en/settings_host";
import { useHostState } from "../../store/state";
import { time } from "../../time/format";
import { useSettings } from "./detection/thresholds";
import { Copied } from "./parts/Once";

const text = host.notifications;

interface Webhook {
  url: string;
  secret?: string;
  kinds: string[];
}

export function Notifications() {
  const { data, error, refetch } = useSettings();
  // One delivery for each webhook, in the order of the file.
  const deliveries = useHostState().data?.webhooks ?? [];
  const webhooks = (data?.settings["notify"]?.["webhook"] ?? []) as Webhook[];
  return (
    <section>
      <header className="section-head"><h2>{settings.notifications}</h2></header>
      <p className="dim section-hint">{text.hint} {host.storage.restart}</p>
      {error && !data && <ErrorState error={error} again={() => void refetch()} />}
      {!data && !error && <Skeleton className="settings-wait" />}
      {data && webhooks.length === 0 && <EmptyState icon="bell" title={text.none}><p>{text.noneHint}</p></EmptyState>}
      {webhooks.length > 0 && (
        <ul className="rows" aria-label={text.list}>
          {webhooks.map((webhook, index) => {
            const delivery = deliveries[index];
            return (
              <li key={index} className="row webhook-row">
                <div className="row-main"><span className="row-name">{webhook.url}</span><span className="row-more">{webhook.kinds.length === 0 ? text.allKinds : webhook.kinds.map((kind) => text.kindNames[kind] ?? kind).join(", ")}</span></div>
                <div className="row-fact"><span className="row-key">{text.secret}</span>{webhook.secret === undefined ? "–" : "HMAC-SHA256"}</div>
                <div className="row-fact number"><span className="row-key">{text.sent}</span>{delivery?.sent ?? "–"}</div>
                <div className="row-fact number"><span className="row-key">{text.waiting}</span>{delivery?.waiting ?? "–"}</div>
                <div className="row-fact number"><span className="row-key">{text.dropped}</span>{delivery?.dropped ?? "–"}</div>
                <div className="row-fact"><span className="row-key">{text.last}</span>{delivery?.last_sent ? time(delivery.last_sent) : "–"}</div>
                {delivery?.error && <div className="row-fault">{delivery.error}</div>}
              </li>
            );
          })}
        </ul>
      )}
      {data && <Copied value={text.example} />}
    </section>
  );
}
