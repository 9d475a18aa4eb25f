import { expect, it } from "vitest";
import type { Incident } from "../../api/types";
import { between, editOf, filterOf, fits, inBatches, queryOf, shotOf, withChange, type Page } from "./list";

const NOW = Date.parse("2026-11-20T12:00:30Z");
const incident = (id: string, start: string, more: Partial<Incident> = {}): Incident =>
  ({ id, start, end: start, device: "cam", kind: "freeze", state: "closed", acknowledged: false, discarded: false, comment: "", ...more }) as Incident;

it.each([
  ["", {}],
  ["?device=cam&kind=silence&open=1", { device: "cam", kind: "silence", open: "1" }],
  ["?review=new", { acknowledged: "0", discarded: "0" }],
  ["?review=discarded", { discarded: "1" }],
  ["?span=1h", { from: "2026-11-20T11:00:00.000Z" }],
  ["?span=own&from=2026-11-20T09:00&to=2026-11-20T08:00", { from: new Date("2026-11-20T09:00").toISOString() }],
  ["?span=own&to=2026-11-20T08:00", { to: new Date("2026-11-20T08:00").toISOString() }],
  // Without its span, or as nobody can choose it.
  ["?from=2026-11-20T09:00&kind=%3Cscript%3E&open=yes&review=x&span=9y", {}],
])("%s asks %j", (search, expected) => {
  expect(queryOf(filterOf(search), NOW)).toEqual(expected);
});

it.each([
  [{}, {}, true],
  [{ device: "other" }, {}, false],
  [{ kind: "freeze" }, {}, true],
  [{ open: "1" }, {}, false],
  [{ open: "1" }, { state: "open", end: null }, true],
  [{ acknowledged: "0", discarded: "0" }, { acknowledged: true }, false],
  [{ from: "2026-11-20T11:00:00Z" }, {}, false],
  [{ from: "2026-11-20T11:00:00Z" }, { end: null }, true],
  [{ to: "2026-11-20T10:00:00Z" }, {}, false],
])("%j lists %j: %s", (asked, more, expected) => {
  expect(fits(asked as never, incident("a", "2026-11-20T10:00:00.000Z", more as never))).toBe(expected);
});

it("puts what happens where it belongs", () => {
  const pages: Page[] = [
    { incidents: [incident("d", "4"), incident("c", "3")], next: "x" },
    { incidents: [incident("b", "2")], next: "y" },
  ];
  const ids = (changed: Incident, asked = {}) => withChange(pages, asked, changed).map((page) => page.incidents.map((one) => one.id).join(""));
  expect(ids(incident("e", "5"))).toEqual(["edc", "b"]);
  expect(ids(incident("cc", "3"))).toEqual(["dccc", "b"]);
  expect(ids(incident("bb", "2"))).toEqual(["dc", "bbb"]);
  expect(ids(incident("a", "1"))).toEqual(["dc", "b"]);
  expect(ids(incident("c", "3", { discarded: true }))).toEqual(["dc", "b"]);
  expect(ids(incident("c", "3", { discarded: true }), { discarded: "0" })).toEqual(["d", "b"]);
  expect(ids(incident("e", "5", { discarded: true }), { discarded: "0" })).toEqual(["dc", "b"]);
  expect(withChange([{ incidents: [] }], {}, incident("a", "1"))[0]?.incidents.length).toBe(1);
  expect(withChange(pages, {}, incident("c", "3", { comment: "seen" }))[0]?.incidents[1]?.comment).toBe("seen");
});

it("chooses ranges, batches and words", () => {
  const ids = ["a", "b", "c", "d"];
  expect(between(ids, "b", "d")).toEqual(["b", "c", "d"]);
  expect(between(ids, "d", "b")).toEqual(["b", "c", "d"]);
  expect(between(ids, "gone", "b")).toEqual(["b"]);
  expect(between(ids, null, "gone")).toEqual([]);
  expect(inBatches([1, 2, 3, 4, 5], 2)).toEqual([[1, 2], [3, 4], [5]]);
  expect(editOf("acknowledge", "", true)).toEqual({ acknowledged: true });
  expect(editOf("acknowledge", "", false)).toEqual({ acknowledged: true, comment: "" });
  expect(editOf("discard", "rain", true)).toEqual({ discarded: true, comment: "rain" });
  expect(editOf("restore", "ignored", false)).toEqual({ acknowledged: false, discarded: false });
  expect(shotOf("/host/stream/cam/evidence/2026-11-28/1795825672623-silence-worst.jpg")).toBe("worst");
});
