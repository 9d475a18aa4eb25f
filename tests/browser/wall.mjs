// What somebody does on the wall, and what it shows of it. Asserted by tests/e2e_ui_wall.rs.
export function wall({ page, base, until, requests }) {
  const tile = (id) => page.locator(`[data-tile="${id}"]`);
  const playlists = () => requests.filter(({ url }) => url.endsWith(".m3u8")).length;

  /** Decoded frames of the one live tile; null while it has none. */
  const live = () =>
    page.evaluate(() => {
      const videos = [...document.querySelectorAll("[data-tile] video")];
      const cell = videos[0]?.closest("[data-tile]");
      return {
        count: videos.length,
        id: cell?.dataset.tile ?? null,
        width: videos[0]?.videoWidth ?? 0,
        frames: videos[0]?.getVideoPlaybackQuality().totalVideoFrames ?? 0,
        shown: cell?.querySelector(".tile-live.shown") !== null && cell !== undefined,
      };
    });

  const lives = (id) =>
    until(`${id} is live`, async () => {
      const now = await live();
      if (now.count > 1) throw new Error(`${now.count} tiles are live`);
      return now.id === id && now.shown && now.width > 0 && now.frames >= 20 ? now : null;
    });

  return {
    /** Counts what keeps the screen awake from now on, over reloads too. */
    async wall_open({ path = "", width = 1440, height = 900 }) {
      await page.setViewportSize({ width, height });
      await page.addInitScript(() => {
        window.wake = { asked: 0, released: 0 };
        const ask = navigator.wakeLock?.request.bind(navigator.wakeLock);
        if (!ask) return;
        navigator.wakeLock.request = async (kind) => {
          window.wake.asked += 1;
          // A browser without a screen refuses; the page then goes on without.
          return ask(kind).then((lock) => {
            lock.addEventListener("release", () => (window.wake.released += 1));
            return lock;
          });
        };
      });
      await page.goto(new URL(path, base).href);
      await page.locator("[data-tile], .empty").first().waitFor();
      return {};
    },

    /** Loads the wall while nobody answers these questions; what the page says instead. */
    async wall_deaf({ paths }) {
      await page.route(paths, (route) => route.abort());
      await page.goto(base);
      return until("it says that nobody answers", async () => {
        const text = (await page.locator("body").innerText()).trim();
        return /does not answer/.test(text) ? { text } : null;
      });
    },

    async wall_heard({ paths }) {
      await page.unroute(paths);
      return {};
    },

    /** The tiles that are in the page, in their order, and what stands around them. */
    async wall() {
      return page.evaluate(() => ({
        tiles: [...document.querySelectorAll("[data-tile]")].map((one) => ({
          id: one.dataset.tile,
          name: one.querySelector(".tile-name").textContent,
          trouble: one.querySelector(".tile-trouble")?.textContent ?? null,
          status: one.querySelector(".status").textContent,
          picture: one.querySelector("canvas")?.width ?? 0,
          old: one.querySelector(".thumbnail.old") !== null,
          left: Math.round(one.getBoundingClientRect().left),
          top: Math.round(one.getBoundingClientRect().top),
        })),
        headings: [...document.querySelectorAll(".wall-heading h2")].map((one) => one.textContent),
        head: document.querySelector(".page-head")?.textContent ?? "",
        focused: document.activeElement?.dataset.tile ?? null,
        away: document.querySelector(".away-note, .kiosk-away")?.textContent ?? null,
        opacity: document.querySelector(".wall-grid") ? Number(getComputedStyle(document.querySelector(".wall-grid")).opacity) : null,
        empty: document.querySelector(".empty")?.textContent ?? null,
        links: [...document.querySelectorAll(".empty a")].map((one) => one.getAttribute("href")),
        path: location.pathname + location.search,
        title: document.title,
        pwned: window.pwned ?? null,
        images: document.querySelectorAll("#content img, #content script").length,
        width: document.documentElement.scrollWidth,
      }));
    },

    /** Waits for something that [`wall`] shows: `is` is an expression of `wall` as it is. */
    async wall_until({ what, is }) {
      const holds = new Function("wall", `return ${is}`);
      return until(what, async () => {
        const now = await this.wall();
        return holds(now) ? now : null;
      });
    },

    async wall_hover({ id }) {
      await tile(id).hover();
      return lives(id);
    },

    /** Waits for the tile of the focus to be live. */
    async wall_lives({ id }) {
      return lives(id);
    },

    /** Whether all live is over once nothing is pointed at, and how many playlists were asked for in the seconds after. */
    async wall_leave({ seconds = 3 }) {
      await page.mouse.move(700, 4);
      await page.evaluate(() => document.activeElement?.blur());
      await until("nothing is live", async () => (await live()).count === 0);
      const before = playlists();
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
      return { playlists: playlists() - before };
    },

    /** Keys one after the other, as a person presses them. */
    async wall_keys({ keys }) {
      for (const key of keys) await page.keyboard.press(key);
      return page.evaluate(() => ({ focused: document.activeElement?.dataset.tile ?? null, tag: document.activeElement?.tagName ?? null, path: location.pathname + location.search }));
    },

    async wall_type({ text }) {
      await page.keyboard.type(text);
      return {};
    },

    async wall_choose({ label, value }) {
      await page.getByLabel(label, { exact: true }).selectOption(value);
      return {};
    },

    /** The last seconds in their dialog, playing. */
    async wall_restarted() {
      const video = page.locator("dialog video");
      await video.waitFor();
      const shown = await until("the last seconds play", () => video.evaluate((one) => one.videoWidth > 0 && one.getVideoPlaybackQuality().totalVideoFrames >= 20 && { width: one.videoWidth, duration: one.duration }));
      await page.keyboard.press("Escape");
      await page.locator("dialog").waitFor({ state: "detached" });
      return shown;
    },

    /** The rotation as it stands. */
    async wall_kiosk() {
      return page.evaluate(() => ({
        open: document.querySelector(".kiosk") !== null,
        title: document.querySelector(".kiosk h1")?.textContent ?? null,
        tiles: [...document.querySelectorAll(".kiosk [data-tile]")].map((one) => one.dataset.tile),
        pictures: [...document.querySelectorAll(".kiosk [data-tile] canvas")].length,
        fits: [...document.querySelectorAll(".kiosk [data-tile]")].every((one) => {
          const { left, top, right, bottom } = one.getBoundingClientRect();
          return left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
        }),
        full: document.fullscreenElement !== null,
        inert: document.querySelector(".app").inert,
        wake: window.wake,
      }));
    },

    /** The titles that the rotation shows until `count` came by, with the milliseconds between. */
    async wall_rotation({ count }) {
      const seen = [];
      await until(`${count} groups`, async () => {
        const title = await page.locator(".kiosk h1").textContent();
        if (title !== seen.at(-1)?.title) seen.push({ title, at: Date.now() });
        return seen.length >= count;
      });
      return { titles: seen.map((one) => one.title), gaps: seen.slice(1).map((one, index) => one.at - seen[index].at) };
    },
  };
}
