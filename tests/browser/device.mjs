// What the driver does on the page of one device: the player and its time line. tests/e2e_ui_device.rs asserts.
import { playerActions } from "./player.mjs";

/** `reach`: what the driver has: its context, the base address, and how it waits. */
export function deviceActions({ context, base, until, problems }) {
  const pages = new Map();
  const page = (id) => {
    const found = pages.get(id);
    if (!found) throw new Error(`${id} is not open`);
    return found;
  };

  /** What the player says of itself, and of the video that is seen. */
  const state = (id) =>
    page(id).evaluate(() => {
      const stage = document.querySelector(".stage");
      if (!stage) return null;
      const { mode, surface, at, still } = stage.dataset;
      const video = stage.querySelector(surface === "past" ? "video.past.front" : "video.live");
      const canvas = document.querySelector(".timeline-canvas");
      return {
        mode,
        surface,
        at: at ? Date.parse(at) : null,
        still: still ? Date.parse(still) : null,
        isStill: stage.classList.contains("with-still"),
        source: video.currentSrc,
        width: video.videoWidth,
        frames: video.getVideoPlaybackQuality().totalVideoFrames,
        time: video.currentTime,
        isSeeking: video.seeking,
        rate: video.playbackRate,
        paused: video.paused,
        note: [...stage.querySelectorAll(".player-note:not([hidden]), .stage-offer")].map((one) => one.textContent).join(" "),
        offer: stage.querySelector(".stage-offer") !== null,
        badge: stage.querySelector(".badge").textContent,
        delay: Number(document.querySelector("[data-delay].mode-delay")?.dataset.delay ?? Number.NaN),
        from: Number(canvas.dataset.from),
        span: Number(canvas.dataset.span),
        url: location.href,
        said: window.said ?? [],
      };
    });

  /** Where on the time line that moment lies. */
  async function spot(id, at, y = 38) {
    const canvas = page(id).locator(".timeline-canvas");
    const box = await canvas.boundingBox();
    const { from, span } = await state(id);
    return { x: box.x + ((at - from) / span) * box.width, y: box.y + y };
  }

  /** Pictures of the past are shown around that moment, and more of them come unless it is held. */
  async function plays(id, at, { within = 2000, frames = 8, isHeld = false } = {}) {
    let from = null;
    return until(`${id}: the past of ${new Date(at).toISOString()}`, async () => {
      const now = await state(id);
      if (now.mode !== "past" || now.surface !== "past" || now.width === 0 || now.at === null) return null;
      if (now.at < at - within || (from === null && now.at > at + within + 3000)) return null;
      if (isHeld) return now;
      if (from === null || now.frames < from.frames) from = now;
      return now.frames >= from.frames + frames ? now : null;
    });
  }

  return {
    ...playerActions({ context, until, tab: page, state, spot }),

    async "device.open"({ id, query = "", width = 1440, height = 900 }) {
      const tab = pages.get(id) ?? (await context.newPage());
      pages.set(id, tab);
      await tab.setViewportSize({ width, height });
      await tab.goto(new URL(`/device/${encodeURIComponent(id)}${query}`, base).href);
      await tab.locator(".timeline-canvas[data-span]").waitFor();
      // What is said goes away again: all of it is kept.
      await tab.evaluate(() => {
        window.said = [];
        const note = document.querySelector(".player-note");
        new MutationObserver(() => note.textContent !== "" && window.said.push(note.textContent)).observe(note, { childList: true, characterData: true, subtree: true });
      });
      return state(id);
    },

    async "device.state"({ id }) {
      return state(id);
    },

    async "device.live"({ id }) {
      const from = await state(id);
      return until(`${id}: live`, async () => {
        const now = await state(id);
        return now.mode === "live" && now.surface === "live" && now.width > 0 && now.frames > (now.source === from.source ? from.frames : 0) + 10 && now.delay > 0 ? now : null;
      });
    },

    /** Clicks on the time line, which must show that moment. */
    async "device.click"({ id, at, ...how }) {
      const { x, y } = await spot(id, at);
      await page(id).mouse.click(x, y);
      return plays(id, at, how);
    },

    async "device.plays"({ id, at, ...how }) {
      return plays(id, at, how);
    },

    /** Waits until the picture shown is of that moment or later; tells the longest rest between two pictures on the way. */
    async "device.through"({ id, at }) {
      await page(id).evaluate(() => {
        const stage = document.querySelector(".stage");
        window.rests = { last: performance.now(), longest: 0 };
        window.watching?.disconnect();
        window.watching = new MutationObserver(() => {
          const now = performance.now();
          window.rests.longest = Math.max(window.rests.longest, now - window.rests.last);
          window.rests.last = now;
        });
        window.watching.observe(stage, { attributes: true, attributeFilter: ["data-at"] });
      });
      const now = await until(`${id}: plays through to ${new Date(at).toISOString()}`, async () => {
        const now = await state(id);
        return now.at >= at ? now : null;
      });
      return { ...now, longest_rest_ms: await page(id).evaluate(() => Math.round(window.rests.longest)) };
    },

    async "device.key"({ id, keys }) {
      for (const key of [keys].flat()) await page(id).keyboard.press(key);
      return state(id);
    },

    async "device.zoom"({ id, at, span }) {
      // The wheel, as a person does, until about that much is shown; the moment under the pointer stays there.
      for (let turn = 0; turn < 60; turn += 1) {
        const now = await state(id);
        if (Math.abs(Math.log(now.span / span)) < 0.2) return now;
        const { x, y } = await spot(id, Math.min(Math.max(at, now.from + now.span * 0.02), now.from + now.span * 0.95));
        await page(id).mouse.move(x, y);
        await page(id).mouse.wheel(0, Math.max(-600, Math.min(600, Math.log(span / now.span) / Math.log(1.0015))));
        await page(id).evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
      }
      throw new Error(`${id}: not zoomed to ${span}`);
    },

    /** Clicks on each of these moments; for each, milliseconds until a picture of it was on the screen. */
    async "device.measure"({ id, moments }) {
      await page(id).evaluate(() => {
        const canvas = document.querySelector(".timeline-canvas");
        window.clicked = null;
        canvas.addEventListener("pointerdown", () => (window.clicked = performance.now()), { capture: true });
        for (const video of document.querySelectorAll("video.past")) {
          const each = (_, { mediaTime }) => {
            const start = Date.parse(new URLSearchParams(video.currentSrc.split("?")[1]?.split("#")[0]).get("start"));
            const at = start + mediaTime * 1000;
            if (window.clicked !== null && window.wanted !== null && Math.abs(at - window.wanted) < 700) {
              window.took = performance.now() - window.clicked;
              window.wanted = null;
            }
            video.requestVideoFrameCallback(each);
          };
          video.requestVideoFrameCallback(each);
        }
      });
      const took = [];
      for (const at of moments) {
        const { x, y } = await spot(id, at);
        await page(id).evaluate((at) => Object.assign(window, { wanted: at, clicked: null, took: null }), at);
        await page(id).mouse.click(x, y);
        took.push(await until(`${id}: a picture of ${new Date(at).toISOString()}`, () => page(id).evaluate(() => window.took)));
        await new Promise((resolve) => setTimeout(resolve, 150));
      }
      return { took: took.map((one) => Math.round(one)) };
    },

    /** Moves over the time line; milliseconds from each move to its still being drawn, for those that were there already. */
    async "device.scrub"({ id, moments }) {
      await page(id).evaluate(() => {
        const canvas = document.querySelector(".timeline-canvas");
        window.moves = [];
        let began = 0;
        canvas.addEventListener("pointermove", () => (began = performance.now()), { capture: true });
        // After the page's own: what it drew, it has drawn by now; the next frame puts it on the screen.
        canvas.addEventListener("pointermove", () => {
          const picture = document.querySelector(".timeline-hint canvas");
          const isShown = !picture.closest("[hidden]") && !picture.classList.contains("none");
          const start = began;
          requestAnimationFrame(() => window.moves.push({ isShown, at: Number(picture.dataset.at), ms: performance.now() - start }));
        });
      });
      for (const round of [0, 1]) {
        for (const at of moments) {
          const { x, y } = await spot(id, at);
          await page(id).mouse.move(x, y);
          // The first round fetches what is not there yet.
          if (round === 0) await until("its still", () => page(id).evaluate(() => !document.querySelector(".timeline-hint canvas").classList.contains("none")));
        }
        if (round === 0) await page(id).evaluate(() => void (window.moves = []));
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
      return { moves: await page(id).evaluate(() => window.moves) };
    },

    /** Drags along the time line without letting go at the end; what is shown meanwhile, and what after it rested there. */
    async "device.drag"({ id, from, to }) {
      const begin = await spot(id, from);
      const { mouse } = page(id);
      await mouse.move(begin.x, begin.y);
      await mouse.down();
      // From now on the view stands still; until then it followed what plays.
      const end = await spot(id, to);
      const stills = new Set();
      for (let step = 1; step <= 20; step += 1) {
        await mouse.move(begin.x + ((end.x - begin.x) * step) / 20, begin.y);
        const now = await state(id);
        if (now.isStill) stills.add(now.still);
      }
      let last = null;
      const rested = await until(() => `${id}: video where it rests: ${JSON.stringify(last)}`, async () => {
        const now = await state(id);
        last = now;
        return now.surface === "past" && !now.isStill && Math.abs(now.time * 1000 + Date.parse(new URLSearchParams(now.source.split("?")[1].split("#")[0]).get("start")) - to) < 1500 ? now : null;
      });
      await mouse.up();
      return { stills: stills.size, rested };
    },

    async "device.clickOn"({ id, selector, index = 0 }) {
      await page(id).locator(selector).nth(index).click();
      return {};
    },

    async "device.fill"({ id, selector, value }) {
      const field = page(id).locator(selector).first();
      if ((await field.evaluate((one) => one.tagName)) === "SELECT") await field.selectOption(value);
      else await field.fill(value);
      return {};
    },

    /** Waits for it; its text, and its attributes of interest. */
    async "device.look"({ id, selector }) {
      const found = page(id).locator(selector).first();
      await found.waitFor({ state: "visible" });
      return found.evaluate((one) => ({ text: one.textContent, href: one.getAttribute("href"), value: one.value ?? null }));
    },

    async "device.count"({ id, selector }) {
      return { count: await page(id).locator(selector).count() };
    },

    /** Encodes by the button; every progress that was told, and where the result lies. */
    async "device.encode"({ id }) {
      await page(id).locator('[data-act="encode"]').click();
      const parts = [];
      const href = await until(`${id}: the encoded clip`, async () => {
        const done = page(id).locator('[data-act="encoded"]');
        if (await done.isVisible()) return done.getAttribute("href");
        const part = await page(id).locator('[data-clip="progress"]').getAttribute("data-part", { timeout: 500 }).catch(() => null);
        if (part !== null && parts.at(-1) !== Number(part)) parts.push(Number(part));
        return null;
      });
      return { href, parts };
    },

    /** The video in the dialog of the last seconds. */
    async "device.restart"({ id }) {
      await page(id).locator('[data-act="restart"]').click();
      const video = page(id).locator(".restart-picture video");
      const look = () => video.evaluate((one) => ({ frames: one.getVideoPlaybackQuality().totalVideoFrames, width: one.videoWidth, duration: one.duration }));
      const played = await until(`${id}: the last seconds play`, async () => {
        const now = await look();
        return now.width > 0 && now.frames >= 20 ? now : null;
      });
      await page(id).keyboard.press("Escape");
      await page(id).locator(".restart-picture").waitFor({ state: "detached" });
      return played;
    },

    /** Saves what a click downloads; its name and size. */
    async "device.download"({ id, selector, path }) {
      const [download] = await Promise.all([page(id).waitForEvent("download"), page(id).locator(selector).first().click()]);
      await download.saveAs(path);
      return { name: download.suggestedFilename() };
    },

    /** Bytes a second and milliseconds of the way; without them, as fast as it goes. */
    async "device.throttle"({ id, bytes = -1, latency = 0 }) {
      const session = await context.newCDPSession(page(id));
      await session.send("Network.enable");
      await session.send("Network.emulateNetworkConditions", { offline: false, latency, downloadThroughput: bytes, uploadThroughput: bytes });
      return {};
    },

    /** Problems so far, taken away: they were expected. */
    async "device.problems"() {
      return { problems: problems.splice(0) };
    },

    async "device.screenshot"({ id, path, scheme = "dark" }) {
      await page(id).emulateMedia({ colorScheme: scheme });
      await page(id).screenshot({ path });
      return {};
    },

    async "device.close"({ id }) {
      await page(id).close();
      pages.delete(id);
      return {};
    },
  };
}
