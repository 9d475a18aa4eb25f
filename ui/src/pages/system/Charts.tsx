// The last day of the host in small charts that share one cursor.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { ask } from "../../api/client";
import { useTheme } from "../../app/theme";
import { system } from "../../strings/en/system";
import { bytes, duration, minuteTime, time } from "../../time/format";
import { inOrder, type History } from "./facts";

const text = system.charts;
const EVERY_MS = 60_000;
/** Of a daemon that has just started the first minute grows. */
const YOUNG_MS = 5000;

export function useHistory(): History | undefined {
  return useQuery({
    queryKey: ["history"],
    queryFn: ({ signal }) => ask("GET /api/host/history", { signal }),
    refetchInterval: ({ state }) => ((state.data?.at.length ?? 0) < 2 ? YOUNG_MS : EVERY_MS),
  }).data;
}

interface Line {
  name: string;
  /** A colour of the tokens. */
  colour: "--accent" | "--warn" | "--bad" | "--good" | "--dim";
  values: (number | null)[];
  isFilled?: boolean;
}

interface Wanted {
  title: string;
  hint?: string;
  format: (value: number) => string;
  least: number;
  lines: Line[];
}

const percent = (value: number) => `${Math.round(value)} %`;
const count = (value: number) => Math.round(value).toLocaleString();

export function Charts({ history }: { history: History | undefined }) {
  const [over, setOver] = useState<number | null>(null);
  if (!history) return <section className="card system-charts system-young" aria-hidden="true" />;
  if (history.at.length === 0) return <section className="card system-charts system-young"><p className="dim">{text.young}</p></section>;
  const { at, keep } = inOrder(history);
  const kept = <T,>(column: T[]): T[] => column.filter((_, index) => keep[index]);
  const charts: Wanted[] = [
    {
      title: text.processor,
      format: percent,
      least: 100,
      lines: [
        { name: text.cpu, colour: "--accent", values: kept(history.cpu_percent), isFilled: true },
        { name: text.ioWait, colour: "--warn", values: kept(history.io_wait_percent) },
        { name: text.pressure, colour: "--bad", values: kept(history.io_pressure_percent) },
      ],
    },
    {
      title: text.written,
      hint: text.bytesHint,
      format: bytes,
      least: 1024,
      lines: [
        { name: text.written, colour: "--accent", values: kept(history.written_bytes), isFilled: true },
        { name: text.media, colour: "--dim", values: kept(history.media_bytes) },
      ],
    },
    { title: text.writes, hint: text.bytesHint, format: count, least: 10, lines: [{ name: text.writes, colour: "--accent", values: kept(history.writes), isFilled: true }] },
    { title: text.hot, format: bytes, least: 1024, lines: [{ name: text.hot, colour: "--accent", values: kept(history.hot_bytes), isFilled: true }] },
    { title: text.lost, hint: text.bytesHint, format: duration, least: 1, lines: [{ name: text.lost, colour: "--bad", values: kept(history.lost_seconds), isFilled: true }] },
  ];
  return (
    <section className="card system-charts" aria-label={text.title}>
      {charts.map((chart) => <Chart key={chart.title} chart={chart} at={at} over={over} setOver={setOver} />)}
    </section>
  );
}

interface ChartProps {
  chart: Wanted;
  at: number[];
  over: number | null;
  setOver: (index: number | null) => void;
}

function Chart({ chart, at, over, setOver }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const theme = useTheme();
  const latest = useRef({ chart, at });
  useEffect(() => {
    latest.current = { chart, at };
  });
  const newest = at.at(-1);
  useEffect(() => {
    const into = place.current;
    if (!into) return;
    let drawn: { size: (width: number) => void; end: () => void } | null = null;
    let isOver = false;
    void import("./plot").then(({ plot }) => {
      if (isOver) return;
      const style = getComputedStyle(into);
      const { chart, at } = latest.current;
      const lines = chart.lines.map((line) => ({ ...line, colour: style.getPropertyValue(line.colour).trim() }));
      drawn = plot(into, at, lines, {
        axis: style.getPropertyValue("--dim").trim(),
        grid: style.getPropertyValue("--line").trim(),
        font: `${style.getPropertyValue("--t-xs").trim()} ${style.fontFamily}`,
        format: chart.format,
        time: (second) => minuteTime(second * 1000),
        least: chart.least,
        isBinary: chart.format === bytes,
        over: setOver,
      });
    });
    const observer = new ResizeObserver(() => drawn?.size(into.clientWidth));
    observer.observe(into);
    return () => {
      isOver = true;
      observer.disconnect();
      drawn?.end();
    };
    // New points come once a minute: drawn anew, which takes a millisecond.
  }, [at.length, newest, theme, setOver]);
  const index = over !== null && over < at.length ? over : at.length - 1;
  const said = (value: number | null | undefined) => (value === null || value === undefined ? system.unknown : chart.format(value));
  const [main] = chart.lines;
  const most = Math.max(0, ...(main?.values ?? []).map((value) => value ?? 0));
  const moment = at[index];
  return (
    <figure className="system-chart">
      <figcaption>
        <span className="system-chart-title">{chart.title} {chart.hint && <span className="dim">{chart.hint}</span>}</span>
        <span className="system-chart-values">
          {chart.lines.map((line) => (
            <span key={line.name} style={{ color: `var(${line.colour})` }}>{chart.lines.length > 1 ? `${line.name} ` : ""}<b>{said(line.values[index])}</b></span>
          ))}
        </span>
        <span className="dim system-chart-at">{over !== null && moment !== undefined ? text.at(time(moment * 1000)) : ""}</span>
      </figcaption>
      <div ref={place} className="system-plot" role="img" aria-label={text.said(chart.title, said(main?.values.at(-1)), chart.format(most))} />
    </figure>
  );
}
