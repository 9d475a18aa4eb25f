import { expect, it } from "vitest";
import { ARCHIVE, differs, toFlat, toSection, TRANSCODE, type Knob } from "./knobs";

const ALL: readonly Knob[] = [...ARCHIVE, ...TRANSCODE.when, ...TRANSCODE.gates, ...TRANSCODE.how];

it("what is not changed is empty, and is not sent", () => {
  const flat = toFlat("archive", ARCHIVE, { retention_days: 0.5, max_bytes: "195312500KiB" });
  expect(flat).toEqual({ "archive.window_hours": "", "archive.retention_days": "0.5", "archive.max_bytes": "200 GB", "archive.device_max_bytes": "", "archive.min_free_bytes": "" });
  expect(toSection("archive", ARCHIVE, flat)).toEqual({ retention_days: 0.5, max_bytes: "200GB" });
});

it.each([
  ["retention_days", "0,5", 0.5],
  ["retention_days", "long", "long"],
  ["max_bytes", "200 gb", "200GB"],
  ["max_bytes", "much", "much"],
  ["max_write_bytes_per_day", "2 GB", 2e9],
  ["max_write_bytes_per_day", "much", "much"],
  ["run_schedule", " always ", "always"],
  ["verify_quality", "false", false],
  ["codec", "libx265", "libx265"],
])("%s: %j is sent as %j", (key, typed, expected) => {
  expect(toSection("s", ALL, { [`s.${key}`]: typed })).toEqual({ [key]: expected });
});

it.each([
  ["max_bytes", "200 GB", "195312500KiB", false],
  ["max_bytes", "100 GB", "195312500KiB", true],
  ["retention_days", "", 7, false],
  ["retention_days", "7", 7, false],
])("%s %j beside the file's %j", (key, typed, file, expected) => {
  const knob = ALL.find((one) => one.key === key);
  expect(knob && differs(knob, typed, file)).toBe(expected);
});
