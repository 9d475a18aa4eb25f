// Thresholds of all cameras, above the settings file, tried on a camera before they are saved.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { ask, type Body } from "../../../api/client";
import { ApiError } from "../../../api/error";
import { Button } from "../../../kit/Button";
import { Select } from "../../../kit/Field";
import { EmptyState, ErrorState, Skeleton } from "../../../kit/States";
import { toast } from "../../../kit/Toast";
import { useDraft } from "../../../session/drafts";
import { queries } from "../../../store/queries";
import { common } from "../../../strings/en/common";
import { settings } from "../../../strings/en/settings";
import { cameras as words } from "../../../strings/en/settings_cameras";
import { detection as text } from "../../../strings/en/settings_detection";
import { DETECT, DETECT_FIELDS, detect } from "../cameras/form";
import { useActive } from "../cameras/queries";
import { Confirm } from "../parts/Confirm";
import { Elsewhere, Form } from "../parts/Form";
import { said, type Flat } from "../parts/paths";
import { DetectFields } from "./DetectFields";
import { Preview } from "./Preview";
import { SETTINGS, useSettings } from "./thresholds";

export function Detection() {
  const { data, error, refetch } = useSettings();
  return (
    <section>
      <header className="section-head"><h2>{settings.detection}</h2></header>
      {error && !data && <ErrorState error={error} again={() => void refetch()} />}
      {!data && !error && <Skeleton className="settings-wait" />}
      {data && <Thresholds settings={data} />}
    </section>
  );
}

type Settings = NonNullable<ReturnType<typeof useSettings>["data"]>;

function toFlat({ changed_here, etag }: Settings): Flat {
  const own = changed_here.detect as Record<string, unknown>;
  return { etag, ...Object.fromEntries(Object.keys(DETECT).map((key) => [`detect.${key}`, said(own[key])])) };
}

function Thresholds({ settings: now }: { settings: Settings }) {
  const draft = useDraft<Flat>("detection", toFlat(now));
  const cameras = useActive().data?.cameras.filter((one) => one.enabled) ?? [];
  const [chosen, choose] = useState("");
  const device = cameras.find((one) => one.id === chosen)?.id ?? cameras[0]?.id;
  const [isConflict, setConflict] = useState(false);
  const save = useMutation({
    mutationFn: (ifMatch: string) => ask("PUT /api/settings", { body: { detect: detect(draft.value) } as Body<"PUT /api/settings">, ifMatch, timeoutMs: 60_000 }),
    onSuccess: async () => {
      setConflict(false);
      toast(text.saved);
      await queries.invalidateQueries({ queryKey: SETTINGS });
      const fresh = queries.getQueryData<Settings>(SETTINGS);
      if (fresh) draft.restart(toFlat(fresh));
    },
    onError: (error) => {
      if (!(error instanceof ApiError && error.status === 412)) return;
      setConflict(true);
      void queries.invalidateQueries({ queryKey: SETTINGS });
    },
  });
  // What holds where nothing is typed.
  const defaults = Object.fromEntries(Object.keys(DETECT).map((key) => [key, said((now.file.detect as Record<string, unknown>)[key])]));
  return (
    <Form draft={draft} error={isConflict ? null : save.error} fields={DETECT_FIELDS} disabled={save.isPending} label={settings.detection} submit={() => save.mutate(String(draft.base["etag"]))}>
      <div className="detect-columns">
        <div className="settings-form">
          <DetectFields hint={text.hint} defaults={defaults} />
          <Elsewhere />
          <div className="form-acts">
            <Button kind="primary" type="submit" disabled={!draft.isDirty || save.isPending}>{save.isPending ? settings.saving : common.save}</Button>
            <Button disabled={!draft.isDirty} onClick={() => draft.restart(toFlat(now))}>{common.cancel}</Button>
          </div>
        </div>
        <div className="detect-try">
          {cameras.length === 0 && <EmptyState icon="device" title={text.noCamera} />}
          {device && (
            <>
              <Select label={text.camera} value={device} onChange={(event) => choose(event.target.value)}>
                {cameras.map((one) => <option key={one.id} value={one.id}>{one.name || one.id}</option>)}
              </Select>
              <Preview device={device} typed={detect(draft.value)} />
            </>
          )}
        </div>
      </div>
      {isConflict && (
        <Confirm title={text.conflictTitle} act={text.takeOver} busy={save.isPending} close={() => {
          draft.restart(toFlat(now), { ...draft.value, etag: now.etag });
          setConflict(false);
        }} run={() => save.mutate(now.etag)}>
          <p>{text.conflictHint}</p>
          <h3>{text.conflictTheirs}</h3>
          <dl className="pairs">
            {Object.entries(toFlat(now)).filter(([path, value]) => path !== "etag" && value !== "").map(([path, value]) => <div key={path}><dt>{words.fields[path] ?? path}</dt><dd>{String(value)}</dd></div>)}
          </dl>
        </Confirm>
      )}
    </Form>
  );
}
