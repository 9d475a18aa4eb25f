// What operators do with a range: a link for others, and a pin that keeps it.
import { useMutation } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { ask } from "../../api/client";
import { Button } from "../../kit/Button";
import { Dialog } from "../../kit/Dialog";
import { Field, isElsewhere, Select } from "../../kit/Field";
import { toast, toastError } from "../../kit/Toast";
import { queries } from "../../store/queries";
import { device as text } from "../../strings/en/device";
import { fullTime, hostNow } from "../../time/format";
import { lengthText } from "./clip";
import { pinsKey } from "./timeline/data";
import type { Span } from "./timeline/scale";

const HOUR = 3_600_000;
const iso = (at: number) => new Date(Math.round(at)).toISOString();

function Range({ range }: { range: Span }) {
  return <p className="dim">{fullTime(range.start)} · {lengthText(range.end - range.start)}</p>;
}

export function ShareDialog({ device, range, close }: { device: string; range: Span; close: () => void }) {
  const [hours, setHours] = useState("24");
  const make = useMutation({
    mutationFn: () => ask("POST /api/host/share", { body: { device, start: iso(range.start), end: iso(range.end), expires: iso(hostNow() + Number(hours) * HOUR) } }),
    onError: (error) => isElsewhere(error, ["expires"]) && toastError(error),
  });
  const link = make.data ? new URL(make.data.clip_url, location.origin).href : null;
  const copy = async () => {
    if (link === null) return;
    await navigator.clipboard.writeText(link);
    toast(text.share.copied);
  };
  return (
    <Dialog
      title={text.share.title}
      close={close}
      actions={link === null && <Button kind="primary" data-act="make-link" disabled={make.isPending} onClick={() => make.mutate()}>{text.share.make}</Button>}
    >
      <Range range={range} />
      <Select label={text.share.expires} path="expires" error={make.error} value={hours} disabled={link !== null} onChange={(event) => setHours(event.target.value)}>
        {Object.entries(text.share.hours).map(([key, name]) => <option key={key} value={key.slice(1)}>{name}</option>)}
      </Select>
      <p className="dim">{text.share.hint}</p>
      {link !== null && (
        <div className="share-link">
          <Field label={text.share.link} readOnly value={link} data-share="link" onFocus={(event) => event.target.select()} />
          {"clipboard" in navigator && <Button icon="copy" onClick={() => void copy().catch(toastError)}>{text.share.copy}</Button>}
        </div>
      )}
    </Dialog>
  );
}

const DAYS = [7, 30, 90, 365];

export function PinDialog({ device, range, close }: { device: string; range: Span; close: (isPinned: boolean) => void }) {
  const [why, setWhy] = useState("");
  const [days, setDays] = useState("30");
  const [original, setOriginal] = useState(false);
  const pin = useMutation({
    mutationFn: () => {
      const until = days === "" ? null : iso(hostNow() + Number(days) * 24 * HOUR);
      return ask("POST /api/host/pins", { body: { device, start: iso(range.start), end: iso(range.end), until, why: why.trim(), original } });
    },
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: pinsKey(device) });
      close(true);
    },
    onError: (error) => isElsewhere(error, ["why", "until"]) && toastError(error),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    pin.mutate();
  };
  return (
    <Dialog title={text.pin.title} close={() => close(false)}>
      <form className="dialog-form" onSubmit={submit}>
        <Range range={range} />
        <Field label={text.pin.why} path="why" error={pin.error} name="why" required maxLength={500} autoFocus value={why} onChange={(event) => setWhy(event.target.value)} />
        <Select label={text.pin.until} path="until" error={pin.error} name="until" value={days} onChange={(event) => setDays(event.target.value)}>
          {DAYS.map((count) => <option key={count} value={count}>{text.pin.days(count)}</option>)}
          <option value="">{text.pin.forEver}</option>
        </Select>
        <label className="checkbox"><input type="checkbox" checked={original} onChange={(event) => setOriginal(event.target.checked)} /> {text.pin.original}</label>
        <p className="dim">{text.pin.hint}</p>
        <div className="dialog-actions"><Button kind="primary" type="submit" data-act="make-pin" disabled={pin.isPending}>{text.pin.make}</Button></div>
      </form>
    </Dialog>
  );
}
