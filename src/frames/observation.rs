//! The verdicts on one frame, and the frame itself on its way to them.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    clock::{Mono, Utc90k},
    ids::SegmentKey,
};

/// A thumbnail as it arrived: read once, decoded once.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Its name in hot.
    pub key: SegmentKey,
    /// When it was taken: the media time of its run on the wall clock.
    pub at: Utc90k,
    /// When its file was seen.
    pub seen: Mono,
    /// The JPEG.
    pub jpeg: Bytes,
}

/// What is known of one frame. `None` is "unknown": not analysed, not decodable, no sound to hear.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observation {
    pub key: SegmentKey,
    pub at: Utc90k,
    pub black: Option<bool>,
    /// Dark pixels in the rows that are looked at, 0 to 100.
    pub black_percent: Option<f32>,
    pub freeze: Option<bool>,
    /// When it is frozen: the first picture that looked like this one.
    pub still_since: Option<Utc90k>,
    /// Pixels that moved more than noise does, 0 to 100, against the oldest of the last frames.
    pub freeze_diff: Option<f32>,
    /// The slate of a capture card without input: flat, still and of one of the colours such cards show.
    pub no_signal: Option<bool>,
    pub sound: Sound,
    /// Frames before this one that were not looked at, because too many waited.
    pub skipped: u32,
    /// When the first of them was taken.
    pub skipped_from: Option<Utc90k>,
}

/// What was heard around a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sound {
    /// True: there is sound but it is silent. None: there is none, or it has not arrived.
    pub silent: Option<bool>,
    /// Mean of the last second, dBFS.
    pub mean_volume_db: Option<f32>,
    /// The same from −60 dBFS (0) to 0 dBFS (100).
    pub volume_percentage: Option<u8>,
    /// How long before the picture it was so: sound is judged by what was heard, and comes later than pictures.
    pub before_90k: i64,
}

/// Told of every frame of a device in order, on a thread of the analysis pool: must not block. The frame is what the
/// observation is about; frames that were skipped are told by the next observation.
pub type Witness = Arc<dyn Fn(&Observation, &Frame) + Send + Sync>;
