import { expect, it } from "vitest";
import { changes } from "./audit";

it.each([
  [null, null, []],
  [{ name: "a" }, { name: "a" }, []],
  [{ name: "a", changed: 1 }, { name: "b", changed: 2 }, [["name", "a", "b"]]],
  [null, { name: "a", areas: [], cameras: ["x"] }, [["name", null, "a"], ["cameras", null, '["x"]']]],
  [{ source: { kind: "test", tone: 0 } }, { source: { kind: "test", tone: 440 } }, [["source.tone", "0", "440"]]],
  [{ detect: { black_share: 0.949999988079071 } }, null, [["detect.black_share", "0.95", null]]],
  [{ enabled: true }, { enabled: false }, [["enabled", "true", "false"]]],
])("from %j to %j", (before, after, expected) => {
  expect(changes(before, after).map((one) => [one.field, one.before, one.after])).toEqual(expected);
});
