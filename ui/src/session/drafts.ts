// What was typed and is not saved yet: asked about before it is lost, and kept over a session that ends in the middle of it.
// In this tab's memory alone: there may be passwords in it.
import { useEffect, useRef, useState } from "react";

interface Kept {
  base: unknown;
  value: unknown;
}

const drafts = new Map<string, Kept>();
let owner: string | null = null;
/** The field that had the focus as the session ended. */
let place: string | null = null;

/** What another user typed is not for this one. */
export function keepFor(user: string): void {
  if (owner !== null && owner !== user) forget();
  owner = user;
}

export function forget(): void {
  drafts.clear();
  place = null;
}

/** Something waits for whoever typed it. */
export function hasDrafts(): boolean {
  return drafts.size > 0;
}

export function rememberPlace(): void {
  place = (document.activeElement as HTMLInputElement | null)?.name ?? null;
}

let ask: ((go: () => void) => void) | null = null;
const holders = new Set<object>();

/** Whether leaving would lose something. */
export function isHeld(): boolean {
  return holders.size > 0 && ask !== null;
}

/** Goes at once, or when whoever typed says that it may be lost. */
export function whenFree(go: () => void): void {
  if (ask && isHeld()) ask(() => {
    holders.clear();
    go();
  });
  else go();
}

/** How to ask; one place at a time does. */
export function useAsking(how: (go: () => void) => void): void {
  const latest = useRef(how);
  useEffect(() => {
    latest.current = how;
  });
  useEffect(() => {
    const mine = (go: () => void) => latest.current(go);
    ask = mine;
    return () => {
      if (ask === mine) ask = null;
    };
  }, []);
}

function warn(event: BeforeUnloadEvent): void {
  event.preventDefault();
}

export interface Draft<T> {
  value: T;
  /** What it was when the edit began. */
  base: T;
  isDirty: boolean;
  set: (value: T) => void;
  /** Begins anew: `base` is what is saved now, `value` what is still wanted. */
  restart: (base: T, value?: T) => void;
  /** It was saved, or shall not be: leaving is free at once. */
  drop: () => void;
}

/** `key` names what is edited, over a session that ends. `start` counts when nothing was typed yet. */
export function useDraft<T>(key: string, start: T): Draft<T> {
  const [state, setState] = useState(() => (drafts.get(key) as { base: T; value: T } | undefined) ?? { base: start, value: start });
  const isDirty = JSON.stringify(state.value) !== JSON.stringify(state.base);
  const [holder] = useState(() => ({}));
  useEffect(() => {
    if (place === null || !drafts.has(key)) return;
    document.getElementsByName(place)[0]?.focus();
    place = null;
  }, [key]);
  useEffect(() => {
    if (!isDirty) return void drafts.delete(key);
    drafts.set(key, state);
    holders.add(holder);
    window.addEventListener("beforeunload", warn);
    return () => {
      window.removeEventListener("beforeunload", warn);
      // Let go by hand: it is lost. Otherwise the page went because the session ended, and it waits.
      if (!holders.delete(holder)) drafts.delete(key);
    };
  }, [isDirty, state, key, holder]);
  return {
    ...state,
    isDirty,
    set: (value) => setState((now) => ({ ...now, value })),
    restart: (base, value = base) => {
      drafts.delete(key);
      setState({ base, value });
    },
    drop: () => {
      drafts.delete(key);
      holders.delete(holder);
    },
  };
}
