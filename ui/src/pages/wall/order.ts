// Which cameras the wall shows, in which groups and order. Pure.
import { rank, type TileFacts } from "./trouble";

export type Sort = "area" | "trouble" | "name";

export interface Group {
  /** For React and for what is said of it; `trouble`, `well` and `off` when sorted by trouble. */
  key: string;
  title: string;
  devices: TileFacts[];
}

export interface Choice {
  filter: string;
  /** Null: all of them. */
  area: string | null;
  onlyTrouble: boolean;
  sort: Sort;
}

export interface Titles {
  elsewhere: string;
  trouble: string;
  well: string;
  off: string;
}

/** Whether all words of the filter are in its name, id, area, status or trouble (`words`: how that is said). */
export function fits(device: Pick<TileFacts, "id" | "name" | "area" | "status">, filter: string, words = ""): boolean {
  const text = `${device.name} ${device.id} ${device.area} ${device.status} ${words}`.toLowerCase();
  return filter.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

/** In the order in which they first appear in the configuration. */
export function areasOf(devices: TileFacts[]): string[] {
  return [...new Set(devices.map((one) => one.area))].filter((area) => area !== "");
}

export function groupsOf(devices: TileFacts[], choice: Choice, titles: Titles, wordsOf: (device: TileFacts) => string = () => ""): Group[] {
  const chosen = devices.filter((one) => {
    if (choice.area !== null && one.area !== choice.area) return false;
    return (!choice.onlyTrouble || one.trouble !== null) && fits(one, choice.filter, wordsOf(one));
  });
  if (choice.sort === "name") {
    const sorted = [...chosen].sort((one, other) => one.name.localeCompare(other.name, undefined, { numeric: true }));
    return sorted.length === 0 ? [] : [{ key: "all", title: "", devices: sorted }];
  }
  return choice.sort === "trouble" ? byTrouble(chosen, titles) : byArea(chosen, titles);
}

function byArea(devices: TileFacts[], { elsewhere }: Titles): Group[] {
  const groups = new Map<string, TileFacts[]>();
  for (const device of devices) {
    const group = groups.get(device.area);
    if (group) group.push(device);
    else groups.set(device.area, [device]);
  }
  // Nothing to tell apart.
  if (groups.size === 1 && groups.has("")) return [{ key: "all", title: "", devices }];
  return [...groups].map(([area, members]) => ({ key: `area ${area}`, title: area === "" ? elsewhere : area, devices: members }));
}

/** The worst first; of the same trouble, what began last. Who is well stays in the order of the configuration. */
function byTrouble(devices: TileFacts[], titles: Titles): Group[] {
  const worse = (one: TileFacts, other: TileFacts) => rank(one) - rank(other) || (other.since ?? "").localeCompare(one.since ?? "");
  const groups = [
    { key: "trouble", title: titles.trouble, devices: devices.filter((one) => one.trouble !== null).sort(worse) },
    { key: "well", title: titles.well, devices: devices.filter((one) => one.trouble === null && one.status !== "disabled") },
    { key: "off", title: titles.off, devices: devices.filter((one) => one.trouble === null && one.status === "disabled") },
  ];
  return groups.filter((group) => group.devices.length > 0);
}
