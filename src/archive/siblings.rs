//! Collects stills and verdicts of one device and writes them beside its chunks, with the chunks' commits.
//!
//! ```text
//! analysis pool ─ witness ─▶ waiting (RAM, oldest go) ─ commit thread ─▶ temp ─ sealed with the chunk ─▶ ring
//! ```
//! They are appended after the chunk's own fdatasync and synced once, when the chunk is sealed: a power cut takes the
//! tail of what lies beside the open chunk, and recovery cuts it to whole stills and lines (decision 0014).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use slog::{Logger, debug, info, warn};

use super::{
    metadata,
    preview::{self, Tail},
    waiting::{Item, Waiting},
};
use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    error::Result,
    frames::{Frame, Observation, Witness},
    ids::DeviceId,
    media::{
        mp4::pack::{PackHead, STILL_BYTES_MAX, jpeg_size},
        verdicts::FrameLine,
    },
    storage::{
        Beside, DeviceIndex, Place, Volume,
        layout::{ChunkKey, Sibling},
        siblings::{self, SLACK_90K},
    },
    telemetry::{DeviceMetrics, Written},
};

/// Stills that may wait: 20 minutes of a stalled disk at 8 KB each 10 s.
const STILLS_BYTES_MAX: usize = 1 << 20;
/// Lines that may wait: 7 minutes at 5 frames a second, counted as the bytes they take in RAM.
const LINES_BYTES_MAX: usize = 256 << 10;
const HOUR_90K: i64 = 3600 * TICKS_PER_SECOND;

/// One device's. Outlives its actors.
pub struct Siblings {
    device: DeviceId,
    volume: Arc<Volume>,
    index: Arc<DeviceIndex>,
    /// 0: no stills.
    interval_90k: i64,
    metrics: DeviceMetrics,
    log: Logger,
    collected: Mutex<Collected>,
    files: Mutex<Files>,
}

/// Locked for moments only: by the witness, by readers, by the commit thread before and after it writes.
struct Collected {
    stills: Waiting<Bytes>,
    lines: Waiting<FrameLine>,
    /// Slot of the grid whose still was taken.
    slot: Option<i64>,
    hour: i64,
    frames: u64,
}

/// The commit thread's alone.
#[derive(Default)]
struct Files {
    /// Beside which chunk these tails are, and in which mount of the volume.
    beside: Option<(ChunkKey, u64)>,
    previews: Option<Tail>,
    lines: Option<u64>,
    /// By sibling.
    failing: [bool; 2],
}

impl Siblings {
    /// `log` is the device's own. `interval_seconds` 0 collects no stills.
    pub fn new(
        volume: Arc<Volume>,
        index: Arc<DeviceIndex>,
        interval_seconds: u32,
        metrics: DeviceMetrics,
        log: Logger,
    ) -> Arc<Self> {
        let collected = Collected {
            stills: Waiting::new(STILLS_BYTES_MAX),
            lines: Waiting::new(LINES_BYTES_MAX),
            slot: None,
            hour: i64::MIN,
            frames: 0,
        };
        Arc::new(Self {
            device: index.device().clone(),
            volume,
            index,
            interval_90k: i64::from(interval_seconds) * TICKS_PER_SECOND,
            metrics,
            log,
            collected: Mutex::new(collected),
            files: Mutex::default(),
        })
    }

    /// To be told of every frame.
    pub fn witness(self: &Arc<Self>) -> Witness {
        let siblings = Arc::clone(self);
        Arc::new(move |observation, frame| siblings.see(observation, frame))
    }

    /// Stills from `from` on and before `to` that are not on the disk yet.
    pub fn stills_waiting(&self, from: Utc90k, to: Utc90k) -> Vec<(Utc90k, Bytes)> {
        self.collected().stills.between(from, to).into_iter().map(|item| (item.at, item.value)).collect()
    }

    /// The same for verdicts.
    pub fn lines_waiting(&self, from: Utc90k, to: Utc90k) -> Vec<FrameLine> {
        self.collected().lines.between(from, to).into_iter().map(|item| item.value).collect()
    }

    fn see(&self, seen: &Observation, frame: &Frame) {
        let mut collected = self.collected();
        let hour = seen.at.0.div_euclid(HOUR_90K);
        if collected.hour != hour {
            (collected.hour, collected.frames) = (hour, 0);
        }
        collected.frames += 1;
        let line = line(seen, collected.frames);
        let mut dropped = collected.lines.push(seen.at, line, size_of::<Item<FrameLine>>());
        if self.interval_90k > 0 {
            let slot = seen.at.0.div_euclid(self.interval_90k);
            // Without a verdict nobody could decode it.
            let is_good = seen.black.is_some() && frame.jpeg.len() <= STILL_BYTES_MAX;
            // One back is the time of a run that became exact meanwhile; further back the clock was set.
            let is_new = collected.slot.is_none_or(|taken| slot > taken || slot < taken - 1);
            if is_new && is_good && jpeg_size(&frame.jpeg).is_some() {
                collected.slot = Some(slot);
                dropped += collected.stills.push(seen.at, frame.jpeg.clone(), frame.jpeg.len());
            }
        }
        self.metrics.sibling_drops.inc_by(dropped);
    }

    /// Appends what waits and was taken before `end`.
    fn append(&self, files: &mut Files, key: ChunkKey, start: Utc90k, end: Utc90k) {
        let (stills, lines) = {
            let collected = self.collected();
            let from = start + -SLACK_90K;
            (collected.stills.between(from, end), collected.lines.between(from, end))
        };
        let now = (key, self.volume.mounts());
        if files.beside != Some(now) {
            *files = Files { beside: Some(now), failing: files.failing, ..Files::default() };
        }
        if !stills.is_empty() {
            let done = self.append_stills(files, key, start, &stills);
            self.told(files, Sibling::Previews, key, done, stills.len());
        }
        if !lines.is_empty() {
            let path = self.volume.layout().open_sibling(&self.device, Sibling::Metadata, key);
            let done = metadata::append(&self.volume, &path, files.lines.take(), &lines).map(|(len, written)| {
                files.lines = Some(len);
                self.metrics.wrote(Written::Metadata, written);
            });
            self.told(files, Sibling::Metadata, key, done, lines.len());
        }
        // Also what could not be written: the next commit brings what is new by then.
        let mut collected = self.collected();
        collected.stills.remove(&stills);
        collected.lines.remove(&lines);
    }

    fn append_stills(&self, files: &mut Files, key: ChunkKey, start: Utc90k, stills: &[Item<Bytes>]) -> Result<()> {
        let size = stills.iter().find_map(|still| jpeg_size(&still.value)).unwrap_or_default();
        let head = PackHead {
            device: self.device.clone(),
            start,
            generation: key.generation,
            size,
            interval_90k: u32::try_from(self.interval_90k).unwrap_or(u32::MAX),
        };
        let path = self.volume.layout().open_sibling(&self.device, Sibling::Previews, key);
        // Taken: after a failure the file is looked at anew.
        let (tail, written) = preview::append(&self.volume, &path, &head, files.previews.take(), stills)?;
        files.previews = Some(tail);
        self.metrics.wrote(Written::Preview, written);
        Ok(())
    }

    /// Says so when writing begins to fail and when it succeeds again; `lost` items went with a failure.
    fn told(&self, files: &mut Files, sibling: Sibling, key: ChunkKey, done: Result<()>, lost: usize) {
        let failing = match sibling {
            Sibling::Previews => &mut files.failing[0],
            Sibling::Metadata => &mut files.failing[1],
        };
        match done {
            Ok(()) => {
                if std::mem::take(failing) {
                    info!(self.log, "written beside the chunks again"; "file" => sibling.open_name(key));
                }
            }
            Err(error) => {
                self.metrics.sibling_failures.inc();
                self.metrics.sibling_drops.inc_by(lost as u64);
                if !std::mem::replace(failing, true) {
                    warn!(self.log, "not written beside the chunk, the recording goes on";
                        "file" => sibling.open_name(key), "error" => %error);
                }
            }
        }
    }

    fn complete_files(&self, key: ChunkKey) -> [(Sibling, Result<()>); 2] {
        let path = |sibling| self.volume.layout().open_sibling(&self.device, sibling, key);
        let previews = preview::complete(&self.volume, &path(Sibling::Previews))
            .map(|written| self.metrics.wrote(Written::Preview, written));
        [(Sibling::Previews, previews), (Sibling::Metadata, metadata::complete(&self.volume, &path(Sibling::Metadata)))]
    }

    /// Moves what lies beside a chunk of the ring to it; deletes what lies beside no chunk.
    fn settle_or_remove(&self, key: ChunkKey) {
        let _ring = self.index.hold_ring();
        let done = match self.index.get(&key).map(|entry| entry.place) {
            Some(Place::Temp) => Ok(()),
            Some(place) => siblings::settle(&self.volume, &self.device, key, place),
            None => siblings::remove(&self.volume, &self.device, key, Place::Temp),
        };
        if let Err(error) = done {
            self.metrics.sibling_failures.inc();
            warn!(self.log, "what lies beside a chunk stays in temp"; "chunk" => key.file_name(), "error" => %error);
        }
    }

    /// Keys of chunks in `temp`, and of what lies beside chunks there.
    fn in_temp(&self) -> Result<(Vec<ChunkKey>, Vec<ChunkKey>)> {
        let names = self.volume.read_dir(&self.volume.layout().temp(&self.device))?;
        let names: Vec<_> = names.iter().filter_map(|entry| entry.name.to_str()).collect();
        let chunks = names.iter().filter_map(|name| ChunkKey::parse(name)).collect();
        let mut beside: Vec<_> =
            names.iter().filter_map(|name| Sibling::parse_open(name)).map(|(_, key)| key).collect();
        beside.sort_unstable();
        beside.dedup();
        Ok((chunks, beside))
    }

    fn collected(&self) -> MutexGuard<'_, Collected> {
        self.collected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Beside for Siblings {
    fn committed(&self, key: ChunkKey, start: Utc90k, end: Utc90k) {
        self.append(&mut self.files(), key, start, end);
    }

    fn complete(&self, key: ChunkKey, start: Utc90k, end: Utc90k) {
        let mut files = self.files();
        self.append(&mut files, key, start, end);
        for (sibling, done) in self.complete_files(key) {
            self.told(&mut files, sibling, key, done, 0);
        }
        // Its length is another now.
        files.beside = None;
    }

    fn settle(&self, key: ChunkKey) {
        self.settle_or_remove(key);
    }

    fn recover(&self) {
        let mut files = self.files();
        files.beside = None;
        let (chunks, beside) = match self.in_temp() {
            Ok(found) => found,
            Err(error) => {
                debug!(self.log, "what lies beside chunks is not looked at now"; "error" => %error);
                return;
            }
        };
        for key in beside.into_iter().filter(|key| !chunks.contains(key)) {
            if self.index.get(&key).is_some() {
                for (sibling, done) in self.complete_files(key) {
                    self.told(&mut files, sibling, key, done, 0);
                }
            }
            self.settle_or_remove(key);
        }
    }
}

/// Cuts what lies beside a finished chunk to what is whole of it. Hold the ring.
pub fn mend(volume: &Volume, device: &DeviceId, key: ChunkKey, place: Place) -> Result<()> {
    let path = |sibling| siblings::path(volume, device, sibling, key, place);
    preview::complete(volume, &path(Sibling::Previews))?;
    metadata::complete(volume, &path(Sibling::Metadata))
}

/// The words of the contract for what was seen.
fn line(seen: &Observation, frame: u64) -> FrameLine {
    FrameLine {
        black: seen.black,
        black_pct: seen.black_percent,
        freeze: seen.freeze,
        freeze_diff: seen.freeze_diff,
        audio: seen.sound.silent.map(|silent| !silent),
        mean_volume_db: seen.sound.mean_volume_db,
        volume_percentage: seen.sound.volume_percentage,
        no_signal: seen.no_signal == Some(true),
        skipped: seen.skipped,
        ..FrameLine::new(seen.at, frame)
    }
}

#[cfg(test)]
mod tests;
