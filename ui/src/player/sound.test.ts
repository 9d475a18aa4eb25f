import { expect, it } from "vitest";
import { soundOf } from "./sound";

it.each([
  [null, 1, true],
  ["", 1, true],
  ["{", 1, true],
  ["7", 1, true],
  ['{"volume":2,"isMuted":false}', 1, true],
  ['{"volume":0.4}', 1, true],
  ['{"volume":0.4,"isMuted":false}', 0.4, false],
  ['{"volume":0,"isMuted":true}', 0, true],
])("%s: %d, muted %s", (text, volume, isMuted) => expect(soundOf(text)).toEqual({ volume, isMuted }));
