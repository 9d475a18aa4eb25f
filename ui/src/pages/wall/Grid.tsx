// The tiles, row by row; only the rows on screen, and one or two around them, are in the page. Arrows move between tiles.
import { defaultRangeExtractor, useWindowVirtualizer, type Range } from "@tanstack/react-virtual";
import { lazy, Suspense, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState, type CSSProperties, type FocusEvent } from "react";
import { IconButton } from "../../kit/Button";
import { useKeys } from "../../keys/keys";
import { wall as text } from "../../strings/en/wall";
import { columnsOf, moved, rowsOf, type Arrow, type Columns, type Row, type Sizes } from "./layout";
import { useLiveTile } from "./live";
import type { Group } from "./order";
import { Tile } from "./Tile";
import type { TileFacts } from "./trouble";

const RestartDialog = lazy(async () => ({ default: (await import("../../player/RestartDialog")).RestartDialog }));

const OVERSCAN = 2;

/** Where somebody was, for when they come back from a camera. */
const place = { scroll: 0, active: null as string | null };

interface Props {
  groups: Group[];
  columns: Columns;
  sizes: Sizes;
  showArea: boolean;
  /** The bench's measure of what leaving rows out is worth: every row is in the page. */
  isWhole: boolean;
}

export function Grid({ groups, columns: wanted, sizes, showArea, isWhole }: Props) {
  const grid = useRef<HTMLDivElement>(null);
  const box = useBox(grid);
  const columns = columnsOf(wanted, box.width, sizes, Math.max(1, ...groups.map((one) => one.devices.length)));
  const rows = useMemo(() => (box.width === 0 ? [] : rowsOf(groups, columns, box.width, sizes)), [groups, columns, box.width, sizes]);
  const { live, listeners, gone, stop: stopLive } = useLiveTile();
  const [active, setActive] = useState<string | null>(place.active);
  const activeRow = rows.findIndex((row) => "tiles" in row && row.tiles.some((tile) => tile.id === active));
  const first = rows.find((row) => "tiles" in row);
  const stopId = activeRow < 0 && first && "tiles" in first ? first.tiles[0]?.id : active;

  const virtualizer = useWindowVirtualizer({
    count: rows.length,
    estimateSize: useCallback((index: number) => rows[index]?.height ?? 0, [rows]),
    getItemKey: useCallback((index: number) => rows[index]?.key ?? index, [rows]),
    overscan: OVERSCAN,
    scrollMargin: box.top,
    scrollPaddingStart: sizes.gap,
    initialOffset: place.scroll,
    useFlushSync: false,
    // The row of the active tile stays, or the focus would be lost with it.
    rangeExtractor: useCallback(
      (range: Range) => {
        if (isWhole) return Array.from({ length: range.count }, (_, index) => index);
        const shown = defaultRangeExtractor(range);
        if (activeRow < 0 || shown.includes(activeRow)) return shown;
        return activeRow < (shown[0] ?? 0) ? [activeRow, ...shown] : [...shown, activeRow];
      },
      [isWhole, activeRow],
    ),
  });

  const focusOn = useRef<string | null>(place.active);
  // A wall that was hidden while another page loaded, and is shown again, is not made anew: only layout effects run again.
  useLayoutEffect(() => {
    if (place.active === null) return;
    grid.current?.querySelector<HTMLElement>(`[data-tile="${CSS.escape(place.active)}"]`)?.focus({ preventScroll: true });
  }, []);
  useEffect(() => {
    if (focusOn.current === null || rows.length === 0) return;
    const tile = grid.current?.querySelector<HTMLElement>(`[data-tile="${CSS.escape(focusOn.current)}"]`);
    tile?.focus({ preventScroll: true });
    // It may take a render more to be in the page; one that the wall does not show never will be.
    if (tile || activeRow < 0) focusOn.current = null;
  });
  const move = (arrow: Arrow) => {
    const here = grid.current?.contains(document.activeElement) ? active : null;
    const to = moved(rows, here ?? active, arrow);
    if (!to) return;
    // From elsewhere, the first arrow shows where one is.
    const target = here === null && active !== null && activeRow >= 0 ? { id: active, row: activeRow } : to;
    setActive(target.id);
    focusOn.current = target.id;
    virtualizer.scrollToIndex(target.row, { align: "auto" });
  };
  const [restarted, setRestarted] = useState<TileFacts | null>(null);
  const restart = useCallback(
    (tile: TileFacts) => {
      stopLive();
      setRestarted(tile);
    },
    [stopLive],
  );
  const stopTile = rows.flatMap((row) => ("tiles" in row ? row.tiles : [])).find((tile) => tile.id === stopId);
  useKeys(text.tiles, [
    ...(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"] as const).map((keys) => ({ keys, label: text.keyMove, run: () => move(keys) })),
    { keys: "Enter", label: text.keyOpen, run: () => stopId !== null && stopId !== undefined && grid.current?.querySelector<HTMLElement>(`[data-tile="${CSS.escape(stopId)}"]`)?.click() },
    { keys: "r", label: text.keyRestart, run: () => stopTile && restart(stopTile) },
  ]);
  useKeepPlace(active, box.width > 0, () => virtualizer.scrollOffset);

  return (
    <>
      <div
        ref={grid}
        className="wall-grid"
        role="grid"
        aria-label={text.tiles}
        aria-rowcount={rows.length}
        aria-colcount={columns}
        style={{ height: virtualizer.getTotalSize(), ...cssOf(sizes, columns) }}
        {...listeners}
        onFocus={(event: FocusEvent) => {
          listeners.onFocus(event);
          const id = event.target.closest<HTMLElement>("[data-cell]")?.dataset["cell"];
          if (id !== undefined) setActive(id);
        }}
      >
        {virtualizer.getVirtualItems().map(({ index, key, start }) => {
          const row = rows[index];
          if (!row) return null;
          return (
            <div key={key} role="row" aria-rowindex={index + 1} className="wall-row" style={{ height: row.height, transform: `translateY(${start - box.top}px)` }}>
              <Cells row={row} columns={columns} live={live} stop={stopId ?? null} showArea={showArea} gone={gone} restart={restart} />
            </div>
          );
        })}
      </div>
      {restarted && <Suspense fallback={null}><RestartDialog device={restarted} onClose={() => setRestarted(null)} /></Suspense>}
    </>
  );
}

interface CellsProps {
  row: Row;
  columns: number;
  live: string | null;
  stop: string | null;
  showArea: boolean;
  gone: (id: string) => void;
  restart: (tile: TileFacts) => void;
}

function Cells({ row, columns, live, stop, showArea, gone, restart }: CellsProps) {
  if (!("tiles" in row)) {
    return (
      <div role="gridcell" aria-colspan={columns} className="wall-heading">
        <h2>{row.title}</h2>
        <span className="dim">{row.count}</span>
      </div>
    );
  }
  return row.tiles.map((tile) => (
    <div key={tile.id} role="gridcell" className="wall-cell" data-cell={tile.id}>
      <Tile facts={tile} isLive={live === tile.id} isActive={stop === tile.id} showArea={showArea} gone={gone} />
      <IconButton icon="again" label={text.restart(tile.name)} className="tile-again" tabIndex={stop === tile.id ? 0 : -1} onClick={() => restart(tile)} />
    </div>
  ));
}

export function cssOf(sizes: Sizes, columns: number): CSSProperties {
  return { "--gap": `${sizes.gap}px`, "--foot": `${sizes.foot}px`, "--columns": columns } as CSSProperties;
}

/** Width, and where it begins in the document. */
function useBox(element: { current: HTMLElement | null }): { width: number; top: number } {
  const [box, setBox] = useState({ width: 0, top: 0 });
  useLayoutEffect(() => {
    const own = element.current;
    if (!own) return;
    const look = () => {
      const { width, top } = own.getBoundingClientRect();
      const now = { width, top: Math.round(top + window.scrollY) };
      setBox((before) => (before.width === now.width && before.top === now.top ? before : now));
    };
    look();
    const observer = new ResizeObserver(look);
    observer.observe(own);
    // What stands above it comes and goes.
    for (const other of own.parentElement?.children ?? []) if (other !== own) observer.observe(other);
    if (own.parentElement) observer.observe(own.parentElement);
    return () => observer.disconnect();
  }, [element]);
  return box;
}

function useKeepPlace(active: string | null, isLaidOut: boolean, scrolled: () => number | null): void {
  useLayoutEffect(() => {
    if (isLaidOut && place.scroll > 0) window.scrollTo(0, place.scroll);
  }, [isLaidOut]);
  useEffect(() => {
    place.active = active;
  }, [active]);
  const latest = useRef(scrolled);
  useLayoutEffect(() => {
    latest.current = scrolled;
  });
  // A link scrolls to the top before the page changes; what was heard of last is where it stood until then.
  useLayoutEffect(
    () => () => {
      place.scroll = latest.current() ?? 0;
    },
    [],
  );
}
