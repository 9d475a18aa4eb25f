// What the player shows of itself, and the elements that it shows it in.

export interface PlaybackView {
  /** `behind`: from the live window in RAM, not yet on the disk. */
  mode: "live" | "behind" | "past";
  /** Which of the players is to be seen. */
  surface: "live" | "past";
  isPaused: boolean;
  isBusy: boolean;
  isStill: boolean;
  rate: number;
  volume: number;
  isMuted: boolean;
  badge: string;
  note: string;
  hasPicture: boolean;
  delaySeconds: number | null;
  /** The codec that this browser lacks: H.264 can be asked for. */
  offer: string | null;
  /** How far the encoding for this browser is, 0 to 1. */
  encoding: number | null;
}

export interface Elements {
  frame: HTMLElement;
  live: HTMLVideoElement;
  past: [HTMLVideoElement, HTMLVideoElement];
  still: HTMLCanvasElement;
}

export const BEGIN: PlaybackView = {
  mode: "live", surface: "live", isPaused: false, isBusy: false, isStill: false, rate: 1, volume: 1, isMuted: true, badge: "", note: "",
  hasPicture: false, delaySeconds: null, offer: null, encoding: null,
};
