// The list of a filter: pages as somebody scrolls, each event put in its place without asking again.
import { useInfiniteQuery, type InfiniteData } from "@tanstack/react-query";
import { ask } from "../../api/client";
import type { Incident } from "../../api/types";
import { useEvents } from "../../events/hub";
import { queries } from "../../store/queries";
import { inBatches, withChange, type Asked, type Page } from "./list";

const KEY = "incidents";
const PAGE = 100;
/** As many as one question may ask for, and one change may name. */
const IDS_PAGE = 1000;
const EDIT_MOST = 500;
const EDIT_MS = 60_000;

type Pages = InfiniteData<Page, string | null>;

export function useIncidents(asked: Asked) {
  const key = [KEY, asked];
  const found = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ signal, pageParam }): Promise<Page> =>
      ask("GET /api/host/incidents", { query: { ...asked, limit: PAGE, ...(pageParam === null ? {} : { after: pageParam }) }, signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next ?? null,
    placeholderData: (before) => before,
    // Events keep it true; asking for all pages again would be many questions.
    staleTime: Infinity,
    // Nobody heard them while another page was shown.
    refetchOnMount: "always",
  });
  const put = (changed: Incident) => {
    queries.setQueryData<Pages>(key, (data) => data && { ...data, pages: withChange(data.pages, asked, changed) });
  };
  useEvents({ topics: ["incident"] }, (event) => {
    const told = event["incident"] as Incident | undefined;
    if (told) put(told);
  });
  return { ...found, put };
}

/** Of all that fit, however many pages they fill. */
export async function idsOf(asked: Asked): Promise<string[]> {
  const ids: string[] = [];
  let after: string | undefined;
  do {
    const page: Page = await ask("GET /api/host/incidents", { query: { ...asked, limit: IDS_PAGE, ...(after === undefined ? {} : { after }) } });
    ids.push(...page.incidents.map((one) => one.id));
    after = page.next;
  } while (after !== undefined);
  return ids;
}

export interface Edited {
  incidents: Incident[];
  missing: string[];
}

/** All of them, some hundred in one transaction each. */
export async function edit(ids: string[], change: { acknowledged?: boolean; discarded?: boolean; comment?: string }): Promise<Edited> {
  const done: Edited = { incidents: [], missing: [] };
  for (const some of inBatches(ids, EDIT_MOST)) {
    const reply = await ask("PATCH /api/host/incidents", { body: { ids: some, ...change }, timeoutMs: EDIT_MS });
    done.incidents.push(...reply.incidents);
    done.missing.push(...reply.missing);
  }
  return done;
}
