// One Chromium on the wall and, in a tab of its own each, on the devices that are asked about; driven line by line: a JSON command in, a JSON reply out. What must hold is asserted by
// tests/e2e_browser.rs; this file only acts, waits and reports.
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";
import { axe } from "./axe.mjs";
import { wall } from "./wall.mjs";
import { deviceActions } from "./device.mjs";

const WAIT_MS = 45_000;
const [executablePath, base] = process.argv.slice(2);
const host = new URL(base).host;

/** All that the page asked for, in the order of asking: {url, at, sequence?}. */
const requests = [];
/** Console errors, exceptions, breaches of the Content-Security-Policy, requests to elsewhere. */
const problems = [];

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
context.setDefaultTimeout(WAIT_MS);
await context.addInitScript(() => {
  document.addEventListener("securitypolicyviolation", (event) => {
    console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`);
  });
});
context.on("page", (page) => {
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(`console: ${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => problems.push(`exception: ${error}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol !== "blob:" && url.protocol !== "data:" && url.host !== host) problems.push(`elsewhere: ${url}`);
    requests.push({ url: url.pathname, at: Date.now(), request });
  });
  page.on("response", async (response) => {
    if (!response.url().endsWith(".m3u8") || response.status() !== 200) return;
    const entry = requests.find((one) => one.request === response.request());
    const text = await response.text().catch(() => "");
    entry.sequence = Number(/#EXT-X-MEDIA-SEQUENCE:(\d+)/.exec(text)?.[1] ?? Number.NaN);
  });
});
const page = await context.newPage();

/** Each device's tab, opened by its own address when it is first asked about, and never reloaded. */
const tabs = new Map();
async function device(id) {
  if (!tabs.has(id)) {
    const tab = await context.newPage();
    tabs.set(id, tab);
    await tab.goto(new URL(`/device/${encodeURIComponent(id)}`, base).href);
  }
  return tabs.get(id).locator(`section[data-device="${id}"]`);
}

/** Looks again until `look` returns something; a clear error when it never does. */
async function until(what, look) {
  const end = Date.now() + WAIT_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    const said = typeof what === "function" ? what() : what;
    if (Date.now() > end) throw new Error(`not within ${WAIT_MS / 1000} s: ${said}; ${problems.join("; ")}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const picture = async (id) =>
  (await device(id)).locator("video.live.seen, .stage:not(:has(video.live.seen)) video.past.front").evaluate((video) => ({
    width: video.videoWidth,
    frames: video.getVideoPlaybackQuality().totalVideoFrames,
    time: video.currentTime,
    duration: Number.isFinite(video.duration) ? video.duration : null,
    seeking: video.seeking,
    source: video.currentSrc,
    shown: video.parentElement.dataset.shown ?? null,
    delay: Number(video.parentElement.dataset.delay ?? Number.NaN),
    badge: video.parentElement.querySelector(".badge").textContent,
  }));

/** Waits until `more` further frames were decoded. A new source counts from zero again. */
async function rising(id, more) {
  let from = await picture(id);
  return until(`${id}: ${more} more decoded frames`, async () => {
    const now = await picture(id);
    if (now.frames < from.frames) from = now;
    return now.width > 0 && now.frames >= from.frames + more ? { ...now, frames_before: from.frames } : null;
  });
}

const actions = {
  /** The wall, or the form where somebody has to sign in. */
  async open() {
    await page.goto(base);
    await page.locator("[data-tile], form.door, .empty").first().waitFor();
    return {};
  },

  /** Fills in the form; what it says when that does not open the page. */
  async login({ username, password }) {
    await page.locator('form.door input[name="username"]').fill(username);
    await page.locator('form.door input[name="password"]').fill(password);
    await page.locator('form.door button[type="submit"]').click();
    return until("signed in or refused", async () => {
      const wrong = page.locator("form.door .door-fault");
      if (await page.locator(".entrance").isHidden()) return { inside: true };
      return (await wrong.isVisible()) ? { inside: false, said: await wrong.textContent() } : null;
    });
  },

  /** By its button; then what the page shows and may still ask. */
  async logout() {
    // A tab that looks on would ask with a session that has ended.
    for (const tab of tabs.values()) await tab.close();
    tabs.clear();
    await page.locator('[data-act="sign-out"]').click();
    await page.locator("form.door").waitFor({ state: "visible" });
    const status = await page.evaluate(async () => (await fetch("/api/auth/me")).json());
    return { user: status.user, devices: await page.locator("[data-tile], [data-device]").count() };
  },

  /** The live picture moves, and (given `since`, RFC 3339) was taken after that. */
  async live({ id, since }) {
    await until(`${id}: a live picture taken after ${since ?? "ever"}`, async () => {
      const { shown, width } = await picture(id);
      return width > 0 && shown !== null && (!since || Date.parse(shown) > Date.parse(since));
    });
    return rising(id, 20);
  },

  /** Plays the chunk of this address by its button in the list of files. */
  async chunk({ id, url }) {
    const section = await device(id);
    await section.locator("#tab-files").click();
    const row = section.locator("li", { has: tabs.get(id).locator(`a[href="${url}"]`) });
    await row.locator("button").click();
    await until(`${id}: the past`, async () => (await picture(id)).source.includes("/api/host/clip/"));
    return { ...(await rising(id, 20)), shown_at: await section.locator(".stage").getAttribute("data-at") };
  },

  async back({ id }) {
    await (await device(id)).locator('[data-act="live"]').click();
    await until(`${id}: live again`, async () => (await picture(id)).source.startsWith("blob:"));
    return rising(id, 20);
  },

  /**
   * Every address that the page gives to a person or a player, against the chunk that grows. Nothing when the chunk was
   * sealed in the middle of looking: then the address has become a finished one.
   */
  async offered({ id }) {
    await (await device(id)).locator("#tab-files").click();
    return tabs.get(id).evaluate(async (id) => {
      const open = async () => {
        const state = await (await fetch("/api/host/state")).json();
        return state.devices.find((one) => one.id === id).open_chunk?.url ?? null;
      };
      const before = await open();
      const section = document.querySelector(`section[data-device="${id}"]`);
      const urls = [...section.querySelectorAll("[href], [src]")].map((one) => one.getAttribute("href") ?? one.src);
      const after = await open();
      return { growing: before === after ? before : null, urls, note: section.querySelector(".growing").textContent };
    }, id);
  },

  /**
   * Plays an archive playlist by the page's own hls.js in a video of its own: from its start, then from each of `seeks`
   * (seconds of the player's time line). Decoded frames are counted after each.
   */
  async archive({ url, seeks }) {
    return page.evaluate(
      async ({ url, seeks, wait }) => {
        // The first file of the page names the others that may be wanted.
        const script = document.querySelector("script[src]").src;
        const [name] = /hls-[\w-]+\.js/.exec(await (await fetch(script)).text());
        const { Hls } = await import(`/assets/${name}`);
        const video = document.createElement("video");
        video.muted = true;
        document.body.append(video);
        const hls = new Hls({ enableWorker: false });
        const errors = [];
        hls.on(Hls.Events.ERROR, (_, error) => errors.push(`${error.details} ${error.fatal ? "fatal" : ""}`));
        const frames = () => video.getVideoPlaybackQuality().totalVideoFrames;
        const until = async (what, look) => {
          for (const end = Date.now() + wait; !look(); ) {
            if (Date.now() > end) throw new Error(`${what}: ${errors.join("; ")} at ${video.currentTime}`);
            await new Promise((resolve) => setTimeout(resolve, 20));
          }
        };
        hls.loadSource(url);
        hls.attachMedia(video);
        const parsed = new Promise((resolve) => hls.once(Hls.Events.LEVEL_LOADED, (_, data) => resolve(data.details)));
        const { totalduration, live, fragments } = await parsed;
        // hls.js moves to where the playlist says to start once the first entry is buffered; a video that was told to play
        // before may have begun at the entry by then. Where it starts is where it goes on from after that.
        let [first, placed] = [null, false];
        const begin = () => (first ??= video.currentTime);
        const moved = () => (first = null);
        for (const event of ["playing", "seeked"]) video.addEventListener(event, begin);
        video.addEventListener("seeking", moved);
        hls.on(Hls.Events.FRAG_BUFFERED, (_, { frag }) => (placed ||= frag.sn !== "initSegment"));
        await video.play();
        await until("the first pictures", () => placed && !video.seeking && first !== null && frames() >= 20);
        video.removeEventListener("seeking", moved);
        let stalls = 0;
        // Where, and what was there to be played: a range that ends there tells a hole or a late entry.
        const stalled = [];
        video.addEventListener("waiting", () => {
          if (video.seeking) return;
          stalls += 1;
          const { currentTime: at, buffered } = video;
          stalled.push({ at, had: Array.from(buffered, (_, n) => [buffered.start(n), buffered.end(n)]) });
        });
        const sought = [];
        for (const to of seeks) {
          const [began, before] = [performance.now(), frames()];
          // The event tells when; looking now and then would tell up to 20 ms more.
          const seeked = new Promise((resolve) => (video.onseeked = () => resolve(performance.now())));
          video.currentTime = to;
          await until(`the seek to ${to}`, () => !video.seeking && video.currentTime >= to);
          const took = (await seeked) - began;
          // Past the end of its entry where that is near: seams are crossed.
          await until(`pictures after ${to}`, () => frames() >= before + 60 || video.ended);
          const date = hls.playingDate?.toISOString() ?? null;
          sought.push({ to, took, at: video.currentTime, date, frames: frames() - before, ended: video.ended });
        }
        const width = video.videoWidth;
        hls.destroy();
        video.remove();
        const entries = fragments.length;
        return { duration: totalduration, live, entries, width, first, sought, stalls, stalled, errors };
      },
      { url, seeks, wait: WAIT_MS },
    );
  },

  /**
   * Plays a file in a bare video, as somebody who opens its address: from its start, then from each of `seeks` (seconds).
   * Decoded frames are counted after each.
   */
  async file({ url, seeks }) {
    return page.evaluate(
      async ({ url, seeks, wait }) => {
        const video = document.createElement("video");
        video.muted = true;
        document.body.append(video);
        const frames = () => video.getVideoPlaybackQuality().totalVideoFrames;
        const until = async (what, look) => {
          for (const end = Date.now() + wait; !look(); ) {
            if (video.error) throw new Error(`${what}: ${video.error.message}`);
            if (Date.now() > end) throw new Error(`${what}: at ${video.currentTime}`);
            await new Promise((resolve) => setTimeout(resolve, 20));
          }
        };
        const began = performance.now();
        video.src = url;
        await until("the metadata", () => video.readyState >= 1);
        const metadata = performance.now() - began;
        let stalls = 0;
        await video.play();
        await until("the first pictures", () => frames() >= 20);
        video.addEventListener("waiting", () => (stalls += video.seeking ? 0 : 1));
        const sought = [];
        for (const to of seeks) {
          const [began, before] = [performance.now(), frames()];
          // The event tells when; looking now and then would tell up to 20 ms more.
          const seeked = new Promise((resolve) => (video.onseeked = () => resolve(performance.now())));
          video.currentTime = to;
          await until(`the seek to ${to}`, () => !video.seeking && video.currentTime >= to);
          const took = (await seeked) - began;
          await until(`pictures after ${to}`, () => frames() >= before + 60 || video.ended);
          sought.push({ to, took, at: video.currentTime, frames: frames() - before, ended: video.ended });
        }
        const { duration, videoWidth: width } = video;
        video.remove();
        return { metadata, duration, width, sought, stalls };
      },
      { url, seeks, wait: WAIT_MS },
    );
  },

  /** Plays sound alone; tells how many coded bytes of it were decoded, and of pictures. */
  async sound({ url }) {
    return page.evaluate(
      async ({ url, wait }) => {
        const video = document.createElement("video");
        video.muted = true;
        document.body.append(video);
        video.src = url;
        await video.play();
        for (const end = Date.now() + wait; video.currentTime < 1.5 && !video.ended; ) {
          if (video.error) throw new Error(video.error.message);
          if (Date.now() > end) throw new Error(`no sound, at ${video.currentTime}`);
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        const { duration, videoWidth: width } = video;
        const decoded = video.webkitAudioDecodedByteCount;
        const frames = video.getVideoPlaybackQuality().totalVideoFrames;
        video.remove();
        return { duration, width, decoded, frames };
      },
      { url, wait: WAIT_MS },
    );
  },

  async report() {
    return { problems, requests: requests.map(({ url, at, sequence }) => ({ url, at, sequence })) };
  },

  /** Of a device's tab, or of the wall. */
  async screenshot({ path, id }) {
    await (tabs.get(id) ?? page).screenshot({ path, fullPage: true });
    return {};
  },
};

// Those of single pages, in files of their own.
Object.assign(
  actions,
  wall({ page, base, until, requests }),
  axe({ context, base }),
  deviceActions({ context, base, until, problems }),
);

for await (const line of createInterface({ input: process.stdin })) {
  const { action, ...options } = JSON.parse(line);
  try {
    console.log(JSON.stringify({ ok: await actions[action](options) }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error) }));
  }
}
await browser.close();
