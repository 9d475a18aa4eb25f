// Sizes as people say them, and as the daemon reads and writes them. Pure.

const UNITS: readonly [string, number][] = [
  ["TiB", 1024 ** 4],
  ["TB", 1e12],
  ["GiB", 1024 ** 3],
  ["GB", 1e9],
  ["MiB", 1024 ** 2],
  ["MB", 1e6],
  ["KiB", 1024],
  ["kB", 1e3],
  ["B", 1],
];

/** `200 gb`, `1,5 TiB`, `512m`: a number with a unit, whose letters may be of any size; without one it is bytes. */
const SAID = /^(\d+(?:[.,]\d+)?)\s*([kmgt]?)(i?)b?(?:ytes?)?$/i;

/** For the daemon; null when it is no size. */
export function sizeOf(text: string): string | null {
  const [, number, prefix = "", binary = ""] = SAID.exec(text.trim()) ?? [];
  if (number === undefined || (prefix === "" && binary !== "")) return null;
  const letter = prefix.toLowerCase() === "k" ? (binary === "" ? "k" : "K") : prefix.toUpperCase();
  return `${number.replace(",", ".")}${letter}${binary === "" ? "" : "i"}B`;
}

/** How many bytes that is; null when it is no size. */
export function bytesOf(text: string): number | null {
  const size = sizeOf(text);
  if (size === null) return null;
  const unit = UNITS.find(([name]) => size.endsWith(name) && /\d$/.test(size.slice(0, -name.length)));
  return unit === undefined ? null : Math.round(Number(size.slice(0, -unit[0].length)) * unit[1]);
}

/** The daemon's size as people say it: in the unit that makes it shortest, and is exact. */
export function saidSize(value: unknown): string {
  const count = typeof value === "number" ? value : bytesOf(String(value ?? ""));
  if (count === null) return String(value ?? "");
  if (count === 0) return "0";
  const forms = UNITS.filter(([, unit]) => count >= unit && Number((count / unit).toFixed(2)) * unit === count).map(([name, unit]) => `${Number((count / unit).toFixed(2))} ${name}`);
  return forms.reduce((best, form) => (form.length < best.length ? form : best), `${count} B`);
}
