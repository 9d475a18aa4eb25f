import { expect, it } from "vitest";
import { toEntry, toFlat, withEntry, without, type Webhook } from "./list";

const A: Webhook = { id: "a", url: "https://a/***", secret: "***", kinds: ["device_up"] };
const B: Webhook = { id: "b", url: "https://b/***", kinds: [] };

it("what is not typed stays as it is", () => {
  expect(toEntry(A, "x", toFlat(A, "x"))).toEqual({ id: "a", kinds: ["device_up"] });
  expect(toEntry(A, "x", { ...toFlat(A, "x"), "x.url": " https://c/ ", "x.secret": "s" })).toEqual({ id: "a", url: "https://c/", secret: "s", kinds: ["device_up"] });
  expect(toEntry(A, "x", { ...toFlat(A, "x"), unsigned: true, "x.secret": "s" })).toEqual({ id: "a", secret: "", kinds: ["device_up"] });
});

it("a new one has an address, also when nothing was typed", () => {
  expect(toEntry(null, "x", { ...toFlat(null, "x"), "kind:device_down": true })).toEqual({ url: "", kinds: ["device_down"] });
});

it("the list is written back without what is hidden", () => {
  expect(withEntry([A, B], { id: "b", url: "https://d/", kinds: [] })).toEqual([{ id: "a", kinds: ["device_up"] }, { id: "b", url: "https://d/", kinds: [] }]);
  expect(withEntry([A], { url: "https://d/", kinds: [] })).toEqual([{ id: "a", kinds: ["device_up"] }, { url: "https://d/", kinds: [] }]);
  expect(without([A, B], "a")).toEqual([{ id: "b", kinds: [] }]);
});
