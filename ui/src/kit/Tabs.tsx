// Tabs within a page. Sections with an address of their own are links instead: see pages/settings.
import { useRef, type KeyboardEvent } from "react";

export interface Tab<K extends string> {
  key: K;
  title: string;
}

/** The panel that belongs to it has `role="tabpanel"` and `aria-labelledby={`tab-${key}`}`. */
export function Tabs<K extends string>({ label, tabs, chosen, choose }: { label: string; tabs: Tab<K>[]; chosen: K; choose: (key: K) => void }) {
  const list = useRef<HTMLDivElement>(null);
  const onKey = (event: KeyboardEvent) => {
    const at = tabs.findIndex((one) => one.key === chosen);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1 + tabs.length, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const tab = tabs[to % tabs.length];
    if (!tab) return;
    choose(tab.key);
    list.current?.querySelector<HTMLElement>(`#tab-${CSS.escape(tab.key)}`)?.focus();
  };
  return (
    <div className="tabs" role="tablist" aria-label={label} ref={list} onKeyDown={onKey}>
      {tabs.map((one) => (
        <button key={one.key} id={`tab-${one.key}`} type="button" role="tab" aria-selected={one.key === chosen} tabIndex={one.key === chosen ? 0 : -1} onClick={() => choose(one.key)}>
          {one.title}
        </button>
      ))}
    </div>
  );
}
