//! Deletes chunks and moves them into the library as planned, and watches the archive volume and hot, on a thread of its
//! own that a sick disk may stall. What lies on the library's own volume is the affair of [`Away`].

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

use arc_swap::ArcSwap;
use slog::{Logger, error, info, warn};

use super::{
    away::Away,
    forecast::{Side, forecast},
    ledger::{Claim, KeptDevice, Ledger},
    limits::{Gate, KeepLimits},
    outlook::{Free, Outlook},
    plan::{Action, Deed, Wanted, Why},
    status::CleanerStatus,
};
use crate::{
    clock::Utc90k,
    error::Result,
    ids::DeviceId,
    storage::{
        Retention, Volume,
        index::Place,
        layout::{ChunkKey, Shelf},
        library, tmpfs,
    },
    telemetry::Metrics,
};

/// Actions of one round. More wait for the next second, so that a backlog never floods the journal.
const MOST_PER_ROUND: usize = 32;

/// What one round did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    pub expired: usize,
    pub evicted: usize,
    pub shelved: usize,
    pub originals: usize,
    pub bytes: u64,
    /// More is due than one round takes.
    pub more: bool,
    pub waits_for_pins: bool,
    pub error: Option<String>,
}

pub struct CleanerParts {
    pub volume: Arc<Volume>,
    pub ledger: Arc<Ledger>,
    /// Where `[storage] library_root` is set.
    pub away: Option<Arc<Away>>,
    pub hot: PathBuf,
    /// Sum of the devices' quotas in hot.
    pub hot_quotas_bytes: u64,
    pub metrics: Arc<Metrics>,
    pub log: Logger,
}

/// Outlives its actor. Every method that touches the disk may block as long as the disk does.
pub struct Cleaner {
    parts: CleanerParts,
    hot_quotas_bytes: ArcSwap<u64>,
    status: ArcSwap<CleanerStatus>,
    /// Held while planning and deleting: the commit thread's [`Self::evict`] and the own thread take turns, or both would
    /// delete for the same shortage.
    turn: Mutex<()>,
    unknown_files: AtomicU64,
    jobs: SyncSender<Job>,
}

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
            hot_quotas_bytes: ArcSwap::from_pointee(parts.hot_quotas_bytes),
            status: ArcSwap::default(),
            turn: Mutex::default(),
            unknown_files: AtomicU64::default(),
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

    /// Asks the thread for a job; false when it is still busy with earlier ones. The library's own volume is looked after
    /// at the same times.
    pub fn ask(&self, job: Job) -> bool {
        if let Some(away) = &self.parts.away {
            away.ask();
        }
        self.jobs.try_send(job).is_ok()
    }

    pub fn status(&self) -> Arc<CleanerStatus> {
        match &self.parts.away {
            None => self.status.load_full(),
            Some(away) => {
                let library = Some(away.status().as_ref().clone());
                Arc::new(CleanerStatus { library, ..self.status.load().as_ref().clone() })
            }
        }
    }

    /// The one retention clock of the volume, for whoever else must not delete early.
    pub fn retention(&self) -> &Arc<Retention> {
        self.parts.ledger.retention()
    }

    pub fn limits(&self) -> KeepLimits {
        self.parts.ledger.limits()
    }

    /// From changed settings. The actor cleans by them within a second.
    pub fn set_limits(&self, limits: KeepLimits) {
        self.parts.ledger.set_limits(limits);
    }

    /// Of the cameras that there are now.
    pub fn set_hot_quotas(&self, bytes: u64) {
        self.hot_quotas_bytes.store(Arc::new(bytes));
    }

    /// What would go if `limits` held. Reads snapshots; of many chunks it takes its time.
    pub fn outlook(&self, limits: &KeepLimits) -> Result<Outlook> {
        let status = self.status();
        let away = status.library.as_ref().filter(|library| library.ok);
        let free = Free { home_bytes: status.free_bytes, away_bytes: away.map(|library| library.free_bytes) };
        self.parts.ledger.outlook(limits, free)
    }

    /// Whether footage must not be deleted although it left the ring. Never waits for a disk.
    pub fn stays(&self, device: &DeviceId, start: Utc90k, end: Utc90k) -> bool {
        self.parts.ledger.stays(device, start, end)
    }

    /// Files of names that are none of ours were found in folders of footage.
    pub fn found_unknown(&self, files: u64) {
        self.unknown_files.fetch_add(files, Ordering::Relaxed);
    }

    /// Makes room for `bytes` more on top of the free space that must stay: the hook of whoever was told that the
    /// disk is full. Takes ring guards, so do not hold one. Returns the bytes deleted; 0 means that nothing may go.
    pub fn evict(&self, bytes: u64) -> u64 {
        // A disk that does not answer is not a full one: nothing is deleted on its account.
        let Ok(space) = self.parts.volume.space() else { return 0 };
        let short = self.limits().min_free_bytes.saturating_add(bytes).saturating_sub(space.free_bytes);
        self.round(false, short.max(bytes).max(1)).bytes
    }

    /// On an orderly stop: writes the retention clock down.
    pub fn finish(&self) -> Result<()> {
        if let Some(away) = &self.parts.away {
            away.end();
        }
        self.retention().save(&self.parts.volume, true)
    }

    /// One job, on the calling thread.
    pub fn run(&self, job: Job) -> Cleaned {
        let mut status = CleanerStatus::clone(&self.status.load());
        let before = status.clone();
        self.watch_hot(&mut status);
        self.watch_volume(&mut status);
        let short = self.limits().min_free_bytes.saturating_sub(status.free_bytes);
        status.gate = if status.volume_error.is_some() { Gate::Volume } else { self.parts.ledger.gate() };
        let by_age = job == Job::Clean && (status.gate == Gate::Open || short > 0);
        let mut cleaned = Cleaned::default();
        if status.gate != Gate::Volume {
            if by_age || short > 0 {
                cleaned = self.round(by_age, short);
            } else {
                self.parts.ledger.note();
            }
            if cleaned.waits_for_pins {
                status.gate = Gate::Pins;
            }
            let _ = self.retention().save(&self.parts.volume, false);
            if job == Job::Clean {
                self.look_around(&mut status);
                let clock = self.parts.ledger.clock();
                status.last_round = Some(clock.wall().rfc3339());
                if by_age && cleaned.error.is_none() && !cleaned.waits_for_pins {
                    status.last_success.clone_from(&status.last_round);
                    status.succeeded = Some(clock.mono());
                    self.parts.metrics.cleaner_success_seconds.set(clock.wall().as_seconds() as f64);
                }
            }
        }
        status.expired += cleaned.expired as u64;
        status.evicted += cleaned.evicted as u64;
        status.shelved += cleaned.shelved as u64;
        status.originals_dropped += cleaned.originals as u64;
        status.out_of_space = short > 0 && cleaned.bytes == 0;
        status.backlog = cleaned.more;
        status.error.clone_from(&cleaned.error);
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

    /// Ages, the library's size and how long the disks last.
    fn look_around(&self, status: &mut CleanerStatus) {
        let (ledger, metrics) = (&self.parts.ledger, &self.parts.metrics);
        let away = self.parts.away.as_ref().map(|away| away.status());
        ledger.tell_ages(away.as_ref().is_some_and(|away| away.ok));
        status.unknown_files = self.unknown_files.load(Ordering::Relaxed);
        status.library_bytes = ledger.library_bytes(Shelf::Home);
        metrics.library_bytes("home").set(i64::try_from(status.library_bytes).unwrap_or(i64::MAX));
        let in_all = status.unknown_files + away.as_ref().map_or(0, |away| away.unknown_files);
        metrics.unknown_files.set(i64::try_from(in_all).unwrap_or(i64::MAX));
        let (limits, home) = (ledger.limits(), ledger.bytes_on(Shelf::Home));
        let (window, retention) = (limits.keep.window.as_secs_f64(), limits.keep.retention.as_secs_f64());
        metrics.keep_seconds.set(window + retention);
        let allowed = match limits.keep.max_bytes {
            0 => u64::MAX,
            most => most.saturating_sub(home + ledger.bytes_on(Shelf::Away)),
        };
        let room = |free: u64| free.saturating_sub(limits.min_free_bytes).min(allowed);
        let side = |have_bytes, free, wanted_seconds| Side { have_bytes, room_bytes: room(free), wanted_seconds };
        let sides = match &away {
            Some(away) if away.ok => {
                vec![side(home, status.free_bytes, window), side(away.library_bytes, away.free_bytes, retention)]
            }
            _ => vec![side(home, status.free_bytes, window + retention)],
        };
        status.forecast = forecast(ledger.bytes_per_second(), &sides);
        let days = status.forecast.map_or(f64::NAN, |told| told.days_until_full.unwrap_or(f64::INFINITY));
        metrics.days_until_full.set(days);
    }

    /// Plans and acts.
    fn round(&self, by_age: bool, free_bytes: u64) -> Cleaned {
        let take_turn = || self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut turn = Some(take_turn());
        let away_is_there = self.parts.away.as_ref().is_some_and(|away| away.status().ok);
        let (plan, devices) = self.parts.ledger.plan(Wanted {
            on: Shelf::Home,
            limits: by_age.then(|| self.limits().keep),
            free_bytes,
            takes_away: false,
            away_is_there,
            most: MOST_PER_ROUND,
        });
        let mut cleaned = Cleaned { more: plan.more, waits_for_pins: plan.waits_for_pins, ..Cleaned::default() };
        for action in &plan.actions {
            let Some(device) = devices.get(action.device) else { continue };
            // Moving frees nothing, so whoever waits for space need not wait for it.
            turn = if action.deed == Deed::Shelve { None } else { turn.or_else(|| Some(take_turn())) };
            if let Err(error) = self.act(device, action, &mut cleaned) {
                let chunk = action.key.file_name();
                if self.status.load().error.is_none() {
                    warn!(self.parts.log, "footage cannot be deleted or moved"; "device" => %device.index.device(),
                        "chunk" => chunk, "deed" => ?action.deed, "error" => %error);
                }
                cleaned.error = Some(error.to_string());
                break;
            }
        }
        cleaned
    }

    fn act(&self, device: &KeptDevice, action: &Action, cleaned: &mut Cleaned) -> Result<()> {
        match action.deed {
            Deed::Delete(why) => {
                let bytes = self.delete(device, &action.key)?;
                cleaned.bytes += bytes;
                let is_done = usize::from(bytes > 0);
                if why == Why::Expired {
                    cleaned.expired += is_done;
                    device.metrics.chunks_expired.inc_by(is_done as u64);
                } else {
                    cleaned.evicted += is_done;
                    device.metrics.chunks_evicted.inc_by(is_done as u64);
                }
            }
            Deed::DropOriginal(_) => {
                cleaned.bytes += self.drop_original(device, &action.key)?;
                cleaned.originals += 1;
            }
            Deed::Shelve => {
                let ring = device.index.hold_ring();
                if library::shelve(&self.parts.volume, &device.index, action.key, &ring)?.is_some() {
                    cleaned.shelved += 1;
                    device.metrics.chunks_shelved.inc();
                }
            }
            Deed::MoveAway => {}
        }
        Ok(())
    }

    /// Unpublish, then unlink. The bytes; 0 when somebody was faster.
    fn delete(&self, device: &KeptDevice, key: &ChunkKey) -> Result<u64> {
        let _ring = device.index.hold_ring();
        let Some(claim) = Claim::take(&device.index, key) else { return Ok(0) };
        if matches!(claim.entry.place, Place::Library(_, Shelf::Away)) {
            // It moved since the plan was made.
            claim.give_back();
            return Ok(0);
        }
        match library::remove(&self.parts.volume, device.index.device(), &claim.entry) {
            Ok(()) => Ok(claim.bytes()),
            Err(error) => {
                claim.give_back();
                Err(error)
            }
        }
    }

    fn drop_original(&self, device: &KeptDevice, key: &ChunkKey) -> Result<u64> {
        let _ring = device.index.hold_ring();
        let Some(original) = device.index.remove_original(key) else { return Ok(0) };
        match library::remove_original(&self.parts.volume, device.index.device(), &original) {
            Ok(()) => Ok(original.bytes),
            Err(error) => {
                device.index.put_original(original.as_ref().clone());
                Err(error)
            }
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
        if before.error.is_some() && now.error.is_none() {
            info!(log, "footage is deleted and moved again");
        }
        if now.gate == Gate::Pins && before.gate != Gate::Pins {
            warn!(log, "nothing is deleted while it is not known what is pinned");
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
