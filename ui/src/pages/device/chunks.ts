// What is recorded of a device as finished chunks, and the moment of an address.
import { useQuery } from "@tanstack/react-query";
import { ask } from "../../api/client";
import { useEvents } from "../../events/hub";
import { queries } from "../../store/queries";

/** Newest first; asked for again when footage was committed. */
export function useChunks(id: string) {
  const key = ["chunks", id];
  useEvents({ topics: ["commit"], device: id }, () => void queries.invalidateQueries({ queryKey: key }));
  return useQuery({
    queryKey: key,
    queryFn: async ({ signal }) => {
      const { manifests } = await ask("GET /host/stream/{device}/segments/archive_manifest.json", { path: { device: id }, signal });
      return [...manifests].sort((one, other) => Date.parse(other.start) - Date.parse(one.start));
    },
    refetchInterval: 30_000,
  });
}

/** A moment of an address: RFC 3339, or seconds since 1970. Null: it is none. */
export function momentOf(text: string | null): number | null {
  if (text === null || text === "") return null;
  const at = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text);
  return Number.isFinite(at) ? at : null;
}
