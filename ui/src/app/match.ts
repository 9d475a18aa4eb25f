// Which page an address leads to. Pure.

export type Params = Record<string, string>;

/** `/device/:id` takes one part; `/settings/:section?` takes it or none. Null: it does not fit. */
export function match(pattern: string, path: string): Params | null {
  const [wanted, given] = [parts(pattern), parts(path)];
  if (given.length > wanted.length) return null;
  const found: Params = {};
  for (const [index, want] of wanted.entries()) {
    const part = given[index];
    if (part === undefined) {
      if (!want.endsWith("?")) return null;
    } else if (want.startsWith(":")) {
      const decoded = decode(part);
      if (decoded === null) return null;
      found[want.slice(1).replace("?", "")] = decoded;
    } else if (want !== part) return null;
  }
  return found;
}

function parts(path: string): string[] {
  return path.split("/").filter((part) => part !== "");
}

function decode(part: string): string | null {
  try {
    return decodeURIComponent(part);
  } catch {
    return null;
  }
}
