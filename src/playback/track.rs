//! The samples of one track of a chunk, packed: about 4 bytes a sample of a steady track, 12 of one where every sample
//! differs. An hour of eight devices stays in a few MB.

use crate::media::mp4::table::{Run, Sample};

/// Marks a run whose durations, or composition offsets, are not listed one by one.
const SHARED: u32 = u32::MAX;

/// One track of a chunk. Times are ticks of the track since the chunk's start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Track {
    rate: u32,
    sizes: Vec<u32>,
    durations: Vec<u32>,
    cts: Vec<i32>,
    /// Numbers of sync samples; empty and unused where all are.
    syncs: Vec<u32>,
    is_all_sync: bool,
    runs: Vec<PackedRun>,
}

/// The samples of one fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PackedRun {
    base: u64,
    offset: u64,
    bytes: u64,
    first: u32,
    count: u32,
    /// Of all samples but the last (0 when there is no other), unless `durations_at` says where each is.
    duration: u32,
    last_duration: u32,
    durations_at: u32,
    cts_at: u32,
    is_before_hole: bool,
}

/// One sample, ready for a sample table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleRef {
    /// Counts from 0 within the chunk's track.
    pub number: u32,
    /// Decode time, ticks of the track since the chunk's start.
    pub dts: u64,
    /// Up to the next sample, but never over a hole of more than 500 ms: there its own.
    pub duration: u32,
    /// PTS - DTS, signed.
    pub cts: i32,
    pub sync: bool,
    /// Bytes.
    pub size: u32,
    /// Where in the chunk's file.
    pub offset: u64,
}

impl SampleRef {
    /// Presentation time, ticks of the track since the chunk's start.
    pub fn pts(&self) -> i64 {
        i64::try_from(self.dts).unwrap_or(i64::MAX).saturating_add(i64::from(self.cts))
    }

    pub fn shown_until(&self) -> i64 {
        self.pts().saturating_add(i64::from(self.duration))
    }
}

/// The samples of one fragment in one track: they lie together in the file.
#[derive(Clone, Copy, Debug)]
pub struct RunRef<'a> {
    track: &'a Track,
    run: &'a PackedRun,
}

impl Track {
    /// `rate`: ticks a second.
    pub(super) fn new(rate: u32, is_all_sync: bool) -> Self {
        Self { rate: rate.max(1), is_all_sync, ..Self::default() }
    }

    /// Ticks a second.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Samples.
    pub fn len(&self) -> usize {
        self.sizes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    /// In file order, which is decoding order.
    pub fn runs(&self) -> impl ExactSizeIterator<Item = RunRef<'_>> + DoubleEndedIterator {
        self.runs.iter().map(|run| RunRef { track: self, run })
    }

    pub fn run(&self, index: usize) -> Option<RunRef<'_>> {
        self.runs.get(index).map(|run| RunRef { track: self, run })
    }

    /// All samples in decoding order.
    pub fn samples(&self) -> impl Iterator<Item = SampleRef> + '_ {
        self.runs().flat_map(RunRef::samples)
    }

    /// 90 kHz ticks, rounded down.
    pub fn to_90k(&self, ticks: i64) -> i64 {
        let rate = i64::from(self.rate.max(1));
        // Asked for every sample of an hour: dividing 128 bits takes longer than all the rest.
        match ticks.checked_mul(90_000) {
            Some(_) if rate == 90_000 => return ticks,
            Some(scaled) => return scaled.div_euclid(rate),
            None => {}
        }
        let scaled = (i128::from(ticks) * 90_000).div_euclid(i128::from(self.rate.max(1)));
        i64::try_from(scaled).unwrap_or(if ticks < 0 { i64::MIN } else { i64::MAX })
    }

    /// Bytes of memory.
    pub(super) fn weight(&self) -> usize {
        4 * (self.sizes.len() + self.durations.len() + self.cts.len() + self.syncs.len())
            + size_of::<PackedRun>() * self.runs.len()
    }

    /// Decode times only grow.
    pub(super) fn follows(&self, run: &Run) -> bool {
        !run.samples.is_empty() && self.runs.last().is_none_or(|last| run.base > last.last_start(self))
    }

    /// Adds a run that [`Self::follows`]; its index.
    pub(super) fn push(&mut self, run: &Run) -> Option<u32> {
        let (last, before) = run.samples.split_last()?;
        let index = u32::try_from(self.runs.len()).ok()?;
        let first = u32::try_from(self.sizes.len()).ok()?;
        let count = u32::try_from(run.samples.len()).ok()?;
        let duration = before.first().map_or(0, |sample| sample.duration);
        let durations_at = if before.iter().all(|sample| sample.duration == duration) {
            SHARED
        } else {
            list(&mut self.durations, before.iter().map(|sample| sample.duration))
        };
        let cts_at = if run.samples.iter().all(|sample| sample.cts == 0) {
            SHARED
        } else {
            list(&mut self.cts, run.samples.iter().map(|sample| sample.cts))
        };
        if !self.is_all_sync {
            let numbered = (first..).zip(&run.samples);
            self.syncs.extend(numbered.filter(|(_, sample)| sample.sync).map(|(number, _)| number));
        }
        self.sizes.extend(run.samples.iter().map(|sample: &Sample| sample.size));
        self.runs.push(PackedRun {
            base: run.base,
            offset: run.offset,
            bytes: run.bytes(),
            first,
            count,
            duration,
            last_duration: last.duration,
            durations_at,
            cts_at,
            is_before_hole: false,
        });
        Some(index)
    }

    /// Makes the last sample of run `index` end where the next run begins, unless a hole lies between: then the sample
    /// keeps what it lasts by itself (`own`). Whether there is a hole.
    pub(super) fn join(&mut self, index: usize, own: u32) -> bool {
        let Some(next) = self.runs.get(index + 1).map(|next| next.base) else { return false };
        let Some(start) = self.runs.get(index).map(|run| run.last_start(self)) else { return false };
        let stretched = next.saturating_sub(start);
        let is_hole = stretched > u64::from(own) + u64::from(self.rate / 2);
        let Some(run) = self.runs.get_mut(index) else { return false };
        run.is_before_hole = is_hole;
        run.last_duration = if is_hole { own } else { u32::try_from(stretched).unwrap_or(u32::MAX) };
        is_hole
    }
}

/// Appends and says where.
fn list<T>(to: &mut Vec<T>, values: impl Iterator<Item = T>) -> u32 {
    let at = u32::try_from(to.len()).unwrap_or(SHARED - 1);
    to.extend(values);
    at
}

impl PackedRun {
    fn duration(&self, track: &Track, index: u32) -> u32 {
        if index + 1 >= self.count {
            return self.last_duration;
        }
        if self.durations_at == SHARED {
            return self.duration;
        }
        track.durations.get(self.durations_at as usize + index as usize).copied().unwrap_or(self.duration)
    }

    fn cts(&self, track: &Track, index: u32) -> i32 {
        if self.cts_at == SHARED {
            return 0;
        }
        track.cts.get(self.cts_at as usize + index as usize).copied().unwrap_or(0)
    }

    /// Decode time of the last sample.
    fn last_start(&self, track: &Track) -> u64 {
        if self.durations_at == SHARED {
            let before = u64::from(self.duration) * u64::from(self.count.saturating_sub(1));
            return self.base.saturating_add(before);
        }
        (0..self.count.saturating_sub(1))
            .fold(self.base, |at, index| at.saturating_add(u64::from(self.duration(track, index))))
    }
}

impl<'a> RunRef<'a> {
    /// Decode time of the first sample.
    pub fn base(&self) -> u64 {
        self.run.base
    }

    /// Where in the file the samples lie.
    pub fn bytes(&self) -> std::ops::Range<u64> {
        self.run.offset..self.run.offset + self.run.bytes
    }

    /// Samples.
    pub fn len(&self) -> usize {
        self.run.count as usize
    }

    pub fn is_empty(&self) -> bool {
        self.run.count == 0
    }

    /// Decode time after the last sample.
    pub fn end(&self) -> u64 {
        self.run.last_start(self.track).saturating_add(u64::from(self.run.last_duration))
    }

    /// More than 500 ms are missing in this track between this run and the next.
    pub fn is_before_hole(&self) -> bool {
        self.run.is_before_hole
    }

    /// Decoding may start with its first sample.
    pub fn begins_with_sync(&self) -> bool {
        self.track.is_all_sync || self.track.syncs.binary_search(&self.run.first).is_ok()
    }

    pub fn samples(self) -> impl Iterator<Item = SampleRef> + 'a {
        let Self { track, run } = self;
        let from = run.first as usize;
        let sizes = track.sizes.get(from..from + run.count as usize).unwrap_or_default();
        let mut syncs = track.syncs.iter().skip(track.syncs.partition_point(|number| *number < run.first)).peekable();
        let (mut dts, mut offset) = (run.base, run.offset);
        (0..).zip(sizes).map(move |(index, &size)| {
            let number = run.first + index;
            let sync = track.is_all_sync || syncs.next_if_eq(&&number).is_some();
            let duration = run.duration(track, index);
            let sample = SampleRef { number, dts, duration, cts: run.cts(track, index), sync, size, offset };
            dts = dts.saturating_add(u64::from(duration));
            offset = offset.saturating_add(u64::from(size));
            sample
        })
    }

    /// When its samples are shown: from the earliest to the end of the latest, ticks of the track since the chunk's start.
    pub fn shown(&self) -> std::ops::Range<i64> {
        if self.run.cts_at == SHARED {
            let ticks = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
            return ticks(self.run.base)..ticks(self.end());
        }
        let (mut from, mut until) = (i64::MAX, i64::MIN);
        for sample in self.samples() {
            from = from.min(sample.pts());
            until = until.max(sample.shown_until());
        }
        from..until
    }
}
