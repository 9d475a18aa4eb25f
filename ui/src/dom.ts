// Small helpers to build elements and to write numbers for people.

type Child = Node | string | null;

export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Partial<HTMLElementTagNameMap[K]> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = Object.assign(document.createElement(tag), props);
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Writes only what changed, so that a selection in the page survives the poll. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function bytes(count: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (count >= 1024 && unit < units.length - 1) {
    count /= 1024;
    unit += 1;
  }
  return `${count.toFixed(unit === 0 || count >= 100 ? 0 : 1)} ${units[unit]}`;
}

export function seconds(count: number): string {
  if (count < 120) return `${Math.round(count)} s`;
  if (count < 7200) return `${Math.round(count / 60)} min`;
  if (count < 172_800) return `${(count / 3600).toFixed(1)} h`;
  return `${Math.round(count / 86_400)} d`;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const day = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });

/** Local time of day. */
export function clockTime(date: Date): string {
  return clock.format(date);
}

/** Local time of day; the day too when it is not today. */
export function time(stamp: string): string {
  const date = new Date(stamp);
  const today = date.toDateString() === new Date().toDateString();
  return today ? clock.format(date) : `${day.format(date)} ${clock.format(date)}`;
}

let hostAheadMs = 0;

/** The host's clock, as its latest reply told: a viewer's own may be minutes off. */
export function hostNow(): number {
  return Date.now() + hostAheadMs;
}

export function setHostTime(stamp: string): void {
  hostAheadMs = Date.parse(stamp) - Date.now();
}

/** Fills a `<dl>` in place: the same names each time. */
export function setFacts(list: HTMLElement, facts: [name: string, value: string, hint: string][]): void {
  if (list.childElementCount === 0) {
    for (const [name, , hint] of facts) list.append(el("div", { title: hint }, el("dt", {}, name), el("dd")));
  }
  list.querySelectorAll("dd").forEach((dd, i) => setText(dd, facts[i]?.[1] ?? ""));
}
