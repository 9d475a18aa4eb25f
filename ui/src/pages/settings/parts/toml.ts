// How a setting is written: in the file, and in the environment. Pure.
import { said } from "./paths";

export function inFile(section: string, key: string, value: unknown): string {
  return `[${section}]\n${key} = ${literal(value)}`;
}

export function inEnvironment(section: string, key: string, value: unknown): string {
  return `CAPSTAN__${section.toUpperCase()}__${key.toUpperCase()}=${said(value)}`;
}

export function shownValue(value: unknown): string {
  return Array.isArray(value) ? value.map(shownValue).join(", ") : said(value);
}

function literal(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value === "number" || typeof value === "boolean") return said(value);
  return JSON.stringify(value ?? "");
}
