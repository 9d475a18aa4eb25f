// Prints what the first load of the wall takes, gzip'd, and fails beyond the limit. Runs after each build.
import { readFileSync, rmSync } from "node:fs";
import { gzipSync } from "node:zlib";

const LIMIT = 200 * 1024;
const dist = new URL("../dist/", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL(".vite/manifest.json", dist), "utf8"));
// The binary embeds the whole folder.
rmSync(new URL(".vite", dist), { recursive: true });

/** With all that it imports at once. */
function withImports(/** @type {string} */ name, /** @type {Set<string>} */ found) {
  const chunk = manifest[name];
  if (!chunk || found.has(chunk.file)) return found;
  found.add(chunk.file);
  for (const one of chunk.imports ?? []) withImports(one, found);
  return found;
}

const size = (/** @type {string} */ file) => gzipSync(readFileSync(new URL(file, dist))).length;
const sum = (/** @type {Iterable<string>} */ files) => [...files].reduce((total, file) => total + size(file), 0);
const kb = (/** @type {number} */ bytes) => `${(bytes / 1024).toFixed(1)} KB`;

const first = withImports("src/pages/wall/Wall.tsx", withImports("index.html", new Set()));
const total = sum(first);
console.log(`first load: ${kb(total)} of JS, gzip (limit ${kb(LIMIT)})`);
for (const chunk of Object.values(manifest)) {
  if (chunk.file.endsWith(".js") && !first.has(chunk.file)) console.log(`  later: ${kb(size(chunk.file))} ${chunk.file}`);
  if (chunk.file.endsWith(".css")) console.log(`  style: ${kb(size(chunk.file))} ${chunk.file}`);
}
if (total > LIMIT) {
  console.error("the first load is too large");
  process.exit(1);
}
