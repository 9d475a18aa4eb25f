//! Parses the fragments we write, from bytes that may be anything.

use crate::media::mp4::{
    bytes::Get,
    fragment::{AUDIO_TRACK, CHECKSUM_BOX, NON_SYNC_FLAGS, VIDEO_TRACK},
    table::{Run, Sample},
};

/// Largest moof believed: 10 s of 240 fps with every field is 38 KB.
pub(crate) const MOOF_MAX: u32 = 1 << 20;
/// Smallest: a moof with an mfhd alone has no samples and is not ours.
pub(crate) const MOOF_MIN: u32 = 24;

/// A moof's content; run offsets count from the start of the moof.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moof {
    pub sequence: u32,
    /// CRC32C of the fragment but the last four bytes of its moof.
    pub checksum: u32,
    pub video: Option<Run>,
    pub audio: Option<Run>,
}

impl Moof {
    /// Bytes of samples.
    pub fn media_bytes(&self) -> u64 {
        self.runs().map(Run::bytes).sum()
    }

    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.video.iter().chain(&self.audio)
    }

    /// A whole moof box with our checksum at its end. None unless its runs fill an mdat that follows it at once, video first, without holes.
    pub fn parse(moof: &[u8]) -> Option<Self> {
        let (kind, payload) = Get(moof).next_box()?;
        let (children, checksum) = payload.0.split_last_chunk::<4>()?;
        let (children, header) = children.split_last_chunk::<8>()?;
        if &kind != b"moof" || payload.0.len() + 8 != moof.len() || *header != CHECKSUM_BOX {
            return None;
        }
        let mut at = Get(children);
        let mut out = Self { checksum: u32::from_be_bytes(*checksum), ..Self::default() };
        while let Some((kind, payload)) = at.next_box() {
            match &kind {
                b"mfhd" => out.sequence = sequence(payload)?,
                b"traf" => {
                    let (track, run) = traf(payload)?;
                    let place = match track {
                        VIDEO_TRACK => &mut out.video,
                        AUDIO_TRACK => &mut out.audio,
                        _ => return None,
                    };
                    if place.replace(run).is_some() {
                        return None;
                    }
                }
                _ => return None,
            }
        }
        let mut expected = moof.len() as u64 + 8;
        for run in out.runs() {
            if run.offset != expected {
                return None;
            }
            expected += run.bytes();
        }
        (at.0.is_empty() && out.runs().next().is_some()).then_some(out)
    }
}

fn sequence(mut at: Get<'_>) -> Option<u32> {
    at.u32()?;
    at.u32()
}

fn traf(mut at: Get<'_>) -> Option<(u32, Run)> {
    let mut header = None;
    let mut base = None;
    let mut run = None;
    while let Some((kind, mut payload)) = at.next_box() {
        let version_and_flags = payload.u32()?;
        let flags = version_and_flags & 0x00FF_FFFF;
        match &kind {
            b"tfhd" => header = Some(tfhd(flags, payload)?),
            b"tfdt" if version_and_flags >> 24 == 1 => base = Some(payload.u64()?),
            b"trun" if run.is_none() => run = Some(trun(flags, payload, header?)?),
            _ => return None,
        }
    }
    let (header, run) = (header?, run?);
    at.0.is_empty().then_some((header.track, Run { base: base?, ..run }))
}

#[derive(Clone, Copy)]
struct Tfhd {
    track: u32,
    duration: u32,
    flags: u32,
}

fn tfhd(flags: u32, mut at: Get<'_>) -> Option<Tfhd> {
    let track = at.u32()?;
    let mut optional = |flag| if flags & flag != 0 { at.u32() } else { Some(0) };
    Some(Tfhd { track, duration: optional(0x08)?, flags: optional(0x20)? })
}

fn trun(fields: u32, mut at: Get<'_>, header: Tfhd) -> Option<Run> {
    let count = at.u32()?;
    let offset = u64::from(at.u32()?);
    let mut first_flags = if fields & 0x04 != 0 { Some(at.u32()?) } else { None };
    // The sizes alone take 4 bytes a sample: a count beyond the box is a lie and must not reserve memory.
    if fields & 0x201 != 0x201 || at.0.len() / 4 < count as usize || count == 0 {
        return None;
    }
    let mut samples = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let duration = if fields & 0x100 != 0 { at.u32()? } else { header.duration };
        let size = at.u32()?;
        let flags = if fields & 0x400 != 0 { at.u32()? } else { header.flags };
        let flags = first_flags.take().unwrap_or(flags);
        let cts = if fields & 0x800 != 0 { at.u32()? as i32 } else { 0 };
        samples.push(Sample { size, duration, cts, sync: flags & NON_SYNC_FLAGS & 0x1_0000 == 0 });
    }
    at.0.is_empty().then_some(Run { base: 0, offset, samples })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::mp4::fragment::{Encoded, Fragment, OutSample, TrackRun};

    fn encode(video: &[(u32, i32, bool)], audio: &[u32]) -> Encoded {
        let es = [0, 0, 1, 0x65, 1, 2, 3];
        let video: Vec<_> =
            video.iter().map(|&(duration, cts, sync)| OutSample { duration, cts, sync, data: 0..es.len() }).collect();
        let audio: Vec<_> =
            audio.iter().map(|&duration| OutSample { duration, cts: 0, sync: true, data: 3..es.len() }).collect();
        let fragment = Fragment {
            video: (!video.is_empty()).then_some(TrackRun { base: 1 << 40, samples: &video, es: &es }),
            audio: (!audio.is_empty()).then_some(TrackRun { base: 5, samples: &audio, es: &es }),
        };
        let mut out = Encoded::default();
        out.encode(9, &fragment).expect("a sane fragment");
        out
    }

    fn moof_of(bytes: &[u8]) -> &[u8] {
        let len = u32::from_be_bytes(bytes[..4].try_into().expect("4 bytes")) as usize;
        &bytes[..len]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            video in proptest::collection::vec((1u32..4, -2i32..3, any::<bool>()), 0..6),
            audio in proptest::collection::vec(1u32..3, 0..4),
        ) {
            prop_assume!(!video.is_empty() || !audio.is_empty());
            let encoded = encode(&video, &audio);
            let moof = Moof::parse(moof_of(&encoded.bytes)).expect("our own moof");
            prop_assert_eq!(moof.sequence, 9);
            prop_assert_eq!(moof.media_bytes(), encoded.media_bytes);
            prop_assert_eq!(moof.video.unwrap_or_default().samples, encoded.video.samples);
            prop_assert_eq!(moof.audio.unwrap_or_default().samples, encoded.audio.samples);
        }

        #[test]
        fn damage_is_refused_or_read_but_never_panics(at in 0usize..200, value: u8, cut in 0usize..200) {
            let encoded = encode(&[(3000, 0, true), (3000, 3000, false)], &[1024, 1024]);
            let mut moof = moof_of(&encoded.bytes).to_vec();
            let at = at % moof.len();
            moof[at] = value;
            let _ = Moof::parse(&moof);
            moof.truncate(cut);
            prop_assert!(Moof::parse(&moof).is_none() || cut >= moof_of(&encoded.bytes).len());
        }
    }

    #[test]
    fn a_count_beyond_the_box_reserves_nothing() {
        let encoded = encode(&[(3000, 0, true)], &[]);
        let mut moof = moof_of(&encoded.bytes).to_vec();
        let at = moof.windows(4).position(|four| four == b"trun").expect("trun") + 8;
        moof[at..at + 4].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(Moof::parse(&moof), None);
    }
}
