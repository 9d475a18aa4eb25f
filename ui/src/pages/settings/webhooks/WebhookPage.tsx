// One receiver: where it is, what it is told, and a secret that goes in and never out.
import { useMutation } from "@tanstack/react-query";
import { navigate } from "../../../app/router";
import { Button } from "../../../kit/Button";
import { EmptyState } from "../../../kit/States";
import { toast } from "../../../kit/Toast";
import { useDraft } from "../../../session/drafts";
import { common } from "../../../strings/en/common";
import { settings } from "../../../strings/en/settings";
import { host } from "../../../strings/en/settings_host";
import { webhooks as text } from "../../../strings/en/settings_knobs";
import type { Settings } from "../knobs/SectionForm";
import { Elsewhere, FlagField, Form, Group, TextField } from "../parts/Form";
import type { Flat } from "../parts/paths";
import { KINDS, toEntry, toFlat, withEntry, type Webhook } from "./list";
import { listOf, write } from "./queries";

const BACK = "/settings/notifications";

export function WebhookPage({ now, id }: { now: Settings; id: string }) {
  const list = listOf(now);
  const place = list.findIndex((one) => one.id === id);
  const webhook = list[place] ?? null;
  if (id !== "+" && !webhook) return <EmptyState icon="bell" title={text.unknown} />;
  // The daemon's messages name the place in the list.
  return <WebhookForm now={now} webhook={webhook} at={`notify.webhook[${webhook ? place : list.length}]`} />;
}

function WebhookForm({ now, webhook, at }: { now: Settings; webhook: Webhook | null; at: string }) {
  const draft = useDraft<Flat>(`webhook/${webhook?.id ?? "+"}`, toFlat(webhook, at));
  const save = useMutation({
    mutationFn: () => write(now, withEntry(listOf(now), toEntry(webhook, at, draft.value))),
    onSuccess: () => {
      toast(text.saved);
      draft.drop();
      navigate(BACK);
    },
  });
  const isSigned = webhook?.secret !== undefined;
  return (
    <>
      <h3 className="section-title">{webhook ? webhook.url : text.new}</h3>
      <Form draft={draft} error={save.error} fields={[`${at}.url`, `${at}.secret`]} disabled={save.isPending} label={webhook ? webhook.url : text.new} submit={() => save.mutate()}>
        <Group title={text.where}>
          <TextField path={`${at}.url`} label={text.address} {...(webhook ? { hint: text.addressKept(webhook.url) } : {})} type="url" placeholder={webhook ? webhook.url : "https://example.org/hook"} autoComplete="off" spellCheck={false} />
          <TextField path={`${at}.secret`} label={text.secret} hint={isSigned ? text.secretKept : text.secretNone} type="password" autoComplete="new-password" />
          {isSigned && <FlagField path="unsigned" label={text.secretDrop} />}
        </Group>
        <Group title={text.kinds} hint={text.kindsHint}>
          {KINDS.map((kind) => <FlagField key={kind} path={`kind:${kind}`} label={host.notifications.kindNames[kind] ?? kind} />)}
        </Group>
        <Elsewhere />
        <div className="form-acts">
          <Button kind="primary" type="submit" disabled={save.isPending || (webhook !== null && !draft.isDirty)}>{save.isPending ? settings.saving : webhook ? common.save : text.add}</Button>
          <Button onClick={() => navigate(BACK)}>{common.cancel}</Button>
        </div>
      </Form>
    </>
  );
}
