//! Looks after the library's own volume: brings chunks there as verified copies and deletes what is due there, on a thread
//! of its own. However slow or absent that volume is, no lock of the recorder's is held while it is waited for.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use slog::{Logger, error, info, warn};

use super::{
    ledger::{Claim, KeptDevice, Ledger},
    limits::Gate,
    plan::{Action, Deed, Wanted, Why},
    status::AwayStatus,
};
use crate::{
    clock::Mono,
    error::{Error, Kind, Result},
    storage::{
        Volume,
        cold::Space,
        inventory,
        layout::Shelf,
        library,
        transfer::{self, Taken},
    },
    telemetry::Metrics,
};

/// Actions of one plan; then the load is looked at again.
const MOST_PER_ROUND: usize = 4;
/// After so long without an answer the volume is told as out of reach, and readers are not sent there.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// A slow stick may take so long to flush a chunk, or a disk to wake up.
const WRITES_WITHIN: Duration = Duration::from_secs(120);

pub struct AwayParts {
    pub home: Arc<Volume>,
    pub away: Arc<Volume>,
    pub ledger: Arc<Ledger>,
    pub metrics: Arc<Metrics>,
    pub log: Logger,
}

/// Outlives the cleaner's actor.
pub struct Away {
    parts: AwayParts,
    status: ArcSwap<AwayStatus>,
    /// Whether the archive was looked through; before, chunks that lie on both volumes would be taken for strangers.
    begun: AtomicBool,
    ended: AtomicBool,
    /// Since when it is waited for, and for how long that may be.
    waits: ArcSwap<Option<(Mono, Duration)>>,
    jobs: SyncSender<()>,
}

impl Away {
    pub fn start(parts: AwayParts) -> Result<Arc<Self>> {
        let (jobs, queue) = sync_channel(1);
        let status = AwayStatus { root: parts.away.root().display().to_string(), ..AwayStatus::default() };
        let away = Arc::new(Self {
            parts,
            status: ArcSwap::from_pointee(status),
            begun: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            waits: ArcSwap::default(),
            jobs,
        });
        away.parts.metrics.library_ok.set(0);
        let weak = Arc::downgrade(&away);
        std::thread::Builder::new()
            .name("library".into())
            .spawn(move || work(&weak, &queue))
            .map_err(|error| Error::io("starting the library's thread", "", error))?;
        Ok(away)
    }

    /// The archive at home is in the index: from now on the library's volume may be listed and filled.
    pub fn begin(&self) {
        self.begun.store(true, Ordering::Release);
        self.ask();
    }

    /// Nothing new is begun, and a copy under way is given up.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Asks the thread for a look. Never waits; who finds it stuck says so.
    pub fn ask(&self) {
        let now = self.parts.ledger.clock().mono();
        let stuck = self.waits.load().filter(|(since, limit)| now.since(*since) > *limit);
        if let Some((_, limit)) = stuck.filter(|_| self.status.load().ok) {
            self.parts.away.doubt();
            self.publish(|status| {
                status.ok = false;
                status.error = Some(format!("has not answered for {} s", limit.as_secs()));
            });
            self.parts.metrics.library_ok.set(0);
            error!(self.parts.log, "the library's volume does not answer"; "root" => &self.status.load().root);
        }
        let _ = self.jobs.try_send(());
    }

    pub fn status(&self) -> Arc<AwayStatus> {
        self.status.load_full()
    }

    fn waits_for(&self, limit: Option<Duration>) {
        let now = self.parts.ledger.clock().mono();
        self.waits.store(Arc::new(limit.map(|limit| (now, limit))));
    }

    fn publish(&self, change: impl Fn(&mut AwayStatus)) {
        self.status.rcu(|status| {
            let mut status = AwayStatus::clone(status);
            change(&mut status);
            status
        });
    }

    /// One look and all that is due, on the calling thread. `listed` is the mount whose files are in the indexes.
    pub fn run(&self, listed: &mut u64) {
        if !self.begun.load(Ordering::Acquire) || self.ended.load(Ordering::Acquire) {
            return;
        }
        if let Err(error) = self.look(listed) {
            self.told(Err(&error));
            return;
        }
        self.told(Ok(()));
        let mut more = true;
        while more && !self.ended.load(Ordering::Acquire) {
            more = self.round();
        }
        self.waits_for(None);
        self.publish(|status| status.copying = None);
        if let Ok(space) = self.parts.away.space() {
            self.measured(space);
        }
    }

    /// Whether it is there; lists it when it came.
    fn look(&self, listed: &mut u64) -> Result<()> {
        let away = &self.parts.away;
        self.waits_for(Some(ANSWERS_WITHIN));
        let done = away.check().and_then(|()| away.space());
        self.waits_for(None);
        let space = done?;
        if away.mounts() != *listed {
            let mounts = away.mounts();
            let unknown = self.list()?;
            *listed = mounts;
            self.publish(|status| status.unknown_files = unknown);
            self.waits_for(None);
        }
        self.measured(space);
        Ok(())
    }

    fn measured(&self, space: Space) {
        let bytes = self.parts.ledger.library_bytes(Shelf::Away);
        self.parts.metrics.library_bytes("away").set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.publish(|status| {
            (status.free_bytes, status.total_bytes) = (space.free_bytes, space.total_bytes);
            status.library_bytes = bytes;
        });
    }

    /// Puts what lies there into the indexes. Files of names that are none of ours.
    fn list(&self) -> Result<u64> {
        let (ledger, log, mut unknown) = (&self.parts.ledger, &self.parts.log, 0);
        let began = ledger.clock().mono();
        let devices = ledger.devices();
        for device in devices.iter() {
            self.waits_for(Some(WRITES_WITHIN));
            let scanned = inventory::load_away(&self.parts.away, &device.index)?;
            for strange in &scanned.set_aside {
                warn!(log, "file of the library's volume is not a chunk, left alone";
                    "path" => strange.path.display().to_string(), "why" => &strange.why);
            }
            unknown += scanned.unknown.len() as u64;
        }
        let chunks: usize = devices.iter().map(|device| device.index.snapshot().len()).sum();
        info!(log, "the library's volume is listed"; "chunks" => chunks, "unknown_files" => unknown,
            "ms" => u64::try_from(ledger.clock().mono().since(began).as_millis()).unwrap_or(u64::MAX));
        Ok(unknown)
    }

    /// Says so when it comes and goes.
    fn told(&self, done: Result<(), &Error>) {
        let before = self.status();
        let ok = done.is_ok();
        let why = done.err().map(ToString::to_string);
        let root = &before.root;
        match &why {
            None if !before.ok => info!(self.parts.log, "the library's volume is there"; "root" => root),
            Some(why) if before.ok || before.error.is_none() => {
                warn!(self.parts.log, "the library's volume is out of reach; chunks wait at home";
                    "root" => root, "error" => why);
            }
            _ => {}
        }
        self.parts.metrics.library_ok.set(i64::from(ok));
        self.publish(|status| {
            status.ok = ok;
            status.error.clone_from(&why);
        });
    }

    /// Plans and acts; whether there is more to do at once.
    fn round(&self) -> bool {
        let (ledger, away) = (&self.parts.ledger, &self.parts.away);
        let gate = ledger.gate();
        self.waits_for(Some(WRITES_WITHIN));
        self.publish(|status| status.gate = gate);
        let Ok(space) = away.space() else { return false };
        let short = ledger.limits().min_free_bytes.saturating_sub(space.free_bytes);
        if gate != Gate::Open && short == 0 {
            return false;
        }
        let (plan, devices) = ledger.plan(Wanted {
            on: Shelf::Away,
            limits: (gate == Gate::Open).then(|| ledger.limits().keep),
            free_bytes: short,
            takes_away: gate == Gate::Open && short == 0,
            away_is_there: true,
            most: MOST_PER_ROUND,
        });
        if plan.waits_for_pins {
            self.publish(|status| status.gate = Gate::Pins);
        }
        self.publish(|status| status.is_full = short > 0 && plan.actions.is_empty());
        let mut acted = false;
        for action in &plan.actions {
            let Some(device) = devices.get(action.device) else { continue };
            match self.act(device, action) {
                Ok(done) => acted |= done,
                Err(error) => {
                    let before = self.status();
                    if before.error.is_none() && error.kind != Kind::Unavailable {
                        warn!(self.parts.log, "chunk cannot be moved or deleted on the library's volume";
                            "device" => %device.index.device(), "chunk" => action.key.file_name(), "error" => %error);
                    }
                    self.publish(|status| status.error = Some(error.to_string()));
                    return false;
                }
            }
        }
        acted
    }

    fn act(&self, device: &KeptDevice, action: &Action) -> Result<bool> {
        match action.deed {
            Deed::MoveAway => self.bring(device, action),
            Deed::Delete(why) => {
                let _there = device.index.hold_on(Shelf::Away);
                let Some(claim) = Claim::take(&device.index, &action.key) else { return Ok(false) };
                if let Err(error) = library::remove(&self.parts.home, device.index.device(), &claim.entry) {
                    claim.give_back();
                    return Err(error);
                }
                match why {
                    Why::Expired => device.metrics.chunks_expired.inc(),
                    _ => device.metrics.chunks_evicted.inc(),
                };
                self.publish(|status| status.deleted += 1);
                Ok(true)
            }
            Deed::DropOriginal(_) => {
                let _there = device.index.hold_on(Shelf::Away);
                let Some(original) = device.index.remove_original(&action.key) else { return Ok(false) };
                library::remove_original(&self.parts.home, device.index.device(), &original)?;
                Ok(true)
            }
            Deed::Shelve => Ok(false),
        }
    }

    /// Copies one chunk, verifies the copy and lets the one at home go.
    fn bring(&self, device: &KeptDevice, action: &Action) -> Result<bool> {
        let (home, away) = (&self.parts.home, &self.parts.away);
        let Some(entry) = device.index.get(&action.key) else { return Ok(false) };
        let needed = entry.bytes.saturating_add(self.parts.ledger.limits().min_free_bytes);
        if away.space()?.free_bytes < needed && !self.make_room(&entry, needed)? {
            self.publish(|status| status.is_full = true);
            return Ok(false);
        }
        let name = action.key.file_name();
        self.publish(|status| status.copying = Some(format!("{} {name}", device.index.device())));
        let goes_on = || {
            // Between two pieces; a load that lasts gives the copy up.
            let ok = !self.ended.load(Ordering::Acquire) && self.parts.ledger.gate() == Gate::Open;
            self.waits_for(Some(WRITES_WITHIN));
            if ok { Ok(()) } else { Err(Error::new(Kind::Unavailable, "the machine is busy, or the daemon ends")) }
        };
        match transfer::bring_away(home, away, &device.index, action.key, &goes_on)? {
            Taken::Moved => {
                self.publish(|status| status.moved += 1);
                device.metrics.chunks_moved.inc();
                Ok(true)
            }
            Taken::Gone => Ok(false),
        }
    }

    /// Deletes the oldest there while it is older than what is to come; whether there is room then.
    fn make_room(&self, coming: &crate::storage::ChunkEntry, needed: u64) -> Result<bool> {
        let free = self.parts.away.space()?.free_bytes;
        let (plan, devices) = self.parts.ledger.plan(Wanted {
            on: Shelf::Away,
            limits: None,
            free_bytes: needed.saturating_sub(free),
            takes_away: false,
            away_is_there: true,
            most: MOST_PER_ROUND,
        });
        for action in &plan.actions {
            let Some(device) = devices.get(action.device) else { continue };
            if action.key.start_ms < coming.key.start_ms {
                self.act(device, action)?;
            }
        }
        Ok(self.parts.away.space()?.free_bytes >= needed)
    }
}

/// Ends when the keeper is dropped.
fn work(away: &Weak<Away>, queue: &Receiver<()>) {
    let mut listed = 0;
    while queue.recv().is_ok() {
        let Some(away) = away.upgrade() else { return };
        if catch_unwind(AssertUnwindSafe(|| away.run(&mut listed))).is_err() {
            error!(away.parts.log, "the library's thread panicked");
        }
    }
}

#[cfg(test)]
mod tests;
