//! The sample table of an open chunk, kept in RAM at about 5 bytes a sample, and written as `stbl` when it is sealed.

use std::ops::Range;

use crate::{
    error::{Error, Kind, Result},
    media::mp4::bytes::Put,
};

/// Consecutive samples of one track that lie together in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Decode time of the first sample, in ticks of the track since the chunk's start.
    pub base: u64,
    /// Where in the file the first sample's bytes are.
    pub offset: u64,
    pub samples: Vec<Sample>,
}

/// One sample as a fragment lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Bytes.
    pub size: u32,
    pub duration: u32,
    /// PTS - DTS.
    pub cts: i32,
    pub sync: bool,
}

impl Run {
    pub fn bytes(&self) -> u64 {
        self.samples.iter().map(|sample| u64::from(sample.size)).sum()
    }

    /// Decode time after the last sample.
    pub fn end(&self) -> u64 {
        self.samples.iter().fold(self.base, |end, sample| end.saturating_add(u64::from(sample.duration)))
    }
}

/// Every sample of one track so far.
#[derive(Clone, Debug, Default)]
pub struct TrackTable {
    sizes: Vec<u32>,
    durations: Rle<u32>,
    cts: Rle<i32>,
    /// 1-based numbers of sync samples.
    syncs: Vec<u32>,
    /// Offset in the file, samples; one chunk (in the sense of ISO/IEC 14496-12) per run.
    chunks: Vec<(u64, u32)>,
    /// From which chunk (counted from 0) on another sample entry than the first one holds.
    entries: Vec<(usize, u32)>,
    /// Decode time of the first sample.
    first: Option<u64>,
    /// Presentation time of the sample shown first: the smallest of the first run.
    first_shown: u64,
    /// Decode time of the last sample; its duration is not in `durations` yet, because a later gap may stretch it.
    last_start: u64,
    last_duration: u32,
    /// Largest presentation end seen: with B-frames the last sample is not the last shown.
    shown_until: u64,
    /// The same of the last run alone.
    run_shown_until: u64,
}

/// Sample tables of a chunk; both empty in the init moov.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    pub video: TrackTable,
    pub audio: TrackTable,
    /// Holes of more than 500 ms in the video, or in the audio of a chunk without video: presentation times, in ticks of
    /// that track.
    pub holes: Vec<Range<u64>>,
}

impl Tables {
    /// Why these runs cannot follow what is there, if they cannot.
    pub fn check(&self, video: &Run, audio: &Run) -> Result<()> {
        self.video.check(video).and_then(|()| self.audio.check(audio))
    }

    /// Adds runs that passed [`Self::check`]. `gap_rate`: ticks a second of the track that tells gaps (video if there is
    /// any, else audio).
    pub fn push(&mut self, video: &Run, audio: &Run, has_video: bool, audio_rate: u32) {
        let (table, run, rate) =
            if has_video { (&self.video, video, 90_000) } else { (&self.audio, audio, u64::from(audio_rate)) };
        let is_gap = !table.is_empty() && !run.samples.is_empty() && run.base > table.end() + rate / 2;
        if is_gap {
            self.holes.push(table.run_shown_until..first_shown(run));
        }
        self.video.push(video);
        self.audio.push(audio);
    }

    pub fn gaps(&self) -> u32 {
        u32::try_from(self.holes.len()).unwrap_or(u32::MAX)
    }

    pub fn snapshot(&self) -> TablesSnapshot {
        TablesSnapshot { video: self.video.snapshot(), audio: self.audio.snapshot(), holes: self.holes.len() }
    }

    /// Forgets everything after `snapshot`.
    pub fn restore(&mut self, snapshot: &TablesSnapshot) {
        self.video.restore(&snapshot.video);
        self.audio.restore(&snapshot.audio);
        self.holes.truncate(snapshot.holes);
    }
}

#[derive(Clone, Debug, Default)]
pub struct TablesSnapshot {
    video: Snapshot,
    audio: Snapshot,
    holes: usize,
}

/// How long the tables were, so that an uncommitted tail can be forgotten again.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    samples: usize,
    durations: (usize, u32),
    cts: (usize, u32),
    syncs: usize,
    chunks: usize,
    first: Option<u64>,
    last_start: u64,
    last_duration: u32,
    shown_until: u64,
    run_shown_until: u64,
}

impl TrackTable {
    /// Why `run` cannot follow what is there, if it cannot: decode times only grow.
    pub fn check(&self, run: &Run) -> Result<()> {
        let follows = self.sizes.is_empty() || run.base > self.last_start;
        let fits = u32::try_from(run.base.saturating_sub(self.last_start)).is_ok() || self.sizes.is_empty();
        if run.samples.is_empty() || (follows && fits && run.samples.len() < 1 << 24) {
            return Ok(());
        }
        let message = format!("samples from {} cannot follow a sample at {}", run.base, self.last_start);
        Err(Error::new(Kind::Invalid, message))
    }

    /// Adds a run that passed [`Self::check`]. The sample before it is stretched or shortened to end where it begins, so
    /// that times in the sealed file are those of the fragments' `tfdt`.
    pub fn push(&mut self, run: &Run) {
        let Some(count) = u32::try_from(run.samples.len()).ok().filter(|count| *count > 0) else { return };
        if self.first.is_none() {
            self.first = Some(run.base);
            self.first_shown = first_shown(run);
        }
        self.chunks.push((run.offset, count));
        self.run_shown_until = 0;
        let mut at = run.base;
        for sample in &run.samples {
            if !self.sizes.is_empty() {
                self.durations.push(u32::try_from(at.saturating_sub(self.last_start)).unwrap_or(u32::MAX));
            }
            self.sizes.push(sample.size);
            if sample.sync {
                self.syncs.push(u32::try_from(self.sizes.len()).unwrap_or(u32::MAX));
            }
            self.cts.push(sample.cts);
            self.last_start = at;
            self.last_duration = sample.duration;
            at = at.saturating_add(u64::from(sample.duration));
            self.run_shown_until = self.run_shown_until.max(at.saturating_add_signed(i64::from(sample.cts)));
        }
        self.shown_until = self.shown_until.max(self.run_shown_until);
    }

    /// Runs pushed from now on are of sample entry `number`, counted from 1.
    pub fn switch_entry(&mut self, number: u32) {
        self.entries.push((self.chunks.len(), number));
    }

    pub fn len(&self) -> usize {
        self.sizes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    /// Decode time of the first sample; 0 when there is none.
    pub fn start(&self) -> u64 {
        self.first.unwrap_or(0)
    }

    /// Presentation time of the sample shown first; 0 when there is none.
    pub fn first_shown(&self) -> u64 {
        self.first_shown
    }

    /// Decode time after the last sample; 0 when there is none.
    pub fn end(&self) -> u64 {
        self.last_start + u64::from(self.last_duration)
    }

    /// Presentation time after the sample shown last; 0 when there is none.
    pub fn shown_until(&self) -> u64 {
        self.shown_until
    }

    /// What makes all composition offsets ≥ 0, in ticks; the edit list takes it back. Signed offsets (`ctts` version 1)
    /// would say the same, but FFmpeg 5.1 shifts such a track without an edit list by itself, and old players ignore
    /// the sign.
    pub fn cts_shift(&self) -> u32 {
        self.cts.entries.iter().map(|(_, cts)| cts.min(&0).unsigned_abs()).max().unwrap_or(0)
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            samples: self.sizes.len(),
            durations: self.durations.mark(),
            cts: self.cts.mark(),
            syncs: self.syncs.len(),
            chunks: self.chunks.len(),
            first: self.first,
            last_start: self.last_start,
            last_duration: self.last_duration,
            shown_until: self.shown_until,
            run_shown_until: self.run_shown_until,
        }
    }

    /// Forgets everything after `snapshot`.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        self.sizes.truncate(snapshot.samples);
        self.durations.cut(snapshot.durations);
        self.cts.cut(snapshot.cts);
        self.syncs.truncate(snapshot.syncs);
        self.chunks.truncate(snapshot.chunks);
        self.first = snapshot.first;
        if self.first.is_none() {
            self.first_shown = 0;
        }
        self.last_start = snapshot.last_start;
        self.last_duration = snapshot.last_duration;
        self.shown_until = snapshot.shown_until;
        self.run_shown_until = snapshot.run_shown_until;
    }

    /// The `stbl` children after `stsd` (ISO/IEC 14496-12 §8.6, §8.7). Empty tables make those of an init moov.
    /// `data_at` is added to all offsets.
    pub(crate) fn put(&self, out: &mut Vec<u8>, is_video: bool, data_at: u64) {
        let mut durations = self.durations.clone();
        if !self.is_empty() {
            durations.push(self.last_duration);
        }
        out.full(b"stts", 0, 0, |out| durations.put(out, |value| value));
        let shift = self.cts_shift();
        if self.cts.entries.iter().any(|(_, cts)| *cts != 0) {
            out.full(b"ctts", 0, 0, |out| self.cts.put(out, |cts| shift.saturating_add_signed(cts)));
        }
        if is_video && !self.is_empty() && self.syncs.len() < self.sizes.len() {
            out.full(b"stss", 0, 0, |out| put_list(out, &self.syncs));
        }
        out.full(b"stsc", 0, 0, |out| self.put_samples_per_chunk(out));
        out.full(b"stsz", 0, 0, |out| {
            out.u32(0);
            put_list(out, &self.sizes);
        });
        self.put_offsets(out, data_at);
    }

    fn put_samples_per_chunk(&self, out: &mut Vec<u8>) {
        let (mut switches, mut entry) = (self.entries.iter().peekable(), 1);
        let mut entries: Vec<[u32; 3]> = Vec::new();
        for (at, (_, samples)) in self.chunks.iter().enumerate() {
            while let Some((_, next)) = switches.next_if(|(from, _)| *from <= at) {
                entry = *next;
            }
            if entries.last().is_none_or(|[_, last, last_entry]| last != samples || *last_entry != entry) {
                entries.push([at as u32 + 1, *samples, entry]);
            }
        }
        out.u32(entries.len() as u32);
        entries.into_iter().flatten().for_each(|value| out.u32(value));
    }

    fn put_offsets(&self, out: &mut Vec<u8>, data_at: u64) {
        let offsets = || self.chunks.iter().map(|(offset, _)| offset.saturating_add(data_at));
        let wide = offsets().any(|offset| u32::try_from(offset).is_err());
        let kind = if wide { b"co64" } else { b"stco" };
        out.full(kind, 0, 0, |out| {
            out.u32(self.chunks.len() as u32);
            for offset in offsets() {
                match u32::try_from(offset) {
                    Ok(offset) if !wide => out.u32(offset),
                    _ => out.u64(offset),
                }
            }
        });
    }
}

fn first_shown(run: &Run) -> u64 {
    let mut at = run.base;
    let times = run.samples.iter().map(|sample| {
        let shown = at.saturating_add_signed(i64::from(sample.cts));
        at = at.saturating_add(u64::from(sample.duration));
        shown
    });
    times.min().unwrap_or(run.base)
}

fn put_list(out: &mut Vec<u8>, values: &[u32]) {
    out.u32(values.len() as u32);
    out.reserve(4 * values.len());
    out.extend(values.iter().flat_map(|value| value.to_be_bytes()));
}

/// Run-length list: (count, value), the shape of `stts` and `ctts`.
#[derive(Clone, Debug, Default)]
struct Rle<T> {
    entries: Vec<(u32, T)>,
}

impl<T: Copy + PartialEq> Rle<T> {
    fn push(&mut self, value: T) {
        match self.entries.last_mut() {
            Some((count, last)) if *last == value => *count += 1,
            _ => self.entries.push((1, value)),
        }
    }

    fn mark(&self) -> (usize, u32) {
        (self.entries.len(), self.entries.last().map_or(0, |(count, _)| *count))
    }

    fn cut(&mut self, (len, last_count): (usize, u32)) {
        self.entries.truncate(len);
        if let Some((count, _)) = self.entries.last_mut() {
            *count = last_count;
        }
    }

    fn put(&self, out: &mut Vec<u8>, encode: impl Fn(T) -> u32) {
        out.u32(self.entries.len() as u32);
        for (count, value) in &self.entries {
            out.u32(*count);
            out.u32(encode(*value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::mp4::bytes::Get;

    fn run(base: u64, offset: u64, durations: &[u32]) -> Run {
        let samples = durations.iter().enumerate();
        let samples = samples.map(|(i, &duration)| Sample { size: 10, duration, cts: 0, sync: i == 0 }).collect();
        Run { base, offset, samples }
    }

    fn stts(table: &TrackTable) -> Vec<(u32, u32)> {
        let mut out = Vec::new();
        table.put(&mut out, true, 0);
        let mut at = Get(&out).child(b"stts").expect("stts");
        at.u32();
        let count = at.u32().expect("count");
        (0..count).map(|_| (at.u32().expect("count"), at.u32().expect("value"))).collect()
    }

    #[test]
    fn gaps_stretch_and_overlaps_shorten_the_sample_before() {
        let check = |bases: [u64; 2], expected: &[(u32, u32)]| {
            let mut table = TrackTable::default();
            table.push(&run(bases[0], 0, &[100, 100]));
            table.push(&run(bases[1], 20, &[100, 100]));
            assert_eq!(stts(&table), expected, "{bases:?}");
            assert_eq!(table.end(), bases[1] + 200);
        };
        check([0, 200], &[(4, 100)]);
        check([0, 700], &[(1, 100), (1, 600), (2, 100)]);
        check([50, 240], &[(1, 100), (1, 90), (2, 100)]);
    }

    #[test]
    fn what_would_run_backwards_is_refused() {
        let mut table = TrackTable::default();
        table.push(&run(0, 0, &[100, 100]));
        for (base, good) in [(0, false), (100, false), (101, true), (200, true), (101 + (1 << 32), false)] {
            assert_eq!(table.check(&run(base, 0, &[1])).is_ok(), good, "{base}");
        }
    }

    #[test]
    fn a_restored_table_is_the_one_before() {
        let mut table = TrackTable::default();
        table.push(&run(0, 0, &[100, 100, 100]));
        let before = table.clone();
        let snapshot = table.snapshot();
        table.push(&run(900, 30, &[100, 200, 100]));
        table.restore(&snapshot);
        let tables = [before, table].map(|table| {
            let mut out = Vec::new();
            table.put(&mut out, true, 0);
            (out, table.start(), table.end(), table.shown_until())
        });
        assert_eq!(tables[0], tables[1]);
    }

    #[test]
    fn offsets_widen_beyond_4_gib() {
        let kinds = |offset| {
            let mut table = TrackTable::default();
            table.push(&run(0, offset, &[1]));
            let mut out = Vec::new();
            table.put(&mut out, true, 0);
            (Get(&out).child(b"stco").is_some(), Get(&out).child(b"co64").is_some())
        };
        assert_eq!(kinds(u64::from(u32::MAX)), (true, false));
        assert_eq!(kinds(1 << 32), (false, true));
    }
}
