// A secret that is told this once, with a way to take it along.
import { useState, type ReactNode } from "react";
import { Button } from "../../../kit/Button";
import { Dialog } from "../../../kit/Dialog";
import { settings as text } from "../../../strings/en/settings";
import { copy } from "./copy";

export function Once({ title, secret, close, children }: { title: string; secret: string; close: () => void; children?: ReactNode }) {
  return (
    <Dialog title={title} close={close} actions={<Button kind="primary" onClick={close}>{text.kept}</Button>}>
      <p>{text.once}</p>
      <Copied value={secret} what="secret" />
      {children}
    </Dialog>
  );
}

/** A line to copy: a secret, or what to write into a file. */
export function Copied({ value, what }: { value: string; what?: string }) {
  const [done, setDone] = useState(false);
  return (
    <div className="copied">
      <code data-copy={what}>{value}</code>
      <Button icon={done ? "check" : "copy"} onClick={() => void copy(value).then(setDone)}>{done ? text.copied : text.copy}</Button>
    </div>
  );
}
