import { settings } from "../../strings/en/settings";
import type { Section } from "./sections";

export const section: Section = {
  key: "account",
  title: settings.account,
  icon: "user",
  order: 1,
  load: async () => ({ default: (await import("./Account")).Account }),
};
