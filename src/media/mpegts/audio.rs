//! Cuts audio PES payloads into frames (ADTS AAC or MPEG audio) and gives each its time.

use std::ops::Range;

use super::{
    pes::{Pes, Unit},
    time::Reference,
};
use crate::media::{
    AudioConfig, AudioSample, AudioTrack, Faults, aac, aac::AdtsHeader, mpa::MpaHeader, track::frames_90k,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Adts,
    Mpa,
}

/// What the cutter needs of a frame header.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Header {
    Adts(AdtsHeader),
    Mpa(MpaHeader),
}

impl Framing {
    fn parse(self, bytes: &[u8]) -> Option<Header> {
        match self {
            Self::Adts => AdtsHeader::parse(bytes).map(Header::Adts),
            Self::Mpa => MpaHeader::parse(bytes).map(Header::Mpa),
        }
    }
}

impl Header {
    fn frame_bytes(&self) -> usize {
        match self {
            Self::Adts(header) => header.frame_bytes,
            Self::Mpa(header) => header.frame_bytes,
        }
    }

    /// Bytes in front of what MP4 stores: ADTS headers go, MPEG audio headers are part of the frame.
    fn dropped_bytes(&self) -> usize {
        match self {
            Self::Adts(header) => header.header_bytes,
            Self::Mpa(_) => 0,
        }
    }

    /// Same stream: all but lengths and padding agree. MPEG audio joint-stereo modes may change from frame to frame.
    fn same_stream(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Adts(a), Self::Adts(b)) => {
                (a.object_type, a.rate_index, a.channel_config) == (b.object_type, b.rate_index, b.channel_config)
            }
            (Self::Mpa(a), Self::Mpa(b)) => {
                (a.layer, a.version1, a.sample_rate, a.channels) == (b.layer, b.version1, b.sample_rate, b.channels)
            }
            _ => false,
        }
    }

    fn config(&self) -> AudioConfig {
        match self {
            Self::Adts(header) => header.config(),
            Self::Mpa(header) => header.config(),
        }
    }
}

/// A PES time holds for the first frame that starts in that PES; the frames after it follow by their length, so frames
/// may lie several in a PES or go over its end. After lost bytes frames count again from the next PES time on.
pub fn tracks(framing: Framing, mut pes: Pes, reference: &mut Reference, faults: &mut Faults) -> Vec<AudioTrack> {
    let es = std::mem::take(&mut pes.es);
    let mut runs: Vec<Run> = Vec::new();
    for stretch in stretches(&pes) {
        Cutter { framing, es: &es, pes: &pes, stretch, runs: &mut runs, reference, faults }.cut();
    }
    // Nearly always there is one configuration, whose bytes need not be copied.
    if runs.len() == 1 {
        let run = runs.remove(0);
        return vec![AudioTrack { config: run.header.config(), samples: run.samples, es }];
    }
    runs.into_iter().map(|run| run.with_own_bytes(&es)).collect()
}

/// Names the reason when a stream holds frames, but of a kind that MP4 cannot take as they are.
pub fn refusal(framing: Framing, pes: &Pes) -> Option<&'static str> {
    let in_band = |unit: &Unit| pes.es.get(unit.start..unit.end).is_some_and(AdtsHeader::has_in_band_layout);
    let refused = framing == Framing::Adts && pes.units.iter().any(in_band);
    refused.then_some("AAC audio with an in-band channel layout")
}

/// Frames of one configuration.
struct Run {
    header: Header,
    samples: Vec<AudioSample>,
}

impl Run {
    fn with_own_bytes(mut self, es: &[u8]) -> AudioTrack {
        let mut own = Vec::new();
        for sample in &mut self.samples {
            let start = own.len();
            own.extend_from_slice(es.get(sample.data.clone()).unwrap_or_default());
            sample.data = start..own.len();
        }
        AudioTrack { config: self.header.config(), samples: self.samples, es: own }
    }
}

/// Ranges of unit numbers whose bytes follow each other without loss. A torn unit ends its stretch: its missing bytes
/// may be anywhere, but frames in front of them are found whole.
fn stretches(pes: &Pes) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    let mut start = 0;
    for (i, unit) in pes.units.iter().enumerate() {
        if unit.torn {
            out.push(start..i + 1);
            start = i + 1;
        }
    }
    if start < pes.units.len() {
        out.push(start..pes.units.len());
    }
    out
}

struct Cutter<'a> {
    framing: Framing,
    es: &'a [u8],
    pes: &'a Pes,
    stretch: Range<usize>,
    runs: &'a mut Vec<Run>,
    reference: &'a mut Reference,
    faults: &'a mut Faults,
}

impl Cutter<'_> {
    fn cut(self) {
        let units = self.pes.units.get(self.stretch.clone()).unwrap_or_default();
        let (Some(first), Some(last)) = (units.first(), units.last()) else { return };
        let (mut at, end) = (first.start, last.end);
        let mut next_unit = units.iter().peekable();
        // Time of the last PES that told one, and the whole frames since.
        let mut anchor: Option<(i64, u64)> = None;
        let mut skipping = false;
        while at < end {
            let Some(header) = self.frame_at(at, end, units) else {
                // One fault per stretch of garbage, however long.
                self.faults.broken_units += u64::from(!skipping);
                skipping = true;
                at = self.next_sync(at + 1, end);
                continue;
            };
            skipping = false;
            while let Some(unit) = next_unit.next_if(|unit| unit.start <= at) {
                if let Some(pts) = unit.pts {
                    anchor = Some((self.reference.unwrap(pts), 0));
                }
            }
            let frame_end = at + header.frame_bytes();
            match &mut anchor {
                Some((time, frames)) => {
                    let run = run_for(self.runs, header);
                    let pts_90k = time.saturating_add(header.config_frames_90k(*frames));
                    run.samples.push(AudioSample { pts_90k, data: at + header.dropped_bytes()..frame_end });
                    *frames += 1;
                }
                None => self.faults.broken_units += 1,
            }
            at = frame_end;
        }
    }

    /// A frame is believed when what follows it is another of the same stream, the end, or the start of a PES.
    fn frame_at(&self, at: usize, end: usize, units: &[Unit]) -> Option<Header> {
        let header = self.framing.parse(self.es.get(at..end)?)?;
        let next = at + header.frame_bytes();
        if next > end {
            return None;
        }
        let followed = next == end
            || self.framing.parse(self.es.get(next..end)?).is_some_and(|next| next.same_stream(&header))
            || units.binary_search_by_key(&next, |unit| unit.start).is_ok();
        followed.then_some(header)
    }

    fn next_sync(&self, from: usize, end: usize) -> usize {
        let ahead = self.es.get(from..end).and_then(|rest| memchr::memchr(0xff, rest));
        ahead.map_or(end, |ahead| from + ahead)
    }
}

impl Header {
    /// [`AudioConfig::frames_90k`] without building the configuration for every frame.
    fn config_frames_90k(&self, frames: u64) -> i64 {
        let (samples, rate) = match self {
            Self::Adts(header) => (aac::SAMPLES_PER_FRAME, header.sample_rate().unwrap_or(1)),
            Self::Mpa(header) => (header.samples_per_frame(), header.sample_rate),
        };
        frames_90k(frames, samples, rate)
    }
}

fn run_for(runs: &mut Vec<Run>, header: Header) -> &mut Run {
    let same = runs.last().is_some_and(|run| run.header.same_stream(&header));
    if !same {
        runs.push(Run { header, samples: Vec::new() });
    }
    let last = runs.len() - 1;
    &mut runs[last]
}
