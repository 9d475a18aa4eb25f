import type { Page } from "../../app/pages";
import { wall } from "../../strings/en/wall";

export const page: Page = {
  path: "/",
  load: async () => ({ default: (await import("./Wall")).Wall }),
  nav: { order: 1, label: wall.title, icon: "wall", to: "/", key: "w" },
};
