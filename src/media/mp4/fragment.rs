//! One GOP as `moof` + `mdat` (ISO/IEC 14496-12 §8.8): built here, parsed again in [`super::moof`].

use std::ops::Range;

use crate::{
    error::{Error, Kind, Result},
    media::{
        annexb::nal_units,
        mp4::{
            bytes::{Put, put_u32_at},
            table::{Run, Sample},
        },
    },
};

/// Track numbers, whichever tracks there are.
pub const VIDEO_TRACK: u32 = 1;
pub const AUDIO_TRACK: u32 = 2;

/// `sample_depends_on` 2: an I picture. Audio samples count as such.
pub(crate) const SYNC_FLAGS: u32 = 0x0200_0000;
/// `sample_depends_on` 1, `sample_is_non_sync_sample`.
pub(crate) const NON_SYNC_FLAGS: u32 = 0x0101_0000;

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

/// A fragment ready to be written, reused from one to the next so that memory stays at the largest.
#[derive(Debug, Default)]
pub struct Encoded {
    pub bytes: Vec<u8>,
    /// Offsets count from the start of `bytes` until [`Self::place`].
    pub video: Run,
    pub audio: Run,
    /// Bytes of samples in `bytes`.
    pub media_bytes: u64,
    /// CRC32C of `bytes` but the last four of the moof, which hold it.
    pub checksum: u32,
}

/// The last child of a moof: a `free` box with the CRC32C of the whole fragment but these four bytes. It costs 12 bytes a
/// GOP, tells a torn fragment from a whole one where no mark vouches for it yet, and is what marks sum up.
pub(crate) const CHECKSUM_BOX: [u8; 8] = *b"\0\0\0\x0cfree";

impl Encoded {
    /// Fills this with `fragment`. Errors of kind `Corrupt` and `Invalid` blame the input; nothing was written then.
    pub fn encode(&mut self, sequence: u32, fragment: &Fragment<'_>) -> Result<()> {
        self.bytes.clear();
        load(&mut self.video, fragment.video.as_ref());
        load(&mut self.audio, fragment.audio.as_ref());
        if self.video.samples.is_empty() && self.audio.samples.is_empty() {
            return Err(Error::new(Kind::Invalid, "a fragment without samples"));
        }
        // Sizes of video samples are known only once its NAL units are re-framed; the moof's own length is known now.
        self.put_moof(sequence);
        let moof_len = self.bytes.len();
        self.bytes.u32(0);
        self.bytes.bytes(b"mdat");
        let payload = self.bytes.len();
        self.video.offset = payload as u64;
        for (sample, out) in samples(fragment.video.as_ref()).zip(&mut self.video.samples) {
            let before = self.bytes.len();
            put_nal_units(&mut self.bytes, sample?)?;
            out.size = u32::try_from(self.bytes.len() - before).map_err(|_| too_big())?;
        }
        self.audio.offset = self.bytes.len() as u64;
        for (sample, out) in samples(fragment.audio.as_ref()).zip(&mut self.audio.samples) {
            let sample = sample?;
            if sample.is_empty() {
                return Err(Error::new(Kind::Corrupt, "an audio frame without bytes"));
            }
            self.bytes.bytes(sample);
            out.size = u32::try_from(sample.len()).map_err(|_| too_big())?;
        }
        let mdat_len = u32::try_from(self.bytes.len() - moof_len).map_err(|_| too_big())?;
        put_u32_at(&mut self.bytes, moof_len, mdat_len);
        self.media_bytes = (self.bytes.len() - payload) as u64;
        let mut body = std::mem::take(&mut self.bytes);
        self.put_moof(sequence);
        if let Some(place) = body.get_mut(..self.bytes.len()).filter(|_| self.bytes.len() == moof_len) {
            place.copy_from_slice(&self.bytes);
        }
        self.bytes = body;
        self.sum(moof_len);
        Ok(())
    }

    fn sum(&mut self, moof_len: usize) {
        let moof_len = moof_len.min(self.bytes.len());
        let (moof, mdat) = self.bytes.split_at_mut(moof_len);
        if let Some((summed, place)) = moof.split_last_chunk_mut::<4>() {
            self.checksum = crc32c::crc32c_append(crc32c::crc32c(summed), mdat);
            *place = self.checksum.to_be_bytes();
        }
    }

    /// Makes the runs' offsets those of a file in which `bytes` starts at `at`.
    pub fn place(&mut self, at: u64) {
        self.video.offset += at;
        self.audio.offset += at;
    }

    /// Same length for the same samples, whatever their sizes and the runs' offsets.
    fn put_moof(&mut self, sequence: u32) {
        let (video, audio) = (&self.video, &self.audio);
        let start = self.bytes.len();
        let mut data_offsets = Vec::new();
        self.bytes.boxed(b"moof", |out| {
            out.full(b"mfhd", 0, 0, |out| out.u32(sequence));
            for (track, run) in [(VIDEO_TRACK, video), (AUDIO_TRACK, audio)] {
                if !run.samples.is_empty() {
                    data_offsets.push((put_traf(out, track, run), run.offset as u32));
                }
            }
            out.bytes(&CHECKSUM_BOX);
            out.u32(0);
        });
        for (at, offset) in data_offsets {
            put_u32_at(&mut self.bytes, at, offset.saturating_sub(start as u32));
        }
    }
}

/// Returns where the run's data offset is to be filled in.
fn put_traf(out: &mut Vec<u8>, track: u32, run: &Run) -> usize {
    let shape = Shape::of(&run.samples);
    let mut data_offset_at = 0;
    out.boxed(b"traf", |out| {
        // default-base-is-moof, and what all samples share.
        let duration_flag = if shape.duration.is_some() { 0x08 } else { 0 };
        let flags_flag = if shape.flags.is_some() { 0x20 } else { 0 };
        out.full(b"tfhd", 0, 0x02_0000 | duration_flag | flags_flag, |out| {
            out.u32(track);
            shape.duration.into_iter().chain(shape.flags).for_each(|value| out.u32(value));
        });
        out.full(b"tfdt", 1, 0, |out| out.u64(run.base));
        let first_flags = shape.flags.is_some() && shape.first_is_sync;
        let fields = 0x01
            | if first_flags { 0x04 } else { 0 }
            | if shape.duration.is_none() { 0x100 } else { 0 }
            | 0x200
            | if shape.flags.is_none() { 0x400 } else { 0 }
            | if shape.has_cts { 0x800 } else { 0 };
        out.full(b"trun", 1, fields, |out| {
            out.u32(run.samples.len() as u32);
            data_offset_at = out.len();
            out.u32(0);
            if first_flags {
                out.u32(SYNC_FLAGS);
            }
            for sample in &run.samples {
                if shape.duration.is_none() {
                    out.u32(sample.duration);
                }
                out.u32(sample.size);
                if shape.flags.is_none() {
                    out.u32(if sample.sync { SYNC_FLAGS } else { NON_SYNC_FLAGS });
                }
                if shape.has_cts {
                    out.u32(sample.cts as u32);
                }
            }
        });
    });
    data_offset_at
}

/// What the samples of a run have in common, and so need not be said for each.
struct Shape {
    duration: Option<u32>,
    /// Flags of all samples, or of all but a sync first one.
    flags: Option<u32>,
    first_is_sync: bool,
    has_cts: bool,
}

impl Shape {
    fn of(samples: &[Sample]) -> Self {
        let first = samples.first();
        let duration = first.map(|first| first.duration);
        let rest = samples.get(1..).unwrap_or(&[]);
        let all_sync = samples.iter().all(|sample| sample.sync);
        let flags = match (all_sync, rest.iter().any(|sample| sample.sync)) {
            (true, _) => Some(SYNC_FLAGS),
            (false, false) => Some(NON_SYNC_FLAGS),
            (false, true) => None,
        };
        Self {
            duration: duration.filter(|duration| rest.iter().all(|sample| sample.duration == *duration)),
            flags,
            first_is_sync: !all_sync && first.is_some_and(|first| first.sync),
            has_cts: samples.iter().any(|sample| sample.cts != 0),
        }
    }
}

fn load(run: &mut Run, from: Option<&TrackRun<'_>>) {
    run.samples.clear();
    run.offset = 0;
    run.base = from.map_or(0, |from| from.base);
    let samples = from.map_or(&[][..], |from| from.samples);
    run.samples.extend(samples.iter().map(|sample| Sample {
        size: 0,
        duration: sample.duration,
        cts: sample.cts,
        sync: sample.sync,
    }));
}

fn samples<'a>(run: Option<&TrackRun<'a>>) -> impl Iterator<Item = Result<&'a [u8]>> {
    let (samples, es) = run.map_or((&[][..], &[][..]), |run| (run.samples, run.es));
    samples.iter().map(move |sample| {
        let bytes = es.get(sample.data.clone());
        bytes.ok_or_else(|| Error::new(Kind::Internal, "a sample outside of its elementary stream"))
    })
}

/// Annex B to 4-byte lengths (ISO/IEC 14496-15 §4.3.3). Nothing is dropped: SPS and PPS stay in-band.
fn put_nal_units(out: &mut Vec<u8>, sample: &[u8]) -> Result<()> {
    let before = out.len();
    for unit in nal_units(sample).filter_map(|range| sample.get(range)) {
        out.u32(u32::try_from(unit.len()).map_err(|_| too_big())?);
        out.bytes(unit);
    }
    if out.len() == before {
        return Err(Error::new(Kind::Corrupt, "a video sample without a NAL unit"));
    }
    Ok(())
}

fn too_big() -> Error {
    Error::new(Kind::Invalid, "a fragment beyond 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nal_units_are_reframed() {
        let check = |annex_b: &[u8], expected: &[&[u8]]| {
            let mut out = Vec::new();
            let result = put_nal_units(&mut out, annex_b);
            let mut wanted = Vec::new();
            for unit in expected {
                wanted.u32(unit.len() as u32);
                wanted.bytes(unit);
            }
            assert_eq!(out, wanted, "{annex_b:?}");
            assert_eq!(result.is_err(), expected.is_empty());
        };
        check(&[0, 0, 1, 9, 16], &[&[9, 16]]);
        check(&[0, 0, 0, 1, 9, 0, 0, 0, 1, 0x65, 0, 0, 3, 1, 0, 0, 1, 0x65], &[&[9], &[0x65, 0, 0, 3, 1], &[0x65]]);
        check(&[7, 0, 0, 1, 0x65, 5, 0, 0, 0, 0], &[&[0x65, 5]]);
        check(&[0, 0, 1, 0, 0, 1], &[]);
        check(&[1, 2, 3], &[]);
        check(&[], &[]);
    }

    #[test]
    fn input_that_makes_no_sense_is_refused() {
        let sample = |data| OutSample { duration: 1, cts: 0, sync: true, data };
        let es = [0, 0, 1, 0x65];
        let mut encoded = Encoded::default();
        let mut kind = |samples: &[OutSample]| {
            let run = TrackRun { base: 0, samples, es: &es };
            encoded.encode(1, &Fragment { video: Some(run), audio: None }).map_err(|error| error.kind)
        };
        assert_eq!(kind(&[]), Err(Kind::Invalid));
        assert_eq!(kind(&[sample(0..5)]), Err(Kind::Internal));
        assert_eq!(kind(&[sample(0..2)]), Err(Kind::Corrupt));
        assert_eq!(kind(&[sample(0..4)]), Ok(()));
    }
}
