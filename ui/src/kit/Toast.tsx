// Short messages at the edge: what was done, or what went wrong without a place of its own in the page.
import { useSyncExternalStore } from "react";
import { messageOf } from "../api/error";
import { common } from "../strings/en/common";
import { IconButton } from "./Button";

interface Message {
  id: number;
  text: string;
  kind: "good" | "bad";
}

/** Long enough to read; errors stay until they are closed. */
const SHOWN_MS = 5000;
const MOST = 4;

let messages: Message[] = [];
let count = 0;
const listeners = new Set<() => void>();

function become(next: Message[]): void {
  messages = next.slice(-MOST);
  for (const listener of listeners) listener();
}

const drop = (id: number) => become(messages.filter((one) => one.id !== id));

export function toast(text: string, kind: "good" | "bad" = "good"): void {
  count += 1;
  const id = count;
  become([...messages, { id, text, kind }]);
  if (kind === "good") setTimeout(() => drop(id), SHOWN_MS);
}

/** For `onError` of mutations. */
export function toastError(error: unknown): void {
  toast(messageOf(error), "bad");
}

export function Toasts() {
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => messages,
  );
  return (
    <div className="toasts" role="status" aria-live="polite">
      {shown.map((one) => (
        <div key={one.id} className={`toast ${one.kind}`}>
          <span>{one.text}</span>
          <IconButton icon="close" label={common.close} onClick={() => drop(one.id)} />
        </div>
      ))}
    </div>
  );
}
