//! From a source to files in RAM: one FFmpeg per device, watched, and one reader of file events for all of them.
//!
//! ```text
//! config::Source ─ command ─▶ process (FFmpeg) ─ renames ─▶ HOT ─ watcher ─▶ storage::HotDevice ─▶ merger, archiver
//!                                  ▲ progress, last words
//!                            FfmpegActor ─▶ CaptureStatus
//! ```
//!
//! What outlives a panic of [`FfmpegActor`] is not in it: the child, its pipes and its exit live in the device's
//! [`ProcessCell`], which the successor adopts.

pub mod command;
mod encoder;
mod encoding;
mod ffmpeg_actor;
mod pcm;
mod piping;
mod probing;
mod process;
mod replay;
mod sight;
mod source;
mod spawner;
mod state;
mod status;
mod watch_actor;
mod watcher;

pub use command::{Attempt, FfmpegCommand};
pub use encoder::{Capabilities, Encoder, Probed};
pub use encoding::{Hearer, Input};
pub use ffmpeg_actor::{CaptureParts, FfmpegActor};
pub use piping::{Event, Piped};
pub use process::{ChildExit, ProcessCell, Progress, Running, SoundSink};
pub use sight::{Sight, sight};
pub use source::{AudioStream, Reason, SourceProbe, VideoStream};
pub use spawner::Spawner;
pub use status::{CaptureState, CaptureStatus, LastWords};
pub use watch_actor::WatchActor;
pub use watcher::{Arrivals, Thumbnail, Watcher};

/// What the number in a picture's name counts: hundredths of a second of the run's time. FFmpeg 5.1 keeps it in 31 bits,
/// which last 248 days; at 90 kHz they would last 6 hours.
pub const PICTURE_TICKS_PER_SECOND: i64 = 100;

/// A picture at run time `t` shows what the segments of the same run carry at PTS `t + TS_OFFSET_90K`: FFmpeg's TS muxer
/// adds twice its `max_delay` of 0.7 s (measured on 5.1; a test keeps it).
pub const TS_OFFSET_90K: i64 = 126_000;
