import { settings } from "../../strings/en/settings";
import type { Section } from "./sections";

export const section: Section = {
  key: "areas",
  title: settings.areas,
  icon: "wall",
  order: 3,
  role: "admin",
  load: async () => ({ default: (await import("./Areas")).Areas }),
};
