import { expect, it } from "vitest";
import { merge } from "./merge";

const base = { name: "Hall", area: "Ground", fps: "" };

it.each([
  [{}, {}, { name: "Hall" }, [], []],
  [{ name: "Lobby" }, {}, { name: "Lobby", area: "Ground" }, [], []],
  [{}, { area: "Roof" }, { name: "Hall", area: "Roof" }, ["area"], []],
  [{ name: "Lobby" }, { area: "Roof" }, { name: "Lobby", area: "Roof" }, ["area"], []],
  [{ name: "Lobby" }, { name: "Foyer" }, { name: "Lobby" }, [], ["name"]],
  [{ name: "Lobby" }, { name: "Lobby" }, { name: "Lobby" }, [], []],
  [{ fps: "5" }, { fps: "9", name: "Foyer" }, { fps: "5", name: "Foyer" }, ["name"], ["fps"]],
])("mine %j, theirs %j", (mine, theirs, value, taken, clashes) => {
  const found = merge(base, { ...base, ...mine }, { ...base, ...theirs });
  expect(found.value).toMatchObject(value);
  expect(found.theirs.map((one) => one.path)).toEqual(taken);
  expect(found.clashes.map((one) => one.path)).toEqual(clashes);
});
