import { expect, it } from "vitest";
import { areasOf, fits, groupsOf, type Choice } from "./order";
import type { TileFacts } from "./trouble";

const device = (id: string, area = "", more: Partial<TileFacts> = {}) => ({ id, name: `Camera ${id}`, area, status: "online", trouble: null, since: null, ...more }) as TileFacts;
const titles = { elsewhere: "Elsewhere", trouble: "Trouble", well: "Well", off: "Off" };
const all: Choice = { filter: "", area: null, onlyTrouble: false, sort: "area" };
const shown = (devices: TileFacts[], choice: Partial<Choice>) =>
  groupsOf(devices, { ...all, ...choice }, titles, (one) => one.trouble ?? "").map((group) => [group.title, ...group.devices.map((one) => one.id)].join(" "));

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

const yard = [
  device("a", "Yard"),
  device("b", "", { trouble: "silence", since: "1" }),
  device("c", "Yard", { trouble: "offline", status: "offline", since: "2" }),
  device("d", "", { status: "disabled" }),
  device("e", "Hall", { trouble: "offline", status: "offline", since: "3" }),
];

it.each([
  [{}, ["Yard a c", "Elsewhere b d", "Hall e"]],
  [{ sort: "trouble" as const }, ["Trouble e c b", "Well a", "Off d"]],
  [{ sort: "name" as const }, [" a b c d e"]],
  [{ area: "Yard" }, ["Yard a c"]],
  [{ onlyTrouble: true }, ["Elsewhere b", "Yard c", "Hall e"]],
  [{ filter: "silence" }, [" b"]],
  [{ filter: "nothing" }, []],
  [{ filter: "nothing", sort: "name" as const }, []],
])("%j: %j", (choice, expected) => {
  expect(shown(yard, choice)).toEqual(expected);
});

it("names the areas once, in the order of the configuration", () => {
  expect(areasOf(yard)).toEqual(["Yard", "Hall"]);
});

it("numbers in names count as numbers", () => {
  expect(shown([device("10"), device("9"), device("1")], { sort: "name" })).toEqual([" 1 9 10"]);
});
