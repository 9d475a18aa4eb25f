// A host of many cameras that records none: for the bench of the wall, which asks what a browser does with a hundred, while
// two cores hold a handful of real FFmpegs. It serves the built pages, and of the API what the wall asks for, in the shapes of
// ui/openapi.json: state, open incidents, events, a picture for each device.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

const AREAS = ["Gate", "Yard", "Hall", "Store", "Roof", "Lab", ""];
const PICTURES = 24;
const TYPES = { html: "text/html; charset=utf-8", js: "text/javascript; charset=utf-8", css: "text/css; charset=utf-8", svg: "image/svg+xml" };

/** JPEGs as a host sends them for the wall: 480 × 270, each another. */
function pictures() {
  const folder = mkdtempSync(join(tmpdir(), "capstan-wall-"));
  const source = "testsrc2=size=480x270:rate=1,noise=alls=12:allf=t";
  const made = spawnSync("ffmpeg", ["-v", "error", "-f", "lavfi", "-i", source, "-frames:v", PICTURES, "-q:v", "5", join(folder, "%02d.jpg")]);
  if (made.status !== 0) throw new Error(`ffmpeg: ${made.error ?? made.stderr}`);
  const all = readdirSync(folder).map((name) => readFileSync(join(folder, name)));
  rmSync(folder, { recursive: true });
  return all;
}

function device(index, now) {
  const id = `camera-${String(index + 1).padStart(3, "0")}`;
  const status = index % 25 === 7 ? "offline" : index % 40 === 11 ? "degraded" : index % 50 === 30 ? "disabled" : "online";
  const seen = status === "online" || status === "degraded";
  const since = new Date(Math.floor((now - 600_000) / 3_600_000) * 3_600_000).toISOString();
  return {
    id, name: `Camera ${index + 1}`, area: AREAS[index % AREAS.length], status, since, source: "rtsp",
    reason: status === "offline" ? "connection refused" : null,
    analysis: { age_seconds: 0.2, at: new Date(now).toISOString(), audio: true, blackscreen: false, freeze: false, dropped: 0, failed: 0, skipped: 0, queue_depth: 0, mean_volume_db: -20, volume_percentage: 70 },
    chunks: { bytes: now % 1e9, count: 144, newest: since, oldest: since },
    chunks_sealed: 144, commit_failures: 0, committed_seconds: now / 1000, ffmpeg_restarts: 0, frames_total: now % 1e6,
    hot: { bytes: now % 1e7, captures: 60, losing: false, newest_picture_age_seconds: seen ? (now % 1000) / 1000 : null, newest_segment_age_seconds: 0.5, oldest_waiting_age_seconds: 12, quota_bytes: 3e7, segments: 30, thumbnails: 60, waiting: 12, waiting_bytes: 1e6 },
    lost_seconds: {}, manifest_url: `/host/stream/${id}/segments/archive_manifest.json`, media_bytes: now % 1e9, written_bytes: now % 1e9,
    open_chunk: null, playlist_url: `/host/stream/${id}/segments/output.m3u8`, recorder: {}, segment_faults: 0, segments_total: now % 1e6,
  };
}

/** Of the state, what the frame and the wall look at, and the rest of the devices' figures as a host sends them. */
function state(count, now) {
  return { host: { name: "stub", ready: true, time: new Date(now).toISOString(), version: "0" }, devices: Array.from({ length: count }, (_, index) => device(index, now)) };
}

/** `dist`: the built pages. `policy`: the daemon's Content-Security-Policy. */
export async function stubHost({ dist, policy, cameras }) {
  const jpegs = pictures();
  const listeners = new Set();
  const incidents = new Map();
  let served = 0;
  let events = 0;
  const json = (response, body) => {
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify(body));
  };
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://stub");
    if (pathname === "/api/auth/me") return json(response, { auth: false, user: null, live: [] });
    if (pathname === "/api/host/state") return json(response, state(cameras, Date.now()));
    if (pathname === "/api/host/incidents") return json(response, { incidents: [...incidents.values()] });
    if (pathname === "/api/events") {
      response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
      response.write(":\n\n");
      listeners.add(response);
      request.on("close", () => listeners.delete(response));
      return undefined;
    }
    if (pathname.startsWith("/api/host/screenshot/")) {
      served += 1;
      response.writeHead(200, { "Content-Type": "image/jpeg", "Cache-Control": "no-store", "X-Picture-Time": new Date().toISOString() });
      return response.end(jpegs[served % jpegs.length]);
    }
    if (pathname.startsWith("/api/") || pathname.startsWith("/host/")) {
      response.writeHead(404, { "Content-Type": "application/json" });
      return response.end('{"error":{"code":"not_found","message":"not of this host"}}');
    }
    const name = pathname.startsWith("/assets/") ? pathname.slice(1) : "index.html";
    const headers = { "Content-Type": TYPES[name.split(".").at(-1)] ?? "application/octet-stream", "Content-Security-Policy": policy };
    response.writeHead(200, headers);
    return response.end(readFileSync(join(dist, name)));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const tell = (topic, body) => {
    events += 1;
    const data = JSON.stringify({ id: events, at: new Date().toISOString(), ...body });
    for (const one of listeners) one.write(`event: ${topic}\nid: ${events}\ndata: ${data}\n\n`);
  };
  const idOf = (index) => `camera-${String((index % cameras) + 1).padStart(3, "0")}`;
  return {
    base: `http://127.0.0.1:${server.address().port}/`,
    counts: () => ({ served, events, listening: listeners.size }),
    commit: (index) => tell("commit", { kind: "committed", device: idOf(index), start: new Date().toISOString(), end: new Date().toISOString(), bytes: 2_000_000 }),
    status: (index, status) => tell("device", { kind: "device_status", device: idOf(index), status, was: "online", reason: null }),
    /** Opens one, or closes it when it is open. */
    incident(index, kind = "blackscreen") {
      const name = `${idOf(index)} ${kind}`;
      const was = incidents.get(name);
      const now = new Date().toISOString();
      const whole = was ?? { id: name, device: idOf(index), kind, start: now, end: null, state: "open", severity: "minor", evidence: [], duration_seconds: 0, host: "stub", acknowledged: false, discarded: false, comment: "" };
      if (was) incidents.delete(name);
      else incidents.set(name, whole);
      tell("incident", { kind: was ? "incident_closed" : "incident_opened", device: idOf(index), incident: was ? { ...whole, end: now, state: "closed" } : whole });
    },
    close: () => {
      for (const one of listeners) one.end();
      server.closeAllConnections();
      server.close();
    },
  };
}
