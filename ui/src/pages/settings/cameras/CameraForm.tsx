// The form of a camera: its source is tried out beside it, and a change that somebody else made meanwhile is merged.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import type { Body } from "../../../api/client";
import { ApiError } from "../../../api/error";
import { navigate } from "../../../app/router";
import { Button } from "../../../kit/Button";
import { toast } from "../../../kit/Toast";
import { useDraft } from "../../../session/drafts";
import { common } from "../../../strings/en/common";
import { settings } from "../../../strings/en/settings";
import { cameras as text } from "../../../strings/en/settings_cameras";
import { DetectFields } from "../detection/DetectFields";
import { Preview } from "../detection/Preview";
import { ChoiceField, Elsewhere, FlagField, Form, Group, TextField } from "../parts/Form";
import type { Flat } from "../parts/paths";
import { blank, detect, fields, KINDS, toBody, toFlat, type Camera, type Kind } from "./form";
import { MergeDialog } from "./MergeDialog";
import { Probe } from "./Probe";
import { addCamera, refreshCameras, saveCamera, useAreas } from "./queries";
import { SourceFields } from "./SourceFields";

const choices = (labels: Record<string, string>) => Object.entries(labels).map(([value, label]) => ({ value, label }));

export function CameraForm({ camera }: { camera: Camera | null }) {
  const isNew = camera === null;
  const isFile = camera?.origin === "file";
  const draft = useDraft<Flat>(`camera/${camera?.id ?? "+"}`, camera ? toFlat(camera) : blank());
  const [conflict, setConflict] = useState<unknown>(null);
  const areas = useAreas().data?.areas ?? [];
  const { value } = draft;
  const kind = String(value["source.kind"]) as Kind;
  const save = useMutation({
    mutationFn: ({ wanted, etag }: { wanted: Flat; etag: string }) => {
      const body = toBody(wanted) as unknown as Body<"POST /api/cameras">;
      return camera ? saveCamera(camera.id, body, etag) : addCamera(body);
    },
    onSuccess: (saved) => {
      setConflict(null);
      refreshCameras();
      toast(isNew ? text.added(saved.name || saved.id) : text.saved(saved.name || saved.id));
      draft.drop();
      navigate("/settings/cameras");
    },
    onError: (error) => setConflict(error instanceof ApiError && error.status === 412 ? error : null),
  });
  const error = conflict === null ? save.error : null;
  return (
    <Form draft={draft} error={error} fields={fields(kind)} disabled={isFile || save.isPending} label={isNew ? text.addTitle : text.editOf(camera.name || camera.id)} submit={() => save.mutate({ wanted: value, etag: String(draft.base["etag"]) })}>
      <div className="camera-columns">
        <div className="camera-fields">
          <Group title={text.who}>
            {isNew && <TextField path="id" label={text.fields["id"] ?? ""} hint={text.hints["id"] ?? ""} spellCheck={false} autoComplete="off" />}
            <TextField path="name" label={text.fields["name"] ?? ""} {...(isNew ? { hint: text.hints["name"] ?? "" } : {})} autoComplete="off" />
            <TextField path="area" label={text.fields["area"] ?? ""} list="areas" autoComplete="off" />
            <datalist id="areas">{areas.map((area) => <option key={area.name} value={area.name} />)}</datalist>
            <FlagField path="enabled" label={text.fields["enabled"] ?? ""} />
          </Group>
          <Group title={text.sourceTitle}>
            <ChoiceField path="source.kind" label={text.fields["source.kind"] ?? ""} choices={KINDS.map((one) => ({ value: one, label: text.kinds[one] ?? one }))} />
            <SourceFields kind={kind} isStored={!isNew} />
          </Group>
        </div>
        <Probe value={value} {...(camera ? { id: camera.id } : {})} {...(isFile ? {} : { useCopy: () => draft.set({ ...value, quality: "copy", size: "" }) })} />
      </div>
      <Group title={text.recording}>
        <ChoiceField path="quality" label={text.fields["quality"] ?? ""} choices={choices(text.qualities)} />
        {value["quality"] === "hd" || value["size"] !== "" ? <TextField path="size" label={text.fields["size"] ?? ""} hint={text.hints["size"] ?? ""} placeholder="1280x720" /> : null}
        {value["quality"] !== "copy" || value["fps"] !== "" ? <TextField path="fps" label={text.fields["fps"] ?? ""} hint={text.hints["fps"] ?? ""} inputMode="numeric" /> : null}
        <ChoiceField path="audio" label={text.fields["audio"] ?? ""} choices={choices(text.sounds)} />
      </Group>
      <details className="settings-details" open={save.error instanceof ApiError && /^(detect|live)/.test(save.error.path ?? "") ? true : undefined}>
        <summary>{text.advanced}</summary>
        <div className="settings-form">
          <DetectFields hint={text.detectionHint} isOverride />
          {camera && camera.enabled && <Preview device={camera.id} typed={detect(value)} own={detect(draft.base)} />}
          <Group title={text.live}>
            <TextField path="live.segments" label={text.fields["live.segments"] ?? ""} inputMode="numeric" />
            <TextField path="live.max_age" label={text.fields["live.max_age"] ?? ""} inputMode="numeric" />
          </Group>
        </div>
      </details>
      <Elsewhere />
      {!isFile && (
        <div className="form-acts">
          <Button kind="primary" type="submit" disabled={save.isPending || (!isNew && !draft.isDirty)}>{save.isPending ? settings.saving : isNew ? text.create : common.save}</Button>
          <Button onClick={() => navigate("/settings/cameras")}>{common.cancel}</Button>
        </div>
      )}
      {conflict !== null && camera && (
        <MergeDialog
          id={camera.id}
          base={draft.base}
          mine={value}
          busy={save.isPending}
          close={() => setConflict(null)}
          save={(wanted, now) => {
            draft.restart(toFlat(now), wanted);
            save.mutate({ wanted, etag: String(toFlat(now)["etag"]) });
          }}
          drop={(now) => {
            draft.restart(toFlat(now));
            setConflict(null);
          }}
        />
      )}
    </Form>
  );
}
