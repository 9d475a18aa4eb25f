// The icons: 24 × 24, drawn with strokes of the text's colour. Decoration only; the control says what it does.
const PATHS = {
  wall: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
  heatmap: "M3 5h4v4H3zM10 5h4v4h-4zM17 5h4v4h-4zM3 12h4v4H3zM10 12h4v4h-4zM17 12h4v4h-4zM3 19h18",
  incidents: "M12 4 2.8 19.5h18.4zM12 10v4.5M12 17v.2",
  system: "M3 5h18v5H3zM3 14h18v5H3zM7 7.5h.1M7 16.5h.1",
  settings: "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4",
  device: "M3 7.5A1.5 1.5 0 0 1 4.5 6h9A1.5 1.5 0 0 1 15 7.5v9a1.5 1.5 0 0 1-1.5 1.5h-9A1.5 1.5 0 0 1 3 16.5zM15 11l6-3.5v9L15 13",
  close: "M6 6l12 12M18 6 6 18",
  sun: "M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6 19 19M19 5l-1.4 1.4M6.4 17.6 5 19",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z",
  out: "M10 4H5v16h5M15 8l4 4-4 4M19 12H9",
  keyboard: "M3 6h18v12H3zM7 10h.1M11 10h.1M15 10h.1M17 14h.1M7 14h6",
  play: "M8 5.5v13l10.5-6.5z",
  stop: "M7 7h10v10H7z",
  download: "M12 4v11M7.5 11 12 15.5 16.5 11M5 20h14",
  back: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  more: "M5 12h.1M12 12h.1M19 12h.1",
  search: "M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM15.5 15.5 20 20",
  check: "M5 12.5l4.5 4.5L19 7.5",
  add: "M12 5v14M5 12h14",
  edit: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
  trash: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13",
  pin: "M9 4h6l-1 6 3 3H7l3-3zM12 13v7",
  share: "M12 15V4M8 7.5 12 3.5 16 7.5M6 12v8h12v-8",
  volume: "M4 9.5h4l5-4v13l-5-4H4zM16.5 9a4 4 0 0 1 0 6",
  full: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  eye: "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM12 9a3 3 0 1 1 0 6 3 3 0 0 1 0-6z",
  eyeOff: "M4 4l16 16M9.5 6A9 9 0 0 1 12 5.5c6 0 9.5 6.5 9.5 6.5a17 17 0 0 1-3 3.6M6 7.7A17 17 0 0 0 2.5 12S6 18.5 12 18.5a9 9 0 0 0 4-1M10 10a3 3 0 0 0 4 4",
  copy: "M8 8h11v12H8zM5 16V4h11",
  wrench: "M14.5 6a4.5 4.5 0 0 1 5-1l-3 3 1 2 2 .5 2-2a4.5 4.5 0 0 1-6 5L8 21l-4-4 7.5-7.5A4.5 4.5 0 0 1 14.5 6z",
  user: "M12 4a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM4.5 20a7.5 7.5 0 0 1 15 0",
  users: "M9 5a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7zM2.5 19.5a6.5 6.5 0 0 1 13 0M16 5.5a3.5 3.5 0 0 1 0 6.5M18 14.5a6.5 6.5 0 0 1 3.5 5",
  key: "M8 10.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9zM11.2 11.8 20 3M16 7l3 3",
  disk: "M4 6c0-1.7 3.6-3 8-3s8 1.3 8 3v12c0 1.7-3.6 3-8 3s-8-1.3-8-3zM4 6c0 1.7 3.6 3 8 3s8-1.3 8-3M4 12c0 1.7 3.6 3 8 3s8-1.3 8-3",
  bell: "M6 10a6 6 0 0 1 12 0c0 5 2 6.5 2 6.5H4S6 15 6 10zM10 20a2.2 2.2 0 0 0 4 0",
  log: "M5 3h14v18H5zM9 8h6M9 12h6M9 16h4",
  pause: "M8.5 5.5v13M15.5 5.5v13",
  again: "M5 12a7 7 0 1 0 2.2-5.1L5 9M5 4.5V9h4.5",
  frameBack: "M17 6v12L9 12zM6 6v12",
  frameNext: "M7 6v12l8-6zM18 6v12",
  incidentBack: "M14 5l-7 7 7 7M19 8v5M19 16v.2",
  incidentNext: "M10 5l7 7-7 7M5 8v5M5 16v.2",
  shot: "M4 8h3.5L9 5.5h6L16.5 8H20v11H4zM12 10.5a3 3 0 1 1 0 6 3 3 0 0 1 0-6z",
  inset: "M3 5h18v14H3zM12 12h7v5h-7z",
  calendar: "M4 6h16v14H4zM4 10.5h16M8.5 3.5v4M15.5 3.5v4",
  scissors: "M6 4.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5zM6 14.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5zM8.2 8.4 20 17M8.2 15.6 20 7",
  muted: "M4 9.5h4l5-4v13l-5-4H4zM16.5 9.5l5 5M21.5 9.5l-5 5",
  zoomIn: "M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM15.5 15.5 20 20M10.5 7.5v6M7.5 10.5h6",
  zoomOut: "M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM15.5 15.5 20 20M7.5 10.5h6",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
