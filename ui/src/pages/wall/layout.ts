// How many tiles stand beside each other, how high a row is, and which tile an arrow leads to. Pure.
import type { Group } from "./order";
import type { TileFacts } from "./trouble";

export const COLUMNS = [1, 2, 3, 4, 5, 6] as const;
/** 0: as many as fit. */
export type Columns = 0 | (typeof COLUMNS)[number];

/** Lengths in px, of the style: wall.css is given them. */
export interface Sizes {
  gap: number;
  /** Below the picture: the name and how it does. */
  foot: number;
  heading: number;
  /** The narrowest tile when as many as fit are wanted. */
  tile: number;
  /** And the widest: a few cameras fill a wall screen instead of its corner. */
  widest: number;
}

export const SIZES: Record<"phone" | "usual" | "large", Sizes> = {
  phone: { gap: 8, foot: 40, heading: 36, tile: 300, widest: 300 },
  usual: { gap: 16, foot: 40, heading: 40, tile: 300, widest: 300 },
  large: { gap: 20, foot: 52, heading: 52, tile: 440, widest: 720 },
};

/** Below this a name cannot be read. */
const NARROWEST = 104;

export type Row = { key: string; height: number; group: number } & ({ title: string; count: number } | { tiles: TileFacts[] });

/** `most`: tiles in the largest group. More columns than that would stay empty. */
export function columnsOf(wanted: Columns, width: number, { gap, tile, widest }: Sizes, most = Infinity): number {
  const fit = (least: number) => Math.max(1, Math.floor((width + gap) / (least + gap)));
  return wanted === 0 ? Math.max(fit(widest), Math.min(most, fit(tile))) : Math.min(wanted, fit(NARROWEST));
}

/** Of a tile: picture of 16:9, foot, and the border of 1 px. */
export function tileHeight(width: number, columns: number, { gap, foot }: Sizes): number {
  const tile = (width - gap * (columns - 1)) / columns;
  return Math.round(((tile - 2) * 9) / 16) + foot + 2;
}

export function rowsOf(groups: Group[], columns: number, width: number, sizes: Sizes): Row[] {
  const height = tileHeight(width, columns, sizes) + sizes.gap;
  const rows: Row[] = [];
  for (const [at, group] of groups.entries()) {
    if (group.title !== "") rows.push({ key: `# ${group.key}`, height: sizes.heading, group: at, title: group.title, count: group.devices.length });
    for (let first = 0; first < group.devices.length; first += columns) {
      rows.push({ key: `${group.key} ${first}`, height, group: at, tiles: group.devices.slice(first, first + columns) });
    }
  }
  return rows;
}

export type Arrow = "ArrowLeft" | "ArrowRight" | "ArrowUp" | "ArrowDown" | "Home" | "End";

/** The tile that an arrow leads to from this one, with its row; from nowhere to the first. Null: there is none. */
export function moved(rows: Row[], from: string | null, arrow: Arrow): { id: string; row: number } | null {
  const places = rows.flatMap((row, index) => ("tiles" in row ? row.tiles.map((tile, column) => ({ id: tile.id, row: index, column })) : []));
  const at = places.findIndex((one) => one.id === from);
  const here = places[at];
  if (!here) return places[arrow === "End" ? places.length - 1 : 0] ?? null;
  if (arrow === "Home" || arrow === "End") return places[arrow === "Home" ? 0 : places.length - 1] ?? here;
  if (arrow === "ArrowLeft" || arrow === "ArrowRight") return places[at + (arrow === "ArrowLeft" ? -1 : 1)] ?? here;
  const step = arrow === "ArrowUp" ? -1 : 1;
  for (let index = here.row + step; index >= 0 && index < rows.length; index += step) {
    const row = rows[index];
    const tile = row && "tiles" in row ? row.tiles[Math.min(here.column, row.tiles.length - 1)] : undefined;
    if (tile) return { id: tile.id, row: index };
  }
  return here;
}

/** One picture of the rotation: a group, or a part of one that has more tiles than can be looked at at once. */
export interface Screen {
  key: string;
  title: string;
  part: number;
  parts: number;
  columns: number;
  tileWidth: number;
  tiles: TileFacts[];
}

/** Smaller pictures tell nothing across a room. */
const LOOKED_AT = 220;
const MOST_COLUMNS = 8;

/** The rotation through the groups on a screen of this size; tiles as large as they can be unless columns are wanted. */
export function screensOf(groups: Group[], wanted: Columns, width: number, height: number, sizes: Sizes): Screen[] {
  return groups.flatMap((group) => {
    const { columns, tileWidth, fit } = arrangement(group.devices.length, wanted, width, height, sizes);
    const parts = Math.ceil(group.devices.length / fit);
    return Array.from({ length: parts }, (_, part) => ({
      key: `${group.key} ${part}`,
      title: group.title,
      part: part + 1,
      parts,
      columns,
      tileWidth,
      tiles: group.devices.slice(part * fit, (part + 1) * fit),
    }));
  });
}

function arrangement(count: number, wanted: Columns, width: number, height: number, sizes: Sizes): { columns: number; tileWidth: number; fit: number } {
  const widest = (columns: number, rows: number) => {
    const [wide, high] = [(width + sizes.gap) / columns - sizes.gap, (height + sizes.gap) / rows - sizes.gap];
    return Math.floor(Math.min(wide, ((high - sizes.foot - 2) * 16) / 9 + 2));
  };
  if (wanted !== 0) {
    const columns = columnsOf(wanted, width, sizes);
    const rows = Math.max(1, Math.round((height + sizes.gap) / (tileHeight(width, columns, sizes) + sizes.gap)));
    return { columns, tileWidth: widest(columns, rows), fit: columns * rows };
  }
  for (let parts = 1; ; parts += 1) {
    const fit = Math.ceil(count / parts);
    const ways = Array.from({ length: Math.min(MOST_COLUMNS, fit) }, (_, at) => ({ columns: at + 1, tileWidth: widest(at + 1, Math.ceil(fit / (at + 1))), fit }));
    const best = ways.reduce((one, other) => (other.tileWidth > one.tileWidth ? other : one));
    if (best.tileWidth >= LOOKED_AT || fit === 1) return { ...best, tileWidth: Math.max(best.tileWidth, NARROWEST) };
  }
}
