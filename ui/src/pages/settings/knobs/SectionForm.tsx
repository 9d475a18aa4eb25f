// A section of the settings as a form above the settings file: saved at once, asked about when footage would go for it, and
// taken back to what the file says.
import { useMutation } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";
import { ask, type Body, type Reply } from "../../../api/client";
import { ApiError } from "../../../api/error";
import { Button } from "../../../kit/Button";
import { toast } from "../../../kit/Toast";
import { useDraft } from "../../../session/drafts";
import { useCan } from "../../../session/session";
import { queries } from "../../../store/queries";
import { common } from "../../../strings/en/common";
import { settings } from "../../../strings/en/settings";
import { host } from "../../../strings/en/settings_host";
import { knobs as text } from "../../../strings/en/settings_knobs";
import { bytes, time } from "../../../time/format";
import { SETTINGS, type useSettings } from "../detection/thresholds";
import { Confirm } from "../parts/Confirm";
import { ChoiceField, Elsewhere, Form, Group, TextField } from "../parts/Form";
import type { Flat } from "../parts/paths";
import { differs, shown, toFlat, toSection, type Knob, type Values } from "./knobs";

export type Settings = NonNullable<ReturnType<typeof useSettings>["data"]>;
type Outlook = Extract<Reply<"PUT /api/settings">, { chunks: number }>;

const TAKES_MS = 60_000;

interface Props {
  section: "archive" | "transcode";
  title: string;
  now: Settings;
  groups: readonly { title: string; hint?: string; knobs: readonly Knob[] }[];
  /** Whether it may cost footage, which is asked about. */
  costs?: boolean;
  saved: string;
  /** Of what else shows it. */
  changed?: () => void;
  children?: ReactNode;
}

export function SectionForm({ section, title, now, groups, costs = false, saved, changed, children }: Props) {
  const may = useCan()("admin");
  const all = groups.flatMap((group) => group.knobs);
  const start = (of: Settings): Flat => ({ etag: of.etag, ...toFlat(section, all, of.changed_here[section] as Values) });
  const draft = useDraft<Flat>(section, start(now));
  const [asked, setAsked] = useState<{ outlook: Outlook; ifMatch: string } | null>(null);
  const [isConflict, setConflict] = useState(false);
  const file = now.file[section] as Values;
  const own = now.changed_here[section] as Values;
  const body = { [section]: toSection(section, all, draft.value) } as Body<"PUT /api/settings">;
  const save = useMutation({
    mutationFn: async ({ ifMatch, sure }: { ifMatch: string; sure: boolean }) => {
      if (costs && !sure) {
        const outlook = (await ask("PUT /api/settings", { body, ifMatch, query: { dry_run: true }, timeoutMs: TAKES_MS })) as Outlook;
        if (outlook.chunks > 0 || outlook.moved_chunks > 0) return { outlook, ifMatch };
      }
      await ask("PUT /api/settings", { body, ifMatch, timeoutMs: TAKES_MS });
      return null;
    },
    onSuccess: async (question) => {
      setAsked(question);
      setConflict(false);
      if (question) return;
      await queries.invalidateQueries({ queryKey: SETTINGS });
      const fresh = queries.getQueryData<Settings>(SETTINGS);
      if (fresh) draft.restart(start(fresh));
      toast(saved);
      changed?.();
    },
    onError: (error) => {
      setAsked(null);
      if (!(error instanceof ApiError && error.status === 412)) return;
      setConflict(true);
      void queries.invalidateQueries({ queryKey: SETTINGS });
    },
  });
  const isEmpty = all.every((knob) => draft.value[`${section}.${knob.key}`] === "");
  const field = (knob: Knob) => {
    const path = `${section}.${knob.key}`;
    const label = text.fields[path] ?? knob.key;
    const [typed, said] = [String(draft.value[path] ?? ""), shown(knob, file[knob.key])];
    const hints = [text.hints[path], differs(knob, typed, file[knob.key]) ? text.fileSays(text.words[said] ?? said) : undefined].filter((part) => part !== undefined);
    const hint = hints.length === 0 ? {} : { hint: hints.join(" · ") };
    if (knob.how === "flag" || knob.how === "choice") {
      const values = knob.how === "flag" ? ["true", "false"] : (knob.choices ?? []);
      const choices = values.map((value) => ({ value, label: text.words[value] ?? value }));
      return <ChoiceField key={path} path={path} label={label} {...hint} choices={[{ value: "", label: text.asFile(text.words[said] ?? said) }, ...choices]} />;
    }
    return <TextField key={path} path={path} label={label} {...hint} placeholder={said} autoComplete="off" spellCheck={false} {...(knob.how === "number" ? { inputMode: "decimal" as const } : {})} />;
  };
  return (
    <Form draft={draft} error={isConflict ? null : save.error} fields={all.map((knob) => `${section}.${knob.key}`)} disabled={!may || save.isPending} label={title} submit={() => save.mutate({ ifMatch: String(draft.base["etag"]), sure: false })}>
      <p className="dim">{may ? text.hint : text.readOnly}</p>
      {groups.map((group) => <Group key={group.title} title={group.title} {...(group.hint === undefined ? {} : { hint: group.hint })}>{group.knobs.map(field)}</Group>)}
      {children}
      {now.warnings.map((warning) => <p key={warning} className="notice">{warning}</p>)}
      <Elsewhere />
      {may && (
        <div className="form-acts">
          <Button kind="primary" type="submit" disabled={!draft.isDirty || save.isPending}>{save.isPending ? settings.saving : common.save}</Button>
          <Button disabled={!draft.isDirty || save.isPending} onClick={() => draft.restart(start(now))}>{common.cancel}</Button>
          <span className="spacer" />
          <Button data-act="file" disabled={isEmpty || save.isPending} onClick={() => draft.set({ ...draft.value, ...toFlat(section, all, {}) })}>{text.backToFile}</Button>
        </div>
      )}
      {asked && (
        <Confirm title={text.costsTitle} act={text.costsAct} busy={save.isPending} close={() => setAsked(null)} run={() => save.mutate({ ifMatch: asked.ifMatch, sure: true })}>
          <Consequences of={asked.outlook} />
        </Confirm>
      )}
      {isConflict && (
        <Confirm title={text.conflictTitle} act={text.takeOver} busy={save.isPending} close={() => {
          draft.restart(start(now), { ...draft.value, etag: now.etag });
          setConflict(false);
        }} run={() => save.mutate({ ifMatch: now.etag, sure: false })}>
          <p>{text.conflictHint}</p>
          <dl className="pairs">
            {all.filter((knob) => own[knob.key] !== undefined).map((knob) => <div key={knob.key}><dt>{text.fields[`${section}.${knob.key}`] ?? knob.key}</dt><dd>{shown(knob, own[knob.key])}</dd></div>)}
          </dl>
        </Confirm>
      )}
    </Form>
  );
}

function Consequences({ of }: { of: Outlook }) {
  return (
    <>
      {of.chunks > 0 && <p data-outlook="deleted"><strong>{text.deleted(of.chunks, bytes(of.bytes))}</strong></p>}
      {of.moved_chunks > 0 && <p data-outlook="moved">{text.moved(of.moved_chunks, bytes(of.moved_bytes))}</p>}
      {of.chunks > 0 && <p>{of.oldest_kept === null ? text.nothingLeft : text.oldest(time(of.oldest_kept))}</p>}
      <p className="dim">{host.storage.hint}</p>
    </>
  );
}
