import type { Page } from "../../app/pages";
import { system } from "../../strings/en/system";

export const page: Page = {
  path: "/system",
  load: async () => ({ default: (await import("./System")).System }),
  nav: { order: 4, label: system.title, icon: "system", to: "/system", key: "s" },
};
