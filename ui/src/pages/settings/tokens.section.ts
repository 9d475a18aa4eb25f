import { settings } from "../../strings/en/settings";
import type { Section } from "./sections";

export const section: Section = {
  key: "tokens",
  title: settings.tokens,
  icon: "key",
  order: 6,
  role: "admin",
  load: async () => ({ default: (await import("./Tokens")).Tokens }),
};
