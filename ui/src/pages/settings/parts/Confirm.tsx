// Asks before something is lost.
import type { ReactNode } from "react";
import { messageOf } from "../../../api/error";
import { Button } from "../../../kit/Button";
import { Dialog } from "../../../kit/Dialog";
import { common } from "../../../strings/en/common";

interface Props {
  title: string;
  /** What the button does. */
  act: string;
  cancel?: string;
  run: () => void;
  close: () => void;
  busy?: boolean;
  error?: unknown;
  children: ReactNode;
}

export function Confirm({ title, act, cancel = common.cancel, run, close, busy = false, error, children }: Props) {
  return (
    <Dialog
      title={title}
      close={close}
      actions={
        <>
          <Button onClick={close}>{cancel}</Button>
          <Button kind="danger" disabled={busy} data-act="confirm" onClick={run}>{act}</Button>
        </>
      }
    >
      <div className="settings-prose">{children}</div>
      {error !== undefined && error !== null && <p className="notice bad" role="alert">{messageOf(error)}</p>}
    </Dialog>
  );
}
