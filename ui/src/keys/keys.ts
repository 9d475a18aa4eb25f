// Keyboard shortcuts: who shows something binds its keys, `?` lists what is bound now.
import { useEffect, useRef } from "react";

export interface Binding {
  /** As `KeyboardEvent.key` says it, or two in a row: `g w`. */
  keys: string;
  label: string;
  run: (event: KeyboardEvent) => void;
}

export interface Scope {
  name: string;
  bindings: Binding[];
}

/** In the order of their appearance; the latest wins. */
const scopes = new Set<{ current: Scope }>();
const SECOND_KEY_MS = 1200;
let first: { key: string; at: number } | null = null;

export function boundNow(): Scope[] {
  return [...scopes].map((scope) => scope.current).filter((scope) => scope.bindings.length > 0);
}

/** The binding of that key, after `before` was pressed. Two in a row are meant as such, wherever they are bound. */
export function find(all: Scope[], key: string, before: string | null): Binding | null {
  const wanted = before === null ? [key] : [`${before} ${key}`, key];
  for (const keys of wanted) {
    for (const scope of [...all].reverse()) {
      const found = scope.bindings.find((one) => one.keys === keys);
      if (found) return found;
    }
  }
  return null;
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

/** A control that has the focus does what it does with its keys. */
function isItsOwn(event: KeyboardEvent): boolean {
  const target = event.target;
  if (!(target instanceof HTMLElement) || target === document.body) return false;
  const presses = event.key === "Enter" || event.key === " ";
  if (presses && target.closest("button, a, summary, video")) return true;
  return event.key.startsWith("Arrow") && target.closest('[role="tablist"], [role="menu"], [role="slider"]') !== null;
}

function onKey(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (isTyping(event.target) || isItsOwn(event)) return;
  // A modal dialog has the keyboard for itself; its own controls listen on it.
  if (document.querySelector("dialog:modal")) return;
  const before = first && event.timeStamp - first.at < SECOND_KEY_MS ? first.key : null;
  const binding = find(boundNow(), event.key, before);
  first = binding ? null : { key: event.key, at: event.timeStamp };
  if (!binding) return;
  event.preventDefault();
  binding.run(event);
}

/** Binds while the component is shown. The bindings may be new ones on each render. */
export function useKeys(name: string, bindings: Binding[]): void {
  const scope = useRef<Scope>({ name, bindings });
  useEffect(() => {
    scope.current = { name, bindings };
  });
  useEffect(() => {
    if (scopes.size === 0) window.addEventListener("keydown", onKey);
    scopes.add(scope);
    return () => {
      scopes.delete(scope);
      if (scopes.size === 0) window.removeEventListener("keydown", onKey);
    };
  }, []);
}
