//! The truth about one device's files in RAM: what waits for its commit, what is live, what must go. Outlives actors.
//!
//! Two locks. `disk` orders everything that touches files, so that a scan never sees a file half deleted; `state` is
//! held for microseconds and is all that readers and the merger meet. `disk` is always taken first.

use std::{
    fs::File,
    io,
    ops::RangeInclusive,
    os::unix::fs::{FileExt, MetadataExt},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use serde::Serialize;

use crate::{
    clock::{Clock, TICKS_PER_SECOND, Utc90k},
    error::{Error, Kind, Result},
    ids::{DeviceId, Epoch, SegmentKey},
    media::mpegts,
    storage::{
        hot_state::{Stage, State},
        layout::{HotKind, HotLayout, PictureKind, parse_hot_name},
        live::{LiveList, LivePlaylist, LiveState, Timing},
        shed::HotLimits,
    },
    telemetry::{DeviceMetrics, LossReason},
};

/// FFmpeg is asked for 1 s segments; assumed where a file does not tell its length.
const NOMINAL_90K: i64 = TICKS_PER_SECOND;
/// Read from both ends of a segment to find its first and last PTS.
const SPAN_BYTES: usize = 64 << 10;
const TS_PACKET_BYTES: u64 = 188;
/// A second at 64 Mb/s: reading more to learn a duration is not worth it.
const WHOLE_BYTES_MAX: u64 = 8 << 20;

/// One segment in hot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HotSegment {
    pub key: SegmentKey,
    pub bytes: u64,
    /// When the file was complete (its mtime).
    pub arrived: Utc90k,
    /// From the file's PTS; 1 s where they could not be read.
    pub duration_90k: i64,
    /// First and end PTS of the reference track as the file has them (33 bits).
    pub pts_90k: Option<(i64, i64)>,
    /// Begins with a key frame.
    pub starts_with_sync: bool,
}

/// One picture in hot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HotPicture {
    pub kind: PictureKind,
    /// The number is the picture's time in its run, as `-frame_pts` counts it.
    pub key: SegmentKey,
    pub bytes: u64,
    pub arrived: Utc90k,
    /// Time since it was seen; monotonic, so a stepped clock does not make it stale.
    pub age: Duration,
    /// How often such pictures came of late in this run; None before the second.
    pub interval: Option<Duration>,
}

/// What an eviction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evicted {
    pub segments: usize,
    pub pictures: usize,
    pub bytes: u64,
    /// Segments among them that were never committed, and their length. Lost, unless a job that has read one before
    /// still commits it.
    pub shed: usize,
    pub shed_90k: i64,
}

/// Counters for `/api/host/state`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct HotStatus {
    pub segments: usize,
    pub waiting: usize,
    pub captures: usize,
    pub thumbnails: usize,
    pub bytes: u64,
    pub waiting_bytes: u64,
    pub quota_bytes: u64,
    pub newest_segment_age_seconds: Option<f64>,
    /// Of the segments that wait: how long footage has not reached the disk, on the monotonic clock.
    pub oldest_waiting_age_seconds: Option<f64>,
    pub newest_picture_age_seconds: Option<f64>,
    /// Uncommitted segments had to go, and the commits have not caught up since.
    pub losing: bool,
}

/// See the module.
pub struct HotDevice {
    id: DeviceId,
    layout: HotLayout,
    clock: Clock,
    metrics: DeviceMetrics,
    disk: Mutex<()>,
    state: Mutex<State>,
    live: ArcSwap<LivePlaylist>,
}

impl HotDevice {
    pub fn new(id: DeviceId, layout: HotLayout, limits: HotLimits, clock: Clock, metrics: DeviceMetrics) -> Self {
        Self {
            id,
            layout,
            clock,
            metrics,
            disk: Mutex::new(()),
            state: Mutex::new(State::new(limits)),
            live: ArcSwap::default(),
        }
    }

    pub fn id(&self) -> &DeviceId {
        &self.id
    }

    /// Makes the folders and takes in what a previous daemon left. Call once, before FFmpeg starts.
    pub fn prepare(&self) -> Result<()> {
        for kind in HotKind::ALL {
            let folder = self.layout.folder(&self.id, kind);
            std::fs::create_dir_all(&folder).map_err(|error| Error::io("making the hot folder", folder, error))?;
        }
        self.rescan()
    }

    /// Makes the books agree with the folders: new files arrive, vanished ones leave (counted as lost when they still
    /// waited). Run at start and after an inotify overflow; idempotent.
    pub fn rescan(&self) -> Result<()> {
        let _files = self.files();
        let now = self.clock.mono();
        for kind in HotKind::ALL {
            let mut found = self.list(kind)?;
            found.sort_unstable();
            let gone = self.state().missing(kind, &found);
            for key in gone {
                if kind == HotKind::Segment {
                    self.state().lose(key, LossReason::vanished, &self.metrics);
                }
                self.state().forget(kind, key);
            }
            let unknown: Vec<_> = found.into_iter().filter(|key| !self.state().knows(kind, *key)).collect();
            for key in unknown {
                let Ok(stat) = std::fs::metadata(self.layout.file(&self.id, kind, key)) else { continue };
                let arrived = self.arrived(&stat);
                match kind {
                    HotKind::Segment => {
                        if let Some(segment) = self.read_segment(key, stat.len(), arrived) {
                            let age = clock_age(self.clock.wall(), arrived);
                            self.state().add_segment(segment, now, age);
                            self.metrics.segments.inc();
                        }
                    }
                    HotKind::Picture(kind) => {
                        let age = clock_age(self.clock.wall(), arrived);
                        self.state().add_picture(kind, key, stat.len(), arrived, now, age);
                        self.metrics.frames.inc();
                    }
                }
            }
        }
        let resumed = self.state().live.is_none().then(|| self.read_live_state());
        if let Some(state) = resumed {
            let mut books = self.state();
            let present: Vec<_> = books.segments().map(|segment| (segment.key, timing(segment))).collect();
            books.live = Some(LiveList::resume(state, self.clock.wall(), &present));
        }
        self.publish();
        Ok(())
    }

    /// A segment was renamed into place. Idempotent; reads both ends of the file (some 100 µs), so call it from the
    /// watcher's thread. Sheds at once when the quota is exceeded: an overflowing tmpfs would end FFmpeg, and the
    /// archiver may be busy restarting.
    /// What it holds; None when it was known already or is gone.
    pub fn segment_arrived(&self, key: SegmentKey, bytes: u64, arrived: Utc90k) -> Option<HotSegment> {
        let files = self.files();
        if self.state().knows(HotKind::Segment, key) {
            return None;
        }
        // Gone already: a late event for a file that was seen by a scan and evicted since.
        let segment = self.read_segment(key, bytes, arrived)?;
        self.state().add_segment(segment.clone(), self.clock.mono(), Duration::ZERO);
        self.metrics.segments.inc();
        self.publish();
        self.evict_if_over(files);
        Some(segment)
    }

    /// A picture was renamed into place. Idempotent.
    pub fn picture_arrived(&self, kind: PictureKind, key: SegmentKey, bytes: u64, arrived: Utc90k) {
        let files = self.files();
        if self.state().knows(HotKind::Picture(kind), key)
            || !self.layout.file(&self.id, HotKind::Picture(kind), key).exists()
        {
            return;
        }
        self.state().add_picture(kind, key, bytes, arrived, self.clock.mono(), Duration::ZERO);
        self.metrics.frames.inc();
        self.evict_if_over(files);
    }

    /// Segments that nobody has committed or claimed, in recording order.
    pub fn waiting(&self) -> Vec<HotSegment> {
        self.state().in_stage(Stage::Waiting)
    }

    /// Bytes of segments that are not committed yet, claimed ones included.
    pub fn waiting_bytes(&self) -> u64 {
        self.state().uncommitted_bytes()
    }

    /// Takes waiting segments, oldest first, for one commit job. Each must be given back by [`Self::mark_committed`],
    /// [`Self::release`] or [`Self::lost`]; while claimed it is in nobody else's [`Self::waiting`].
    ///
    /// Under byte pressure a claimed segment's file may be shed. It is counted as lost only if the job then releases
    /// it: a job that had read it before may still commit it.
    pub fn claim(&self, at_most: usize) -> Vec<HotSegment> {
        self.state().claim(at_most)
    }

    /// These segments are durable. They stay for the live window.
    pub fn mark_committed(&self, keys: &[SegmentKey]) {
        self.state().commit(keys);
    }

    /// At start, from the last mark on disk: every segment up to this one is durable, also those a scan finds later.
    pub fn mark_committed_up_to(&self, upto: SegmentKey) {
        self.state().commit_up_to(upto);
    }

    /// The job failed; these segments wait again.
    pub fn release(&self, keys: &[SegmentKey]) {
        self.state().release(keys, &self.metrics);
        self.account();
    }

    /// These segments cannot be recorded: counts their seconds, once, and stops them from waiting.
    pub fn lost(&self, keys: &[SegmentKey], reason: LossReason) {
        let mut state = self.state();
        for key in keys {
            state.lose(*key, reason, &self.metrics);
        }
    }

    /// Deletes what the limits do not allow: takes it off the playlist first, then unlinks.
    pub fn evict(&self) -> Evicted {
        let files = self.files();
        self.evict_holding(files)
    }

    /// The playlist as published last. Never lists a file that is gone.
    pub fn live(&self) -> Arc<LivePlaylist> {
        self.live.load_full()
    }

    /// Pictures behind that one, in order.
    pub fn pictures_since(&self, kind: PictureKind, key: SegmentKey) -> Vec<HotPicture> {
        self.state().pictures_since(kind, key, self.clock.mono())
    }

    pub fn newest_picture(&self, kind: PictureKind) -> Option<HotPicture> {
        self.state().newest_picture(kind, self.clock.mono())
    }

    /// Pictures after `key` with their arrival, in the order of recording; all without one.
    pub fn pictures_after(&self, kind: PictureKind, key: Option<SegmentKey>) -> Vec<(SegmentKey, Utc90k)> {
        self.state().pictures_after(kind, key)
    }

    /// The picture taken nearest to `key`, of those in `among` if there is any, else of its run.
    pub fn nearest_picture(
        &self,
        kind: PictureKind,
        key: SegmentKey,
        among: RangeInclusive<SegmentKey>,
    ) -> Option<SegmentKey> {
        self.state().nearest_picture(kind, key, among)
    }

    /// See [`super::Lease`], which gives it back.
    pub(super) fn lease(&self, kind: PictureKind, key: SegmentKey) -> bool {
        self.state().lease(kind, key)
    }

    pub(super) fn release_lease(&self, kind: PictureKind, key: SegmentKey) {
        self.state().release_lease(kind, key);
    }

    /// Opens a published file: [`Kind::NotFound`] for what never was, [`Kind::Gone`] for what was evicted meanwhile.
    pub fn open(&self, kind: HotKind, key: SegmentKey) -> Result<File> {
        let path = self.layout.file(&self.id, kind, key);
        if !self.state().knows(kind, key) {
            return Err(Error::new(Kind::NotFound, "no such file in hot").at(path.display()));
        }
        File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::new(Kind::Gone, "it has left hot").at(path.display()),
            _ => Error::io("opening", path, error),
        })
    }

    /// What [`Self::open`] would open, by the books alone.
    pub fn holds_segment(&self, key: SegmentKey) -> bool {
        self.state().holds_segment(key)
    }

    /// When a file of hot was complete: its mtime.
    pub fn arrived(&self, stat: &std::fs::Metadata) -> Utc90k {
        self.clock.of_file(Utc90k::from_seconds(stat.mtime()) + stat.mtime_nsec() * 9 / 100_000)
    }

    pub fn segment_path(&self, key: SegmentKey) -> PathBuf {
        self.layout.file(&self.id, HotKind::Segment, key)
    }

    pub fn status(&self) -> HotStatus {
        self.state().status(self.clock.mono())
    }

    /// Highest run number seen in any name in hot; the next run must be above it.
    pub fn highest_epoch(&self) -> Option<Epoch> {
        self.state().highest_epoch()
    }

    /// New limits, from a changed configuration; they take effect with the next eviction.
    pub fn set_limits(&self, limits: HotLimits) {
        self.state().limits = limits;
    }

    /// The device is off or gone: deletes all but what still waits for its commit and what somebody still needs. True when
    /// that was everything; then the folder goes too, unless `keep_folder`.
    pub fn clear(&self, keep_folder: bool) -> bool {
        let before = self.state().limits;
        self.set_limits(HotLimits { segments: 0, captures: 0, thumbnails: 0, ..before });
        self.evict();
        self.set_limits(before);
        let left = self.status();
        let is_empty = left.segments + left.captures + left.thumbnails == 0;
        if is_empty && !keep_folder {
            let _files = self.files();
            // What is left behind there is in nobody's way.
            let _ = std::fs::remove_dir_all(self.layout.device(&self.id));
        }
        is_empty
    }

    /// Deletes half-written files that killed runs left behind: temporary names of any run but the newest.
    pub fn sweep_leftovers(&self) -> usize {
        let _files = self.files();
        let Some(newest) = self.highest_epoch() else { return 0 };
        let mut swept = 0;
        for kind in HotKind::ALL {
            let folder = self.layout.folder(&self.id, kind);
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name();
                let stem = name.to_str().and_then(|name| name.strip_suffix(".tmp"));
                let old = stem.and_then(|stem| parse_hot_name(kind, stem)).is_some_and(|key| key.epoch < newest);
                swept += usize::from(old && std::fs::remove_file(entry.path()).is_ok());
            }
        }
        swept
    }

    fn evict_if_over(&self, files: MutexGuard<'_, ()>) {
        let over = {
            let state = self.state();
            state.bytes() > state.limits.device_bytes
        };
        if over {
            self.evict_holding(files);
        } else {
            drop(files);
            self.account();
        }
    }

    fn evict_holding(&self, _files: MutexGuard<'_, ()>) -> Evicted {
        let (shed, evicted) = self.state().shed(self.clock.mono(), &self.metrics);
        self.publish();
        for file in shed {
            // Already gone is what we wanted; another failure leaves a stray that the next rescan takes in again.
            let _ = std::fs::remove_file(self.layout.file(&self.id, file.kind, file.key));
        }
        self.account();
        evicted
    }

    /// Publishes the live list and stores its numbers beside the segments.
    fn publish(&self) {
        let (playlist, state) = {
            let mut books = self.state();
            let count = books.limits.segments;
            let Some(live) = books.live.as_mut() else { return };
            live.keep(count);
            if !live.take_changed() {
                return;
            }
            (live.playlist(), live.state())
        };
        self.live.store(Arc::new(playlist));
        if let Some(state) = state {
            self.write_live_state(&state);
        }
    }

    fn account(&self) {
        self.state().account(&self.metrics);
    }

    fn list(&self, kind: HotKind) -> Result<Vec<SegmentKey>> {
        let folder = self.layout.folder(&self.id, kind);
        let entries = std::fs::read_dir(&folder).map_err(|error| Error::io("listing", &folder, error))?;
        Ok(entries.flatten().filter_map(|entry| parse_hot_name(kind, entry.file_name().to_str()?)).collect())
    }

    /// None when the file is gone.
    fn read_segment(&self, key: SegmentKey, bytes: u64, arrived: Utc90k) -> Option<HotSegment> {
        let file = File::open(self.segment_path(key)).ok()?;
        let head = read_piece(&file, 0, SPAN_BYTES);
        let from = bytes.saturating_sub(SPAN_BYTES as u64);
        let tail = read_piece(&file, from - from % TS_PACKET_BYTES, SPAN_BYTES);
        let span = mpegts::span(&head, &tail).or_else(|| {
            // Rare: more than 64 KiB between two times. The whole file tells for sure.
            let whole = read_piece(&file, 0, usize::try_from(bytes.min(WHOLE_BYTES_MAX)).ok()?);
            mpegts::span(&whole, &whole)
        });
        let pts_90k = span.as_ref().map(|span| (span.first_pts_90k, span.end_pts_90k));
        // A minute is no duration of a 1 s segment: such PTS jump inside the file.
        let told = pts_90k.map(|(first, end)| end - first).filter(|ticks| (1..60 * TICKS_PER_SECOND).contains(ticks));
        Some(HotSegment {
            key,
            bytes,
            arrived,
            duration_90k: told.unwrap_or(NOMINAL_90K),
            pts_90k,
            starts_with_sync: span.is_some_and(|span| span.starts_with_sync),
        })
    }

    fn read_live_state(&self) -> Option<LiveState> {
        let text = std::fs::read(self.layout.live_state(&self.id)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// In RAM, so it costs a few µs; a failure only risks the numbers after the next restart.
    fn write_live_state(&self, state: &LiveState) {
        let path = self.layout.live_state(&self.id);
        let aside = path.with_extension("json.tmp");
        if let Ok(text) = serde_json::to_vec(state)
            && std::fs::write(&aside, text).is_ok()
        {
            let _ = std::fs::rename(&aside, &path);
        }
    }

    fn files(&self) -> MutexGuard<'_, ()> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the live list needs to know of a segment.
pub(super) fn timing(segment: &HotSegment) -> Timing {
    Timing { pts_90k: segment.pts_90k, duration_90k: segment.duration_90k, arrived: segment.arrived }
}

/// Age by the wall clock, for files from before our time; never negative.
fn clock_age(now: Utc90k, then: Utc90k) -> Duration {
    Duration::from_micros(u64::try_from(now - then).unwrap_or(0).saturating_mul(100) / 9)
}

fn read_piece(file: &File, from: u64, at_most: usize) -> Vec<u8> {
    let mut piece = vec![0; at_most];
    let mut filled = 0;
    while let Some(room) = piece.get_mut(filled..).filter(|room| !room.is_empty()) {
        match file.read_at(room, from + filled as u64) {
            Ok(read) if read > 0 => filled += read,
            _ => break,
        }
    }
    piece.truncate(filled);
    piece
}

#[cfg(test)]
mod tests;
