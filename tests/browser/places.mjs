// A Chromium for the heatmap, the incidents and the system: one page, driven line by line as by driver.mjs. What must hold is
// asserted by tests/e2e_ui_places.rs; this file acts, waits and reports.
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const WAIT_MS = 45_000;
const [executablePath, base] = process.argv.slice(2);
const host = new URL(base).host;
/** Console errors, exceptions, breaches of the Content-Security-Policy, requests to elsewhere, dialogs of the browser. */
const problems = [];

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, timezoneId: "Europe/Berlin" });
context.setDefaultTimeout(WAIT_MS);
await context.addInitScript(() => {
  document.addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
});
const page = await context.newPage();
page.on("console", (message) => message.type() === "error" && problems.push(`console: ${message.text()} (${message.location().url})`));
page.on("pageerror", (error) => problems.push(`exception: ${error}`));
page.on("dialog", (dialog) => {
  problems.push(`dialog: ${dialog.message()}`);
  void dialog.dismiss();
});
page.on("request", (request) => {
  const url = new URL(request.url());
  if (url.protocol !== "blob:" && url.protocol !== "data:" && url.host !== host) problems.push(`elsewhere: ${url}`);
});

async function until(what, look) {
  const end = Date.now() + WAIT_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`not within ${WAIT_MS / 1000} s: ${what}; ${problems.join("; ")}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const plot = () => page.locator(".heat-plot");
const where = () => ({ path: new URL(page.url()).pathname, search: new URL(page.url()).search });

/** How many colours a canvas shows: one that nobody painted has a single one. */
const colours = (selector) =>
  page.locator(selector).evaluate((canvas) => {
    const copy = document.createElement("canvas");
    [copy.width, copy.height] = [Math.min(canvas.width, 400), Math.min(canvas.height, 400)];
    const context = copy.getContext("2d");
    context.drawImage(canvas, 0, 0, copy.width, copy.height);
    const data = context.getImageData(0, 0, copy.width, copy.height).data;
    const seen = new Set();
    for (let at = 0; at < data.length; at += 16) seen.add((data[at] << 16) | (data[at + 1] << 8) | data[at + 2]);
    return { width: canvas.width, height: canvas.height, colours: seen.size };
  });

const actions = {
  /** Opens an address and waits for something of it. */
  async go({ path, wait }) {
    await page.goto(new URL(path, base).href);
    await page.locator(wait).first().waitFor();
    return where();
  },
  async reload({ wait }) {
    await page.reload();
    await page.locator(wait).first().waitFor();
    return where();
  },
  async login({ username, password, wait }) {
    await page.locator('form.door input[name="username"]').fill(username);
    await page.locator('form.door input[name="password"]').fill(password);
    await page.locator('form.door button[type="submit"]').click();
    await page.locator(wait).first().waitFor();
    return where();
  },
  async sign_out() {
    // What the page asks meanwhile would be refused.
    await page.goto("about:blank");
    await context.clearCookies();
    return {};
  },
  async where() {
    return where();
  },
  async press({ keys, on }) {
    if (on) await page.locator(on).first().focus();
    for (const key of keys) await page.keyboard.press(key);
    return where();
  },
  async click({ selector, modifiers }) {
    await page.locator(selector).first().click({ modifiers: modifiers ?? [] });
    return where();
  },
  async fill({ selector, text }) {
    await page.locator(selector).first().fill(text);
    return {};
  },
  async choose({ selector, value }) {
    await page.locator(selector).first().selectOption(value);
    return where();
  },
  async text({ selector }) {
    return { all: await page.locator(selector).allInnerTexts() };
  },
  async count({ selector }) {
    return { count: await page.locator(selector).count() };
  },
  async until_count({ selector, count, atLeast }) {
    const enough = (found) => (atLeast === undefined ? found === count : found >= atLeast);
    return { count: await until(`${selector}: ${count ?? atLeast}`, async () => {
      const found = await page.locator(selector).count();
      return enough(found) ? found + 1 : null;
    }) - 1 };
  },
  async until_text({ selector, text }) {
    return { text: await until(`${selector} says ${text}`, async () => {
      const said = (await page.locator(selector).allInnerTexts()).join("\n");
      return said.includes(text) ? said : null;
    }) };
  },
  async until_path({ starts }) {
    return until(`the address begins with ${starts}`, () => (page.url().slice(new URL(base).origin.length).startsWith(starts) ? where() : null));
  },

  /** The mosaic of a minute, once its picture is there. */
  async mosaic({ minute }) {
    const shown = () => page.locator(".heat-mosaic").getAttribute("data-minute");
    const began = Date.now();
    const at = await until(`the mosaic of ${minute ?? "any minute"}`, async () => {
      const found = await shown();
      return found && (!minute || found === minute) ? found : null;
    });
    return { minute: at, took: Date.now() - began, ...(await colours(".heat-mosaic canvas")) };
  },
  /** The links over the mosaic, and the colour of the picture at the left border of each. */
  async tiles() {
    return page.evaluate(() => {
      const canvas = document.querySelector(".heat-picture canvas");
      const copy = document.createElement("canvas");
      [copy.width, copy.height] = [canvas.width, canvas.height];
      const pen = copy.getContext("2d");
      pen.drawImage(canvas, 0, 0);
      const whole = canvas.getBoundingClientRect();
      const tiles = [...document.querySelectorAll(".heat-picture [data-tile]")].map((one) => {
        const box = one.getBoundingClientRect();
        const scale = canvas.width / whole.width;
        const [x, y] = [(box.left - whole.left) * scale + 2, (box.top - whole.top + box.height / 2) * scale];
        return { id: one.dataset.tile, status: one.dataset.status, border: [...pen.getImageData(Math.round(x), Math.round(y), 1, 1).data].slice(0, 3) };
      });
      return { tiles };
    });
  },
  /** Moves the pointer to a share of the strip's width, in its first line; milliseconds until the mosaic is that of another minute. */
  async scrub({ share, row }) {
    const box = await plot().boundingBox();
    const before = await page.locator(".heat-mosaic").getAttribute("data-minute");
    const began = Date.now();
    await page.mouse.move(box.x + box.width * share, box.y + 8 + 28 * (row ?? 0));
    const minute = await until("another minute", async () => {
      const found = await page.locator(".heat-mosaic").getAttribute("data-minute");
      return found !== before ? found : null;
    });
    return { minute, took: Date.now() - began, readout: await page.locator(".heat-readout").innerText() };
  },
  async strip() {
    return { cell: await plot().getAttribute("data-cell"), readout: (await page.locator(".heat-readout").allInnerTexts()).join(""), ...(await colours(".heat-plot canvas")) };
  },
  /** Clicks where the cursor stands. */
  async click_cell() {
    const box = await page.locator(".heat-cell").boundingBox();
    await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
    return where();
  },

  /** What the player shows, once it moves. */
  async picture() {
    const look = () => page.locator("video").first().evaluate((video) => ({ width: video.videoWidth, frames: video.getVideoPlaybackQuality().totalVideoFrames, time: video.currentTime, source: video.currentSrc }));
    const from = await until("a picture", async () => {
      const now = await look();
      return now.width > 0 && now.frames > 0 ? now : null;
    });
    return until("more pictures", async () => {
      const now = await look();
      return now.frames > from.frames + 5 || now.source !== from.source ? now : null;
    });
  },
  /** Evidence that has been decoded. */
  async pictures({ selector, atLeast }) {
    return until(`${atLeast} pictures of ${selector}`, async () => {
      const widths = await page.locator(selector).evaluateAll((all) => all.map((one) => one.naturalWidth ?? 0));
      return widths.filter((width) => width > 0).length >= atLeast ? { widths } : null;
    });
  },
  async scroll({ by }) {
    await page.mouse.wheel(0, by);
    return until("scrolled", async () => {
      const y = await page.evaluate(() => window.scrollY);
      return y > 0 ? { y } : null;
    });
  },
  /** Where a row lies on the screen. */
  async top({ selector }) {
    const found = await page.locator(selector).boundingBox();
    return { top: found?.y ?? null, scroll: await page.evaluate(() => window.scrollY) };
  },
  /** The file behind a link, as the browser saves it. */
  async download({ selector }) {
    const [saved] = await Promise.all([page.waitForEvent("download"), page.locator(selector).click()]);
    const chunks = [];
    for await (const chunk of await saved.createReadStream()) chunks.push(chunk);
    return { name: saved.suggestedFilename(), text: Buffer.concat(chunks).toString("utf8") };
  },
  async report() {
    return { problems };
  },
  async screenshot({ path }) {
    await page.screenshot({ path });
    return {};
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { action, ...options } = JSON.parse(line);
  try {
    console.log(JSON.stringify({ ok: await actions[action](options) }));
  } catch (error) {
    // For whoever looks for the reason.
    const path = process.env.CAPSTAN_SHOT;
    if (path) await page.screenshot({ path }).catch(() => undefined);
    console.log(JSON.stringify({ error: String(error) }));
  }
}
await browser.close();
