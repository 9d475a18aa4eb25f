//! Reads the sample tables of a sealed chunk's moov back into runs, from bytes that may be anything.

use crate::media::mp4::{
    bytes::Get,
    fragment::{AUDIO_TRACK, VIDEO_TRACK},
    table::{Run, Sample},
};

/// What the tables tell of each track, in file order. Decode times count from the track's first sample and composition
/// offsets are those of the table, which are never negative: the edit list alone cannot tell both apart, the first
/// fragment can.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealedRuns {
    pub video: Vec<Run>,
    pub audio: Vec<Run>,
}

/// A whole moov box as [`super::seal::layout`] returns it. None when its tables contradict each other.
pub fn sealed_runs(moov: &[u8]) -> Option<SealedRuns> {
    let (kind, mut at) = Get(moov).next_box()?;
    if &kind != b"moov" {
        return None;
    }
    let mut out = SealedRuns::default();
    while let Some((kind, trak)) = at.next_box() {
        if &kind != b"trak" {
            continue;
        }
        let mut header = trak.child(b"tkhd")?;
        // Version 1: flags, two 64-bit times.
        header.take(20)?;
        let stbl = trak.descend(&[b"mdia", b"minf", b"stbl"])?;
        match header.u32()? {
            VIDEO_TRACK => out.video = runs(stbl, true)?,
            AUDIO_TRACK => out.audio = runs(stbl, false)?,
            _ => return None,
        }
    }
    Some(out)
}

fn runs(stbl: Get<'_>, is_video: bool) -> Option<Vec<Run>> {
    let mut sizes = stbl.child(b"stsz")?;
    if sizes.take(8)?.iter().any(|byte| *byte != 0) {
        return None; // one size for all: we never write that
    }
    let count = sizes.u32()?;
    if sizes.0.len() as u64 != u64::from(count) * 4 {
        return None;
    }
    let mut durations = Counted::new(stbl.child(b"stts")?)?;
    let mut offsets_of = stbl.child(b"ctts").map_or(Some(None), |table| Counted::new(table).map(Some))?;
    // Without `stss` every sample is a sync sample.
    let mut syncs = stbl.child(b"stss").filter(|_| is_video);
    if let Some(list) = &mut syncs {
        list.take(8)?;
    }
    let mut next_sync = syncs.as_mut().and_then(Get::u32);
    let mut chunks = Chunks::new(stbl)?;
    let (mut out, mut at, mut number) = (Vec::new(), 0u64, 0u32);
    while let Some((offset, samples)) = chunks.next()? {
        // A count beyond the table is a lie and must not reserve memory.
        if samples == 0 || samples > count - number {
            return None;
        }
        let mut run = Run { base: at, offset, samples: Vec::with_capacity(samples as usize) };
        for _ in 0..samples {
            number += 1;
            let sync = syncs.is_none() || next_sync == Some(number);
            if sync {
                next_sync = syncs.as_mut().and_then(Get::u32);
            }
            let duration = durations.next()?;
            let cts = offsets_of.as_mut().map_or(Some(0), |table| table.next().map(|cts| cts as i32))?;
            run.samples.push(Sample { size: sizes.u32()?, duration, cts, sync });
            at = at.checked_add(u64::from(duration))?;
        }
        out.push(run);
    }
    (number == count).then_some(out)
}

/// A run-length table, the shape of `stts` and `ctts`.
struct Counted<'a> {
    entries: Get<'a>,
    left: u32,
    value: u32,
}

impl<'a> Counted<'a> {
    fn new(mut table: Get<'a>) -> Option<Self> {
        table.take(8)?;
        Some(Self { entries: table, left: 0, value: 0 })
    }

    fn next(&mut self) -> Option<u32> {
        while self.left == 0 {
            (self.left, self.value) = (self.entries.u32()?, self.entries.u32()?);
        }
        self.left -= 1;
        Some(self.value)
    }
}

/// `stco` or `co64` with `stsc`: where each run lies and how many samples it has.
struct Chunks<'a> {
    offsets: Get<'a>,
    is_wide: bool,
    lengths: Get<'a>,
    number: u32,
    samples: u32,
    /// The entry of `stsc` that is not in force yet: first chunk, samples.
    coming: Option<(u32, u32)>,
}

impl<'a> Chunks<'a> {
    fn new(stbl: Get<'a>) -> Option<Self> {
        let narrow = stbl.child(b"stco");
        let is_wide = narrow.is_none();
        let mut offsets = narrow.or_else(|| stbl.child(b"co64"))?;
        let mut lengths = stbl.child(b"stsc")?;
        offsets.take(8)?;
        lengths.take(8)?;
        let mut out = Self { offsets, is_wide, lengths, number: 0, samples: 0, coming: None };
        out.coming = out.entry();
        Some(out)
    }

    fn entry(&mut self) -> Option<(u32, u32)> {
        let entry = (self.lengths.u32()?, self.lengths.u32()?);
        self.lengths.u32()?;
        Some(entry)
    }

    /// The outer None: the tables are broken.
    #[allow(clippy::option_option, reason = "end and damage differ")]
    fn next(&mut self) -> Option<Option<(u64, u32)>> {
        if self.offsets.0.is_empty() {
            return Some(None);
        }
        let offset = if self.is_wide { self.offsets.u64()? } else { u64::from(self.offsets.u32()?) };
        self.number += 1;
        if let Some((first, samples)) = self.coming
            && first == self.number
        {
            self.samples = samples;
            self.coming = self.entry();
        }
        Some(Some((offset, self.samples)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        clock::Utc90k,
        media::{
            VideoCodec, VideoConfig,
            mp4::{SealedMeta, head::Head, table::Tables, tracks::Tracks},
        },
    };

    fn run(base: u64, offset: u64, samples: &[(u32, i32, bool)]) -> Run {
        let sample = |&(duration, cts, sync): &(u32, i32, bool)| Sample { size: 100 + duration, duration, cts, sync };
        Run { base, offset, samples: samples.iter().map(sample).collect() }
    }

    /// The moov that sealing writes for these runs.
    fn moov(runs: &[Run]) -> Vec<u8> {
        let sps = [
            0x67, 0x42, 0xc0, 0x0d, 0xda, 0x05, 0x06, 0x7e, 0x7c, 0x04, 0x40, 0, 0, 3, 0, 0x40, 0, 0, 0x0f, 0x23, 0xc5,
            0x0a, 0xa8,
        ];
        let sets = vec![sps.to_vec(), vec![0x68, 0xce, 0x0f, 0xc8]];
        let video = VideoConfig::from_parameter_sets(VideoCodec::H264, sets);
        let device = "cam".parse().unwrap();
        let head = Head::new(&device, Utc90k(0), 0, Tracks { video, audio: None }, 25.0).unwrap();
        let mut tables = Tables::default();
        runs.iter().for_each(|run| tables.push(run, &Run::default(), true, 1));
        head.sealed_moov(SealedMeta { end: Utc90k(0), gaps: 0, last_mark: None }, &tables).unwrap()
    }

    #[test]
    fn runs_are_those_that_were_pushed() {
        let check = |runs: &[Run]| assert_eq!(sealed_runs(&moov(runs)).unwrap().video, runs);
        check(&[run(0, 5000, &[(3600, 0, true), (3600, 0, false)])]);
        check(&[run(0, 5000, &[(3600, 0, true), (3600, 0, true)]), run(7200, 9000, &[(3000, 0, true)])]);
        check(&[
            run(0, 5000, &[(3600, 7200, true), (3600, 0, false), (3600, 3600, false)]),
            run(10_800, 9000, &[(3000, 3000, true), (3600, 0, false)]),
            run(17_400, 1 << 33, &[(1, 2, true), (1, 0, false)]),
        ]);
    }

    proptest! {
        #[test]
        fn damaged_tables_are_refused_or_read_but_never_panic(
            at in 0usize..4000, value: u8, more in 0usize..4, cut in 0usize..4000,
        ) {
            let runs: Vec<Run> = (0..20).map(|i| run(i * 7200, 5000 + i * 9000, &[(3600, 1, true), (3600, 0, false)])).collect();
            let mut bytes = moov(&runs);
            for i in 0..=more {
                let at = (at * (i + 1) + i * 131) % bytes.len();
                bytes[at] = value;
            }
            let told = sealed_runs(&bytes);
            let samples = told.map_or(0, |told| told.video.iter().map(|run| run.samples.len()).sum());
            prop_assert!(samples * 4 <= bytes.len(), "no more samples than sizes");
            bytes.truncate(cut);
            let _ = sealed_runs(&bytes);
        }
    }
}
