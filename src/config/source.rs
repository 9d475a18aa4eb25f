//! Where a device's pictures come from, as written in `source = { kind = "…", … }`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::PictureSize;

/// In settings also accepted as `source = { rtsp = { url = "…" } }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Source {
    Test(TestSource),
    File(FileSource),
    Rtsp(RtspSource),
    Http(HttpSource),
    V4l2(V4l2Source),
    Screen(ScreenSource),
    Replay(ReplaySource),
}

impl Source {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Test(_) => "test",
            Self::File(_) => "file",
            Self::Rtsp(_) => "rtsp",
            Self::Http(_) => "http",
            Self::V4l2(_) => "v4l2",
            Self::Screen(_) => "screen",
            Self::Replay(_) => "replay",
        }
    }

    /// All kinds, for messages.
    pub const KINDS: [&str; 7] = ["test", "file", "rtsp", "http", "v4l2", "screen", "replay"];
}

/// A generated picture with a burnt-in clock and a tone; black, frozen or silent on a timetable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TestSource {
    /// `testsrc2`, `smptebars`, `mandelbrot`, … : a name from [`TestSource::PATTERNS`].
    pub pattern: String,
    /// Hz; 0 = no audio track.
    pub tone: u32,
    /// `[from, to]` seconds within each period.
    pub black: Vec<[f64; 2]>,
    pub freeze: Vec<[f64; 2]>,
    pub silence: Vec<[f64; 2]>,
    /// Seconds after which the timetable starts over; 0 = once only.
    pub period: f64,
}

impl TestSource {
    /// FFmpeg's synthetic video filters that run endlessly without input.
    pub const PATTERNS: [&str; 6] = ["testsrc2", "testsrc", "smptebars", "smptehdbars", "rgbtestsrc", "mandelbrot"];
}

impl Default for TestSource {
    fn default() -> Self {
        Self {
            pattern: "testsrc2".into(),
            tone: 440,
            black: Vec::new(),
            freeze: Vec::new(),
            silence: Vec::new(),
            period: 0.0,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSource {
    pub path: PathBuf,
    /// Start over at the end; otherwise the device ends.
    #[serde(default = "super::yes", rename = "loop")]
    pub looped: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RtspSource {
    pub url: String,
    #[serde(default)]
    pub transport: RtspTransport,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RtspTransport {
    #[default]
    Tcp,
    Udp,
}

/// MJPEG, HLS or TS over HTTP(S).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSource {
    pub url: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct V4l2Source {
    /// `/dev/video0`.
    pub path: PathBuf,
    /// `mjpeg`, `yuyv422`, …: what to ask the card for; its default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<PictureSize>,
    /// `alsa:hw:1` or `pulse:NAME`; no sound when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScreenSource {
    /// X11 display: `:0`, `:77.0+10,20`.
    pub display: String,
    pub size: PictureSize,
}

/// Prepared files dropped into hot on the clock's beat, without FFmpeg: for tests and scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplaySource {
    /// A folder with `segments/*.ts` (in name order, 1 s each) and optional `captures/*.jpg`, `thumbnails/*.jpg`.
    pub dir: PathBuf,
    /// Times real time.
    #[serde(default = "real_time")]
    pub speed: f64,
}

fn real_time() -> f64 {
    1.0
}
