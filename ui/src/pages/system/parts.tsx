// Small parts of the page: figures side by side, and bars of what is used.
import { bytes } from "../../time/format";
import type { Part } from "./facts";

/** Name, value, and what a longer look tells. */
export type Fact = [name: string, value: string, hint?: string];

export function FactList({ label, facts, className = "" }: { label: string; facts: Fact[]; className?: string }) {
  return (
    <dl className={`facts ${className}`} aria-label={label}>
      {facts.map(([name, value, hint]) => <div key={name} title={hint === "" ? undefined : hint}><dt>{name}</dt><dd>{value}</dd></div>)}
    </dl>
  );
}

export function Bar({ label, parts, total }: { label: string; parts: Part[]; total: number }) {
  const width = (part: Part) => `${total > 0 ? Math.min(100, (part.bytes / total) * 100) : 0}%`;
  const said = parts.map((part) => `${part.name} ${bytes(part.bytes)}`).join(", ");
  return (
    <div className="bar" role="img" aria-label={`${label}: ${said}`} title={said}>
      {parts.map((part) => <span key={part.name} className={`bar-part is-${part.kind}`} style={{ width: width(part) }} />)}
    </div>
  );
}
