// The thresholds in force, and the tag that a change of them must bring.
import { useQuery } from "@tanstack/react-query";
import { askFully } from "../../../api/client";
import type { Thresholds } from "./judge";

export const SETTINGS = ["settings"];

export function useSettings() {
  return useQuery({
    queryKey: SETTINGS,
    queryFn: async ({ signal }) => {
      const { body, etag } = await askFully("GET /api/settings", { signal });
      return { ...body, settings: body.settings as Record<string, Record<string, unknown>>, etag: etag ?? "*" };
    },
  });
}

export function useThresholds(): { all: Thresholds; thumbnailSize: string } | null {
  const { data } = useSettings();
  if (!data) return null;
  return { all: data.settings["detect"] as unknown as Thresholds, thumbnailSize: String(data.settings["capture"]?.["thumbnail_size"] ?? "") };
}
