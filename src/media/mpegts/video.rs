//! Turns the video PES units of a segment into access units with their kind, and finds the parameter sets.

use std::ops::Range;

use super::{
    pes::{Pes, Unit},
    time::Reference,
};
use crate::media::{Faults, VideoCodec, VideoConfig, VideoSample, VideoTrack, annexb::nal_units, h264, h265};

/// One PES packet is one access unit, as FFmpeg's muxer writes it and HLS demands; one without a time goes on with the
/// unit before it. Torn units and pictures without a time are dropped and counted. None when no picture is left.
pub fn track(codec: VideoCodec, pes: Pes, reference: &mut Reference, faults: &mut Faults) -> Option<VideoTrack> {
    let mut samples: Vec<VideoSample> = Vec::with_capacity(pes.units.len());
    let mut sets = ParameterSets::default();
    // Units without a picture (parameter sets on their own) belong to the next one.
    let mut carried: Option<Range<usize>> = None;
    // Whether the last unit became the last sample, so that one without a time can go on with it.
    let mut open = false;
    for unit in &pes.units {
        let start = carried.take().filter(|range| range.end == unit.start).map_or(unit.start, |range| range.start);
        let Some(pts) = unit.pts else {
            match samples.last_mut() {
                Some(sample) if open && !unit.torn && sample.data.end == unit.start => sample.data.end = unit.end,
                _ => faults.broken_units += 1,
            }
            continue;
        };
        open = false;
        let picture = pes.es.get(unit.start..unit.end).and_then(|bytes| sets.look_into(codec, bytes));
        if unit.torn {
            faults.broken_units += 1;
            continue;
        }
        let Some(sync) = picture else {
            if unit.end > unit.start {
                carried = Some(start..unit.end);
            }
            continue;
        };
        let (pts_90k, dts_90k) = times(unit, pts, reference);
        samples.push(VideoSample { pts_90k, dts_90k, sync, data: start..unit.end });
        open = true;
    }
    if samples.is_empty() {
        return None;
    }
    Some(VideoTrack { config: sets.config(codec), samples, es: pes.es })
}

fn times(unit: &Unit, pts: u64, reference: &mut Reference) -> (i64, i64) {
    let dts_90k = unit.dts.map(|dts| reference.unwrap(dts));
    let pts_90k = reference.unwrap(pts);
    (pts_90k, dts_90k.unwrap_or(pts_90k))
}

/// Whether decoding may start at this access unit; None when it holds no picture.
pub fn is_sync(codec: VideoCodec, access_unit: &[u8]) -> Option<bool> {
    ParameterSets::default().look_into(codec, access_unit)
}

/// The parameter sets of the first picture that brings a full collection.
#[derive(Default)]
struct ParameterSets {
    found: Vec<Vec<u8>>,
    config: Option<VideoConfig>,
}

impl ParameterSets {
    /// Many streams send a handful; more than this is noise.
    const COUNT_MAX: usize = 64;

    /// Walks the units in front of the first slice, so that the picture itself is not read. Tells whether decoding may
    /// start here; None when there is no picture.
    fn look_into(&mut self, codec: VideoCodec, access_unit: &[u8]) -> Option<bool> {
        for range in nal_units(access_unit) {
            let nal = access_unit.get(range)?;
            let (is_set, picture_is_sync) = match codec {
                VideoCodec::H264 => {
                    let kind = h264::nal_type(nal);
                    let is_set = matches!(kind, h264::NAL_SPS | h264::NAL_PPS);
                    (is_set, h264::is_vcl(kind).then_some(kind == h264::NAL_IDR))
                }
                VideoCodec::H265 => {
                    let kind = h265::nal_type(nal);
                    let is_set = matches!(kind, h265::NAL_VPS | h265::NAL_SPS | h265::NAL_PPS);
                    (is_set, h265::is_vcl(kind).then_some(h265::is_irap(kind)))
                }
            };
            if picture_is_sync.is_some() {
                if self.config.is_none() && !self.found.is_empty() {
                    self.config = VideoConfig::from_parameter_sets(codec, self.found.clone());
                }
                return picture_is_sync;
            }
            if is_set && self.config.is_none() && self.found.len() < Self::COUNT_MAX {
                self.add(nal);
            }
        }
        None
    }

    fn add(&mut self, nal: &[u8]) {
        if !self.found.iter().any(|known| known == nal) {
            self.found.push(nal.to_vec());
        }
    }

    fn config(self, codec: VideoCodec) -> Option<VideoConfig> {
        self.config.or_else(|| VideoConfig::from_parameter_sets(codec, self.found))
    }
}
