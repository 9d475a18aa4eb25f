import { describe, expect, it } from "vitest";
import { target } from "./client";
import { errorOf } from "./error";

describe("addresses", () => {
  it.each([
    ["GET /api/host/state", {}, {}, "GET", "/api/host/state"],
    ["GET /api/host/timeline/{device}", { device: "a b" }, { from: 1, to: undefined }, "GET", "/api/host/timeline/a%20b?from=1"],
    ["PUT /api/areas/{name}", { name: "Hof/Nord" }, {}, "PUT", "/api/areas/Hof%2FNord"],
    ["GET /api/host/incidents", {}, { kind: "freeze", after: "1.a" }, "GET", "/api/host/incidents?kind=freeze&after=1.a"],
  ])("%s", (operation, path, query, method, url) => {
    expect(target(operation, path, query)).toEqual({ method, url });
  });
});

describe("errors", () => {
  it("names the field at fault and keeps what else is told", () => {
    const error = errorOf(400, { error: { kind: "invalid", message: "must be a URL", path: "source.url", clip_url: "/x" } });
    expect(error).toMatchObject({ kind: "invalid", message: "must be a URL", path: "source.url", status: 400, more: { clip_url: "/x" } });
  });
  it("takes a reply without an error for what it is, whatever its status", () => {
    expect(errorOf(503, { ok: false, checks: [] })).toBeNull();
    expect(errorOf(200, undefined)).toBeNull();
  });
});
