// The list of receivers and how it is written back; the one who was faster is not overwritten.
import { ask, type Body } from "../../../api/client";
import { ApiError } from "../../../api/error";
import { queries } from "../../../store/queries";
import { webhooks as text } from "../../../strings/en/settings_knobs";
import { SETTINGS } from "../detection/thresholds";
import type { Settings } from "../knobs/SectionForm";
import type { Entry, Webhook } from "./list";

export const webhookPath = (id: string) => `/settings/notifications/${encodeURIComponent(id)}`;

export function listOf(now: Settings): Webhook[] {
  return (now.settings["notify"]?.["webhook"] ?? []) as Webhook[];
}

/** null: as the settings file has it. */
export async function write(now: Settings, list: Entry[] | null): Promise<void> {
  const body = { notify: list === null ? {} : { webhook: list } } as Body<"PUT /api/settings">;
  try {
    await ask("PUT /api/settings", { body, ifMatch: now.etag });
  } catch (error) {
    const isLate = error instanceof ApiError && error.status === 412;
    throw isLate ? new ApiError(error.kind, text.meanwhile, error.status, null) : error;
  } finally {
    await queries.invalidateQueries({ queryKey: SETTINGS });
  }
}
