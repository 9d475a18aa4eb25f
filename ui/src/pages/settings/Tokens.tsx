// Tokens of programs, and the end of all shared links.
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ask, type Reply } from "../../api/client";
import { Button } from "../../kit/Button";
import { EmptyState, ErrorState, Skeleton } from "../../kit/States";
import { Table } from "../../kit/Table";
import { toast } from "../../kit/Toast";
import { useDraft } from "../../session/drafts";
import { useSession } from "../../session/session";
import { queries } from "../../store/queries";
import { common } from "../../strings/en/common";
import { host } from "../../strings/en/settings_host";
import { hostNow, time } from "../../time/format";
import { Confirm } from "./parts/Confirm";
import { ChoiceField, Elsewhere, Form, Group, TextField } from "./parts/Form";
import { Copied, Once } from "./parts/Once";
import type { Flat } from "./parts/paths";
import { useUsers } from "./users/Users";

const text = host.tokens;
const TOKENS = ["tokens"];
const DAY_MS = 86_400_000;

type Token = Reply<"GET /api/tokens/{token}">;

export function Tokens() {
  const { data, error, refetch } = useQuery({ queryKey: TOKENS, queryFn: ({ signal }) => ask("GET /api/tokens", { signal }) });
  const [isMaking, setMaking] = useState(false);
  const [made, setMade] = useState<Token | null>(null);
  const [revoking, setRevoking] = useState<Token | null>(null);
  const revoke = useMutation({
    mutationFn: (token: Token) => ask("DELETE /api/tokens/{token}", { path: { token: token.id } }),
    onSuccess: (_, token) => {
      toast(text.revoked(token.name));
      setRevoking(null);
    },
    onSettled: () => void queries.invalidateQueries({ queryKey: TOKENS }),
  });
  return (
    <section>
      <header className="section-head">
        <h2>{text.list}</h2>
        <span className="spacer" />
        {!isMaking && <Button kind="primary" icon="add" data-act="add-token" onClick={() => setMaking(true)}>{text.add}</Button>}
      </header>
      <p className="dim section-hint">{text.hint}</p>
      {isMaking && (
        <NewToken
          close={() => setMaking(false)}
          made={(token) => {
            setMaking(false);
            setMade(token);
          }}
        />
      )}
      {error && !data && <ErrorState error={error} again={() => void refetch()} />}
      {!data && !error && <Skeleton className="settings-wait" />}
      {data?.tokens.length === 0 && <EmptyState icon="key" title={text.none} />}
      {data && data.tokens.length > 0 && (
        <Table
          label={text.list}
          rows={data.tokens}
          rowKey={(token) => token.id}
          columns={[
            { key: "name", title: text.name, cell: (token) => <strong>{token.name}</strong>, wraps: true },
            { key: "user", title: text.user, cell: (token) => token.user },
            { key: "scope", title: text.scope, cell: (token) => text.scopes[token.scope] },
            { key: "made", title: text.made, cell: (token) => time(token.created) },
            { key: "expires", title: text.expires, cell: (token) => time(token.expires) },
            { key: "acts", title: "", cell: (token) => <Button kind="danger" aria-label={text.revokeOf(token.name)} onClick={() => setRevoking(token)}>{text.revoke}</Button> },
          ]}
        />
      )}
      <Links />
      {revoking && (
        <Confirm title={text.revokeTitle(revoking.name)} act={text.revoke} busy={revoke.isPending} error={revoke.error} close={() => setRevoking(null)} run={() => revoke.mutate(revoking)}>
          <p>{text.revokeHint}</p>
        </Confirm>
      )}
      {made?.token !== undefined && (
        <Once title={text.created(made.name)} secret={made.token} close={() => setMade(null)}>
          <p>{text.try}</p>
          <Copied value={`curl -H 'Authorization: Bearer ${made.token}' ${location.origin}/api/host/state`} />
        </Once>
      )}
    </section>
  );
}

function NewToken({ close, made }: { close: () => void; made: (token: Token) => void }) {
  const session = useSession();
  const own = session.phase === "in" ? (session.me.user?.name ?? "") : "";
  const users = useUsers().data?.users ?? [];
  const draft = useDraft<Flat>("token", { name: "", scope: "read", days: "90", user: own });
  const { value } = draft;
  const create = useMutation({
    mutationFn: () =>
      ask("POST /api/tokens", {
        body: {
          name: String(value["name"]),
          scope: value["scope"] as Token["scope"],
          user: String(value["user"]),
          expires: new Date(hostNow() + Number(value["days"]) * DAY_MS).toISOString(),
        },
      }),
    onSuccess: (token) => {
      void queries.invalidateQueries({ queryKey: TOKENS });
      draft.drop();
      made(token);
    },
  });
  return (
    <Form draft={draft} error={create.error} fields={["name", "scope", "user"]} disabled={create.isPending} label={text.new} submit={() => create.mutate()}>
      <Group title={text.new}>
        <TextField path="name" label={text.name} autoComplete="off" />
        <ChoiceField path="scope" label={text.scope} choices={Object.entries(text.scopes).map(([key, label]) => ({ value: key, label }))} />
        <ChoiceField path="user" label={text.user} choices={(users.length > 0 ? users.map((one) => one.name) : [own]).map((name) => ({ value: name, label: name }))} />
        <ChoiceField path="days" label={text.lasts} choices={Object.entries(text.days).map(([key, label]) => ({ value: key, label }))} />
      </Group>
      <Elsewhere />
      <div className="form-acts">
        <Button kind="primary" type="submit" disabled={create.isPending}>{text.create}</Button>
        <Button onClick={() => {
          draft.drop();
          close();
        }}>{common.cancel}</Button>
      </div>
    </Form>
  );
}

function Links() {
  const [asking, setAsking] = useState(false);
  const end = useMutation({
    mutationFn: () => ask("DELETE /api/host/share"),
    onSuccess: () => {
      toast(text.ended);
      setAsking(false);
    },
  });
  return (
    <section className="card settings-line">
      <div><h3>{text.links}</h3><p className="dim">{text.linksHint}</p></div>
      <Button kind="danger" data-act="end-links" onClick={() => setAsking(true)}>{text.endLinks}</Button>
      {asking && <Confirm title={text.endTitle} act={text.endLinks} busy={end.isPending} error={end.error} close={() => setAsking(false)} run={() => end.mutate()}><p>{text.endHint}</p></Confirm>}
    </section>
  );
}

