import { expect, it } from "vitest";
import { bytesOf, saidSize, sizeOf } from "./sizes";

it.each([
  ["200 GB", "200GB", 200e9],
  ["200gb", "200GB", 200e9],
  ["1,5 TiB", "1.5TiB", 1.5 * 1024 ** 4],
  ["512 mib", "512MiB", 512 * 1024 ** 2],
  ["64k", "64kB", 64e3],
  ["64 KiB", "64KiB", 65536],
  ["0", "0B", 0],
  ["12 bytes", "12B", 12],
  ["much", null, null],
  ["-5 GB", null, null],
  ["5 iB", null, null],
  ["", null, null],
])("%j is %j", (text, size, bytes) => {
  expect(sizeOf(text)).toBe(size);
  expect(bytesOf(text)).toBe(bytes);
});

it.each([
  ["512MiB", "512 MiB"],
  ["195312500KiB", "200 GB"],
  ["0B", "0"],
  [0, "0"],
  [1.5e12, "1.5 TB"],
  ["1536GiB", "1.5 TiB"],
  ["16777217B", "16777217 B"],
  [undefined, ""],
])("%j is said %j", (value, text) => {
  expect(saidSize(value)).toBe(text);
});
