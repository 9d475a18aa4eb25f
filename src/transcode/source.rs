//! The chunk to be encoded: whether it can be, when each of its pictures is shown, and where key frames are to be.

use std::{fs::File, io, path::PathBuf};

use crate::{
    clock::TICKS_PER_SECOND,
    error::{Error, Kind},
    media::{
        VideoCodec, h264,
        mp4::{ReadAt, identity, read_full, verify::verify},
    },
    playback::{FragmentTable, Track},
    storage::layout::ChunkKey,
};

use super::{Failure, Job, Reason, Steer};

/// A GOP lasts so long where the source has a key frame then: what a seek has to decode at most, and half of the shortest
/// entry of a playlist. Docs/decisions/0018 has what other lengths save.
const GOP_90K: i64 = 4 * TICKS_PER_SECOND;
/// Where it has none, it may last so long.
const GOP_90K_MAX: i64 = 6 * TICKS_PER_SECOND;
/// The units before a key picture's first slice; SPS and PPS take 60 bytes, and cameras like to send some SEI.
const SETS_BYTES: u32 = 4096;

/// An open source that can be encoded.
pub struct Source {
    pub file: File,
    /// Relative to the volume.
    pub path: PathBuf,
    pub bytes: u64,
    pub table: FragmentTable,
    pub plan: Plan,
}

/// Its pictures in time, 90 kHz ticks since the chunk's start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// When each is shown, ascending.
    pub shown: Vec<i64>,
    /// Uninterrupted stretches of them, in order.
    pub stretches: Vec<Stretch>,
    /// Where key frames are to be, ascending.
    pub keys: Vec<i64>,
    /// From our time to that of the sample table, which counts from the first decode time and knows no negative offsets.
    pub to_table_90k: i64,
    /// The usual distance of two pictures.
    pub frame_90k: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// One more than the index of its last picture.
    pub until: usize,
    /// When its last picture ends.
    pub end_90k: i64,
}

impl Source {
    /// Opens it and reads all of it once. Nothing is changed.
    pub fn open(job: &Job, control: &dyn Steer) -> Result<Self, Failure> {
        let path = job.source.path(job.volume.layout(), &job.device);
        let file = job.volume.open_read(&path).map_err(blame)?;
        let bytes = file.metadata().map_err(|error| blame(Error::io("reading", &path, error)))?.len();
        let watched = Watched { file: &file, control };
        let whole = verify(&watched, bytes);
        if control.is_cancelled() {
            return Err(Failure::cancelled());
        }
        let whole = whole.map_err(|error| blame(Error::io("reading", &path, error)))?;
        if let Some(problem) = whole.problems.first() {
            return Err(refuse(problem.clone()));
        }
        let is_it = whole.meta.as_ref().is_some_and(|meta| {
            let key = ChunkKey { start_ms: meta.start.as_ms(), generation: meta.generation };
            meta.device == job.device && key == job.source.key && meta.sealed.is_some()
        });
        if !is_it {
            return Err(Failure::new(Reason::Cancelled, "another chunk has its place now"));
        }
        let table = FragmentTable::read(&file, bytes).map_err(blame)?;
        check_pictures(&file, &table)?;
        let plan = Plan::of(&table.video)?;
        Ok(Self { file, path, bytes, table, plan })
    }

    /// Of footage, gaps not counted.
    pub fn seconds(&self) -> f64 {
        let (mut from, mut ticks) = (0, 0);
        for stretch in &self.plan.stretches {
            ticks += stretch.end_90k - self.plan.shown.get(from).copied().unwrap_or(stretch.end_90k);
            from = stretch.until;
        }
        ticks as f64 / TICKS_PER_SECOND as f64
    }

    pub fn fps(&self) -> f64 {
        TICKS_PER_SECOND as f64 / self.plan.frame_90k.max(1) as f64
    }

    /// Of its pictures.
    pub fn kbps(&self) -> u64 {
        let bytes: u64 = self.table.video.runs().map(|run| run.bytes().end - run.bytes().start).sum();
        (bytes as f64 / 125.0 / self.seconds().max(1.0)) as u64
    }

    /// Bytes that the disk gives for it: the reserve before the media is a hole.
    pub fn used_bytes(&self) -> u64 {
        used_bytes(&self.table.meta, self.bytes)
    }

    /// A handle of its own, at the start, for a child.
    pub fn handle(&self) -> Result<File, Failure> {
        self.file.try_clone().map_err(|error| blame(Error::io("opening again", &self.path, error)))
    }
}

/// Media and what stands around it.
pub fn used_bytes(meta: &identity::ChunkMeta, len: u64) -> u64 {
    len.saturating_sub(meta.data_offset)
}

impl Plan {
    /// `Source` when two pictures share one time, or a gap is none.
    pub fn of(video: &Track) -> Result<Self, Failure> {
        let mut plan = Self::default();
        let mut syncs = Vec::new();
        let (mut first_dts, mut least_cts, mut end_90k) = (None, 0i64, i64::MIN);
        for run in video.runs() {
            for sample in run.samples() {
                first_dts.get_or_insert(i64::try_from(sample.dts).unwrap_or(i64::MAX));
                least_cts = least_cts.min(i64::from(sample.cts));
                end_90k = end_90k.max(sample.shown_until());
                plan.shown.push(sample.pts());
                if sample.sync {
                    syncs.push(sample.pts());
                }
            }
            if run.is_before_hole() {
                plan.stretches.push(Stretch { until: plan.shown.len(), end_90k });
            }
        }
        if plan.stretches.last().is_none_or(|last| last.until < plan.shown.len()) {
            plan.stretches.push(Stretch { until: plan.shown.len(), end_90k });
        }
        let mut from = 0;
        for stretch in &plan.stretches {
            if let Some(shown) = plan.shown.get_mut(from..stretch.until) {
                shown.sort_unstable();
            }
            from = stretch.until;
        }
        if !plan.shown.is_sorted_by(|one, next| one < next) {
            return Err(refuse("two pictures have one time, or their order is broken"));
        }
        syncs.sort_unstable();
        plan.keys = plan.keys(&syncs);
        plan.to_table_90k = -first_dts.unwrap_or(0) - least_cts;
        plan.frame_90k = plan.frame();
        Ok(plan)
    }

    /// What the encoder is told, in µs of the sample table: rounded down, so that the picture meant is the first not
    /// before it.
    pub fn keys_us(&self) -> Vec<i64> {
        self.keys.iter().map(|key| (key + self.to_table_90k).max(0) * 100 / 9).collect()
    }

    fn keys(&self, syncs: &[i64]) -> Vec<i64> {
        let (mut keys, mut from) = (Vec::new(), 0);
        for stretch in &self.stretches {
            let mut last = None;
            for shown in self.shown.get(from..stretch.until).unwrap_or_default() {
                let due = match last {
                    None => true,
                    Some(last) if shown - last >= GOP_90K_MAX => true,
                    Some(last) => shown - last >= GOP_90K && syncs.binary_search(shown).is_ok(),
                };
                if due {
                    keys.push(*shown);
                    last = Some(*shown);
                }
            }
            from = stretch.until;
        }
        keys
    }

    /// The median; for a single picture what it lasts.
    fn frame(&self) -> i64 {
        let mut steps: Vec<i64> = self.shown.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let middle = steps.len() / 2;
        match steps.is_empty() {
            false => *steps.select_nth_unstable(middle).1,
            true => self.stretches.first().zip(self.shown.first()).map_or(1, |(one, shown)| one.end_90k - shown),
        }
    }
}

/// What an error of reading says about the source.
pub fn blame(error: Error) -> Failure {
    let reason = match error.kind {
        Kind::NotFound | Kind::Gone => Reason::Cancelled,
        Kind::Full => Reason::Full,
        Kind::Corrupt | Kind::Invalid => Reason::Source,
        _ => Reason::Disk,
    };
    Failure::new(reason, error.to_string())
}

fn refuse(why: impl Into<String>) -> Failure {
    Failure::new(Reason::Source, why)
}

/// H.264 of one size from beginning to end, of whole pictures.
fn check_pictures(file: &File, table: &FragmentTable) -> Result<(), Failure> {
    let Some(video) = &table.tracks.video else { return Err(refuse("it has no pictures")) };
    if video.codec != VideoCodec::H264 {
        return Err(refuse("its pictures are not H.264"));
    }
    let Some(first) = video.parameter_sets.iter().find_map(|nal| h264::Sps::parse(nal)) else {
        return Err(refuse("its parameter sets cannot be read"));
    };
    let of_kind = |sps: &h264::Sps| {
        (sps.width, sps.height, sps.chroma_format_idc, sps.bit_depth_luma, sps.bit_depth_chroma, sps.whole_frames)
    };
    if !first.whole_frames {
        return Err(refuse("its pictures are interlaced"));
    }
    let mut bytes = Vec::new();
    for sample in table.video.samples().filter(|sample| sample.sync) {
        bytes.resize(sample.size.min(SETS_BYTES) as usize, 0);
        let read = read_full(file, &mut bytes, sample.offset);
        let read = read.map_err(|error| blame(Error::io("reading", "", error)))?;
        let sps = units(bytes.get(..read).unwrap_or_default()).find_map(h264::Sps::parse);
        if sps.is_some_and(|sps| of_kind(&sps) != of_kind(&first)) {
            return Err(refuse("the size or kind of its pictures changes inside"));
        }
    }
    Ok(())
}

/// NAL units with 4-byte lengths, as far as they are whole.
fn units(sample: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = sample;
    std::iter::from_fn(move || {
        let (len, tail) = rest.split_first_chunk::<4>()?;
        let (unit, tail) = tail.split_at_checked(u32::from_be_bytes(*len) as usize)?;
        rest = tail;
        Some(unit)
    })
}

/// A file of which no more is read once the job is cancelled.
pub struct Watched<'a> {
    pub file: &'a File,
    pub control: &'a dyn Steer,
}

impl ReadAt for Watched<'_> {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.control.is_cancelled() {
            return Err(io::Error::other("stopped"));
        }
        ReadAt::read_at(self.file, into, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(shown: &[i64], stretches: &[(usize, i64)]) -> Plan {
        let stretches = stretches.iter().map(|&(until, end_90k)| Stretch { until, end_90k }).collect();
        Plan { shown: shown.to_vec(), stretches, ..Plan::default() }
    }

    #[test]
    fn key_frames_come_where_the_source_has_them_and_after_gaps() {
        let seconds = |list: &[i64]| list.iter().map(|second| second * 90_000).collect::<Vec<_>>();
        let check = |shown: &[i64], stretches: &[(usize, i64)], syncs: &[i64], expected: &[i64]| {
            let plan = plan(&seconds(shown), stretches);
            assert_eq!(plan.keys(&seconds(syncs)), seconds(expected), "{shown:?} {syncs:?}");
        };
        let ten: Vec<i64> = (0..10).collect();
        check(&ten, &[(10, 900_000)], &ten, &[0, 4, 8]);
        check(&ten, &[(10, 900_000)], &[0, 5], &[0, 5]);
        check(&ten, &[(10, 900_000)], &[0], &[0, 6]);
        check(&[0, 1, 2, 9, 10, 14], &[(3, 270_000), (6, 1_350_000)], &[0, 9, 10, 14], &[0, 9, 14]);
        check(&[], &[], &[], &[]);
    }

    #[test]
    fn a_key_frames_time_is_never_behind_its_picture() {
        let plan = Plan { keys: vec![0, 7, 360_001], to_table_90k: 3003, ..Plan::default() };
        for (key, us) in plan.keys.iter().zip(plan.keys_us()) {
            let ticks = (us as f64 * 0.09).round() as i64;
            assert_eq!(ticks, key + 3003);
        }
    }

    #[test]
    fn units_end_where_the_bytes_do() {
        let found: Vec<&[u8]> = units(&[0, 0, 0, 2, 9, 16, 0, 0, 0, 9, 1]).collect();
        assert_eq!(found, [&[9, 16][..]]);
        assert_eq!(units(&[0, 0]).count(), 0);
    }
}
