// Who is told of what happens: added, changed, tried and removed while all runs; how it goes is told by the daemon.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { ask } from "../../api/client";
import { messageOf } from "../../api/error";
import { Link, navigate } from "../../app/router";
import { useKeys } from "../../keys/keys";
import { Button, IconButton } from "../../kit/Button";
import { EmptyState, ErrorState, Skeleton } from "../../kit/States";
import { toast } from "../../kit/Toast";
import { useCan } from "../../session/session";
import { useHostState } from "../../store/state";
import { settings } from "../../strings/en/settings";
import { host } from "../../strings/en/settings_host";
import { webhooks as words } from "../../strings/en/settings_knobs";
import { time } from "../../time/format";
import { useSettings } from "./detection/thresholds";
import type { Settings } from "./knobs/SectionForm";
import { Confirm } from "./parts/Confirm";
import { without, type Webhook } from "./webhooks/list";
import { listOf, webhookPath, write } from "./webhooks/queries";
import { WebhookPage } from "./webhooks/WebhookPage";

const text = host.notifications;
/** As long as the daemon waits for a receiver, and a little. */
const TEST_MS = 20_000;

export function Notifications({ item }: { item?: string }) {
  const { data, error, refetch } = useSettings();
  const may = useCan()("admin");
  useKeys(settings.notifications, may && item === undefined ? [{ keys: "n", label: words.keyAdd, run: () => navigate(webhookPath("+")) }] : []);
  return (
    <section>
      <header className="section-head">
        <h2>{settings.notifications}</h2>
        <span className="spacer" />
        {may && item === undefined && <Button kind="primary" icon="add" data-act="add-webhook" onClick={() => navigate(webhookPath("+"))}>{words.add}</Button>}
      </header>
      {error && !data && <ErrorState error={error} again={() => void refetch()} />}
      {!data && !error && <Skeleton className="settings-wait" />}
      {data && (item !== undefined && may ? <WebhookPage key={item} now={data} id={item} /> : <List now={data} may={may} />)}
    </section>
  );
}

function List({ now, may }: { now: Settings; may: boolean }) {
  const deliveries = useHostState().data?.webhooks ?? [];
  const webhooks = listOf(now);
  const [asked, setAsked] = useState<Webhook | "file" | null>(null);
  const isChanged = "webhook" in (now.changed_here.notify as object);
  const change = useMutation({
    mutationFn: (what: Webhook | "file") => write(now, what === "file" ? null : without(webhooks, what.id)),
    onSuccess: (_, what) => {
      toast(what === "file" ? words.backDone : words.removed);
      setAsked(null);
    },
  });
  const close = () => {
    change.reset();
    setAsked(null);
  };
  return (
    <>
      <p className="dim section-hint">{text.hint} {isChanged ? words.changedHere : words.ofFile}</p>
      {webhooks.length === 0 && <EmptyState icon="bell" title={text.none} />}
      {webhooks.length > 0 && (
        <ul className="rows" aria-label={text.list}>
          {webhooks.map((webhook) => {
            const delivery = deliveries.find((one) => one.id === webhook.id);
            return (
              <li key={webhook.id} className="row webhook-row" data-webhook={webhook.id}>
                <div className="row-main">
                  {may ? <Link to={webhookPath(webhook.id)} className="row-name">{webhook.url}</Link> : <span className="row-name">{webhook.url}</span>}
                  <span className="row-more">{webhook.kinds.length === 0 ? text.allKinds : webhook.kinds.map((kind) => text.kindNames[kind] ?? kind).join(", ")}</span>
                </div>
                <div className="row-fact"><span className="row-key">{text.secret}</span>{webhook.secret === undefined ? "–" : "HMAC-SHA256"}</div>
                <div className="row-fact number"><span className="row-key">{text.sent}</span>{delivery?.sent ?? "–"}</div>
                <div className="row-fact number"><span className="row-key">{text.waiting}</span>{delivery?.waiting ?? "–"}</div>
                <div className="row-fact number"><span className="row-key">{text.dropped}</span>{delivery?.dropped ?? "–"}</div>
                <div className="row-fact"><span className="row-key">{text.last}</span>{delivery?.last_sent ? time(delivery.last_sent) : "–"}</div>
                {may && <Acts webhook={webhook} remove={() => setAsked(webhook)} />}
                {delivery?.error && <div className="row-fault">{delivery.error}</div>}
              </li>
            );
          })}
        </ul>
      )}
      {may && isChanged && <div className="ends"><Button data-act="file" onClick={() => setAsked("file")}>{words.back}</Button></div>}
      {asked !== null && (
        <Confirm title={asked === "file" ? words.backTitle : words.removeTitle(asked.url)} act={asked === "file" ? words.back : settings.remove} busy={change.isPending} error={change.error} close={close} run={() => change.mutate(asked)}>
          <p>{asked === "file" ? words.backHint : words.removeHint}</p>
        </Confirm>
      )}
    </>
  );
}

function Acts({ webhook, remove }: { webhook: Webhook; remove: () => void }) {
  const test = useMutation({ mutationFn: () => ask("POST /api/settings/notify/test", { body: { id: webhook.id }, timeoutMs: TEST_MS }) });
  const isTaken = test.data && test.data.status >= 200 && test.data.status < 300;
  return (
    <>
      <div className="row-acts">
        <Button data-act="test" disabled={test.isPending} onClick={() => test.mutate()}>{test.isPending ? words.testing : words.test}</Button>
        <IconButton icon="edit" label={words.edit(webhook.url)} onClick={() => navigate(webhookPath(webhook.id))} />
        <IconButton icon="trash" label={words.remove(webhook.url)} onClick={remove} />
      </div>
      <div className="webhook-test" role="status" data-tested={test.data ? test.data.status : test.error ? "fault" : undefined}>
        {test.data && <span className={isTaken ? "" : "bad"}>{isTaken ? words.taken(test.data.status, test.data.ms) : words.refused(test.data.status, test.data.ms)}</span>}
        {test.error && <span className="bad">{messageOf(test.error)}</span>}
      </div>
    </>
  );
}
