import { expect, it } from "vitest";
import { inEnvironment, inFile } from "./toml";

it.each([
  ["retention_days", 7.5, "[archive]\nretention_days = 7.5", "CAPSTAN__ARCHIVE__RETENTION_DAYS=7.5"],
  ["min_free_bytes", "512MiB", '[archive]\nmin_free_bytes = "512MiB"', "CAPSTAN__ARCHIVE__MIN_FREE_BYTES=512MiB"],
  ["flag", true, "[archive]\nflag = true", "CAPSTAN__ARCHIVE__FLAG=true"],
  ["list", ['a"b', "c"], '[archive]\nlist = ["a\\"b", "c"]', 'CAPSTAN__ARCHIVE__LIST=a"b, c'],
  ["volume_id", null, '[archive]\nvolume_id = ""', "CAPSTAN__ARCHIVE__VOLUME_ID="],
])("%s", (key, value, file, environment) => {
  expect(inFile("archive", key, value)).toBe(file);
  expect(inEnvironment("archive", key, value)).toBe(environment);
});
