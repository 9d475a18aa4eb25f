// The incident before or after a moment, however far away it is.
import { ask, type Query, type Reply } from "../../api/client";
import type { Incident } from "../../api/types";

/** One that is jumped to is not found again from there. */
const BESIDE_MS = 500;
const PAGE = 200;

const iso = (at: number) => new Date(at).toISOString();

export async function incidentBeside(device: string, at: number, direction: 1 | -1): Promise<Incident | null> {
  if (direction < 0) {
    const { incidents } = await ask("GET /api/host/incidents", { query: { device, to: iso(at - BESIDE_MS), limit: 1 } });
    return incidents[0] ?? null;
  }
  // Newest first: what is wanted is on the last page, or before what is known so far.
  let found: Incident | null = null;
  let to: string | null = null;
  for (;;) {
    const query: Query<"GET /api/host/incidents"> = { device, from: iso(at + BESIDE_MS), limit: PAGE, ...(to === null ? {} : { to }) };
    const { incidents, next }: Reply<"GET /api/host/incidents"> = await ask("GET /api/host/incidents", { query });
    const later: Incident[] = incidents.filter((one) => Date.parse(one.start) > at + BESIDE_MS);
    const first: Incident | undefined = later.at(-1);
    if (!first) return found;
    found = first;
    if (next === undefined || next === null || later.length < incidents.length) return found;
    to = first.start;
  }
}
