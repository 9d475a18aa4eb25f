// How loud the player is, remembered in this browser. Browsers let nothing sound before somebody has touched the page: until
// then it plays on without sound, rather than not at all.

export interface Sound {
  volume: number;
  isMuted: boolean;
}

const KEY = "capstan.sound";
const USUAL: Sound = { volume: 1, isMuted: true };

/** Whatever stands there. */
export function soundOf(text: string | null): Sound {
  try {
    const said = JSON.parse(text ?? "null") as Partial<Record<keyof Sound, unknown>> | null;
    const { volume, isMuted } = said ?? {};
    const isVolume = typeof volume === "number" && volume >= 0 && volume <= 1;
    return isVolume && typeof isMuted === "boolean" ? { volume, isMuted } : USUAL;
  } catch {
    return USUAL;
  }
}

export function keptSound(): Sound {
  try {
    return soundOf(localStorage.getItem(KEY));
  } catch {
    return USUAL;
  }
}

export function keepSound({ volume, isMuted }: Sound): void {
  try {
    localStorage.setItem(KEY, JSON.stringify({ volume, isMuted }));
  } catch {
    // It holds until the page is closed.
  }
}

/** Whether this page may sound already. */
export const maySound = (): boolean => (navigator as { userActivation?: UserActivation }).userActivation?.hasBeenActive ?? false;

/** Once somebody touches the page, unless they touch what decides on sound: that says itself what is wanted. */
export function whenTouched(act: () => void): () => void {
  const end = new AbortController();
  const touched = (event: Event) => {
    end.abort();
    const isSound = event.target instanceof Element && event.target.closest('[data-act="mute"], .controls-volume') !== null;
    const isKey = event instanceof KeyboardEvent && ["m", "ArrowUp", "ArrowDown"].includes(event.key);
    if (!isSound && !isKey) act();
  };
  for (const name of ["click", "keydown"]) window.addEventListener(name, touched, { capture: true, signal: end.signal });
  return () => end.abort();
}
