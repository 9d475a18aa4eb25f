// Two people changed the same camera: what each changed, and where they contradict each other. Pure.
import type { Flat, Value } from "../parts/paths";

export interface Clash {
  path: string;
  mine: Value;
  theirs: Value;
}

export interface Merge {
  /** Theirs, with all that only I changed, and mine where both did. */
  value: Flat;
  /** What only they changed: taken along. */
  theirs: Clash[];
  clashes: Clash[];
}

export function merge(base: Flat, mine: Flat, theirs: Flat): Merge {
  const merged: Merge = { value: { ...theirs }, theirs: [], clashes: [] };
  for (const path of Object.keys({ ...theirs, ...mine })) {
    const [was, own, other] = [base[path] ?? "", mine[path] ?? "", theirs[path] ?? ""];
    if (own === other) continue;
    const entry = { path, mine: own, theirs: other };
    if (own === was) merged.theirs.push(entry);
    else {
      merged.value[path] = own;
      if (other !== was) merged.clashes.push(entry);
    }
  }
  return merged;
}
