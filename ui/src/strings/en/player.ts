// What the player says, wherever it is shown.
export const player = {
  restart: {
    title: (name: string) => `${name}: what just happened`,
    button: "What just happened",
    lengths: "Length",
    seconds: (count: number) => `Last ${count} s`,
    again: "The newest again",
    fetching: "Fetching the last seconds…",
    encoding: (percent: number) => `Encoding for this browser… ${percent} %`,
    picture: (name: string) => `The last seconds of ${name}`,
    download: "Download",
    open: "Open in the archive",
    failed: "The last seconds are not there.",
    span: (from: string, to: string) => `${from} – ${to}`,
  },
};
