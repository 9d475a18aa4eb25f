import { expect, it } from "vitest";
import { find, type Scope } from "./keys";

const scope = (name: string, ...keys: string[]): Scope => ({ name, bindings: keys.map((one) => ({ keys: one, label: `${name} ${one}`, run: () => undefined })) });
const all = [scope("app", "?", "g w", "w", "j", "g s"), scope("page", "j", "k", "s")];

it.each([
  ["?", null, "app ?"],
  ["j", null, "page j"],
  ["w", null, "app w"],
  ["w", "g", "app g w"],
  ["k", "g", "page k"],
  ["s", null, "page s"],
  ["s", "g", "app g s"],
  ["g", null, null],
])("%s after %s: %s", (key, before, expected) => {
  expect(find(all, key, before)?.label ?? null).toBe(expected);
});
