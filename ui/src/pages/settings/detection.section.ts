import { settings } from "../../strings/en/settings";
import type { Section } from "./sections";

export const section: Section = {
  key: "detection",
  title: settings.detection,
  icon: "eye",
  order: 4,
  role: "admin",
  load: async () => ({ default: (await import("./detection/Detection")).Detection }),
};
