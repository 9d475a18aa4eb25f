//! What a track's configuration implies: decoder records, codec strings, frame durations, and whether a change of it
//! fits into the file at hand.

use super::TICKS_PER_SECOND;
use super::{AudioCodec, AudioConfig, AudioTrack, Segment, VideoCodec, VideoConfig, VideoTrack, aac, h264, h265, mpa};

/// What a new configuration asks of the open chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigChange {
    Same,
    /// Other parameter sets of the same kind: they travel in-band, the file goes on.
    InBand,
    /// Another codec, profile or sample format: only a new part can say so.
    NewPart,
}

impl VideoConfig {
    /// Reads size and kind out of the parameter sets. None when they do not hold a usable SPS and PPS (and VPS).
    pub fn from_parameter_sets(codec: VideoCodec, mut parameter_sets: Vec<Vec<u8>>) -> Option<Self> {
        let rank = |nal: &Vec<u8>| match codec {
            VideoCodec::H264 => h264::nal_type(nal),
            VideoCodec::H265 => h265::nal_type(nal),
        };
        parameter_sets.sort_by_key(rank);
        let (width, height) = match codec {
            VideoCodec::H264 => {
                let sps = parameter_sets.iter().find_map(|nal| h264::Sps::parse(nal))?;
                (sps.width, sps.height)
            }
            VideoCodec::H265 => {
                let sps = parameter_sets.iter().find_map(|nal| h265::Sps::parse(nal))?;
                (sps.width, sps.height)
            }
        };
        let config = Self { codec, width, height, parameter_sets };
        config.decoder_record().is_some().then_some(config)
    }

    /// The payload of `avcC` or `hvcC`. None when the parameter sets are unusable.
    pub fn decoder_record(&self) -> Option<Vec<u8>> {
        match self.codec {
            VideoCodec::H264 => h264::avcc(&self.parameter_sets),
            VideoCodec::H265 => h265::hvcc(&self.parameter_sets),
        }
    }

    /// RFC 6381: `avc1.64001f`, `hvc1.1.6.L93.B0`; without the details when the parameter sets are unusable.
    pub fn codec_string(&self) -> String {
        match self.codec {
            VideoCodec::H264 => h264::codec_string(&self.parameter_sets).unwrap_or_else(|| "avc1".into()),
            VideoCodec::H265 => h265::codec_string(&self.parameter_sets).unwrap_or_else(|| "hvc1".into()),
        }
    }

    /// Frames per second as the SPS tells it; None when it does not, or tells nonsense (encoders with a variable rate
    /// write their time base there, 90 000 for instance).
    pub fn nominal_fps(&self) -> Option<f64> {
        let (numerator, denominator) = match self.codec {
            VideoCodec::H264 => self.parameter_sets.iter().find_map(|nal| h264::Sps::parse(nal))?.frame_rate?,
            VideoCodec::H265 => self.parameter_sets.iter().find_map(|nal| h265::Sps::parse(nal))?.frame_rate?,
        };
        let fps = f64::from(numerator) / denominator as f64;
        (0.1..=300.0).contains(&fps).then_some(fps)
    }

    /// What following this configuration with `next` asks of the open chunk. A new size goes in-band: decoders follow
    /// the parameter sets before each IDR.
    pub fn change_to(&self, next: &Self) -> ConfigChange {
        if self == next {
            ConfigChange::Same
        } else if self.codec == next.codec && self.sample_format() == next.sample_format() {
            ConfigChange::InBand
        } else {
            ConfigChange::NewPart
        }
    }

    /// Profile, chroma format and bit depths: what a hardware decoder is set up for once.
    fn sample_format(&self) -> Option<[u8; 4]> {
        match self.codec {
            VideoCodec::H264 => {
                let sps = self.parameter_sets.iter().find_map(|nal| h264::Sps::parse(nal))?;
                Some([sps.profile_idc, sps.chroma_format_idc, sps.bit_depth_luma, sps.bit_depth_chroma])
            }
            VideoCodec::H265 => {
                let sps = self.parameter_sets.iter().find_map(|nal| h265::Sps::parse(nal))?;
                Some([sps.profile.profile, sps.chroma_format_idc, sps.bit_depth_luma, sps.bit_depth_chroma])
            }
        }
    }
}

impl AudioConfig {
    /// RFC 6381: `mp4a.40.2`, `mp4a.6b`.
    pub fn codec_string(&self) -> String {
        match self.codec {
            AudioCodec::Aac => aac::codec_string(&self.specific),
            AudioCodec::Mpa => mpa::codec_string(self),
        }
    }

    /// 90 kHz ticks of `frames` whole frames, rounded to nearest: never adds up an error over a long run.
    pub fn frames_90k(&self, frames: u64) -> i64 {
        frames_90k(frames, self.samples_per_frame, self.sample_rate)
    }
}

impl VideoTrack {
    /// The usual step between decoding times: the median, so that one gap or burst does not count. With fewer than two
    /// samples, what the SPS says. None when neither tells.
    pub fn frame_90k(&self) -> Option<i64> {
        let step = |pair: &[super::VideoSample]| match pair {
            [a, b] => Some(b.dts_90k.saturating_sub(a.dts_90k)).filter(|step| *step > 0),
            _ => None,
        };
        let mut steps: Vec<i64> = self.samples.windows(2).filter_map(step).collect();
        if let Some(last) = steps.len().checked_sub(1) {
            return Some(*steps.select_nth_unstable(last / 2).1);
        }
        let fps = self.config.as_ref()?.nominal_fps()?;
        Some((TICKS_PER_SECOND as f64 / fps).round() as i64)
    }

    /// Frames per second, measured; see [`Self::frame_90k`].
    pub fn fps(&self) -> Option<f64> {
        self.frame_90k().map(|frame| TICKS_PER_SECOND as f64 / frame as f64)
    }

    /// First picture shown and the end of the last one, in PTS. None without samples.
    pub fn span_90k(&self) -> Option<(i64, i64)> {
        let first = self.samples.iter().map(|sample| sample.pts_90k).min()?;
        let last = self.samples.iter().map(|sample| sample.pts_90k).max()?;
        Some((first, last.saturating_add(self.frame_90k().unwrap_or(DEFAULT_FRAME_90K))))
    }
}

impl AudioTrack {
    /// Start of the first and end of the last frame. None without samples.
    pub fn span_90k(&self) -> Option<(i64, i64)> {
        let (first, last) = (self.samples.first()?, self.samples.last()?);
        Some((first.pts_90k, last.pts_90k.saturating_add(self.config.frames_90k(1))))
    }
}

impl Segment {
    /// The time the segment covers: that of its video, else of its audio.
    pub fn span_90k(&self) -> Option<(i64, i64)> {
        if let Some(span) = self.video.as_ref().and_then(VideoTrack::span_90k) {
            return Some(span);
        }
        let mut spans = self.audio.iter().filter_map(AudioTrack::span_90k);
        let first = spans.next()?;
        Some(spans.fold(first, |(start, end), span| (start.min(span.0), end.max(span.1))))
    }
}

/// 25 pictures a second, where nothing tells: halfway between the usual 24 and 30.
pub(super) const DEFAULT_FRAME_90K: i64 = TICKS_PER_SECOND / 25;

/// 90 kHz ticks of `frames` audio frames, rounded to nearest.
pub(super) fn frames_90k(frames: u64, samples_per_frame: u32, sample_rate: u32) -> i64 {
    let rate = u128::from(sample_rate.max(1));
    let ticks = u128::from(frames) * u128::from(samples_per_frame) * TICKS_PER_SECOND as u128;
    i64::try_from((ticks + rate / 2) / rate).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::VideoSample;
    use super::*;

    fn track(times: &[(i64, i64)]) -> VideoTrack {
        let sample = |(pts_90k, dts_90k)| VideoSample { pts_90k, dts_90k, sync: false, data: 0..0 };
        VideoTrack { samples: times.iter().copied().map(sample).collect(), ..VideoTrack::default() }
    }

    #[test]
    fn one_gap_does_not_change_the_frame_rate() {
        assert_eq!(track(&[(0, 0), (3600, 3600), (7200, 7200), (90_000, 90_000)]).frame_90k(), Some(3600));
        assert_eq!(track(&[(0, 0), (3000, 3000)]).fps(), Some(30.0));
        assert_eq!(track(&[(0, 0)]).frame_90k(), None);
        assert_eq!(track(&[(0, 0), (0, 0)]).frame_90k(), None, "equal times tell nothing");
    }

    #[test]
    fn spans_are_from_the_first_shown_to_the_end_of_the_last() {
        let reordered = track(&[(3000, 0), (9000, 3000), (6000, 6000)]);
        assert_eq!(reordered.span_90k(), Some((3000, 12_000)));
        assert_eq!(track(&[]).span_90k(), None);
        let segment = Segment { video: Some(reordered), ..Segment::default() };
        assert_eq!(segment.span_90k(), Some((3000, 12_000)));
        assert_eq!(Segment::default().span_90k(), None);
    }

    #[test]
    fn audio_durations_do_not_drift() {
        assert_eq!(frames_90k(1, 1024, 48000), 1920);
        assert_eq!(frames_90k(1, 1024, 44100), 2090);
        assert_eq!(frames_90k(44100, 1024, 44100), 1024 * 90_000);
        assert_eq!(frames_90k(u64::MAX, 1024, 0), i64::MAX);
    }
}
