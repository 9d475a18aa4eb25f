// Whether somebody works on a camera: begun and ended here by operators.
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ask } from "../../../api/client";
import { Button } from "../../../kit/Button";
import { Field, isElsewhere, Select } from "../../../kit/Field";
import { toast, toastError } from "../../../kit/Toast";
import { queries } from "../../../store/queries";
import { cameras as text } from "../../../strings/en/settings_cameras";
import { hostNow, time } from "../../../time/format";
import type { Camera } from "./form";

export function Maintenance({ camera }: { camera: Camera }) {
  const [seconds, setSeconds] = useState("3600");
  const [why, setWhy] = useState("");
  const key = ["maintenance", camera.id];
  const path = { device: camera.id };
  const { data } = useQuery({ queryKey: key, queryFn: ({ signal }) => ask("GET /api/host/maintenance/{device}", { path, signal }), refetchInterval: 30_000 });
  const after = { onSettled: () => void queries.invalidateQueries({ queryKey: key }) };
  const begin = useMutation({
    ...after,
    mutationFn: () => ask("PUT /api/host/maintenance/{device}", { path, body: { until: new Date(hostNow() + Number(seconds) * 1000).toISOString(), ...(why === "" ? {} : { why }) } }),
    onSuccess: () => toast(text.maintenanceBegun(camera.name || camera.id)),
    onError: (error) => isElsewhere(error, ["why", "until"]) && toastError(error),
  });
  const end = useMutation({
    ...after,
    mutationFn: () => ask("DELETE /api/host/maintenance/{device}", { path }),
    onSuccess: () => toast(text.maintenanceEnded(camera.name || camera.id)),
    onError: toastError,
  });
  return (
    <section className="card maintenance" aria-label={text.maintenance} data-active={data?.active ?? false}>
      <div>
        <h3>{text.maintenance}</h3>
        <p className="dim">{data?.active && data.until ? `${text.maintenanceUntil(time(data.until))}${data.why ? `: ${data.why}` : ""}` : text.maintenanceHint}</p>
      </div>
      {data?.active ? (
        <Button disabled={end.isPending} onClick={() => end.mutate()}>{text.maintenanceEnd}</Button>
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            begin.mutate();
          }}
        >
          <Select label={text.maintenanceFor} path="until" error={begin.error} value={seconds} onChange={(event) => setSeconds(event.target.value)}>
            {Object.entries(text.maintenanceSpans).map(([value, label]) => <option key={value} value={value}>{label}</option>)}
          </Select>
          <Field label={text.maintenanceWhy} path="why" error={begin.error} value={why} onChange={(event) => setWhy(event.target.value)} />
          <Button type="submit" icon="wrench" disabled={!data || begin.isPending}>{text.maintenanceBegin}</Button>
        </form>
      )}
    </section>
  );
}
