//! Media formats as pure functions over bytes: no files, no clock, no actor. What a demuxer makes and a muxer takes.
//!
//! ```text
//! TS bytes ── mpegts::demux ──▶ Segment ── merge::timeline ──▶ mp4 fragments
//! ```

use std::ops::Range;

pub mod aac;
pub mod annexb;
mod bits;
pub mod h264;
pub mod h265;
pub mod hls;
pub mod mp4;
pub mod mpa;
pub mod mpegts;
#[cfg(test)]
mod parameter_set_tests;
mod track;
pub mod verdicts;

pub use track::ConfigChange;

/// Ticks of PTS and DTS in one second (ISO/IEC 13818-1); `clock` counts in the same unit.
pub const TICKS_PER_SECOND: i64 = 90_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    H264,
    H265,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AudioCodec {
    /// AAC with the object type of its AudioSpecificConfig.
    Aac,
    /// MPEG-1/2 audio layer II or III (`mp4a` with object type 0x69/0x6B).
    Mpa,
}

impl VideoCodec {
    /// As people and the command line say it.
    pub fn name(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::H265 => "h265",
        }
    }
}

/// What a decoder must know before the first picture. Parameter sets are whole NAL units without start code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoConfig {
    pub codec: VideoCodec,
    /// Displayed size in pixels (cropped).
    pub width: u16,
    pub height: u16,
    /// VPS (H.265 only), SPS, PPS in that order.
    pub parameter_sets: Vec<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AudioConfig {
    pub codec: AudioCodec,
    pub sample_rate: u32,
    pub channels: u8,
    /// PCM samples one frame decodes to: 1024 for AAC-LC, 1152 for layer II and III (MPEG-1), 576 for MPEG-2 layer III.
    pub samples_per_frame: u32,
    /// AudioSpecificConfig (ISO/IEC 14496-3) for AAC; empty for [`AudioCodec::Mpa`].
    pub specific: Vec<u8>,
}

/// One access unit in [`VideoTrack::es`], Annex B with start codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoSample {
    /// Unwrapped: continues beyond 33 bits, so later is always larger.
    pub pts_90k: i64,
    pub dts_90k: i64,
    /// An IDR (H.264) or IRAP with no leading pictures to lose (H.265 IDR, BLA, CRA): decoding may start here.
    pub sync: bool,
    pub data: Range<usize>,
}

/// One audio frame in [`AudioTrack::es`]: AAC without its ADTS header, or an MPEG audio frame with its own header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioSample {
    pub pts_90k: i64,
    pub data: Range<usize>,
}

#[derive(Clone, Debug, Default)]
pub struct VideoTrack {
    /// None until parameter sets were seen: such a track cannot start a file.
    pub config: Option<VideoConfig>,
    /// In decoding order.
    pub samples: Vec<VideoSample>,
    pub es: Vec<u8>,
}

#[derive(Clone, Debug)]
pub struct AudioTrack {
    pub config: AudioConfig,
    pub samples: Vec<AudioSample>,
    pub es: Vec<u8>,
}

/// One demuxed TS segment.
#[derive(Clone, Debug, Default)]
pub struct Segment {
    pub video: Option<VideoTrack>,
    /// Every run of one audio configuration, in order; more than one only where the configuration changed inside.
    pub audio: Vec<AudioTrack>,
    /// Streams that were left out, by name: `AC-3 audio`.
    pub skipped: Vec<String>,
    pub faults: Faults,
}

/// What was wrong in the bytes and skipped; each is counted in metrics, none is fatal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Bytes skipped to find the next sync byte.
    pub sync_bytes_lost: u64,
    /// Packets whose continuity counter jumped.
    pub discontinuities: u64,
    /// Packets with transport_error_indicator or scrambling.
    pub bad_packets: u64,
    /// PES packets or frames cut short or without usable headers.
    pub broken_units: u64,
}

impl Faults {
    pub fn total(&self) -> u64 {
        self.sync_bytes_lost + self.discontinuities + self.bad_packets + self.broken_units
    }
}
