// What the pages cost a browser. Prints a table of what was measured and `claim` rows as the benches do (scripts/bench.sh).
//
//   node bench_ui.mjs CHROMIUM BASE POLICY
//
// BASE is a real daemon with two real cameras: first load, time to use, Lighthouse. A hundred tiles are of stub_host.mjs, which
// serves the same built pages under the same POLICY: this machine cannot record a hundred cameras beside a browser.
// CAPSTAN_BENCH_UI_HOURS shortens the eight hours; CAPSTAN_BENCH_UI_PARTS="load scroll" runs these alone.
import { loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { stubHost } from "./stub_host.mjs";

const [executablePath, base, policy] = process.argv.slice(2);
const HOURS = Number(process.env["CAPSTAN_BENCH_UI_HOURS"] ?? 8);
const PARTS = (process.env["CAPSTAN_BENCH_UI_PARTS"] ?? "load lighthouse idle scroll heap").split(" ");
const CAMERAS = 100;
const LOADS = 5;
const IDLE_S = 20;
const THROTTLE = 6;
/** In px/s: nine rows of tiles. */
const SPEED = 2000;
const DEBUG_PORT = 18_083;
const dist = fileURLToPath(new URL("../../ui/dist/", import.meta.url));

const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--enable-precise-memory-info", `--remote-debugging-port=${DEBUG_PORT}`],
});
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const median = (list) => [...list].sort((one, other) => one - other)[Math.floor(list.length / 2)];
const row = (what, ...figures) => console.log(`  ${what.padEnd(44)} ${figures.join("   ")}`);
const claim = (key, baseline, ours) => console.log(`claim\t${key}\t${baseline}\t${ours}`);

/** A page of a browser that knows nothing, with its session of the DevTools. */
async function fresh(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  const tools = await context.newCDPSession(page);
  return { context, page, tools };
}

/** From asking for the page to tiles with names, a field to type in, and the first picture. */
const whenUsable = () => {
  const look = () => {
    const tile = document.querySelector("[data-tile] canvas");
    if (tile && tile.width > 0 && document.querySelector(".wall-filter")) window.usableAt = performance.now();
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
};

async function load(url) {
  const { context, page, tools } = await fresh();
  const scripts = new Map();
  const names = new Map();
  await tools.send("Network.enable");
  tools.on("Network.responseReceived", ({ requestId, response }) => names.set(requestId, response.url));
  tools.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    const name = names.get(requestId) ?? "";
    if (name.endsWith(".js")) scripts.set(name, encodedDataLength);
  });
  await page.addInitScript(whenUsable);
  await tools.send("Performance.enable", { timeDomain: "threadTicks" });
  await page.goto(url);
  const usable = await (await page.waitForFunction(() => window.usableAt)).jsonValue();
  // Of the page's main thread alone: a machine with other work makes the wait longer, not this.
  const { metrics } = await tools.send("Performance.getMetrics");
  const cpu = 1000 * metrics.find(({ name }) => name === "TaskDuration").value;
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0);
  await context.close();
  const bytes = [...scripts].filter(([name]) => !name.includes("/hls")).reduce((sum, [, size]) => sum + size, 0);
  return { usable, paint, cpu, bytes };
}

/** What the main thread did meanwhile, in its own CPU time: what else runs on this machine must not count. */
async function busy(tools, act) {
  const read = async () => Object.fromEntries((await tools.send("Performance.getMetrics")).metrics.map(({ name, value }) => [name, value]));
  await tools.send("Performance.enable", { timeDomain: "threadTicks" });
  const [before, began] = [await read(), performance.now()];
  await act();
  const [after, seconds] = [await read(), (performance.now() - began) / 1000];
  const share = (name) => (100 * (after[name] - before[name])) / seconds;
  return { percent: share("TaskDuration"), script: share("ScriptDuration") };
}

/** The longest task of the page's main thread, in CPU time: on a machine with other work, the clock tells of that work. */
async function longestTask(page, act) {
  await browser.startTracing(page, { categories: ["toplevel"] });
  const done = await act();
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString());
  const pages = new Set(traceEvents.filter((one) => one.name === "thread_name" && one.args.name === "CrRendererMain").map((one) => `${one.pid} ${one.tid}`));
  const tasks = traceEvents.filter((one) => one.ph === "X" && one.name.endsWith("RunTask") && pages.has(`${one.pid} ${one.tid}`));
  return { done, cpuLongest: Math.max(0, ...tasks.map((one) => (one.tdur ?? 0) / 1000)) };
}

/** The wall of a hundred cameras with events as a host of a hundred has them: a commit a minute each, now and then trouble. */
async function wallOf(host, query, rate) {
  const { context, page, tools } = await fresh();
  let turn = 0;
  const telling = setInterval(() => {
    turn += 1;
    host.commit(turn * 37);
    if (turn % 20 === 0) host.incident(turn * 7);
  }, 600);
  await page.addInitScript(() => {
    window.tasks = [];
    new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map((one) => one.duration))).observe({ type: "longtask" });
  });
  await page.goto(host.base + query);
  await page.locator("[data-tile] canvas").first().waitFor();
  if (rate > 1) await tools.send("Emulation.setCPUThrottlingRate", { rate });
  await wait(4000);
  const tiles = await page.locator("[data-tile]").count();
  const done = async () => {
    clearInterval(telling);
    await context.close();
  };
  return { page, tools, tiles, done };
}

async function idle(host, query, rate) {
  const { page, tools, tiles, done } = await wallOf(host, query, rate);
  await page.evaluate(() => (window.tasks.length = 0));
  const used = await busy(tools, () => wait(IDLE_S * 1000));
  const longest = await page.evaluate(() => Math.max(0, ...window.tasks));
  await done();
  return { ...used, tiles, longest };
}

/** Down and up again by the wheel, as fast as a person does; the pages of rAF are the frames that the page could draw. */
async function scroll(host, query, rate) {
  const { page, tools, tiles, done } = await wallOf(host, query, rate);
  await page.evaluate(() => {
    window.tasks.length = 0;
    window.frames = [];
    const next = (at) => {
      window.frames.push(at);
      window.raf = requestAnimationFrame(next);
    };
    window.raf = requestAnimationFrame(next);
  });
  let seen = 0;
  const { done: used, cpuLongest } = await longestTask(page, () => busy(tools, async () => {
    for (const distance of [-8000, 8000]) {
      await tools.send("Input.synthesizeScrollGesture", { x: 800, y: 500, yDistance: distance, speed: SPEED, gestureSourceType: "mouse" });
      seen = Math.max(seen, await page.evaluate(() => window.scrollY));
    }
  }));
  const { frames, tasks } = await page.evaluate(() => {
    cancelAnimationFrame(window.raf);
    return { frames: window.frames, tasks: window.tasks };
  });
  await done();
  const gaps = frames.slice(1).map((at, index) => at - frames[index]).sort((one, other) => one - other);
  const fps = (1000 * gaps.length) / gaps.reduce((sum, gap) => sum + gap, 0);
  return { ...used, cpuLongest, tiles, seen, fps, p95: gaps[Math.floor(gaps.length * 0.95)], worst: gaps.at(-1), longest: Math.max(0, ...tasks), long: tasks.filter((one) => one > 100).length };
}

/**
 * Hours of an open wall in minutes: timers run on a clock of the test's (ten seconds at a time), events come as many as a host
 * of a hundred would have told meanwhile. Questions and pictures are real, and garbage is collected before each reading.
 */
async function heap(host) {
  const { context, page, tools } = await fresh();
  await page.clock.install();
  await page.goto(host.base);
  await page.locator("[data-tile] canvas").first().waitFor();
  await tools.send("HeapProfiler.enable");
  const read = async () => {
    for (let round = 0; round < 3; round += 1) await tools.send("HeapProfiler.collectGarbage");
    const { usedSize } = await tools.send("Runtime.getHeapUsage");
    const { nodes, jsEventListeners } = await tools.send("Memory.getDOMCounters");
    return { bytes: usedSize, nodes, listeners: jsEventListeners };
  };
  const readings = [];
  const STEP_S = 10;
  let told = 0;
  for (let step = 0; step <= (HOURS * 3600) / STEP_S; step += 1) {
    const at = (step * STEP_S) / 3600;
    if (at === 0.25 || (at > 0 && Number.isInteger(at))) {
      const one = { at, ...(await read()) };
      readings.push(one);
      row(`after ${one.at} h`, mb(one.bytes), `${one.nodes} nodes`, `${one.listeners} listeners`);
    }
    for (let one = 0; one < (CAMERAS * STEP_S) / 60; one += 1) host.commit((told += 37));
    if (step % 6 === 0) host.incident(step);
    if (step % 30 === 0) host.status(step, "online");
    await page.clock.runFor(STEP_S * 1000);
  }
  const counts = host.counts();
  await context.close();
  return { readings, counts };
}

const mb = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

const loadBefore = loadavg()[0].toFixed(1);
console.log(`ui: Chromium ${browser.version()}, load of this machine before: ${loadBefore}`);
if (PARTS.includes("load")) {
  const loads = [];
  for (let round = 0; round < LOADS; round += 1) loads.push(await load(base));
  const stub = await stubHost({ dist, policy, cameras: CAMERAS });
  const hundred = [];
  for (let round = 0; round < LOADS; round += 1) hundred.push(await load(stub.base));
  stub.close();
  const bytes = Math.max(...loads.map((one) => one.bytes));
  console.log("ui: loading, a browser that knows nothing, median (worst)");
  const times = (list, key) => `${median(list.map((one) => one[key])).toFixed(0)} ms (${Math.max(...list.map((one) => one[key])).toFixed(0)} ms)`;
  row("scripts of the first load, as they travel", `${(bytes / 1024).toFixed(1)} KB`);
  row("first paint, the daemon with 2 cameras", times(loads, "paint"));
  row("tiles, filter and a picture, the daemon", times(loads, "usable"));
  row("the same, stub host of 100 cameras", times(hundred, "usable"));
  row("CPU of the main thread until then", times(loads, "cpu"), `100 cameras: ${times(hundred, "cpu")}`);
  claim("ui_first_load", "", `${(bytes / 1024).toFixed(1)} KB`);
  claim("ui_usable", "", `median ${times(loads, "usable")} with 2 cameras; ${times(hundred, "usable")} with 100; CPU of the main thread ${median(loads.map((one) => one.cpu)).toFixed(0)} ms; load of the machine ${loadBefore}`);
}

if (PARTS.includes("lighthouse")) {
  const { default: lighthouse, desktopConfig } = await import("lighthouse");
  const said = [];
  console.log("ui: Lighthouse on the daemon's wall");
  for (const [name, config] of [["desktop", desktopConfig], ["phone", undefined]]) {
    const flags = { port: DEBUG_PORT, logLevel: "error", onlyCategories: ["performance", "accessibility", "best-practices"] };
    const { lhr } = await lighthouse(base, flags, config);
    const scores = Object.values(lhr.categories).map(({ title, score }) => `${title.toLowerCase()} ${Math.round(score * 100)}`);
    row(name, ...scores);
    for (const { id, auditRefs } of Object.values(lhr.categories)) {
      const lost = auditRefs.filter((one) => one.weight > 0 && (lhr.audits[one.id].score ?? 1) < 0.9);
      if (lost.length > 0) row(`  ${id} lost on`, lost.map((one) => `${one.id} ${lhr.audits[one.id].displayValue ?? ""}`).join(", "));
    }
    said.push(`${name}: ${scores.join(", ")}`);
  }
  claim("ui_lighthouse", "", said.join("; "));
}

const ways = [["rows on screen only", "", 1], ["all rows", "?whole=1", 1], [`rows on screen only, CPU ${THROTTLE} × slower`, "", THROTTLE], [`all rows, CPU ${THROTTLE} × slower`, "?whole=1", THROTTLE]];

if (PARTS.includes("idle")) {
  const host = await stubHost({ dist, policy, cameras: CAMERAS });
  console.log(`ui: ${CAMERAS} tiles (stub host), looked at for ${IDLE_S} s while events come; main thread, of a core`);
  const found = [];
  for (const [name, query, rate] of ways) {
    const one = await idle(host, query, rate);
    row(name, `${one.percent.toFixed(1)} %`, `script ${one.script.toFixed(1)} %`, `longest task ${one.longest.toFixed(0)} ms`, `${one.tiles} tiles in the page`);
    found.push(one);
  }
  host.close();
  claim("wall_idle", `${found[1].percent.toFixed(1)} % with all tiles in the page; ${found[3].percent.toFixed(0)} % at 6 × less CPU`, `${found[0].percent.toFixed(1)} %; ${found[2].percent.toFixed(0)} % at 6 × less CPU`);
}

if (PARTS.includes("scroll")) {
  const host = await stubHost({ dist, policy, cameras: CAMERAS });
  console.log(`ui: load of this machine ${loadavg()[0].toFixed(1)}`);
  console.log(`ui: ${CAMERAS} tiles (stub host), scrolled down and up at ${SPEED} px/s`);
  const found = [];
  for (const [name, query, rate] of ways) {
    const one = await scroll(host, query, rate);
    row(name, `${one.fps.toFixed(1)} frames/s`, `p95 ${one.p95.toFixed(0)} ms`, `worst ${one.worst.toFixed(0)} ms`, `tasks > 100 ms: ${one.long}`, `longest ${one.longest.toFixed(0)} ms, of it CPU at most ${one.cpuLongest.toFixed(0)} ms`, `main thread ${one.percent.toFixed(0)} %`, `${one.tiles} tiles`, `${one.seen.toFixed(0)} px`);
    found.push(one);
  }
  host.close();
  const text = (one) => `${one.fps.toFixed(0)} frames/s, longest task ${one.longest.toFixed(0)} ms (CPU ${one.cpuLongest.toFixed(0)} ms), main thread ${one.percent.toFixed(0)} %`;
  claim("scroll", `all tiles: ${text(found[1])}; at 6 × less CPU ${text(found[3])}`, `${text(found[0])}; at 6 × less CPU ${text(found[2])}`);
}

if (PARTS.includes("heap")) {
  const host = await stubHost({ dist, policy, cameras: CAMERAS });
  console.log(`ui: ${HOURS} h of an open wall, accelerated`);
  const { readings, counts } = await heap(host);
  host.close();
  row("meanwhile", `${counts.events} events`, `${counts.served} pictures`);
  const [first, last] = [readings[0], readings.at(-1)];
  claim("ui_heap", "", `${mb(first.bytes)} after a quarter of an hour, ${mb(last.bytes)} after ${last.at} h, ${counts.events} events, ${counts.served} pictures; nodes ${first.nodes} → ${last.nodes}`);
}

await browser.close();
