//! Deletes chunks as planned and watches the archive volume and hot, on a thread of its own that a sick disk may stall.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use serde::Serialize;
use slog::{Logger, error, info, warn};

use super::plan::{ChunkView, Deletion, Wanted, Why, age_90k, plan};
use crate::{
    clock::{Clock, Mono, TICKS_PER_SECOND},
    config::Settings,
    error::{Kind, Result},
    ids::DeviceId,
    storage::{
        DeviceIndex, Retention, Volume,
        layout::ChunkKey,
        retention::{Moment, PLAUSIBLE},
        siblings, tmpfs,
    },
    telemetry::{DeviceMetrics, Metrics},
};

/// Deletions of one round. More wait for the next second, so that a backlog never floods the journal.
const MOST_PER_ROUND: usize = 32;

/// One device whose footage is kept.
#[derive(Clone)]
pub struct KeptDevice {
    pub index: Arc<DeviceIndex>,
    pub metrics: DeviceMetrics,
}

/// What the settings say about keeping.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeepLimits {
    pub window: Duration,
    pub min_free_bytes: u64,
    pub interval: Duration,
    pub max_cpu_percent: f64,
    pub max_io_wait_percent: f64,
}

impl From<&Settings> for KeepLimits {
    fn from(settings: &Settings) -> Self {
        Self {
            window: Duration::from_secs(u64::from(settings.archive.window_hours) * 3600),
            min_free_bytes: settings.archive.min_free_bytes.0,
            interval: Duration::from_secs(settings.cleaner.interval_seconds.into()),
            max_cpu_percent: settings.cleaner.max_cpu_percent.into(),
            max_io_wait_percent: settings.cleaner.max_io_wait.into(),
        }
    }
}

/// The machine's load, percent of the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LoadReading {
    pub cpu_percent: f64,
    pub io_wait_percent: f64,
}

/// What holds expiry back now. Shortage of space overrides the load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    #[default]
    Open,
    Cpu,
    IoWait,
    /// The archive volume is not what it should be.
    Volume,
}

/// As published for `/api/host/state`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CleanerStatus {
    pub gate: Gate,
    pub free_bytes: u64,
    pub total_bytes: u64,
    pub expired: u64,
    pub evicted: u64,
    /// RFC 3339.
    pub last_round: Option<String>,
    /// Why recording to the archive is impossible now.
    pub volume_error: Option<String>,
    pub hot_error: Option<String>,
    /// Less than `min_free_bytes` is free and nothing may be deleted.
    pub out_of_space: bool,
    /// More is due than the last round took.
    pub backlog: bool,
}

/// What one round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    pub expired: usize,
    pub evicted: usize,
    pub bytes: u64,
    /// More is due than one round takes.
    pub more: bool,
}

pub struct CleanerParts {
    pub volume: Arc<Volume>,
    pub retention: Arc<Retention>,
    /// All devices with footage, those without a camera included.
    pub devices: Arc<ArcSwap<Vec<KeptDevice>>>,
    pub limits: KeepLimits,
    pub hot: PathBuf,
    /// Sum of the devices' quotas in hot.
    pub hot_quotas_bytes: u64,
    pub load: Arc<dyn Fn() -> LoadReading + Send + Sync>,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub log: Logger,
}

/// Outlives its actor. Every method that touches the disk may block as long as the disk does.
pub struct Cleaner {
    parts: CleanerParts,
    limits: ArcSwap<KeepLimits>,
    hot_quotas_bytes: ArcSwap<u64>,
    status: ArcSwap<CleanerStatus>,
    /// Held for a whole round: the commit thread's [`Self::evict`] and the own thread take turns.
    memory: Mutex<Memory>,
    jobs: SyncSender<Job>,
}

/// Since when each chunk is known, and how old it was then.
type Memory = HashMap<(DeviceId, ChunkKey), (Mono, Duration)>;

/// Work for the cleaner's thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// Look after volume, hot and free space; evict when it is short.
    Watch,
    /// The same, and expire.
    Clean,
}

impl Cleaner {
    pub fn start(parts: CleanerParts) -> Result<Arc<Self>> {
        // One job may wait while one runs; a third would ask for nothing new.
        let (jobs, queue) = sync_channel(1);
        let cleaner = Arc::new(Self {
            limits: ArcSwap::from_pointee(parts.limits),
            hot_quotas_bytes: ArcSwap::from_pointee(parts.hot_quotas_bytes),
            status: ArcSwap::default(),
            memory: Mutex::default(),
            jobs,
            parts,
        });
        let weak = Arc::downgrade(&cleaner);
        std::thread::Builder::new()
            .name("cleaner".into())
            .spawn(move || work(&weak, &queue))
            .map_err(|error| crate::error::Error::io("starting the cleaner's thread", "", error))?;
        Ok(cleaner)
    }

    /// Asks the thread for a job; false when it is still busy with earlier ones.
    pub fn ask(&self, job: Job) -> bool {
        self.jobs.try_send(job).is_ok()
    }

    pub fn status(&self) -> Arc<CleanerStatus> {
        self.status.load_full()
    }

    /// The one retention clock of the volume, for whoever else must not delete early.
    pub fn retention(&self) -> &Arc<Retention> {
        &self.parts.retention
    }

    pub fn limits(&self) -> KeepLimits {
        **self.limits.load()
    }

    /// From a changed configuration.
    pub fn set_limits(&self, limits: KeepLimits, hot_quotas_bytes: u64) {
        self.limits.store(Arc::new(limits));
        self.hot_quotas_bytes.store(Arc::new(hot_quotas_bytes));
    }

    /// Makes room for `bytes` more on top of the free space that must stay: the hook of whoever was told that the
    /// disk is full. Takes ring guards, so do not hold one. Returns the bytes deleted; 0 means that nothing may go.
    pub fn evict(&self, bytes: u64) -> u64 {
        // A disk that does not answer is not a full one: nothing is deleted on its account.
        let Ok(space) = self.parts.volume.space() else { return 0 };
        let short = self.limits().min_free_bytes.saturating_add(bytes).saturating_sub(space.free_bytes);
        self.round(None, short.max(bytes).max(1)).bytes
    }

    /// On an orderly stop: writes the retention clock down.
    pub fn finish(&self) -> Result<()> {
        self.parts.retention.save(&self.parts.volume, true)
    }

    /// One job, on the calling thread.
    pub fn run(&self, job: Job) -> Cleaned {
        let mut status = CleanerStatus::clone(&self.status());
        let before = status.clone();
        self.watch_hot(&mut status);
        self.watch_volume(&mut status);
        let short = self.limits().min_free_bytes.saturating_sub(status.free_bytes);
        status.gate = self.gate(&status);
        let window = (job == Job::Clean && (status.gate == Gate::Open || short > 0)).then(|| self.limits().window);
        let mut cleaned = Cleaned::default();
        if status.gate != Gate::Volume {
            cleaned = self.round(window, short);
            let _ = self.parts.retention.save(&self.parts.volume, false);
            if job == Job::Clean {
                status.last_round = Some(self.parts.clock.wall().rfc3339());
            }
        }
        status.expired += cleaned.expired as u64;
        status.evicted += cleaned.evicted as u64;
        status.out_of_space = short > 0 && cleaned.bytes == 0;
        status.backlog = cleaned.more;
        self.tell(&before, &status);
        self.status.store(Arc::new(status));
        cleaned
    }

    fn watch_hot(&self, status: &mut CleanerStatus) {
        let quotas = **self.hot_quotas_bytes.load();
        status.hot_error = tmpfs::look(&self.parts.hot, quotas).err().map(|error| error.to_string());
        self.parts.metrics.hot_ok.set(i64::from(status.hot_error.is_none()));
    }

    fn watch_volume(&self, status: &mut CleanerStatus) {
        let checked = self.parts.volume.check().and_then(|()| self.parts.volume.space());
        self.parts.metrics.volume_ok.set(i64::from(checked.is_ok()));
        match checked {
            Ok(space) => {
                status.volume_error = None;
                (status.free_bytes, status.total_bytes) = (space.free_bytes, space.total_bytes);
                self.parts.metrics.free_bytes.set(i64::try_from(space.free_bytes).unwrap_or(i64::MAX));
            }
            Err(error) => status.volume_error = Some(error.to_string()),
        }
    }

    fn gate(&self, status: &CleanerStatus) -> Gate {
        let (load, limits) = ((self.parts.load)(), self.limits());
        if status.volume_error.is_some() {
            Gate::Volume
        } else if load.cpu_percent > limits.max_cpu_percent {
            Gate::Cpu
        } else if load.io_wait_percent > limits.max_io_wait_percent {
            Gate::IoWait
        } else {
            Gate::Open
        }
    }

    /// Plans and deletes.
    fn round(&self, window: Option<Duration>, free_bytes: u64) -> Cleaned {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let devices = self.parts.devices.load_full();
        let moment = self.parts.retention.now();
        let chunks = self.view(&devices, moment, &mut memory);
        let plan = plan(&chunks, moment, Wanted { window, free_bytes });
        let mut cleaned = Cleaned { more: plan.len() > MOST_PER_ROUND, ..Cleaned::default() };
        for deletion in plan.iter().take(MOST_PER_ROUND) {
            let Some(device) = devices.get(deletion.device) else { continue };
            match self.delete(device, deletion) {
                Ok(()) => cleaned.bytes += deletion.bytes,
                Err(error) => {
                    warn!(self.parts.log, "chunk not deleted"; "device" => %device.index.device(), "error" => %error);
                    break;
                }
            }
            match deletion.why {
                Why::Expired => {
                    cleaned.expired += 1;
                    device.metrics.chunks_expired.inc();
                }
                Why::Space => {
                    cleaned.evicted += 1;
                    device.metrics.chunks_evicted.inc();
                }
            }
        }
        cleaned
    }

    /// All chunks, and on the way: since when they are known, and how old each device's footage is.
    fn view(&self, devices: &[KeptDevice], moment: Moment, memory: &mut Memory) -> Vec<ChunkView> {
        let mono = self.parts.clock.mono();
        let mut known = Memory::new();
        let mut views = Vec::new();
        for (number, device) in devices.iter().enumerate() {
            let chunks = device.index.snapshot();
            for chunk in chunks.iter() {
                let name = (device.index.device().clone(), chunk.key);
                let settled = chunk.sealed && chunk.place.is_settled();
                let (since, age) = memory.get(&name).copied().unwrap_or_else(|| {
                    // Finished when first seen: from an earlier daemon, so its label is the best there is.
                    let told = settled && chunk.end >= PLAUSIBLE;
                    (mono, if told { moment.age(chunk.end) } else { Duration::ZERO })
                });
                known.insert(name, (since, age));
                views.push(ChunkView {
                    device: number,
                    key: chunk.key,
                    start: chunk.start,
                    end: chunk.end,
                    bytes: chunk.bytes,
                    settled,
                    known_for: age + mono.since(since),
                });
            }
            // By the age that deletion goes by: a label from 1970, or a clock that was set ahead, is no backlog.
            let of_device = views.iter().filter(|view| view.device == number);
            let oldest = of_device.map(|view| age_90k(view, moment).max(0) + (view.end - view.start)).max();
            device.metrics.oldest_chunk_age_seconds.set(oldest.unwrap_or(0) as f64 / TICKS_PER_SECOND as f64);
        }
        *memory = known;
        views
    }

    /// Unpublish, then unlink, what lies beside first. Not flushed: a file that a power cut brings back is deleted again.
    fn delete(&self, device: &KeptDevice, deletion: &Deletion) -> Result<()> {
        let _ring = device.index.hold_ring();
        let Some(entry) = device.index.remove(&deletion.key) else { return Ok(()) };
        let (volume, id) = (&self.parts.volume, device.index.device());
        let beside = siblings::remove(volume, id, entry.key, entry.place);
        match beside.and_then(|()| volume.of(entry.place).unlink(&entry.path(volume.layout(), id))) {
            Err(error) if error.kind != Kind::NotFound => {
                device.index.put(entry.as_ref().clone());
                Err(error)
            }
            _ => Ok(()),
        }
    }

    /// Logs transitions only.
    fn tell(&self, before: &CleanerStatus, now: &CleanerStatus) {
        let log = &self.parts.log;
        match (&before.volume_error, &now.volume_error) {
            (None, Some(why)) => error!(log, "archive volume failed; recording goes on in RAM"; "error" => why),
            (Some(_), None) => info!(log, "archive volume is back"; "mounts" => self.parts.volume.mounts()),
            _ => {}
        }
        match (&before.hot_error, &now.hot_error) {
            (None, Some(why)) => error!(log, "hot is not as it must be"; "error" => why),
            (Some(_), None) => info!(log, "hot is well again"),
            _ => {}
        }
        if now.out_of_space && !before.out_of_space {
            error!(log, "archive is full and nothing may be deleted"; "free_bytes" => now.free_bytes);
        }
        if now.evicted > before.evicted {
            info!(log, "oldest footage deleted, space was short"; "chunks" => now.evicted - before.evicted);
        }
    }
}

/// Ends when the cleaner is dropped.
fn work(cleaner: &Weak<Cleaner>, queue: &Receiver<Job>) {
    while let Ok(mut job) = queue.recv() {
        let Some(cleaner) = cleaner.upgrade() else { return };
        // Two jobs waiting are one: the larger.
        while let Ok(next) = queue.try_recv() {
            job = if next == Job::Clean { next } else { job };
        }
        if catch_unwind(AssertUnwindSafe(|| cleaner.run(job))).is_err() {
            error!(cleaner.parts.log, "cleaner's job panicked"; "job" => ?job);
        }
    }
}

#[cfg(test)]
mod tests;
