import { expect, it } from "vitest";
import { isWanted } from "./hub";
import type { HostEvent, Topic } from "./kinds";

const event = (topic: Topic, device?: string): HostEvent => ({ id: 1, at: "", topic, kind: "x", ...(device === undefined ? {} : { device }) });

it.each([
  [{}, event("job"), true],
  [{ topics: ["device", "lost"] as Topic[] }, event("lost", "a"), true],
  [{ topics: ["device"] as Topic[] }, event("commit", "a"), false],
  [{ device: "a" }, event("commit", "a"), true],
  [{ device: "a" }, event("commit", "b"), false],
  [{ device: "a" }, event("job"), false],
])("%j wants %j: %s", (filter, heard, expected) => {
  expect(isWanted(filter, heard)).toBe(expected);
});
