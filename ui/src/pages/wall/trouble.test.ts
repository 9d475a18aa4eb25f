import { expect, it } from "vitest";
import type { Device } from "../../api/types";
import { allFacts, rank, troubleOf, type OpenIncident, type TileFacts } from "./trouble";

const seen = (status: string, analysis: object | null = null) => ({ status, since: "S", analysis }) as unknown as Device;
const incident = (kind: string, start = "I", device = "a") => ({ kind, start, device }) as OpenIncident;

it.each([
  ["online", [], null],
  ["online", [incident("silence")], "silence I"],
  ["online", [incident("silence", "1"), incident("blackscreen", "2")], "blackscreen 2"],
  ["online", [incident("signal_lost")], null],
  ["offline", [incident("blackscreen")], "offline S"],
  ["degraded", [incident("freeze")], "freeze I"],
  ["degraded", [incident("silence")], "degraded S"],
  ["failed", [], "failed S"],
  ["starting", [], null],
  ["disabled", [incident("blackscreen")], null],
])("%s with %j: %s", (status, open, expected) => {
  const found = troubleOf(seen(status), open);
  expect(found && `${found.kind} ${found.since}`).toBe(expected);
});

it.each([
  ["online", { blackscreen: true, freeze: true }, "blackscreen"],
  ["online", { blackscreen: null, freeze: true }, "freeze"],
  ["offline", { blackscreen: true }, "offline"],
  ["online", null, null],
])("without the list of incidents the verdict tells: %s %j", (status, analysis, expected) => {
  expect(troubleOf(seen(status, analysis), null)?.kind ?? null).toBe(expected);
});

const device = (id: string, more: object = {}) =>
  ({ id, name: id, area: null, status: "online", since: "S", reason: null, analysis: null, playlist_url: "", hot: { newest_picture_age_seconds: 1 }, ...more }) as unknown as Device;

it("keeps the objects of what did not change", () => {
  const before = allFacts([device("a"), device("b")], [], new Map());
  const after = allFacts([device("a", { hot: { newest_picture_age_seconds: 2 }, media_bytes: 7 }), device("b", { status: "offline" })], [], before);
  expect(after.get("a")).toBe(before.get("a"));
  expect(after.get("b")?.trouble).toBe("offline");
  expect(after.get("b")?.hasPicture).toBe(false);
});

it("ranks the worst first and what is switched off last", () => {
  const all = [["silence", "online"], [null, "disabled"], ["failed", "failed"], [null, "online"], ["blackscreen", "online"], ["offline", "offline"], [null, "starting"]];
  const sorted = all.map(([trouble, status]) => ({ trouble, status }) as TileFacts).sort((one, other) => rank(one) - rank(other));
  expect(sorted.map((one) => one.trouble ?? one.status)).toEqual(["failed", "offline", "blackscreen", "silence", "starting", "online", "disabled"]);
});
