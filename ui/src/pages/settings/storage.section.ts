import { settings } from "../../strings/en/settings";
import type { Section } from "./sections";

export const section: Section = {
  key: "storage",
  title: settings.storage,
  icon: "disk",
  order: 7,
  role: "operator",
  load: async () => ({ default: (await import("./Storage")).Storage }),
};
