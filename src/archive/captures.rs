//! Copies every capture to the archive and deletes it some hours later, where the settings ask for that
//! (`[archive] captures = "all"`), on a thread that the disk may stall. It has the weakest claim on the disk: short of
//! space it copies nothing and deletes the oldest.

use std::{
    collections::HashMap,
    io::Read as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use arc_swap::ArcSwap;
use slog::{Logger, error, warn};

use crate::{
    clock::{TICKS_PER_SECOND, Utc90k, ticks_90k},
    error::{Error, Kind, Result},
    ids::{DeviceId, SegmentKey},
    storage::{
        HotDevice, Retention, Volume,
        layout::{HotKind, PictureKind, hour_of, parse_capture},
    },
    telemetry::{DeviceMetrics, Written},
};

/// Well below the minute for which hot holds captures by default.
const EVERY: Duration = Duration::from_secs(10);
const PICTURE_BYTES_MAX: u64 = 8 << 20;

/// Whose captures there are; replaced as a whole when devices come and go.
pub type Sources = ArcSwap<Vec<(Arc<HotDevice>, DeviceMetrics)>>;

/// What is copied, where to and for how long.
pub struct CapturesParts {
    pub volume: Arc<Volume>,
    pub retention: Arc<Retention>,
    pub devices: Arc<Sources>,
    pub keep: Duration,
    /// With less than twice this free, space is short.
    pub min_free_bytes: Arc<AtomicU64>,
    pub log: Logger,
}

/// A handle on the thread, which ends with it.
pub struct Captures(#[allow(dead_code, reason = "its end ends the thread")] SyncSender<()>);

impl Captures {
    pub fn start(parts: CapturesParts) -> Result<Self> {
        let (handle, ended) = sync_channel(0);
        let mut desk = Desk { parts, copied: HashMap::new(), failing: false };
        let run = move || {
            while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                if catch_unwind(AssertUnwindSafe(|| desk.round())).is_err() {
                    error!(desk.parts.log, "copying captures panicked");
                }
            }
        };
        let spawned = thread::Builder::new().name("captures".into()).spawn(run);
        spawned.map_err(|error| Error::io("starting the thread that copies captures", "", error))?;
        Ok(Self(handle))
    }
}

struct Desk {
    parts: CapturesParts,
    /// The last of each device.
    copied: HashMap<DeviceId, SegmentKey>,
    failing: bool,
}

impl Desk {
    fn round(&mut self) {
        let done = self.expire().and_then(|()| self.copy());
        match done {
            Err(error) if !self.failing => {
                warn!(self.parts.log, "captures are not copied"; "error" => %error);
                self.failing = true;
            }
            done => self.failing = done.is_err(),
        }
    }

    fn copy(&mut self) -> Result<()> {
        let volume = &self.parts.volume;
        if !volume.is_ok() {
            return Err(Error::new(Kind::Unavailable, "the archive is not writable"));
        }
        if volume.free_bytes() < self.parts.min_free_bytes.load(Ordering::Relaxed).saturating_mul(2) {
            self.delete_oldest_hour()?;
            return Err(Error::new(Kind::Full, "the rest of the disk is for footage"));
        }
        for (hot, metrics) in self.parts.devices.load().iter() {
            let last = self.copied.get(hot.id()).copied();
            let mut folder = None;
            for (key, at) in hot.pictures_after(PictureKind::Capture, last) {
                self.copied.insert(hot.id().clone(), key);
                let path = volume.layout().capture(hot.id(), at);
                let mut jpeg = Vec::new();
                // Evicted meanwhile.
                let Ok(file) = hot.open(HotKind::Picture(PictureKind::Capture), key) else { continue };
                if file.take(PICTURE_BYTES_MAX).read_to_end(&mut jpeg).is_err() {
                    continue;
                }
                let parent = path.parent().unwrap_or(Path::new("")).to_owned();
                if folder.as_ref() != Some(&parent) {
                    volume.mkdir_all(&parent)?;
                    folder = Some(parent);
                }
                let file = match volume.create_new(&path) {
                    // Copied by the daemon before.
                    Err(error) if error.kind == Kind::Conflict => continue,
                    file => file?,
                };
                // Not flushed one by one, which would wear the disk out: a power cut may take the last half minute.
                volume.write_at(&file, &path, &jpeg, 0)?;
                metrics.wrote(Written::Captures, jpeg.len() as u64);
            }
        }
        Ok(())
    }

    /// Looks only into hours that can hold something too old.
    fn expire(&self) -> Result<()> {
        let now = self.parts.retention.now().for_ages();
        let until = now + -ticks_90k(self.parts.keep);
        let keep_hours = self.parts.keep.as_secs() / 3600;
        // With 24 of them, today's hour lies beside yesterday's.
        let young = |hour: u8| {
            let hours_ago = (hour_of(now) + 24 - hour) % 24;
            u64::from(hours_ago) < keep_hours && hour != hour_of(until)
        };
        for (hot, _) in self.parts.devices.load().iter() {
            for hour in (0..24).filter(|hour| !young(*hour)) {
                self.delete(hot.id(), hour, |at| at < until)?;
            }
        }
        Ok(())
    }

    fn delete_oldest_hour(&self) -> Result<()> {
        let now = self.parts.retention.now().for_ages();
        for back in (0..24).rev() {
            let hour = hour_of(now + -(back * 3600 * TICKS_PER_SECOND));
            let mut deleted = 0;
            for (hot, _) in self.parts.devices.load().iter() {
                deleted += self.delete(hot.id(), hour, |_| true)?;
            }
            if deleted > 0 {
                return Ok(());
            }
        }
        Ok(())
    }

    fn delete(&self, device: &DeviceId, hour: u8, which: impl Fn(Utc90k) -> bool) -> Result<usize> {
        let volume = &self.parts.volume;
        let mut deleted = 0;
        for entry in volume.read_dir(&volume.layout().captures_hour(device, hour))? {
            let Some(at) = entry.name.to_str().and_then(parse_capture).filter(|at| hour_of(*at) == hour) else {
                continue;
            };
            if which(at) {
                volume.unlink(&volume.layout().capture(device, at))?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::ManualClock,
        config,
        ids::Epoch,
        storage::{ColdLayout, HotLayout, HotLimits},
        telemetry::Metrics,
    };

    #[test]
    fn captures_are_kept_for_their_hours_and_the_first_to_go() {
        let (root, ram) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap());
        let manual = ManualClock::at(Utc90k::from_seconds(1_795_143_600));
        manual.set_synchronised(true);
        let clock = manual.clock();
        let storage = config::Storage { root: root.path().to_owned(), ..config::Storage::default() };
        let volume = Volume::open(&storage, &clock).unwrap();
        let (layout, metrics) = (HotLayout::new(ram.path()), Metrics::new());
        let (id, limits): (DeviceId, _) = (
            "cam".parse().unwrap(),
            HotLimits { segments: 5, segment_max_age: None, captures: 3, thumbnails: 3, device_bytes: 1 << 20 },
        );
        let counters = metrics.device(&id);
        let hot = Arc::new(HotDevice::new(id.clone(), layout.clone(), limits, clock.clone(), counters.clone()));
        hot.prepare().unwrap();
        let arrive = |number: u64| {
            let (kind, key) = (HotKind::Picture(PictureKind::Capture), SegmentKey { epoch: Epoch(1), number });
            std::fs::write(layout.file(&id, kind, key), b"jpeg").unwrap();
            hot.picture_arrived(PictureKind::Capture, key, 4, manual.clock().wall());
            hot.evict();
        };
        let parts = CapturesParts {
            volume,
            retention: Arc::new(Retention::at(clock.wall(), clock)),
            devices: Arc::new(ArcSwap::from_pointee(vec![(hot.clone(), counters.clone())])),
            keep: Duration::from_secs(2 * 3600),
            min_free_bytes: Arc::default(),
            log: Logger::root(slog::Discard, slog::o!()),
        };
        let mut desk = Desk { parts, copied: HashMap::new(), failing: false };
        let kept = || {
            let hours = std::fs::read_dir(root.path().join("cam/captures")).into_iter().flatten().flatten();
            hours.map(|hour| std::fs::read_dir(hour.path()).unwrap().count()).sum::<usize>()
        };
        for number in 0..12 {
            arrive(number);
            desk.round();
            manual.advance(Duration::from_secs(600));
        }
        assert_eq!((kept(), counters.written_bytes()), (12, 48), "nothing is copied twice, nothing deleted early");
        desk.copied.clear();
        desk.round();
        assert_eq!(counters.written_bytes(), 48, "a daemon that starts finds what was copied");
        manual.advance(Duration::from_secs(3601));
        desk.round();
        assert_eq!(kept(), 5, "of the last two hours");
        desk.parts.min_free_bytes.store(u64::MAX, Ordering::Relaxed);
        arrive(12);
        desk.round();
        assert!(desk.failing && kept() < 5);
        (0..3).for_each(|_| desk.round());
        assert_eq!(kept(), 0);
    }

    #[test]
    fn captures_are_named_by_their_time() {
        let (device, at) = ("cam".parse().unwrap(), Utc90k::from_ms(1_700_000_000_125));
        let path = ColdLayout::new("").capture(&device, at);
        assert_eq!(path.to_str(), Some("cam/captures/22/1700000000125.jpg"));
        assert_eq!(parse_capture("1700000000125.jpg"), Some(at));
        for bad in ["", ".jpg", "-1.jpg", "01.jpg", "1.jpg.tmp", "9223372036854775807.jpg", "a.jpg"] {
            assert_eq!(parse_capture(bad), None, "{bad}");
        }
    }
}
