import { expect, it } from "vitest";
import { columnsOf, moved, rowsOf, screensOf, SIZES, tileHeight, type Arrow, type Columns } from "./layout";
import type { Group } from "./order";
import type { TileFacts } from "./trouble";

const sizes = SIZES.usual;
const group = (title: string, ...ids: string[]): Group => ({ key: title, title, devices: ids.map((id) => ({ id }) as TileFacts) });

it.each<[Columns, number, number]>([
  [0, 1184, 3],
  [0, 390, 1],
  [0, 100, 1],
  [4, 1184, 4],
  [6, 366, 3],
  [2, 366, 2],
  [1, 3500, 1],
])("%i columns wanted on %i px: %i", (wanted, width, expected) => {
  expect(columnsOf(wanted, width, sizes)).toBe(expected);
});

it.each([
  [1, 4],
  [6, 6],
  [100, 7],
])("on a wall screen, groups of %i at most stand in %i columns", (most, expected) => {
  expect(columnsOf(0, 3500, SIZES.large, most)).toBe(expected);
  expect(columnsOf(5, 3500, SIZES.large, most)).toBe(5);
});

it("a tile is a picture of 16:9, its foot and its border", () => {
  expect(tileHeight(642, 1, sizes)).toBe(360 + 40 + 2);
  expect(tileHeight(1300, 2, sizes)).toBe(360 + 40 + 2);
});

const rows = rowsOf([group("", "a", "b", "c"), group("Yard", "d"), group("Hall", "e", "f")], 2, 1000, sizes);

it("rows are headings and tiles beside each other", () => {
  expect(rows.map((row) => ("tiles" in row ? row.tiles.map((tile) => tile.id).join("") : row.title))).toEqual(["ab", "c", "Yard", "d", "Hall", "ef"]);
});

it.each<[string | null, Arrow, string]>([
  [null, "ArrowDown", "a"],
  ["gone", "ArrowRight", "a"],
  ["a", "ArrowRight", "b"],
  ["b", "ArrowRight", "c"],
  ["a", "ArrowLeft", "a"],
  ["b", "ArrowDown", "c"],
  ["c", "ArrowDown", "d"],
  ["d", "ArrowDown", "e"],
  ["f", "ArrowDown", "f"],
  ["f", "ArrowUp", "d"],
  ["e", "ArrowUp", "d"],
  ["a", "ArrowUp", "a"],
  ["c", "End", "f"],
  ["c", "Home", "a"],
])("from %s %s leads to %s", (from, arrow, expected) => {
  expect(moved(rows, from, arrow)?.id).toBe(expected);
});

it("no arrow leads anywhere on an empty wall", () => {
  expect(moved([], "a", "ArrowUp")).toBeNull();
});

const many = Array.from({ length: 20 }, (_, index) => `${index}`);

it.each<[Columns, string[], number, string[]]>([
  [0, ["a"], 1040, ["1 of 1: 1 × 1, 1776 px"]],
  [0, ["a", "b", "c", "d"], 1040, ["1 of 1: 2 × 4, 837 px"]],
  [0, many, 1040, ["1 of 1: 5 × 20, 364 px"]],
  [0, many, 300, ["1 of 3: 7 × 7, 256 px", "2 of 3: 7 × 7, 256 px", "3 of 3: 7 × 6, 256 px"]],
  [3, many.slice(0, 10), 1040, ["1 of 2: 3 × 9, 524 px", "2 of 2: 3 × 1, 524 px"]],
  [6, [], 1040, []],
])("rotation with %i columns through %j on %i px: %j", (wanted, ids, height, expected) => {
  const screens = screensOf([group("A", ...ids)], wanted, 1888, height, sizes);
  expect(screens.map((one) => `${one.part} of ${one.parts}: ${one.columns} × ${one.tiles.length}, ${one.tileWidth} px`)).toEqual(expected);
});
