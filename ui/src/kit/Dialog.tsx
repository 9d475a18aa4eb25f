// A modal dialog: the browser's own, which keeps the focus inside, closes on Esc and gives the focus back.
import { useEffect, useId, useRef, type ReactNode } from "react";
import { common } from "../strings/en/common";
import { IconButton } from "./Button";

interface Props {
  title: string;
  close: () => void;
  wide?: boolean;
  /** Buttons at its end. */
  actions?: ReactNode;
  children: ReactNode;
}

export function Dialog({ title, close, wide = false, actions, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const element = dialog.current;
    const before = document.activeElement;
    element?.showModal();
    return () => {
      element?.close();
      // Browsers give it back only when the dialog is still in the page as it closes.
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      className={wide ? "dialog wide" : "dialog"}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
      onClick={(event) => event.target === dialog.current && close()}
    >
      <header>
        <h2 id={id}>{title}</h2>
        <IconButton icon="close" label={common.close} onClick={close} />
      </header>
      <div className="dialog-body">
        {children}
        {actions && <div className="dialog-actions">{actions}</div>}
      </div>
    </dialog>
  );
}
