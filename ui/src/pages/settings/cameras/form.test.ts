import { describe, expect, it } from "vitest";
import { blank, detect, source, toBody, toFlat, type Camera } from "./form";

const camera = (more: object): Camera => ({ id: "hall", name: "Hall", area: "", enabled: true, quality: "sd", audio: "auto", live: {}, detect: {}, origin: "api", revision: 3, created: null, changed: null, shadows: false, refused: null, source: { kind: "test" }, ...more }) as Camera;

describe("the source of each kind", () => {
  it.each([
    [{ "source.kind": "rtsp" }, { kind: "rtsp", url: "", transport: "tcp" }],
    [{ "source.kind": "http", "source.url": " http://h/v " }, { kind: "http", url: "http://h/v" }],
    [{ "source.kind": "v4l2", "source.path": "/dev/video0" }, { kind: "v4l2", path: "/dev/video0" }],
    [{ "source.kind": "file", "source.path": "/a.mp4", "source.loop": false }, { kind: "file", path: "/a.mp4", loop: false }],
    [{ "source.kind": "screen", "source.display": ":0" }, { kind: "screen", display: ":0", size: "" }],
    [{ "source.kind": "test", "source.tone": "loud", "source.black": "10-15, 20–21.5" }, { kind: "test", pattern: "testsrc2", tone: "loud", black: [[10, 15], [20, 21.5]] }],
    [{ "source.kind": "test", "source.black": "now" }, { kind: "test", pattern: "testsrc2", tone: 440, black: "now" }],
    [{ "source.kind": "replay", "source.dir": "/d", "source.speed": "2,5" }, { kind: "replay", dir: "/d", speed: 2.5 }],
  ])("%j", (typed, expected) => {
    expect(source({ ...blank(), ...typed })).toEqual(expected);
  });
});

it("what comes goes back as it was", () => {
  const more = { size: "1280x720", quality: "hd", fps: 15, source: { kind: "test", pattern: "smptebars", tone: 0, black: [[1, 2]], freeze: [], silence: [], period: 60 }, live: { segments: 9 }, detect: { black_rows: [0, 100], ignore_small_motion: false, black_share: 0.949999988079071 } };
  expect(toBody(toFlat(camera(more)))).toEqual({
    id: "hall", name: "Hall", area: "", enabled: true, quality: "hd", size: "1280x720", fps: 15, audio: "auto",
    source: { kind: "test", pattern: "smptebars", tone: 0, black: [[1, 2]], period: 60 },
    live: { segments: 9 },
    detect: { black_rows: [0, 100], ignore_small_motion: false, black_share: 0.95 },
  });
});

it.each([
  [{}, {}],
  [{ "detect.black_luma": "12", "detect.black_rows": "5 - 70" }, { black_luma: 12, black_rows: [5, 70] }],
  [{ "detect.black_rows": "all" }, { black_rows: "all" }],
  [{ "detect.ignore_small_motion": "true", "detect.silence_db": "-60" }, { ignore_small_motion: true, silence_db: -60 }],
])("thresholds of %j", (typed, expected) => {
  expect(detect({ ...blank(), ...typed })).toEqual(expected);
});
