// How this browser shows the wall: columns, order, pace of the rotation. The address wins, so that the link of a wall screen
// says it all; what is chosen by hand is remembered here.
import { useSyncExternalStore } from "react";
import { useParam } from "../../app/router";
import { COLUMNS, type Columns } from "./layout";
import type { Sort } from "./order";

export const SORTS: Sort[] = ["area", "trouble", "name"];
/** Seconds that each picture of the rotation stands. */
export const PACES = [5, 10, 15, 30, 60];

interface View {
  columns: Columns;
  sort: Sort;
  pace: number;
}

const KEY = "capstan.wall";
const USUAL: View = { columns: 0, sort: "area", pace: 15 };
const listeners = new Set<() => void>();
let kept = read();

function read(): View {
  try {
    const said = JSON.parse(localStorage.getItem(KEY) ?? "{}") as Record<string, unknown>;
    return { columns: columnsIn(said["columns"]) ?? USUAL.columns, sort: sortIn(said["sort"]) ?? USUAL.sort, pace: paceIn(said["pace"]) ?? USUAL.pace };
  } catch {
    return USUAL;
  }
}

function keep(part: Partial<View>): void {
  kept = { ...kept, ...part };
  try {
    localStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    // It holds until the page is closed.
  }
  for (const listener of listeners) listener();
}

export const columnsIn = (said: unknown): Columns | null => ([0, ...COLUMNS] as Columns[]).find((one) => String(one) === String(said)) ?? null;
export const sortIn = (said: unknown): Sort | null => SORTS.find((one) => one === said) ?? null;
/** Any pace of a second and more: a link may say another than the list. */
export const paceIn = (said: unknown): number | null => (Number(said) >= 1 && Number(said) <= 3600 ? Number(said) : null);

export function useView() {
  const view = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => kept,
  );
  const [columns, setColumns] = useParam("columns");
  const [sort, setSort] = useParam("sort");
  const [kiosk, setKiosk] = useParam("kiosk");
  return {
    columns: columnsIn(columns) ?? view.columns,
    sort: sortIn(sort) ?? view.sort,
    pace: paceIn(kiosk) ?? view.pace,
    isKiosk: kiosk !== null,
    setColumns: (next: Columns) => {
      keep({ columns: next });
      setColumns(null);
    },
    setSort: (next: Sort) => {
      keep({ sort: next });
      setSort(null);
    },
    setPace: (next: number) => {
      keep({ pace: next });
      setKiosk(String(next));
    },
    openKiosk: () => setKiosk(String(view.pace)),
    closeKiosk: () => setKiosk(null),
  };
}
