//! One GOP as `moof` + `mdat`.

use std::ops::Range;

/// One GOP of both tracks; a missing track has no samples in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fragment<'a> {
    pub video: Option<TrackRun<'a>>,
    pub audio: Option<TrackRun<'a>>,
}

/// Consecutive samples of one track.
#[derive(Clone, Copy, Debug)]
pub struct TrackRun<'a> {
    /// Decode time of the first sample in ticks since the chunk's start: video 90 kHz, audio its sample rate.
    pub base: u64,
    pub samples: &'a [OutSample],
    /// The bytes that [`OutSample::data`] points into.
    pub es: &'a [u8],
}

/// One sample as the muxer takes it, in ticks of its track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutSample {
    pub duration: u32,
    /// PTS - DTS.
    pub cts: i32,
    pub sync: bool,
    /// Where in `es`. Video is Annex B and becomes length-prefixed NAL units; audio is taken as it is.
    pub data: Range<usize>,
}
