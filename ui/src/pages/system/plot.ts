// uPlot, loaded when the first chart is shown; it knows nothing of the page.
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

export interface Line {
  values: (number | null)[];
  colour: string;
  isFilled?: boolean;
}

export interface Look {
  axis: string;
  grid: string;
  font: string;
  /** For the marks at the left. */
  format: (value: number) => string;
  time: (at: number) => string;
  /** Whatever the values: percents end at 100. */
  least: number;
  /** Bytes are counted by powers of two. */
  isBinary: boolean;
  /** Which point the pointer is over, null when none. */
  over: (index: number | null) => void;
}

const MINUTE = 60;
const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720].map((minutes) => minutes * MINUTE);
const POWERS = Array.from({ length: 44 }, (_, power) => 2 ** power);
const TENS = Array.from({ length: 13 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat();
const HEIGHT = 132;
const LEFT = 56;

export function plot(into: HTMLElement, at: number[], lines: Line[], look: Look): { size: (width: number) => void; end: () => void } {
  const axis = { stroke: look.axis, font: look.font, grid: { stroke: look.grid, width: 1 }, ticks: { show: false } };
  const chart = new uPlot(
    {
      width: into.clientWidth || 300,
      height: HEIGHT,
      padding: [8, 8, 0, 0],
      legend: { show: false },
      cursor: { y: false, sync: { key: "system" }, points: { size: 6 }, drag: { setScale: false, x: false } },
      scales: { y: { range: (_, __, most) => [0, Math.max(look.least, most * 1.08)] } },
      axes: [
        { ...axis, space: 72, size: 28, incrs: TIME_STEPS, values: (_, splits) => splits.map(look.time) },
        { ...axis, size: LEFT, space: 32, incrs: look.isBinary ? POWERS : TENS, values: (_, splits) => splits.map(look.format) },
      ],
      series: [
        {},
        ...lines.map((line) => ({
          stroke: line.colour,
          width: 1.5,
          points: { show: at.length < 3, size: 5 },
          ...(line.isFilled ? { fill: `color-mix(in srgb, ${line.colour} 14%, transparent)` } : {}),
        })),
      ],
      hooks: { setCursor: [(self) => look.over(self.cursor.idx ?? null)] },
    },
    [at, ...lines.map((line) => line.values)] as uPlot.AlignedData,
    into,
  );
  return { size: (width) => chart.setSize({ width, height: HEIGHT }), end: () => chart.destroy() };
}
