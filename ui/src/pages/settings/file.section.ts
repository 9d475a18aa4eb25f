import { settings } from "../../strings/en/settings";
import type { Section } from "./sections";

export const section: Section = {
  key: "file",
  title: settings.file,
  icon: "edit",
  order: 11,
  role: "admin",
  load: async () => ({ default: (await import("./SettingsFile")).SettingsFile }),
};
