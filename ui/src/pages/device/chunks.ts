// What is recorded of a device as finished chunks, and which of them holds a moment.
import { useQuery } from "@tanstack/react-query";
import { ask } from "../../api/client";
import type { Chunk } from "../../api/types";
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

/** The chunk of that moment and where in it; of a gap the first chunk after it; null after all of them. `chunks`: newest first. */
export function chunkAt(chunks: Chunk[], at: number): { chunk: Chunk; at: number } | null {
  const chunk = chunks.findLast((one) => Date.parse(one.end) > at);
  return chunk ? { chunk, at: Math.max(0, (at - Date.parse(chunk.start)) / 1000) } : null;
}

/** The one that follows; null when it was the newest. */
export function chunkAfter(chunks: Chunk[], chunk: Chunk): Chunk | null {
  return chunks.findLast((one) => Date.parse(one.start) > Date.parse(chunk.start)) ?? null;
}
