// What axe-core has against a page, in dark and light.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const source = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export function axe({ page, base }) {
  return {
    /** Every address that the page at `path` links to within the pages themselves. */
    async axe_links({ path }) {
      await page.goto(new URL(path, base).href);
      await page.locator("#content :is(h1, .empty)").first().waitFor();
      return page.evaluate(() => [...new Set([...document.querySelectorAll("a[href]")].map((one) => new URL(one.href)).filter((url) => url.origin === location.origin && !/^\/(api|host|metrics)/.test(url.pathname)).map((url) => url.pathname))]);
    },

    /** `wait`: what must be there before it is looked at. `keys` are pressed first. */
    async axe({ path, scheme, wait = "h1", keys = [], width = 1440, height = 900 }) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
      await page.goto(new URL(path, base).href);
      await page.locator(wait).first().waitFor();
      for (const key of keys) await page.keyboard.press(key);
      // Skeletons are gone, and what comes late has come.
      await page.waitForFunction(() => document.querySelector(".skeleton, .spinner") === null);
      // By the DevTools, which the policy of the page does not hold.
      await page.evaluate(source);
      const found = await page.evaluate(async () => (await window.axe.run(document)).violations.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.slice(0, 5).map((one) => `${one.target.join(" ")}: ${one.failureSummary}`) })));
      return { violations: found, theme: await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme) };
    },
  };
}
