// Several people at several browsers of one Chromium: each of `who` has a context of its own, with tabs. Driven like
// driver.mjs; tests/e2e_ui_settings.rs says what is done and what must hold.
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const WAIT_MS = 20_000;
const [executablePath, base] = process.argv.slice(2);
const host = new URL(base).host;

/** Console errors, exceptions, breaches of the Content-Security-Policy, requests to elsewhere, scripts that came as text. */
const problems = [];
/** What each asked of the daemon: {who, method, url, status}. */
const requests = [];

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
const people = new Map();

async function person(who) {
  if (people.has(who)) return people.get(who);
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, permissions: [] });
  context.setDefaultTimeout(WAIT_MS);
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
  });
  context.on("page", (page) => {
    page.on("console", (message) => message.type() === "error" && problems.push(`console: ${message.text()} (${message.location().url})`));
    page.on("pageerror", (error) => problems.push(`exception: ${error.stack ?? error}`));
    page.on("dialog", (dialog) => {
      if (dialog.type() !== "beforeunload") problems.push(`dialog: ${dialog.message()}`);
      void dialog.accept();
    });
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (!/^(blob|data):$/.test(url.protocol) && url.host !== host) problems.push(`elsewhere: ${url}`);
    });
    page.on("response", (response) => requests.push({ who, method: response.request().method(), url: new URL(response.url()).pathname, status: response.status() }));
  });
  const one = { context, tabs: new Map() };
  people.set(who, one);
  return one;
}

async function tab({ who, tab: name = "first" }) {
  const one = await person(who);
  if (!one.tabs.has(name)) one.tabs.set(name, await one.context.newPage());
  return one.tabs.get(name);
}

/** The control of that name, or what a selector finds. */
const field = (page, name) => page.locator(`[name="${name}"]`);

const actions = {
  async go({ path, ...where }) {
    const page = await tab(where);
    await page.goto(new URL(path, base).href);
    return {};
  },

  /** By the form; waits until the page is there, or says why not. */
  async login({ username, password, ...where }) {
    const page = await tab(where);
    await page.locator("form.door").waitFor();
    await field(page, "username").fill(username);
    await field(page, "password").fill(password);
    await page.locator('form.door button[type="submit"]').click();
    const fault = page.locator(".door-fault");
    await page.locator(".app").or(page.locator(".door-fault:visible")).first().waitFor();
    return (await fault.isVisible().catch(() => false)) ? { inside: false, said: await fault.textContent() } : { inside: true };
  },

  /** Texts, choices and boxes, each by the name of its control. */
  async fill({ fields, ...where }) {
    const page = await tab(where);
    const all = Object.entries(fields);
    // Choices first: some decide which other fields there are.
    const isChoice = async ([name]) => (await field(page, name).count()) > 0 && (await field(page, name).evaluate((element) => element.tagName === "SELECT"));
    const choices = [];
    for (const one of all) if (await isChoice(one)) choices.push(one);
    for (const [name, value] of choices) await field(page, name).selectOption(value);
    for (const [name, value] of all.filter((one) => !choices.includes(one))) {
      const one = field(page, name);
      await one.waitFor({ state: "attached" });
      if (await one.evaluate((element) => element.type === "checkbox")) await one.setChecked(value);
      else await one.fill(value);
    }
    return {};
  },

  async click({ what, ...where }) {
    await (await tab(where)).locator(what).first().click();
    return {};
  },

  async press({ key, ...where }) {
    await (await tab(where)).keyboard.press(key);
    return {};
  },

  /** Into a field that has no name. */
  async type({ what, text, ...where }) {
    await (await tab(where)).locator(what).first().fill(text);
    return {};
  },

  /** Waits until it is shown (with `text` in it), and tells its text and how long that took. */
  async see({ what, text, ...where }) {
    const page = await tab(where);
    const began = Date.now();
    let found = page.locator(what);
    if (text !== undefined) found = found.filter({ hasText: text });
    await found.locator("visible=true").first().waitFor();
    return { text: await found.locator("visible=true").first().textContent(), took: Date.now() - began };
  },

  async gone({ what, ...where }) {
    await (await tab(where)).locator(what).first().waitFor({ state: "hidden" });
    return {};
  },

  async count({ what, ...where }) {
    return (await tab(where)).locator(what).count();
  },

  async values({ names, ...where }) {
    const page = await tab(where);
    return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await field(page, name).inputValue()])));
  },

  /** The message at the control of that name, once there is one. */
  async fault({ name, ...where }) {
    const page = await tab(where);
    const box = page.locator(".field", { has: field(page, name) });
    await box.locator(".fault").waitFor();
    return box.locator(".fault").textContent();
  },

  async path(where) {
    return new URL((await tab(where)).url()).pathname;
  },

  async focus(where) {
    return (await tab(where)).evaluate(() => document.activeElement?.getAttribute("name") ?? "");
  },

  /** As if it had run out: the browser no longer has it. */
  async expire({ who }) {
    await (await person(who)).context.clearCookies();
    return {};
  },

  /** The width of a picture that was drawn. */
  async still({ what, ...where }) {
    const page = await tab(where);
    // It is decoded a moment later than it is there.
    await page.waitForFunction((canvas) => canvas.width > 0, await page.locator(what).elementHandle());
    return page.locator(what).evaluate((canvas) => canvas.width);
  },

  /** Frames that the video which plays decoded, once there are some and 10 more; a page may have others that wait. */
  async video(where) {
    const page = await tab(where);
    const more = async (least) => {
      const found = await page.waitForFunction((least) => {
        const all = [...document.querySelectorAll("video")];
        const told = all.map((video) => ({ width: video.videoWidth, frames: video.getVideoPlaybackQuality().totalVideoFrames }));
        return told.find(({ frames }) => frames >= least) ?? null;
      }, least);
      return found.jsonValue();
    };
    return more((await more(1)).frames + 10);
  },

  /** Whether a text that looked like a script became one, in any tab. */
  async report() {
    const tabs = [...people.values()].flatMap((one) => [...one.tabs.values()]);
    const ran = await Promise.all(tabs.map((page) => page.evaluate(() => "hacked" in window)));
    return { problems, requests, ran: ran.some(Boolean) };
  },

  async screenshot({ path, ...where }) {
    await (await tab(where)).screenshot({ path, fullPage: true });
    return {};
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { action, ...options } = JSON.parse(line);
  try {
    console.log(JSON.stringify({ ok: (await actions[action](options)) ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ error: `${error}; ${problems.slice(-5).join("; ")}` }));
  }
}
await browser.close();
