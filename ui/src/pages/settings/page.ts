import type { Page } from "../../app/pages";
import { settings } from "../../strings/en/settings";

export const page: Page = {
  // A camera or a user has an address of its own; "+" is the one to come, which no id can be.
  path: "/settings/:section?/:item?",
  load: async () => ({ default: (await import("./Settings")).Settings }),
  nav: { order: 5, label: settings.title, icon: "settings", to: "/settings", key: "e" },
};
