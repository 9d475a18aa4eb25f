// What a line of the audit log changed: the fields that differ, before and after. Pure.

export interface Change {
  field: string;
  before: string | null;
  after: string | null;
}

/** Not of interest beside the change itself. */
const SILENT = new Set(["changed", "created", "revision"]);

export function changes(before: unknown, after: unknown): Change[] {
  const [was, is] = [flat(before), flat(after)];
  const fields = [...new Set([...was.keys(), ...is.keys()])].filter((field) => !SILENT.has(field) && was.get(field) !== is.get(field));
  return fields.map((field) => ({ field, before: was.get(field) ?? null, after: is.get(field) ?? null }));
}

function flat(value: unknown, path = "", found = new Map<string, string>()): Map<string, string> {
  if (value === null || value === undefined || value === "") return found;
  if (typeof value === "object" && !Array.isArray(value)) {
    for (const [key, one] of Object.entries(value)) flat(one, path === "" ? key : `${path}.${key}`, found);
  } else if (!(Array.isArray(value) && value.length === 0)) {
    found.set(path, typeof value === "string" ? value : typeof value === "number" ? String(Number(value.toPrecision(6))) : JSON.stringify(value));
  }
  return found;
}
