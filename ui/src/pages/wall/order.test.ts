import { expect, it } from "vitest";
import type { Device } from "../../api/types";
import { byArea, fits } from "./order";

const device = (id: string, area: string | null, status = "online") => ({ id, name: `Camera ${id}`, area, status }) as Device;

it.each([
  ["", true],
  ["hof", true],
  ["camera HOF", true],
  ["online nord", true],
  ["offline", false],
  ["hof x", false],
])("%s fits: %s", (filter, expected) => {
  expect(fits(device("nord", "Hof"), filter)).toBe(expected);
});

it("groups by area in the order of the configuration", () => {
  const all = [device("a", "Yard"), device("b", null), device("c", "Yard"), device("d", "")];
  expect(byArea(all).map((group) => [group.area, ...group.devices.map((one) => one.id)])).toEqual([["Yard", "a", "c"], ["", "b", "d"]]);
});
