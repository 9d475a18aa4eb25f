import { expect, it } from "vitest";
import { positionIn } from "./live";

const PLAYLIST = `#EXTM3U
#EXT-X-PROGRAM-DATE-TIME:2026-11-28T00:00:00.000Z
#EXTINF:1.000000,
a.ts
#EXTINF:1.500000,
b.ts
#EXT-X-DISCONTINUITY
#EXT-X-PROGRAM-DATE-TIME:2026-11-28T00:00:10.000Z
#EXTINF:1.000000,
c.ts
`;

it.each([
  ["before all", "23:59:00", 0],
  ["the first", "00:00:00.500", 0.5],
  ["the second", "00:00:02", 2],
  ["in the gap: what follows", "00:00:05", 2.5],
  ["behind the gap", "00:00:10.250", 2.75],
  ["after all: the newest", "00:00:11", -1],
])("%s", (_, time, expected) => {
  const day = time.startsWith("23") ? "2026-11-27" : "2026-11-28";
  expect(positionIn(PLAYLIST, Date.parse(`${day}T${time}Z`))).toBe(expected);
});
