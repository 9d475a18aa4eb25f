import { settings } from "../../strings/en/settings";
import type { Section } from "./sections";

export const section: Section = {
  key: "transcoder",
  title: settings.transcoder,
  icon: "system",
  order: 8,
  role: "operator",
  load: async () => ({ default: (await import("./Transcoder")).Transcoder }),
};
