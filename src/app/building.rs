//! Builds one device of a host: its stages' parts, wired to each other and to what all devices share.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use serde_json::json;
use slog::o;

use super::Start;
use crate::{
    archive::Siblings,
    capture::{Capabilities, CaptureParts, CaptureStatus, ProcessCell, Spawner},
    config::{Camera, ENABLED_MAX},
    device::Device,
    events::{Events, Topic},
    frames::{Eyes, FrameParts, FrameQueue, Hearing, Latest, Pool, RunClock, Thresholds},
    incident::{Evidence, Owner, Tracker, TrackerParts},
    keep::Cleaner,
    merge::{cell::MergeCell, committer::Committer, epoch::EpochSource, merger_actor::MergerParts},
    registry::Registry,
    storage::{DeviceIndex, HotDevice, HotLayout, HotLimits, Retention, Volume},
    supervisor::Slot,
};

/// What all devices of a host are built on.
pub(super) struct Shared {
    pub start: Start,
    pub volume: Arc<Volume>,
    pub retention: Arc<Retention>,
    pub committer: Committer,
    pub spawner: Spawner,
    pub capabilities: Arc<Capabilities>,
    pub cleaner: Arc<Cleaner>,
    pub events: Events,
    pub pool: Pool,
    pub registry: Arc<Registry>,
    pub thresholds: Thresholds,
    /// None: pictures of incidents are not kept.
    pub evidence: Option<Evidence>,
}

impl Shared {
    /// A camera that is new here. `place` is its own among all; `index` knows its footage of before.
    pub fn device(&self, camera: &Camera, place: usize, index: Arc<DeviceIndex>) -> Arc<Device> {
        let Start { settings, clock, metrics: all_metrics, log, .. } = &self.start;
        let id = camera.id.clone();
        let metrics = all_metrics.device(&id);
        let log = log.new(o!("device" => id.to_string()));
        let hot_layout = HotLayout::new(&settings.storage.hot);
        let limits = HotLimits::of(settings, camera);
        let hot = HotDevice::new(id.clone(), hot_layout.clone(), limits, clock.clone(), metrics.clone());
        let hot = Arc::new(hot);
        let camera = Arc::new(Camera::clone(camera));
        let capture_status = Arc::new(ArcSwap::from_pointee(CaptureStatus::default()));
        let epochs =
            EpochSource::open(id.clone(), self.volume.clone(), self.committer.clone(), metrics.clone(), log.clone());
        let (next, seen) = (epochs.clone(), hot.clone());
        let (run_clock, hearing) = (Arc::new(RunClock::new(clock.clone())), Arc::new(Hearing::new()));
        let (merged, heard) = (run_clock.clone(), hearing.clone());
        let capture = Arc::new(CaptureParts {
            device: id.clone(),
            camera: camera.clone(),
            settings: settings.clone(),
            clock: clock.clone(),
            log: log.clone(),
            hot_layout,
            hot: hot.clone(),
            cell: ProcessCell::with_sound(self.spawner.clone(), Arc::new(move |epoch, pcm| heard.hear(epoch, pcm))),
            capabilities: self.capabilities.clone(),
            next_epoch: Arc::new(move || next.next(seen.highest_epoch())),
            metrics: metrics.clone(),
            status: capture_status.clone(),
        });
        let cleaner = self.cleaner.clone();
        let (keeper, kept) = (self.cleaner.clone(), id.clone());
        let (events, of) = (self.events.clone(), id.clone());
        let interval_seconds = settings.archive.preview_interval_seconds;
        let (volume, of_device) = (self.volume.clone(), metrics.clone());
        let siblings = Siblings::new(volume, index.clone(), interval_seconds, of_device, log.clone());
        let merge = Arc::new(MergerParts {
            device: id.clone(),
            stagger: stagger(place),
            settings: settings.clone(),
            clock: clock.clone(),
            log: log.clone(),
            hot: hot.clone(),
            index: index.clone(),
            volume: self.volume.clone(),
            retention: self.retention.clone(),
            committer: self.committer.clone(),
            cell: MergeCell::new(settings.archive.chunk_seconds),
            epochs,
            metrics: metrics.clone(),
            evict: Arc::new(move |bytes| {
                cleaner.evict(bytes);
            }),
            stays: Arc::new(move |start, end| keeper.stays(&kept, start, end)),
            told: Arc::new(move |span, bytes| {
                let data = json!({"start": span.start.rfc3339(), "end": span.end.rfc3339(), "bytes": bytes});
                events.publish(Topic::Commit, "committed", Some(&of), data);
            }),
            beside: siblings.clone(),
            tied: Arc::new(move |key, offset_90k, began| merged.merged(key, offset_90k, began)),
        });
        let detect = self.thresholds.of(&id);
        let (registry, watched) = (self.registry.clone(), id.clone());
        let tracker = Tracker::new(TrackerParts {
            owner: Owner { host: settings.server.host_name(), device: id.clone() },
            clock: clock.clone(),
            log: log.clone(),
            detect: detect.clone(),
            hot: hot.clone(),
            book: self.registry.clone(),
            events: self.events.clone(),
            metrics: all_metrics.clone(),
            device_metrics: metrics.clone(),
            evidence: self.evidence.clone(),
            muted: Arc::new(move |at| registry.in_maintenance(&watched, at)),
        });
        let latest = Arc::<Latest>::default();
        let watching = settings.analysis.enabled.then(|| {
            FrameQueue::new(FrameParts {
                clock: clock.clone(),
                log: log.clone(),
                metrics: metrics.clone(),
                pool: self.pool.clone(),
                frames_max: settings.analysis.queue,
                detect: detect.clone(),
                run_clock,
                hearing,
                eyes: Arc::new(|| Box::new(Eyes::new())),
                witnesses: vec![latest.witness(), tracker.witness(), siblings.witness()],
            })
        });
        Arc::new(Device {
            id,
            camera,
            clock: clock.clone(),
            log,
            metrics,
            hot,
            index,
            volume: self.volume.clone(),
            capture,
            capture_status,
            merge,
            siblings,
            watching,
            latest,
            tracker,
            status: ArcSwap::default(),
            events: self.events.clone(),
            losses: Mutex::default(),
            ffmpeg: Slot::new(),
            frames: Slot::new(),
            merger: Slot::new(),
            archiver: Slot::new(),
        })
    }

    /// The same device recording as `camera` says: everything that outlives its actors is handed over, the open chunk and
    /// the numbers of runs included. Its tree must have ended.
    pub fn again(&self, before: &Device, camera: &Camera) -> Arc<Device> {
        let camera = Arc::new(Camera::clone(camera));
        before.hot.set_limits(HotLimits::of(&self.start.settings, &camera));
        let old = &before.capture;
        let capture = Arc::new(CaptureParts {
            device: old.device.clone(),
            camera: camera.clone(),
            settings: old.settings.clone(),
            clock: old.clock.clone(),
            log: old.log.clone(),
            hot_layout: old.hot_layout.clone(),
            hot: old.hot.clone(),
            cell: old.cell.clone(),
            capabilities: old.capabilities.clone(),
            next_epoch: old.next_epoch.clone(),
            metrics: old.metrics.clone(),
            status: Arc::new(ArcSwap::from_pointee(CaptureStatus::default())),
        });
        let capture_status = capture.status.clone();
        let losses = before.losses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Arc::new(Device {
            id: before.id.clone(),
            camera,
            clock: before.clock.clone(),
            log: before.log.clone(),
            metrics: before.metrics.clone(),
            hot: before.hot.clone(),
            index: before.index.clone(),
            volume: before.volume.clone(),
            capture,
            capture_status,
            merge: before.merge.clone(),
            siblings: before.siblings.clone(),
            watching: before.watching.clone(),
            latest: before.latest.clone(),
            tracker: before.tracker.clone(),
            status: ArcSwap::new(before.status.load_full()),
            events: before.events.clone(),
            losses: Mutex::new(losses),
            ffmpeg: before.ffmpeg.clone(),
            frames: before.frames.clone(),
            merger: before.merger.clone(),
            archiver: before.archiver.clone(),
        })
    }
}

/// Which share of the commit interval a place has, however many there are: each new one halves the widest gap that is
/// left, and nobody's moves when another comes or goes.
fn stagger(place: usize) -> (usize, usize) {
    const PLACES: usize = ENABLED_MAX.next_power_of_two();
    let place = place % PLACES;
    (place.reverse_bits() >> (usize::BITS - PLACES.ilog2()), PLACES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_spread_evenly_however_many_there_are() {
        let check = |places: std::ops::Range<usize>, expected: &[usize]| {
            assert_eq!(places.map(|place| stagger(place).0).collect::<Vec<_>>(), expected);
        };
        check(0..4, &[0, 32, 16, 48]);
        check(62..66, &[31, 63, 0, 32]);
    }
}
