import { expect, it } from "vitest";
import { ApiError } from "../../../api/error";
import { nearest, nested, number, placed, said } from "./paths";

const FIELDS = ["id", "source.kind", "source.black", "detect.black_rows", "source"];

it.each([
  ["id", "id"],
  ["source.kind", "source.kind"],
  ["source.black[0]", "source.black"],
  ["source.black[0][1]", "source.black"],
  ["source.url", "source"],
  ["detect.black_rows[1]", "detect.black_rows"],
  ["detect.colour", null],
  ["", null],
])("%s belongs to %s", (path, expected) => {
  expect(nearest(path, FIELDS)).toBe(expected);
});

it("an error that moves to another field says where it came from", () => {
  const error = new ApiError("invalid", "is wrong", 400, "source.url");
  expect(placed(error, ["source.url"])).toBe(error);
  expect(placed(error, ["source"])).toMatchObject({ path: "source", message: "source.url: is wrong" });
  expect(placed(error, [])).toMatchObject({ path: null });
});

it.each([
  ["5", 5],
  [" -50.5 ", -50.5],
  ["0,95", 0.95],
  ["", ""],
  ["ten", "ten"],
  ["1e400", "1e400"],
])("%j is sent as %j", (text, expected) => {
  expect(number(text)).toBe(expected);
});

it("flat forms become the daemon's shape", () => {
  expect(nested({ id: "a", "source.kind": "test", "source.tone": 0, "live.segments": 3 })).toEqual({ id: "a", source: { kind: "test", tone: 0 }, live: { segments: 3 } });
});

it.each([
  [0.949999988079071, "0.95"],
  [[5, 70], "5, 70"],
  [-50, "-50"],
  [null, ""],
  [true, "true"],
])("%j is written %s", (value, expected) => {
  expect(said(value)).toBe(expected);
});
