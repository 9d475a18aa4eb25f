// Says something of one incident or many: acknowledged, discarded, neither, or a comment alone.
import { useMutation } from "@tanstack/react-query";
import { useEffect, useId, useRef, useState, type KeyboardEvent } from "react";
import type { Incident } from "../../api/types";
import { Button } from "../../kit/Button";
import { Dialog } from "../../kit/Dialog";
import { faultAt, isElsewhere } from "../../kit/Field";
import { toast } from "../../kit/Toast";
import { messageOf } from "../../api/error";
import { common } from "../../strings/en/common";
import { incidents as text } from "../../strings/en/incidents";
import { editOf, type Act } from "./list";
import { edit } from "./useIncidents";

const COMMENT_MAX = 2000;

interface Props {
  act: Act;
  ids: string[];
  /** Of a single one: what was said of it before. */
  comment: string;
  done: (changed: Incident[]) => void;
  close: () => void;
}

export function Judge({ act, ids, comment, done, close }: Props) {
  const [said, setSaid] = useState(comment);
  const field = useRef<HTMLTextAreaElement>(null);
  const form = useRef<HTMLFormElement>(null);
  const id = useId();
  const isMany = ids.length > 1;
  const saving = useMutation({
    mutationFn: () => edit(ids, editOf(act, said, isMany)),
    onSuccess: ({ incidents, missing }) => {
      toast(text.done[act](incidents.length));
      if (missing.length > 0) toast(text.missing(missing.length), "bad");
      done(incidents);
      close();
    },
  });
  useEffect(() => {
    const begin = field.current ?? form.current?.querySelector<HTMLElement>('[type="submit"]');
    begin?.focus();
    field.current?.select();
  }, []);
  const onKey = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    form.current?.requestSubmit();
  };
  const title = { acknowledge: text.acknowledgeTitle, discard: text.discardTitle, restore: text.restoreTitle, say: text.sayTitle }[act](ids.length);
  const label = { acknowledge: text.acknowledge, discard: text.discard, restore: text.restore, say: common.save }[act];
  const fault = faultAt(saving.error, "comment");
  const hint = act === "discard" ? text.discardHint : act === "restore" ? text.restoreHint : null;
  return (
    <Dialog title={title} close={close}>
      <form
        ref={form}
        className="judge"
        onSubmit={(event) => {
          event.preventDefault();
          if (!saving.isPending) saving.mutate();
        }}
      >
        {hint && <p className="dim">{hint}</p>}
        {act !== "restore" && (
          <div className="field">
            <label htmlFor={id}>{text.comment}</label>
            <textarea id={id} ref={field} className="input" rows={3} maxLength={COMMENT_MAX} value={said} aria-invalid={fault !== null} aria-describedby={`${id}-hint`} onChange={(event) => setSaid(event.target.value)} onKeyDown={onKey} />
            <span className="hint" id={`${id}-hint`}>{isMany ? text.commentManyHint : text.commentHint}</span>
            {fault !== null && <span className="fault" role="alert">{fault}</span>}
          </div>
        )}
        {isElsewhere(saving.error, ["comment"]) && <p className="judge-fault" role="alert">{messageOf(saving.error)}</p>}
        <div className="dialog-actions">
          <Button onClick={close}>{common.cancel}</Button>
          <Button type="submit" kind={act === "discard" ? "danger" : "primary"} disabled={saving.isPending || (act === "say" && isMany && said === "")}>{label}</Button>
        </div>
      </form>
    </Dialog>
  );
}
