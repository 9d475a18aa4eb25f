// Where each camera stands in a mosaic, as `playback/mosaic.rs` draws it: the tiles in the order of the configuration, row by row.
import type { Show } from "./strip";

/** More are left out. */
const MOST = 64;
/** Below this a tile tells nothing; then the mosaic grows downwards instead. */
const LEAST_PX = 150;

export interface Grid {
  across: number;
  down: number;
  /** Of the whole picture, in its own pixels. */
  width: number;
  height: number;
}

export function gridOf(tiles: number): Grid {
  const across = tiles <= 1 ? 1 : tiles <= 4 ? 2 : tiles <= 9 ? 3 : 6;
  const down = Math.max(1, Math.ceil(Math.min(tiles, MOST) / across));
  // Pictures of 320×180, three quarters of that where six stand in a row; 4 px of border, and a line of 20 px for the name.
  const [wide, high] = across > 3 ? [240, 135] : [320, 180];
  return { across, down, width: across * (wide + 8), height: down * (high + 28) };
}

export interface Told {
  device_id: string;
  device_name: string;
  status: "ok" | "ko" | "unknown";
}

export interface Tile {
  id: string;
  name: string;
  status: Told["status"];
  /** Percent of the picture. */
  left: number;
  top: number;
  width: number;
  height: number;
}

/** Empty when they are not those of a picture of this size: it was drawn of another set. */
export function tilesOf(devices: Told[], show: Show, picture: { width: number; height: number }): Tile[] {
  const shown = devices.filter((one) => show === "all" || one.status === show).slice(0, MOST);
  const { across, down, width, height } = gridOf(shown.length);
  if (width !== picture.width || height !== picture.height) return [];
  return shown.map((one, at) => ({
    id: one.device_id,
    name: one.device_name,
    status: one.status,
    left: ((at % across) / across) * 100,
    top: (Math.floor(at / across) / down) * 100,
    width: 100 / across,
    height: 100 / down,
  }));
}

/** The narrowest that such a picture is shown, in pixels. */
export const leastWidth = (picture: { width: number; height: number }): number => (picture.width > 1000 ? 6 * LEAST_PX : 0);
