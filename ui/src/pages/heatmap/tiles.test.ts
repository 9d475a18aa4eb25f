import { expect, it } from "vitest";
import { gridOf, leastWidth, tilesOf, type Told } from "./tiles";

const devices = (...all: Told["status"][]): Told[] => all.map((status, at) => ({ device_id: `cam-${at}`, device_name: `Cam ${at}`, status }));

it.each([[0, 1, 1], [1, 1, 1], [2, 2, 1], [3, 2, 2], [4, 2, 2], [5, 3, 2], [7, 3, 3], [9, 3, 3], [10, 6, 2], [13, 6, 3], [64, 6, 11], [100, 6, 11]])(
  "%d tiles stand %d × %d",
  (tiles, across, down) => expect(gridOf(tiles)).toMatchObject({ across, down }),
);

it("the size is that of the daemon's picture", () => {
  // As its own test has it: 320×180, 4 px of border, 20 px for the name.
  expect(gridOf(4)).toMatchObject({ width: 2 * 328, height: 2 * 208 });
  expect(gridOf(10)).toMatchObject({ width: 6 * 248, height: 2 * 163 });
});

it("each has its place, in the order of the configuration", () => {
  const tiles = tilesOf(devices("ok", "ko", "unknown"), "all", gridOf(3));
  expect(tiles.map(({ id, left, top, width, height }) => [id, left, top, width, height])).toEqual([
    ["cam-0", 0, 0, 50, 50],
    ["cam-1", 50, 0, 50, 50],
    ["cam-2", 0, 50, 50, 50],
  ]);
});

it("a filtered mosaic shows the others no more", () => {
  const all = devices("ok", "ko", "unknown", "ko");
  expect(tilesOf(all, "ko", gridOf(2)).map((one) => one.id)).toEqual(["cam-1", "cam-3"]);
  expect(tilesOf(all, "ok", gridOf(1)).map((one) => one.id)).toEqual(["cam-0"]);
});

it("a picture of another set has no places", () => {
  expect(tilesOf(devices("ok", "ok", "ok"), "all", gridOf(2))).toEqual([]);
  expect(tilesOf(devices("unknown"), "ko", gridOf(0))).toEqual([]);
});

it("tiles of six in a row are not made too small to be seen", () => {
  expect([leastWidth(gridOf(4)), leastWidth(gridOf(64))]).toEqual([0, 900]);
});
