import type { Page } from "../../app/pages";

export const page: Page = {
  path: "/device/:id",
  load: async () => ({ default: (await import("./Device")).DevicePage as never }),
};
