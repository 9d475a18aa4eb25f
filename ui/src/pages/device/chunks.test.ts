import { expect, it } from "vitest";
import type { Chunk } from "../../api/types";
import { chunkAfter, chunkAt, momentOf } from "./chunks";

const chunk = (start: string, end: string) => ({ url: start, start: `2026-11-20T${start}Z`, end: `2026-11-20T${end}Z` }) as Chunk;
/** With a gap from 10:20 to 10:30. */
const chunks = [chunk("10:30:00", "10:40:00"), chunk("10:10:00", "10:20:00"), chunk("10:00:00", "10:10:00")];
const at = (time: string) => Date.parse(`2026-11-20T${time}Z`);

it.each([
  ["10:00:00", "10:00:00", 0],
  ["10:12:30", "10:10:00", 150],
  ["10:25:00", "10:30:00", 0],
  ["09:00:00", "10:00:00", 0],
])("%s lies in the chunk of %s at %d s", (time, start, seconds) => {
  expect(chunkAt(chunks, at(time))).toMatchObject({ chunk: { url: start }, at: seconds });
});

it("nothing is after the newest", () => {
  expect(chunkAt(chunks, at("10:40:00"))).toBeNull();
  expect(chunkAfter(chunks, chunk("10:30:00", ""))).toBeNull();
  expect(chunkAfter(chunks, chunk("10:00:00", ""))?.url).toBe("10:10:00");
});

it.each([[null, null], ["", null], ["soon", null], ["1763632800.5", 1763632800500], ["2026-11-20T10:00:00Z", at("10:00:00")]])("%s is a moment: %s", (text, expected) => {
  expect(momentOf(text)).toBe(expected);
});
