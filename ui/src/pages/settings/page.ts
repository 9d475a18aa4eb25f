import type { Page } from "../../app/pages";
import { settings } from "../../strings/en/settings";

export const page: Page = {
  path: "/settings/:section?",
  load: async () => ({ default: (await import("./Settings")).Settings }),
  nav: { order: 5, label: settings.title, icon: "settings", to: "/settings", key: "e" },
};
