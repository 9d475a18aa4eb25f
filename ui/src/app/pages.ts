// The pages there are: every folder of pages/ that has a page.ts. Nothing here names one.
import { lazy, type ComponentType, type LazyExoticComponent } from "react";
import type { IconName } from "../kit/Icon";
import type { Role } from "../session/session";
import { match, type Params } from "./match";

export interface Page {
  /** `/device/:id`. Its first part must be in PAGES of src/web/ui.rs, which answers reloads. */
  path: string;
  /** Its component, loaded when it is first shown. */
  load: () => Promise<{ default: ComponentType<Params> }>;
  /** Whoever may less is not led there. Everybody without it. */
  role?: Role;
  /** Its place among the pages that are always in reach. */
  nav?: { order: number; label: string; icon: IconName; to: string; /** `g` and this key lead there. */ key: string };
}

export type Nav = NonNullable<Page["nav"]>;

const found = Object.values(import.meta.glob<Page>("../pages/*/page.ts", { eager: true, import: "page" }));

export const PAGES: (Page & { Component: LazyExoticComponent<ComponentType<Params>> })[] = found.map((page) => ({ ...page, Component: lazy(page.load) }));

export const NAV = PAGES.filter((page): page is (typeof PAGES)[number] & { nav: Nav } => page.nav !== undefined).sort((one, other) => one.nav.order - other.nav.order);

/** Its files come while it is asked who is here. */
export function preload(path: string): void {
  void found.find((page) => match(page.path, path))?.load().catch(() => undefined);
}
