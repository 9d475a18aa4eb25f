// Dark, light, or as the system has it; remembered in this browser.
import { useSyncExternalStore } from "react";

export type Theme = "dark" | "light" | "system";

const KEY = "capstan.theme";
const listeners = new Set<() => void>();
let theme = read();

function read(): Theme {
  try {
    const kept = localStorage.getItem(KEY);
    return kept === "dark" || kept === "light" ? kept : "system";
  } catch {
    // Storage may be forbidden; the theme is then that of the system each time.
    return "system";
  }
}

export function applyTheme(): void {
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}

export function setTheme(next: Theme): void {
  theme = next;
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // It holds until the page is closed.
  }
  applyTheme();
  for (const listener of listeners) listener();
}

/** What is shown now, whoever chose it. */
export function isLight(): boolean {
  return theme === "system" ? matchMedia("(prefers-color-scheme: light)").matches : theme === "light";
}

export function useTheme(): Theme {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => theme,
  );
}
