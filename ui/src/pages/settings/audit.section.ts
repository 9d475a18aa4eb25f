import { settings } from "../../strings/en/settings";
import type { Section } from "./sections";

export const section: Section = {
  key: "audit",
  title: settings.audit,
  icon: "log",
  order: 10,
  role: "admin",
  load: async () => ({ default: (await import("./Audit")).Audit }),
};
