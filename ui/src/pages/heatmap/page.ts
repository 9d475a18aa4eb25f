import type { Page } from "../../app/pages";
import { heatmap } from "../../strings/en/heatmap";

export const page: Page = {
  path: "/heatmap",
  load: async () => ({ default: (await import("./Heatmap")).Heatmap }),
  nav: { order: 2, label: heatmap.title, icon: "heatmap", to: "/heatmap", key: "h" },
};
