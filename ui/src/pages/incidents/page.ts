import type { Page } from "../../app/pages";
import { incidents } from "../../strings/en/incidents";

export const page: Page = {
  path: "/incidents",
  load: async () => ({ default: (await import("./Incidents")).Incidents }),
  nav: { order: 3, label: incidents.title, icon: "incidents", to: "/incidents", key: "i" },
};
