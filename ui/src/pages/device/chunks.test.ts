import { expect, it } from "vitest";
import { momentOf } from "./chunks";

const at = (time: string) => Date.parse(`2026-11-20T${time}Z`);

it.each([[null, null], ["", null], ["soon", null], ["1763632800.5", 1763632800500], ["2026-11-20T10:00:00Z", at("10:00:00")]])("%s is a moment: %s", (text, expected) => {
  expect(momentOf(text)).toBe(expected);
});
