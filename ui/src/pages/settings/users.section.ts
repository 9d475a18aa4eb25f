import { settings } from "../../strings/en/settings";
import type { Section } from "./sections";

export const section: Section = {
  key: "users",
  title: settings.users,
  icon: "users",
  order: 5,
  role: "admin",
  load: async () => ({ default: (await import("./users/Users")).Users }),
};
