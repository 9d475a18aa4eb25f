// Addresses: every view has one, so that a reload, a link and the back button lead to the same place.
import { useSyncExternalStore, type AnchorHTMLAttributes, type MouseEvent } from "react";
import { isHeld, whenFree } from "../session/drafts";

const listeners = new Set<() => void>();

function changed(): void {
  here = location.pathname + location.search;
  for (const listener of listeners) listener();
}

/** Where one is; the browser has already left it when it tells of the back button. */
let here = typeof location === "undefined" ? "" : location.pathname + location.search;

window.addEventListener("popstate", () => {
  if (!isHeld()) return changed();
  // Back to where something is not saved yet, until whoever typed it says that it may go.
  history.pushState(null, "", here);
  whenFree(() => history.back());
});

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** `replace`: the back button does not lead to where one was. */
export function navigate(to: string, { replace = false } = {}): void {
  const from = location.pathname + location.search;
  if (to === from) return;
  const go = () => {
    if (replace) history.replaceState(null, "", to);
    else history.pushState(null, "", to);
    changed();
  };
  // A parameter of the query is no other page.
  if (to.split("?")[0] === location.pathname) go();
  else whenFree(go);
}

export function usePath(): string {
  return useSyncExternalStore(subscribe, () => location.pathname);
}

/** One parameter of the query, and how to set it (null takes it away). It replaces: few want to go back through filters. */
export function useParam(name: string): [string | null, (value: string | null) => void] {
  const value = useSyncExternalStore(subscribe, () => new URLSearchParams(location.search).get(name));
  const set = (next: string | null) => {
    const query = new URLSearchParams(location.search);
    if (next === null || next === "") query.delete(name);
    else query.set(name, next);
    const text = query.toString();
    navigate(location.pathname + (text === "" ? "" : `?${text}`), { replace: true });
  };
  return [value, set];
}

/** A link within the pages; a modified click is the browser's. */
export function Link({ to, onClick, ...rest }: AnchorHTMLAttributes<HTMLAnchorElement> & { to: string }) {
  const go = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (event.defaultPrevented || !isPlain) return;
    event.preventDefault();
    navigate(to);
    window.scrollTo(0, 0);
  };
  return <a {...rest} href={to} onClick={go} />;
}

/** The whole query of the address. */
export function useSearch(): string {
  return useSyncExternalStore(subscribe, () => location.search);
}
