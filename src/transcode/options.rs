//! What `[transcode]` asks of the encoding itself; when it may run is the actor's affair.

use std::{path::PathBuf, thread::available_parallelism, time::Duration};

use crate::capture::command::{Effort, HevcEncoder};

/// Which encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Codec {
    /// The first of [`HevcEncoder::ALL`] that works here.
    #[default]
    Auto,
    Named(HevcEncoder),
}

impl Codec {
    /// `auto` or FFmpeg's name of an encoder.
    pub fn parse(name: &str) -> Option<Self> {
        if name == "auto" { Some(Self::Auto) } else { HevcEncoder::parse(name).map(Self::Named) }
    }
}

/// The settings of one encoding.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    pub ffmpeg: PathBuf,
    pub codec: Codec,
    pub preset: Effort,
    /// As x264's CRF: 0 to 51, lower is better; what it means to each encoder is told at
    /// [`crate::capture::command::transcode`].
    pub quality: u8,
    /// The rate is held so far below the source's that this much is saved, whatever `quality` would take: noise and the
    /// blocks of a hard-pressed recorder cost more to keep than they are worth. 0: no limit.
    pub target_savings_percent: f64,
    /// Less saved than this share of the source, and it stays as it is.
    pub min_savings_percent: f64,
    /// Compare sampled pictures with those of the source.
    pub verify_quality: bool,
    /// Mean SSIM of sampled pictures, below which the source stays.
    pub ssim_min: f64,
    /// 0: one less than there are processors, at least one.
    pub threads: usize,
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ffmpeg: "ffmpeg".into(),
            codec: Codec::Auto,
            preset: Effort::Medium,
            quality: 23,
            target_savings_percent: 40.0,
            min_savings_percent: 10.0,
            verify_quality: false,
            // The clips of decision 0018 reach 0.964 to 0.987; a wrong picture, a shifted or a grey one, stays far below.
            ssim_min: 0.95,
            threads: 0,
            limits: Limits::default(),
        }
    }
}

impl Options {
    /// Threads for FFmpeg: recording keeps a processor for itself where there are two.
    pub fn thread_count(&self) -> usize {
        match self.threads {
            0 => available_parallelism().map_or(1, |count| count.get().saturating_sub(1).max(1)),
            count => count,
        }
    }
}

impl Options {
    /// What the successor's pictures may take.
    pub fn kbps_max(&self, source_kbps: u64) -> Option<u64> {
        let share = 1.0 - self.target_savings_percent / 100.0;
        // Below a tenth nothing is left to look at.
        (self.target_savings_percent > 0.0).then(|| ((source_kbps as f64 * share.max(0.1)) as u64).max(16))
    }
}

/// How long FFmpeg may run, not counted while it is stopped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Without a byte of output. An idle child of a busy machine gets little: an encoder that looks 40 pictures ahead at
    /// one picture in five seconds is still at work.
    pub silence: Duration,
    /// For every run.
    pub base: Duration,
    /// Seconds of encoding for each second of footage: 25 fps at less than a picture a second.
    pub encode_factor: f64,
    /// The same for decoding, which a slow machine does at three times the speed of the footage.
    pub decode_factor: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(300),
            base: Duration::from_secs(300),
            encode_factor: 40.0,
            decode_factor: 10.0,
        }
    }
}

impl Limits {
    pub fn encode(&self, footage_seconds: f64) -> Duration {
        self.limit(self.encode_factor, footage_seconds)
    }

    pub fn decode(&self, footage_seconds: f64) -> Duration {
        self.limit(self.decode_factor, footage_seconds)
    }

    fn limit(&self, factor: f64, footage_seconds: f64) -> Duration {
        let more = Duration::try_from_secs_f64(factor * footage_seconds.max(0.0)).unwrap_or(Duration::MAX);
        self.base.saturating_add(more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoders_are_called_as_ffmpeg_calls_them() {
        assert_eq!(Codec::parse("auto"), Some(Codec::Auto));
        assert_eq!(Codec::parse("libx265"), Some(Codec::Named(HevcEncoder::X265)));
        assert_eq!(Codec::parse("libx264"), None);
        assert_eq!(Codec::parse(""), None);
    }

    #[test]
    fn the_rate_is_what_the_target_leaves() {
        let of = |target_savings_percent| Options { target_savings_percent, ..Options::default() }.kbps_max(2000);
        assert_eq!([of(0.0), of(40.0), of(100.0)], [None, Some(1200), Some(200)]);
    }

    #[test]
    fn limits_scale_with_the_footage() {
        let limits = Limits { base: Duration::from_secs(5), encode_factor: 2.0, ..Limits::default() };
        assert_eq!(limits.encode(600.0), Duration::from_secs(1205));
        assert_eq!(limits.encode(-1.0), Duration::from_secs(5));
        assert_eq!(limits.encode(f64::INFINITY), Duration::MAX);
        assert!(Options::default().thread_count() >= 1);
        assert_eq!(Options { threads: 7, ..Options::default() }.thread_count(), 7);
    }
}
