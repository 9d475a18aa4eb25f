// Puts a .gz and a .br beside each file of dist/ that is smaller so. Runs after each build: packed once and as well as can be,
// not by a Raspberry Pi for each browser that asks. src/web/ui.rs gives each browser what it takes.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const dist = new URL("../dist/", import.meta.url);
const PACKERS = [
  [".gz", (/** @type {Buffer} */ bytes) => gzipSync(bytes, { level: 9 })],
  [".br", (/** @type {Buffer} */ bytes) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } })],
];

for (const name of readdirSync(dist, { recursive: true, encoding: "utf8" })) {
  if (!/\.(html|js|css|svg)$/.test(name)) continue;
  const file = new URL(name, dist);
  const bytes = readFileSync(file);
  for (const [suffix, pack] of PACKERS) {
    const packed = pack(bytes);
    if (packed.length < bytes.length) writeFileSync(new URL(`${file.href}${suffix}`), packed);
  }
}
