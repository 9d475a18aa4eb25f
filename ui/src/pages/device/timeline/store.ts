// What the time line shows and where the pointer is: changes sixty times a second, so it lives outside React.
import { hostNow } from "../../../time/format";
import { tilesOf, within, type Tile, type View } from "./scale";

export class TimelineStore {
  view: View;
  private readonly listeners = new Set<() => void>();
  private tiles: Tile[] = [];
  private key = "";
  /** The person moved it: it follows the playhead again once that is in sight. */
  isHeld = false;

  constructor(view: View) {
    this.view = within(view, hostNow());
  }

  set(view: View): void {
    const next = within(view, hostNow());
    if (next.from === this.view.from && next.span === this.view.span) return;
    this.view = next;
    for (const listener of this.listeners) listener();
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** The same array until other tiles are needed. */
  tilesNow = (): Tile[] => {
    const tiles = tilesOf(this.view);
    const key = tiles.map((one) => `${one.length}:${one.start}`).join();
    if (key !== this.key) {
      this.key = key;
      this.tiles = tiles;
    }
    return this.tiles;
  };

  span = (): number => this.view.span;
}
