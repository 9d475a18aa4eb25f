// The strip itself: a line for each camera, a pixel or more for each minute, and where the cursor stands.
import { useEffect, useLayoutEffect, useRef, useState, type PointerEvent } from "react";
import { Link } from "../../app/router";
import { useTheme } from "../../app/theme";
import { heatmap as text } from "../../strings/en/heatmap";
import { dayName, minuteTime, ZONE } from "../../time/format";
import { ticks } from "../../time/ticks";
import { columnAt, isTrouble, LETTERS, middleOf, rowHeight, runs, type Letter, type Row, type Show, type Strip } from "./strip";

const GAP = 2;
/** What the filter does not ask for is still there, faintly. */
const FAINT = 0.22;
const TICK_PX = 72;

export interface Cell {
  column: number;
  row: number;
}

interface Props {
  strip: Strip;
  rows: Row[];
  show: Show;
  cell: Cell;
  /** The pointer is over it, or a finger drags along. */
  scrub: (cell: Cell) => void;
  /** It was clicked. A finger only points; what it points to has a link. */
  open: (cell: Cell) => void;
}

export function Board({ strip, rows, show, cell, scrub, open }: Props) {
  const plot = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const legend = useRef<HTMLUListElement>(null);
  const width = useWidth(plot);
  const [isCoarse] = useState(() => matchMedia("(pointer: coarse)").matches);
  const high = rowHeight(rows.length, isCoarse);
  const theme = useTheme();
  const scheme = useScheme();

  useLayoutEffect(() => {
    if (canvas.current && legend.current && width > 0) paint(canvas.current, coloursOf(legend.current), rows, width, high, show);
  }, [rows, width, high, show, theme, scheme]);

  // A cursor that the keyboard moves out of sight.
  useEffect(() => {
    const scroll = plot.current?.parentElement;
    if (!scroll) return;
    const top = cell.row * high;
    if (top < scroll.scrollTop) scroll.scrollTop = top;
    else if (top + high > scroll.scrollTop + scroll.clientHeight) scroll.scrollTop = top + high - scroll.clientHeight;
  }, [cell.row, high]);

  const cellOf = (event: PointerEvent): Cell | null => {
    const box = plot.current?.getBoundingClientRect();
    if (!box || box.width === 0 || rows.length === 0) return null;
    const row = Math.min(rows.length - 1, Math.max(0, Math.floor((event.clientY - box.top) / high)));
    return { row, column: columnAt(event.clientX - box.left, box.width, strip.count) };
  };
  const onPointer = (event: PointerEvent) => {
    const found = cellOf(event);
    if (found) scrub(found);
  };
  const end = strip.first + strip.count * strip.step;
  const x = middleOf(cell.column, width, strip.count);
  const marks = width > 0 ? ticks(strip.first, end, ZONE, Math.max(2, Math.floor(width / TICK_PX))) : [];
  return (
    <div className="card heat-board">
      <div className="heat-axis" aria-hidden="true">
        {marks.map((mark) => (
          <span key={mark.at} className={mark.isDay ? "day" : undefined} style={{ left: `${((mark.at - strip.first) / (end - strip.first)) * 100}%` }}>
            {end - mark.at > (TICK_PX / width) * (end - strip.first) ? (mark.isDay ? dayName(mark.at) : minuteTime(mark.at)) : ""}
          </span>
        ))}
      </div>
      <div className="heat-scroll">
        <div className="heat-names">
          {rows.map((row, index) => (
            <Link key={row.id} to={`/device/${encodeURIComponent(row.id)}`} tabIndex={-1} title={row.name} style={{ height: high, lineHeight: `${high}px` }} aria-current={index === cell.row ? "true" : undefined}>
              {row.name}
            </Link>
          ))}
        </div>
        <div
          ref={plot}
          className="heat-plot"
          role="group"
          aria-label={text.strip(rows.length)}
          tabIndex={0}
          data-cell={`${cell.column}/${cell.row}`}
          style={{ height: rows.length * high }}
          onPointerDown={(event) => {
            onPointer(event);
            if (event.pointerType !== "mouse") event.currentTarget.setPointerCapture(event.pointerId);
          }}
          onPointerMove={(event) => (event.pointerType === "mouse" || event.buttons > 0) && onPointer(event)}
          onClick={(event) => {
            const pointer = event.nativeEvent as globalThis.PointerEvent;
            if (pointer.pointerType === "touch") return;
            const found = cellOf(event as unknown as PointerEvent);
            if (found) open(found);
          }}
        >
          <canvas ref={canvas} aria-hidden="true" />
          {rows.length > 0 && width > 0 && (
            <>
              <div className="heat-line" style={{ transform: `translateX(${x}px)` }} />
              <div className="heat-cell" style={{ height: high, width: Math.max(7, width / strip.count + 2), transform: `translate(${x}px, ${cell.row * high}px) translateX(-50%)` }} />
            </>
          )}
        </div>
      </div>
      <ul ref={legend} className="heat-legend" aria-label={text.legend}>
        {LETTERS.map((letter) => <li key={letter} data-letter={letter}><i className={`heat-swatch is-${NAMES[letter]}`} />{text.states[letter]}</li>)}
      </ul>
    </div>
  );
}

export const NAMES: Record<Letter, string> = { x: "lost", b: "black", f: "frozen", s: "silent", o: "ok", ".": "none" };

/** As the style says them, which knows dark and light. */
function coloursOf(legend: HTMLElement): Map<Letter, string> {
  const found = new Map<Letter, string>();
  for (const item of legend.querySelectorAll<HTMLElement>("[data-letter]")) {
    const swatch = item.querySelector("i");
    if (swatch) found.set(item.dataset["letter"] as Letter, getComputedStyle(swatch).color);
  }
  return found;
}

function paint(canvas: HTMLCanvasElement, colours: Map<Letter, string>, rows: Row[], width: number, high: number, show: Show): void {
  const scale = Math.min(2, window.devicePixelRatio || 1);
  const [wide, tall] = [Math.round(width * scale), Math.round(rows.length * high * scale)];
  [canvas.width, canvas.height] = [wide, tall];
  const context = canvas.getContext("2d");
  if (!context) return;
  const gap = Math.round(GAP * scale);
  for (const [index, row] of rows.entries()) {
    const top = Math.round(index * high * scale);
    const height = Math.round((index + 1) * high * scale) - top - gap;
    for (const run of runs(row.states, wide)) {
      const isAsked = show === "all" || (show === "ko" ? isTrouble(run.letter) : run.letter === "o");
      context.globalAlpha = isAsked || run.letter === "." ? 1 : FAINT;
      context.fillStyle = colours.get(run.letter) ?? "gray";
      // What is well lies low: trouble stands out by its height, too, not by its colour alone.
      const inset = isTrouble(run.letter) ? 0 : Math.round(height * 0.22);
      context.fillRect(run.x, top + gap / 2 + inset, run.width, height - 2 * inset);
    }
  }
}

function useWidth(of: { current: HTMLElement | null }): number {
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const element = of.current;
    if (!element) return;
    const look = () => setWidth(element.clientWidth);
    look();
    const observer = new ResizeObserver(look);
    observer.observe(element);
    return () => observer.disconnect();
  }, [of]);
  return width;
}

/** Changes when the system turns dark or light. */
function useScheme(): boolean {
  const [isLight, setLight] = useState(() => matchMedia("(prefers-color-scheme: light)").matches);
  useEffect(() => {
    const query = matchMedia("(prefers-color-scheme: light)");
    const look = () => setLight(query.matches);
    query.addEventListener("change", look);
    return () => query.removeEventListener("change", look);
  }, []);
  return isLight;
}
