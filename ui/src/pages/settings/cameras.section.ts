import { settings } from "../../strings/en/settings";
import type { Section } from "./sections";

export const section: Section = {
  key: "cameras",
  title: settings.cameras,
  icon: "device",
  order: 2,
  role: "operator",
  load: async () => ({ default: (await import("./cameras/Cameras")).Cameras }),
};
