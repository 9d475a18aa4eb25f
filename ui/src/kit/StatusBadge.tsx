// How a device does, by colour and word.
import type { DeviceStatus } from "../api/types";
import { common } from "../strings/en/common";

export function StatusBadge({ status, title }: { status: DeviceStatus | "unknown"; title?: string }) {
  return <span className={`status ${status}`} title={title}>{common.status[status]}</span>;
}
