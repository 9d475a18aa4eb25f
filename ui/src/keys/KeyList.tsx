// The list that `?` opens: every key that does something here and now.
import { common } from "../strings/en/common";
import { Dialog } from "../kit/Dialog";
import { boundNow } from "./keys";

export function KeyList({ close }: { close: () => void }) {
  return (
    <Dialog title={common.shortcuts} close={close}>
      {boundNow().map((scope) => (
        <section key={scope.name} className="keylist">
          <h3>{scope.name}</h3>
          <dl>
            {scope.bindings.map((one) => (
              <div key={one.keys}>
                <dt>{one.keys.split(/ (?=.)/).map((key) => <kbd key={key}>{KEYS[key] ?? key}</kbd>)}</dt>
                <dd>{one.label}</dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
    </Dialog>
  );
}

const KEYS: Record<string, string> = { " ": common.keySpace, ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc" };
