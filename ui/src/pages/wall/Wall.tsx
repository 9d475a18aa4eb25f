// All cameras at a glance: who is well, who is not and since when, and what each sees.
import { useEffect, useMemo, useRef, useState } from "react";
import { Link, useParam } from "../../app/router";
import { Button, IconButton } from "../../kit/Button";
import { EmptyState, ErrorState, Skeleton } from "../../kit/States";
import { useKeys } from "../../keys/keys";
import { useCan } from "../../session/session";
import { common } from "../../strings/en/common";
import { wall as text } from "../../strings/en/wall";
import { useFacts } from "./facts";
import { cssOf, Grid } from "./Grid";
import { Kiosk } from "./Kiosk";
import { COLUMNS, columnsOf, SIZES, type Columns, type Sizes } from "./layout";
import { areasOf, groupsOf, type Sort } from "./order";
import type { TileFacts } from "./trouble";
import { SORTS, useView } from "./view";
import "./wall.css";

const titles = { elsewhere: text.elsewhere, ...text.groups };
/** What somebody may type to find it. */
const wordsOf = ({ trouble, status }: TileFacts) => `${common.status[status]} ${trouble ? `${text.trouble[trouble]} trouble` : ""}`;

export function Wall() {
  const { facts, error, again } = useFacts();
  const [filter, setFilter] = useParam("filter");
  const [area, setArea] = useParam("area");
  const [only, setOnly] = useParam("only");
  const [whole] = useParam("whole");
  const view = useView();
  const sizes = useSizes();
  const search = useRef<HTMLInputElement>(null);
  const onlyTrouble = only === "trouble";
  const toggleTrouble = () => setOnly(onlyTrouble ? null : "trouble");
  const { sort } = view;
  const groups = useMemo(
    () => groupsOf(facts ?? [], { filter: filter ?? "", area, onlyTrouble, sort }, titles, wordsOf),
    [facts, filter, area, onlyTrouble, sort],
  );
  const areas = useMemo(() => areasOf(facts ?? []), [facts]);
  const online = facts?.filter((one) => one.status === "online").length ?? 0;
  const wrong = facts?.filter((one) => one.trouble !== null).length ?? 0;
  useKeys(text.title, [
    { keys: "/", label: text.keyFilter, run: () => search.current?.focus() },
    { keys: "f", label: text.keyFull, run: view.openKiosk },
    { keys: "t", label: text.keyTrouble, run: toggleTrouble },
    { keys: "s", label: text.keySort, run: () => view.setSort(SORTS[(SORTS.indexOf(sort) + 1) % SORTS.length] ?? "area") },
    { keys: "0", label: text.keyColumnsFit, run: () => view.setColumns(0) },
    ...COLUMNS.map((count) => ({ keys: String(count), label: text.keyColumns(count), run: () => view.setColumns(count) })),
  ]);
  const showAll = () => {
    setFilter(null);
    setArea(null);
    setOnly(null);
  };
  const isEmpty = facts?.length === 0;
  const shared = { groups, sizes, columns: view.columns, showArea: sort !== "area" };
  return (
    <>
      <header className="page-head wall-head">
        <h1>{text.title}</h1>
        {facts && !isEmpty && <span className="dim">{text.online(online, facts.length)}</span>}
        {(wrong > 0 || onlyTrouble) && (
          <Button icon="incidents" className="wall-wrong" aria-pressed={onlyTrouble} title={text.onlyTrouble} onClick={toggleTrouble}>{text.inTrouble(wrong)}</Button>
        )}
        <span className="spacer" />
        <div className="wall-controls">
          <input
            ref={search}
            className="input wall-filter"
            type="search"
            aria-label={text.filter}
            placeholder={text.filterHint}
            value={filter ?? ""}
            onChange={(event) => setFilter(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === "Escape") event.currentTarget.blur();
              if (event.key === "Enter") document.querySelector<HTMLElement>('.wall-grid [data-tile][tabindex="0"]')?.focus();
            }}
          />
          {areas.length > 1 && (
            <select className="select" aria-label={text.area} value={area ?? ""} onChange={(event) => setArea(event.target.value)}>
              <option value="">{text.allAreas}</option>
              {areas.map((one) => <option key={one} value={one}>{one}</option>)}
            </select>
          )}
          <select className="select" aria-label={text.sort} value={sort} onChange={(event) => view.setSort(event.target.value as Sort)}>
            {SORTS.map((one) => <option key={one} value={one}>{text.sorts[one]}</option>)}
          </select>
          <select className="select" aria-label={text.columns} value={view.columns} onChange={(event) => view.setColumns(Number(event.target.value) as Columns)}>
            <option value={0}>{text.columnsFit}</option>
            {COLUMNS.map((count) => <option key={count} value={count}>{text.columnsOf(count)}</option>)}
          </select>
          <IconButton icon="full" label={text.full} onClick={view.openKiosk} disabled={!facts || isEmpty} />
        </div>
      </header>
      {!facts && (error ? <ErrorState error={error} again={again} /> : <Waiting columns={view.columns} sizes={sizes} />)}
      {isEmpty && <NoCameras />}
      {facts && !isEmpty && groups.length === 0 && (
        <EmptyState icon={onlyTrouble && wrong === 0 ? "check" : "search"} title={onlyTrouble && wrong === 0 ? text.nothingWrong : text.nothingFits}>
          <Button onClick={showAll}>{text.showAll}</Button>
        </EmptyState>
      )}
      {groups.length > 0 && !view.isKiosk && <Grid {...shared} isWhole={whole !== null} />}
      {facts && view.isKiosk && <Kiosk {...shared} pace={view.pace} setPace={view.setPace} close={view.closeKiosk} />}
    </>
  );
}

function NoCameras() {
  const can = useCan();
  const mayAdd = can("admin");
  return (
    <EmptyState icon="device" title={text.none}>
      <p>{mayAdd ? text.noneAdmin : text.noneElse}</p>
      {mayAdd && <Link to="/settings/cameras" className="button primary">{text.addCamera}</Link>}
    </EmptyState>
  );
}

function Waiting({ columns, sizes }: { columns: Columns; sizes: Sizes }) {
  const count = columnsOf(columns, window.innerWidth * 0.8, sizes);
  return (
    <ul className="wall-waiting" aria-busy="true" aria-label={common.loading} style={cssOf(sizes, count)}>
      {Array.from({ length: count * 2 }, (_, index) => <li key={index}><Skeleton className="tile-skeleton" /></li>)}
    </ul>
  );
}

const PHONE = "(max-width: 640px)";
const LARGE = "(min-width: 2400px)";
const sizesNow = () => (matchMedia(PHONE).matches ? SIZES.phone : matchMedia(LARGE).matches ? SIZES.large : SIZES.usual);

function useSizes(): Sizes {
  const [sizes, setSizes] = useState(sizesNow);
  useEffect(() => {
    const look = () => setSizes(sizesNow());
    const lists = [PHONE, LARGE].map((query) => matchMedia(query));
    for (const list of lists) list.addEventListener("change", look);
    return () => {
      for (const list of lists) list.removeEventListener("change", look);
    };
  }, []);
  return sizes;
}
