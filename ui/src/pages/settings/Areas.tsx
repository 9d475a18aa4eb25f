// Areas: made, renamed with their cameras, taken away when they are empty.
import { useMutation } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { ask } from "../../api/client";
import { messageOf } from "../../api/error";
import { Button, IconButton } from "../../kit/Button";
import { Dialog } from "../../kit/Dialog";
import { faultAt, Field } from "../../kit/Field";
import { EmptyState, ErrorState, Skeleton } from "../../kit/States";
import { toast } from "../../kit/Toast";
import { common } from "../../strings/en/common";
import { settings } from "../../strings/en/settings";
import { host } from "../../strings/en/settings_host";
import { refreshCameras, TAKES_MS, useAreas } from "./cameras/queries";
import { Confirm } from "./parts/Confirm";

const text = host.areas;

export function Areas() {
  const { data, error, refetch } = useAreas();
  const [name, setName] = useState("");
  const [renaming, setRenaming] = useState<string | null>(null);
  const [removing, setRemoving] = useState<string | null>(null);
  const add = useMutation({
    mutationFn: () => ask("POST /api/areas", { body: { name } }),
    onSuccess: (area) => {
      toast(text.added(area.name));
      setName("");
    },
    onSettled: refreshCameras,
  });
  const remove = useMutation({
    mutationFn: (area: string) => ask("DELETE /api/areas/{name}", { path: { name: area }, timeoutMs: TAKES_MS }),
    onSuccess: (_, area) => {
      toast(text.removed(area));
      setRemoving(null);
    },
    onSettled: refreshCameras,
  });
  return (
    <section>
      <header className="section-head"><h2>{settings.areas}</h2></header>
      <form
        className="line-form"
        aria-label={text.new}
        onSubmit={(event) => {
          event.preventDefault();
          add.mutate();
        }}
      >
        <Field label={text.new} path="name" name="area" error={add.error} value={name} onChange={(event) => setName(event.target.value)} />
        <Button kind="primary" icon="add" type="submit" disabled={add.isPending}>{text.add}</Button>
      </form>
      {add.error && faultAt(add.error, "name") === null && <p className="notice bad" role="alert">{messageOf(add.error)}</p>}
      {error && !data && <ErrorState error={error} again={() => void refetch()} />}
      {!data && !error && <Skeleton className="settings-wait" />}
      {data?.areas.length === 0 && <EmptyState icon="wall" title={text.none}><p>{text.noneHint}</p></EmptyState>}
      {data && data.areas.length > 0 && (
        <ul className="rows" aria-label={text.list}>
          {data.areas.map((area) => (
            <li key={area.name} className="row" data-area={area.name}>
              <div className="row-main"><span className="row-name">{area.name}</span><span className="row-more">{area.cameras.length === 0 ? text.cameras(0) : area.cameras.join(", ")}</span></div>
              <div className="row-acts">
                <IconButton icon="edit" label={text.renameOf(area.name)} onClick={() => setRenaming(area.name)} />
                <IconButton icon="trash" label={text.removeOf(area.name)} onClick={() => {
                  remove.reset();
                  setRemoving(area.name);
                }} />
              </div>
            </li>
          ))}
        </ul>
      )}
      {renaming !== null && <Rename area={renaming} close={() => setRenaming(null)} />}
      {removing !== null && (
        <Confirm title={text.removeTitle(removing)} act={settings.remove} busy={remove.isPending} error={remove.error} close={() => setRemoving(null)} run={() => remove.mutate(removing)}>
          <p>{text.removeHint}</p>
        </Confirm>
      )}
    </section>
  );
}

function Rename({ area, close }: { area: string; close: () => void }) {
  const [name, setName] = useState(area);
  const rename = useMutation({
    mutationFn: () => ask("PUT /api/areas/{name}", { path: { name: area }, body: { name }, timeoutMs: TAKES_MS }),
    onSuccess: (now) => {
      toast(text.renamed(now.name));
      close();
    },
    onSettled: refreshCameras,
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    rename.mutate();
  };
  return (
    <Dialog title={text.renameOf(area)} close={close}>
      <form className="settings-form" onSubmit={submit}>
        <Field label={text.name} path="name" name="rename" error={rename.error} value={name} onChange={(event) => setName(event.target.value)} />
        {rename.error && faultAt(rename.error, "name") === null && <p className="notice bad" role="alert">{messageOf(rename.error)}</p>}
        <div className="dialog-actions">
          <Button onClick={close}>{common.cancel}</Button>
          <Button kind="primary" type="submit" disabled={rename.isPending || name === area}>{text.rename}</Button>
        </div>
      </form>
    </Dialog>
  );
}
