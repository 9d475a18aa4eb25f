// What axe-core has against a page, in dark and light.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const source = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** Pages that are looked at together: while one is loaded, another is looked at. */
const TOGETHER = 3;

export function axe({ context, base }) {
  const look = (page) => page.evaluate(async () => (await window.axe.run(document)).violations.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.slice(0, 5).map((one) => `${one.target.join(" ")}: ${one.failureSummary}`) })));
  const linksOf = (page) => page.evaluate(() => [...new Set([...document.querySelectorAll("a[href]")].map((one) => new URL(one.href)).filter((url) => url.origin === location.origin && !/^\/(api|host|metrics)/.test(url.pathname)).map((url) => url.pathname))]);

  /** `wait`: what must be there before it is looked at. `keys` are pressed first. */
  async function one({ path, wait, keys = [], width = 1440, height = 900 }) {
    const page = await context.newPage();
    try {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme: "dark", reducedMotion: "reduce" });
      await page.goto(new URL(path, base).href);
      await page.locator(wait).first().waitFor();
      for (const key of keys) await page.keyboard.press(key);
      // By the DevTools, which the policy of the page does not hold.
      await page.evaluate(source);
      const found = [];
      for (const scheme of ["dark", "light"]) {
        await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
        // Skeletons are gone, and what comes late has come.
        await page.waitForFunction((scheme) => document.querySelector(".skeleton, .spinner") === null && getComputedStyle(document.documentElement).colorScheme === scheme, scheme);
        for (const violation of await look(page)) found.push({ path, scheme, width, violation });
      }
      return { path, found, links: await linksOf(page) };
    } catch (error) {
      throw new Error(`${path} (${wait}): ${error}`);
    } finally {
      await page.close();
    }
  }

  return {
    /** All of `wishes`, and all pages that they link to, and those that these link to in turn. */
    async axe({ wishes, follow = null }) {
      const waiting = [...wishes];
      const known = new Set(wishes.map((wish) => wish.path));
      const [done, running] = [[], new Set()];
      while (waiting.length > 0 || running.size > 0) {
        while (waiting.length > 0 && running.size < TOGETHER) {
          const look = one(waiting.shift()).then((seen) => {
            running.delete(look);
            done.push(seen);
            for (const path of follow === null ? [] : seen.links) {
              if (!known.has(path)) waiting.push({ path, wait: follow });
              known.add(path);
            }
          });
          running.add(look);
        }
        await Promise.race(running);
      }
      return { paths: [...new Set(done.map((seen) => seen.path))].sort(), found: done.flatMap((seen) => seen.found) };
    },
  };
}
