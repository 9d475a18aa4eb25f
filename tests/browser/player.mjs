// What somebody does with hands and keys in the player of one device: its calendar, sound, speeds, and pointers of all kinds
// on the time line. tests/e2e_ui_player.rs asserts; the tabs are those of device.mjs.

/** `tab`: the page of a device that is open; `state`: what its player says of itself; `spot`: where a moment lies. */
export function playerActions({ context, until, tab, state, spot }) {
  /** The number that the picture shows which is seen: see tests/common/footage.rs. */
  const number = (id) =>
    tab(id).evaluate(() => {
      const video = document.querySelector(".stage video.past.front");
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
      const pen = canvas.getContext("2d");
      pen.drawImage(video, 0, 0);
      return Array.from({ length: 12 }, (_, bit) => (pen.getImageData(bit * 24 + 12, 12, 1, 1).data[1] > 127 ? 1 << bit : 0)).reduce((sum, one) => sum + one);
    });

  /**
   * The picture that stands there once it does not change any more: its number, and the moment that the page says it is of.
   * After steps the clock stands in the middle of a picture (of 40 ms): until then, one is still to come.
   */
  async function steady(id, isStepped = false) {
    let [last, same] = [null, 0];
    return until(`${id}: the picture stands`, async () => {
      const [shown, { at, time, isSeeking, isStill, source }] = [await number(id), await state(id)];
      // A browser that is busy tells late which picture it has put on the screen.
      const begin = Date.parse(new URLSearchParams(source.split("?")[1].split("#")[0]).get("start"));
      const into = begin + time * 1000 - at;
      const isTold = !isSeeking && (isStepped ? into > 5 && into < 35 : Math.abs(into) < 50);
      same = last !== null && last.number === shown && last.at === at && isTold && !isStill ? same + 1 : 0;
      last = { number: shown, at, time };
      return same >= 3 ? last : null;
    });
  }

  const drawn = (id) => tab(id).evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  const view = async (id) => {
    await drawn(id);
    const { from, span } = await state(id);
    return { from, span };
  };

  return {
    async "player.steady"({ id, isStepped }) {
      return steady(id, isStepped);
    },

    /** The calendar as it stands: its month once that is known, its days, and which has the focus. */
    async "player.calendar"({ id, keys = [], month }) {
      for (const key of keys) await tab(id).keyboard.press(key);
      return until(`${id}: the calendar of ${month ?? "any month"}`, () =>
        tab(id).evaluate((month) => {
          const grid = document.querySelector("dialog .calendar[data-month]");
          if (!grid || (month && grid.dataset.month !== month)) return null;
          const days = [...grid.querySelectorAll("[data-date]")];
          return {
            month: grid.dataset.month,
            recorded: days.filter((one) => one.ariaDisabled !== "true").map((one) => one.dataset.date),
            chosen: grid.querySelector(".chosen")?.dataset.date ?? null,
            focused: document.activeElement?.dataset.date ?? null,
            tabs: days.filter((one) => one.tabIndex === 0).length,
          };
        }, month),
      );
    },

    /** Which local day a moment is of, as this browser has it. */
    async "player.dayOf"({ id, at }) {
      return tab(id).evaluate((at) => new Intl.DateTimeFormat("sv-SE", { dateStyle: "short" }).format(at), at);
    },

    /** Picture in picture, or what is said when there is none. */
    async "player.inset"({ id }) {
      await tab(id).keyboard.press("w");
      return until(`${id}: picture in picture or a word on it`, () =>
        tab(id).evaluate(() => {
          const said = document.querySelector(".toasts")?.textContent ?? "";
          return document.pictureInPictureElement !== null ? { is: true } : said !== "" ? { is: false, said } : null;
        }),
      );
    },

    /** How loud all its videos are, which must be alike, and what the controls say. */
    async "player.sound"({ id }) {
      return tab(id).evaluate(() => {
        const all = [...document.querySelectorAll(".stage video")];
        return {
          volume: [...new Set(all.map((one) => Number(one.volume.toFixed(2))))],
          muted: [...new Set(all.map((one) => one.muted))],
          slider: Number(document.querySelector(".controls-volume").value),
          button: document.querySelector('[data-act="mute"]').ariaLabel,
        };
      });
    },

    async "player.view"({ id }) {
      return view(id);
    },

    /** Turns the wheel over that moment; the view after it. */
    async "player.wheel"({ id, at, by, isShift = false }) {
      const { x, y } = await spot(id, at);
      await tab(id).mouse.move(x, y);
      if (isShift) await tab(id).keyboard.down("Shift");
      await tab(id).mouse.wheel(0, by);
      if (isShift) await tab(id).keyboard.up("Shift");
      return view(id);
    },

    /** Drags by the mouse from one moment to another; `y`: which row of the time line. */
    async "player.drag"({ id, from, to, y }) {
      const [begin, end] = [await spot(id, from, y), await spot(id, to, y)];
      const { mouse } = tab(id);
      await mouse.move(begin.x, begin.y);
      await mouse.down();
      for (let step = 1; step <= 8; step += 1) await mouse.move(begin.x + ((end.x - begin.x) * step) / 8, end.y);
      await mouse.up();
      return view(id);
    },

    /** Fingers on the time line: each goes from one share of its width to another. */
    async "player.touch"({ id, fingers }) {
      const session = await context.newCDPSession(tab(id));
      await session.send("Emulation.setTouchEmulationEnabled", { enabled: true, maxTouchPoints: 2 });
      const box = await tab(id).locator(".timeline-canvas").boundingBox();
      const points = (part) => fingers.map(([from, to], at) => ({ id: at, x: box.x + box.width * (from + (to - from) * part), y: box.y + 38 }));
      await session.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: points(0) });
      for (let step = 1; step <= 8; step += 1) await session.send("Input.dispatchTouchEvent", { type: "touchMove", touchPoints: points(step / 8) });
      await session.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
      await session.send("Emulation.setTouchEmulationEnabled", { enabled: false });
      await session.detach();
      return view(id);
    },

    /** Waits until `is`, an expression of `state`, holds. */
    async "player.until"({ id, what, is }) {
      const holds = new Function("state", `return ${is}`);
      return until(`${id}: ${what}`, async () => {
        const now = await state(id);
        return holds(now) ? now : null;
      });
    },

    async "player.reload"({ id }) {
      await tab(id).reload();
      await tab(id).locator(".timeline-canvas[data-span]").waitFor();
      return state(id);
    },
  };
}
