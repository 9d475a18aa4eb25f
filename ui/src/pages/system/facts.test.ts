import { expect, it } from "vitest";
import { cardDays, diskParts, holdsSeconds, inOrder, isWell, kindOf, rateOf, restartsOf, treeOf, type Actor, type History } from "./facts";

const actor = (name: string, more: Partial<Actor> = {}): Actor => ({ name, state: "running", generation: 1, restarts: 0, last_exit: null, ...more });

it("makes a tree of paths", () => {
  const roots = treeOf([actor("cleaner"), actor("device/b", { restarts: 1 }), actor("device/b/merger", { restarts: 2, state: "restarting" }), actor("device/a"), actor("supervisor"), actor("device/gone/merger")]);
  expect(roots.map((node) => node.actor.name)).toEqual(["supervisor", "cleaner", "device/gone/merger", "device/a", "device/b"]);
  const [, , , a, b] = roots;
  expect(b?.children.map((node) => node.name)).toEqual(["merger"]);
  expect([restartsOf(b!), isWell(b!), isWell(a!), kindOf(b!), kindOf(b!.children[0]!)]).toEqual([3, false, true, "device", "merger"]);
});

it("tells rates and how long a card lasts", () => {
  expect([rateOf([], 60), rateOf([10], 60), rateOf([100, 1, 3], 2)]).toEqual([null, 10, 2]);
  // 64 GB, 1000 full writes, 64 MB a minute: 92 GB a day.
  expect(cardDays(64e9, 1000, 64e6)).toBeCloseTo(694.4, 1);
  expect([cardDays(64e9, 1000, null), cardDays(0, 1000, 5), cardDays(64e9, 1000, 0)]).toEqual([null, null, Infinity]);
});

it("splits a disk and RAM", () => {
  const names = { footage: "f", others: "o", reserve: "r" };
  expect(diskParts(100, 40, 25, 10, names).map((part) => part.bytes)).toEqual([25, 35, 10]);
  expect(diskParts(100, 5, 200, 10, names).map((part) => part.bytes)).toEqual([95, 0, 5]);
  const device = (quota_bytes: number, waiting_bytes: number) => ({ hot: { quota_bytes, waiting_bytes } }) as never;
  expect(holdsSeconds([device(100, 40), device(50, 60)], 30)).toBe(120);
  expect(holdsSeconds([device(100, 40)], 0)).toBeNull();
});

it("leaves out what a clock that was set back lies upon", () => {
  const at = ["10:00", "10:01", "10:02", "10:01", "10:02"].map((time) => `2026-11-20T${time}:00Z`);
  const { at: kept, keep } = inOrder({ at } as History);
  expect(keep).toEqual([true, false, false, true, true]);
  expect(kept.length).toBe(3);
});
