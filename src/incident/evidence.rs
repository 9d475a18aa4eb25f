//! Copies the pictures that prove an incident from RAM to the archive, on a thread that the disk may stall.
//!
//! Nothing waits for it: what the thread does not take is dropped and counted, and the recording goes on.

use std::{
    io::Read as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use slog::{Logger, warn};

use crate::{
    clock::{Clock, Mono},
    error::{Error, Kind, Result},
    ids::DeviceId,
    storage::{Lease, Volume, layout::EvidenceKey},
    telemetry::{DeviceMetrics, Written},
};

/// Pictures that may wait; then they are dropped. All devices of a host can lose their signal at once.
const WAITING_MAX: usize = 256;
/// After this the picture is dropped: a lease keeps RAM from the live pictures.
const WAIT_LIMIT: Duration = Duration::from_secs(30);
/// A capture of 1920×1080 at the best quality is below 2 MB.
const PICTURE_BYTES_MAX: u64 = 8 << 20;

/// One picture to keep.
pub struct Keep {
    pub device: DeviceId,
    pub key: EvidenceKey,
    pub lease: Lease,
    pub metrics: DeviceMetrics,
    /// Called with its path in the archive once it is durable.
    pub done: Box<dyn FnOnce(String) + Send>,
}

/// A handle on the thread, cheap to clone; it ends when the last handle is gone.
#[derive(Clone)]
pub struct Evidence {
    jobs: SyncSender<Job>,
    min_free_bytes: Arc<AtomicU64>,
    clock: Clock,
}

enum Job {
    Keep(Box<Keep>, Mono),
    Delete(Vec<String>),
}

/// What the thread works with.
struct Desk {
    volume: Arc<Volume>,
    /// With less free, footage has the better claim.
    min_free_bytes: Arc<AtomicU64>,
    clock: Clock,
    log: Logger,
}

impl Evidence {
    /// `min_free_bytes`: with less free on the archive nothing is copied.
    pub fn start(volume: Arc<Volume>, min_free_bytes: u64, clock: Clock, log: Logger) -> Result<Self> {
        let floor = Arc::new(AtomicU64::new(min_free_bytes));
        let (jobs, queue) = sync_channel(WAITING_MAX);
        let desk = Desk { volume, min_free_bytes: floor.clone(), clock: clock.clone(), log };
        let run = move || {
            for job in queue {
                if catch_unwind(AssertUnwindSafe(|| desk.work(job))).is_err() {
                    slog::error!(desk.log, "keeping evidence panicked");
                }
            }
        };
        let spawned = thread::Builder::new().name("evidence".into()).spawn(run);
        spawned.map_err(|error| Error::io("starting the evidence thread", "", error))?;
        Ok(Self { jobs, min_free_bytes: floor, clock })
    }

    /// From changed settings.
    pub fn set_min_free_bytes(&self, bytes: u64) {
        self.min_free_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Never waits; a full queue drops the picture.
    pub fn keep(&self, keep: Keep) {
        let dropped = keep.metrics.evidence_dropped.clone();
        if self.jobs.try_send(Job::Keep(Box::new(keep), self.clock.mono())).is_err() {
            dropped.inc();
        }
    }

    /// Deletes what incidents that are forgotten had; paths as [`Keep::done`] got them. False when it must be asked again.
    pub fn delete(&self, paths: Vec<String>) -> bool {
        self.jobs.try_send(Job::Delete(paths)).is_ok()
    }
}

impl Desk {
    fn work(&self, job: Job) {
        match job {
            Job::Keep(keep, asked) => {
                let (device, dropped) = (keep.device.clone(), keep.metrics.evidence_dropped.clone());
                if let Err(error) = self.keep(*keep, asked) {
                    dropped.inc();
                    warn!(self.log, "evidence is not kept"; "device" => %device, "error" => %error);
                }
            }
            Job::Delete(paths) => {
                for path in &paths {
                    if let Err(error) = self.delete(path) {
                        warn!(self.log, "evidence is not deleted"; "path" => path, "error" => %error);
                    }
                }
            }
        }
    }

    fn keep(&self, keep: Keep, asked: Mono) -> Result<()> {
        if self.clock.mono().since(asked) > WAIT_LIMIT {
            return Err(Error::new(Kind::Unavailable, "the disk was busy for too long"));
        }
        if !self.volume.is_ok() {
            return Err(Error::new(Kind::Unavailable, "the archive is not writable"));
        }
        if self.volume.free_bytes() < self.min_free_bytes.load(Ordering::Relaxed) {
            return Err(Error::new(Kind::Full, "the rest of the disk is for footage"));
        }
        let mut jpeg = Vec::new();
        let read = keep.lease.open()?.take(PICTURE_BYTES_MAX).read_to_end(&mut jpeg);
        read.map_err(|error| Error::io("reading a picture in hot", "", error))?;
        drop(keep.lease);
        let path = self.volume.layout().evidence(&keep.device, &keep.key);
        self.volume.mkdir_all(path.parent().unwrap_or(Path::new("")))?;
        self.volume.write_atomic(&path, &jpeg)?;
        keep.metrics.wrote(Written::Evidence, jpeg.len() as u64);
        (keep.done)(path.to_string_lossy().into_owned());
        Ok(())
    }

    /// And its day, once that is empty.
    fn delete(&self, path: &str) -> Result<()> {
        // Only what we could have written: the database it comes from lies open on the disk.
        let Some((device, key)) = EvidenceKey::parse_path(path) else { return Ok(()) };
        let path: PathBuf = self.volume.layout().evidence(&device, &key);
        match self.volume.unlink(&path) {
            Err(error) if error.kind != Kind::NotFound => return Err(error),
            _ => {}
        }
        if let Some(day) = path.parent()
            && self.volume.read_dir(day)?.is_empty()
        {
            self.volume.rmdir(day)?;
        }
        Ok(())
    }
}
