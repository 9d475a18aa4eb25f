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
  /** Which point the pointer is over, null when none. */
  over: (index: number | null) => void;
}

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
        { ...axis, space: 72, size: 28, values: (_, splits) => splits.map(look.time) },
        { ...axis, size: LEFT, space: 32, values: (_, splits) => splits.map(look.format) },
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
