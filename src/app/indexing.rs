//! Looks through the archive at start: which chunks there are, several devices at a time, and afterwards where the gaps
//! inside them are, so that timelines of any length are exact.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use slog::{Logger, info, warn};

use crate::{
    clock::{Clock, Utc90k},
    error::Result,
    playback::{FragmentTable, open},
    storage::{
        DeviceIndex, Scanned, Volume,
        index::{ChunkEntry, Learned},
        inventory,
        layout::ChunkKey,
    },
};

/// Folders read at the same time: a card answers few requests at once, a RAID or network disk many.
const THREADS: usize = 4;
/// Threads that only read heads of files.
const STACK_BYTES: usize = 512 << 10;
/// Chunks read before their gaps are published.
const WALK_BATCH: usize = 32;
/// The walk rests as long as it read, so that it takes at most half of a slow disk; but not longer than this.
const REST_MAX: Duration = Duration::from_millis(100);

/// An index to fill, and where to tell what is wrong with its files.
pub(super) type Wanted = (Arc<DeviceIndex>, Logger);

/// Puts what lies on the archive's volume into the indexes, the rings first. What commits publish meanwhile is newer and
/// stays. Returns how many files there are of names that are none of ours.
pub(super) fn fill(volume: &Volume, wanted: &[Wanted]) -> u64 {
    in_turns(wanted, |index, log| tell(inventory::load(volume, index), log))
        + in_turns(wanted, |index, log| tell(inventory::load_library(volume, index), log))
}

/// Several at a time; the sum of what they tell.
fn in_turns(wanted: &[Wanted], fill: impl Fn(&DeviceIndex, &Logger) -> u64 + Sync) -> u64 {
    let (left, sum) = (Mutex::new(wanted.iter()), AtomicU64::new(0));
    let work = || {
        loop {
            let next = left.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((index, log)) = next else { return };
            sum.fetch_add(fill(index, log), Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        for number in 1..THREADS.min(wanted.len()) {
            let named = thread::Builder::new().name(format!("index-{number}")).stack_size(STACK_BYTES);
            // Refused threads are no loss: the others do their work.
            let _ = named.spawn_scoped(scope, work);
        }
        work();
    });
    sum.into_inner()
}

fn tell(scanned: Result<Scanned>, log: &Logger) -> u64 {
    let scanned = match scanned {
        Ok(scanned) => scanned,
        Err(error) => {
            warn!(log, "archive of the device cannot be listed"; "error" => %error);
            return 0;
        }
    };
    for strange in &scanned.set_aside {
        warn!(log, "file is not a chunk, left alone"; "path" => strange.path.display().to_string(),
            "why" => &strange.why);
    }
    if scanned.healed > 0 {
        info!(log, "moves that were cut short are ended"; "names" => scanned.healed);
    }
    if let Some(first) = scanned.unknown.first() {
        warn!(log, "files that are none of ours lie among the footage, left alone";
            "files" => scanned.unknown.len(), "first" => first.display().to_string());
    }
    scanned.unknown.len() as u64
}

/// Tells work in the background that the daemon ends. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Ending(Arc<(Mutex<bool>, Condvar)>);

impl Ending {
    pub fn begin(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    pub fn has_begun(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits so long unless the daemon ends; whether it does.
    fn comes_within(&self, time: Duration) -> bool {
        let ends = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.1.wait_timeout_while(ends, time, |ends| !*ends);
        *waited.map_or_else(|poisoned| poisoned.into_inner().0, |(ends, _)| ends)
    }
}

/// Reads where the gaps inside chunks are, of all devices in turn, newest first, until every one is known, there is no
/// room for more, or the daemon ends. How many were read.
pub(super) fn find_holes(volume: &Volume, indexes: &[Arc<DeviceIndex>], clock: &Clock, ending: &Ending) -> usize {
    let mut turns: VecDeque<_> = indexes.iter().map(|index| (index, None)).collect();
    let mut read = 0;
    while let Some((index, before)) = turns.pop_front() {
        let batch = unknown(index, before);
        let Some(oldest) = batch.last().map(|chunk| order(chunk)) else { continue };
        let mut learned = Vec::with_capacity(batch.len());
        for chunk in batch {
            let began = clock.mono();
            learned.extend(holes(volume, index, &chunk));
            read += 1;
            if ending.comes_within(clock.mono().since(began).min(REST_MAX)) {
                return read;
            }
        }
        index.learn(learned);
        turns.push_back((index, Some(oldest)));
    }
    read
}

type Order = (Utc90k, ChunkKey);

fn order(chunk: &ChunkEntry) -> Order {
    (chunk.start, chunk.key)
}

/// The next chunks with unknown gaps, newest first.
fn unknown(index: &DeviceIndex, before: Option<Order>) -> Vec<Arc<ChunkEntry>> {
    let chunks = index.snapshot();
    if !chunks.has_room_for_holes() {
        return Vec::new();
    }
    let older = before.map_or(chunks.len(), |before| chunks.partition_point(|chunk| order(chunk) < before));
    let newest_first = chunks.iter().take(older).rev();
    newest_first.filter(|chunk| chunk.holes().is_none()).take(WALK_BATCH).cloned().collect()
}

/// None when the file is gone or broken: whoever asks for the chunk is told then.
fn holes(volume: &Volume, index: &DeviceIndex, chunk: &ChunkEntry) -> Option<Learned> {
    let read = open(volume, index, chunk.key).and_then(|(_, file)| FragmentTable::read(&file, chunk.bytes));
    Some(Learned { key: chunk.key, bytes: chunk.bytes, holes: read.ok()?.holes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Storage,
        ids::DeviceId,
        media::{AudioCodec, AudioConfig},
        merge::chunk::{ChunkSpec, ChunkWriter, Fragment, MarkInfo, OutSample, TrackRun},
        storage::layout::RingSlot,
    };

    const START: Utc90k = Utc90k::from_seconds(1_795_143_600);

    /// A sealed chunk in its place, with sound of a second at each of these.
    fn record(volume: &Arc<Volume>, device: &DeviceId, chunk: i64, at_seconds: &[u64]) {
        let audio = AudioConfig {
            codec: AudioCodec::Aac,
            sample_rate: 48_000,
            channels: 1,
            samples_per_frame: 1024,
            specific: vec![0x11, 0x88],
        };
        let start = START + chunk * 600 * 90_000;
        let spec =
            ChunkSpec { device: device.clone(), start, generation: 0, video: None, audio: Some(audio), fps: 0.0 };
        let mut writer = ChunkWriter::create(Arc::clone(volume), spec).unwrap();
        for seconds in at_seconds {
            let samples: Vec<_> =
                (0..46).map(|at| OutSample { duration: 1024, cts: 0, sync: true, data: at..at + 1 }).collect();
            let run = TrackRun { base: seconds * 48_000, samples: &samples, es: &[7; 64] };
            writer.append(&Fragment { video: None, audio: Some(run) }).unwrap();
        }
        writer.commit(MarkInfo::default()).unwrap();
        let sealed = writer.seal().unwrap();
        let slot = RingSlot::of(start, 600);
        volume.mkdir_all(&volume.layout().ring_hour(device, slot.hour)).unwrap();
        volume.rename_new(&sealed.path, &volume.layout().ring_chunk(device, slot)).unwrap();
    }

    #[test]
    fn all_devices_are_filled_and_their_gaps_found_newest_first() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage { root: folder.path().to_owned(), ..Storage::default() };
        let clock = Clock::system();
        let volume = Volume::open(&storage, &clock).unwrap();
        let log = Logger::root(slog::Discard, slog::o!());
        let ids: Vec<DeviceId> = (0..7).map(|number| format!("cam-{number}").parse().unwrap()).collect();
        for id in &ids {
            for chunk in 0..3 {
                record(&volume, id, chunk, if chunk == 1 { &[0, 1] } else { &[0, 1, 30, 31, 60] });
            }
        }
        let wanted: Vec<Wanted> = ids.iter().map(|id| (Arc::new(DeviceIndex::new(id.clone())), log.clone())).collect();
        fill(&volume, &wanted);
        let indexes: Vec<_> = wanted.into_iter().map(|(index, _)| index).collect();
        let told = |index: &DeviceIndex| -> Vec<Option<usize>> {
            index.snapshot().iter().map(|chunk| chunk.holes().map(<[_]>::len)).collect()
        };
        assert!(indexes.iter().all(|index| told(index) == [None, Some(0), None]));

        // One that is gone costs nobody anything.
        let lost = indexes[3].snapshot()[0].path(volume.layout(), indexes[3].device());
        volume.unlink(&lost).unwrap();
        assert_eq!(find_holes(&volume, &indexes, &clock, &Ending::default()), 14);
        for (number, index) in indexes.iter().enumerate() {
            assert_eq!(told(index), [(number != 3).then_some(2), Some(0), Some(2)], "{number}");
        }
        assert_eq!(find_holes(&volume, &indexes, &clock, &Ending::default()), 1, "what is known is not read again");

        let ending = Ending::default();
        ending.begin();
        let fresh = Arc::new(DeviceIndex::new(ids[0].clone()));
        fill(&volume, &[(Arc::clone(&fresh), log)]);
        assert_eq!(find_holes(&volume, &[fresh], &clock, &ending), 1, "no more once the daemon ends");
    }
}
