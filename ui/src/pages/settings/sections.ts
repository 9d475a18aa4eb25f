// The sections of the settings there are: every *.section.ts of this folder. Nothing here names one.
import type { ComponentType } from "react";
import type { IconName } from "../../kit/Icon";
import type { Role } from "../../session/session";

export interface Section {
  /** `/settings/{key}` */
  key: string;
  title: string;
  icon: IconName;
  order: number;
  /** Whoever may less does not see it. */
  role?: Role;
  /** `item` is what follows in the address: `/settings/{key}/{item}`. */
  load: () => Promise<{ default: ComponentType<{ item?: string }> }>;
}

const found = Object.values(import.meta.glob<Section>("./*.section.ts", { eager: true, import: "section" }));

export const SECTIONS = found.sort((one, other) => one.order - other.order);
