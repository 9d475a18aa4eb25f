import { settings } from "../../strings/en/settings";
import type { Section } from "./sections";

export const section: Section = {
  key: "notifications",
  title: settings.notifications,
  icon: "bell",
  order: 9,
  role: "operator",
  load: async () => ({ default: (await import("./Notifications")).Notifications }),
};
