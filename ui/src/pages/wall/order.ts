// Which cameras the wall shows, and in which groups. Pure.
import type { Device } from "../../api/types";

export interface Group {
  area: string;
  devices: Device[];
}

/** Whether all words of the filter are in its name, id, area or status. */
export function fits(device: Pick<Device, "id" | "name" | "area" | "status">, filter: string): boolean {
  const text = `${device.name} ${device.id} ${device.area ?? ""} ${device.status}`.toLowerCase();
  return filter.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

/** By area, in the order in which the areas first appear in the configuration. */
export function byArea(devices: Device[]): Group[] {
  const groups = new Map<string, Device[]>();
  for (const device of devices) {
    const area = device.area ?? "";
    const group = groups.get(area);
    if (group) group.push(device);
    else groups.set(area, [device]);
  }
  return [...groups].map(([area, members]) => ({ area, devices: members }));
}
