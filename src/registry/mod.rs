//! What people enter or decide, and incidents: one SQLite file in the archive, one thread that writes it, a few that read.
//!
//! Nothing of the recording waits for it: incidents are handed over without waiting and stay in RAM while the disk takes
//! none; whoever reads or edits waits on threads of this module, for a bounded time.

mod actor;
pub mod audit;
pub mod cameras;
pub mod incidents;
pub mod maintenance;
mod pending;
pub mod pins;
mod readers;
mod schema;
mod settings;
mod sqlite;
mod store;
pub mod transcode;
pub mod users;
pub mod viewers;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use rusqlite::Connection;
use serde::Serialize;
use serde_json::json;
use slog::{Logger, info};
use tokio::sync::oneshot;

use crate::{
    clock::{Clock, Mono, Utc90k},
    error::{Error, Kind, Result},
    events::{Events, Topic},
    ids::DeviceId,
    incident::{Book, Incident, told},
    storage::{Pin, Pins, Retention, Volume},
    telemetry::Metrics,
};

pub use actor::RegistryActor;
pub use cameras::{Change, Roster, Stored};
pub use incidents::{Cursor, Edit, Filter, Page};
pub use maintenance::{Maintenance, Upkeep};
use pending::Inbox;
use readers::Readers;
pub use settings::{Changed, changed};
pub use store::inspect;
use writer::Writer;

/// Who asks for an answer waits no longer; what was asked may still be done.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// At start the file is looked through before it is used, which takes a slow card seconds.
const OPENING_LIMIT: Duration = Duration::from_secs(30);
/// At the end: what is not written by then is lost with the RAM it waits in, which only a sick disk can cause.
const FINISH_LIMIT: Duration = Duration::from_secs(2);
/// And before it, for the questions that run.
const READ_LIMIT: Duration = Duration::from_millis(500);

/// What a registry is built on.
pub struct RegistryParts {
    pub volume: Arc<Volume>,
    /// By which incidents age.
    pub retention: Arc<Retention>,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub events: Events,
    pub log: Logger,
}

/// Whether the database can be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is looked through.
    #[default]
    Opening,
    Ready,
    /// The disk does not take it or give it now; tried again.
    Failing,
    /// Made by a newer Capstan: left alone until one comes back.
    Newer,
}

/// As published for `/api/host/state`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RegistryStatus {
    pub state: State,
    pub error: Option<String>,
    /// Incidents that wait to be written down.
    pub queue: usize,
    /// Those that were forgotten while the disk took none.
    pub dropped: u64,
    /// Of the database.
    pub bytes: u64,
    /// Since the start.
    pub written_bytes: u64,
    pub transactions: u64,
    /// RFC 3339.
    pub last_backup: Option<String>,
    /// Incidents that last, by kind; only kinds that have some.
    pub open: BTreeMap<&'static str, u64>,
}

/// What the threads share; outlives the actor.
struct Shared {
    parts: RegistryParts,
    inbox: Inbox,
    status: ArcSwap<RegistryStatus>,
    maintenance: ArcSwap<Maintenance>,
    /// None until the database was read.
    pins: ArcSwapOption<Pins>,
    roster: ArcSwap<Roster>,
    began: Mono,
    /// Counts files that took the place of a damaged one.
    replaced: AtomicU64,
    /// Connections that read. While there is one, what is closed would not be one file.
    readers: AtomicUsize,
    /// A reader met damage: the file is looked through before it is written to again.
    suspect: AtomicBool,
    /// Rises after each change of what readers are told.
    changes: AtomicU64,
}

impl Shared {
    /// While this stays, an open connection is one to the file that lies there.
    fn file(&self) -> (u64, u64) {
        (self.parts.volume.mounts(), self.replaced.load(Ordering::Acquire))
    }

    fn is_read(&self) -> bool {
        self.readers.load(Ordering::Acquire) > 0
    }

    fn replaced(&self) {
        self.replaced.fetch_add(1, Ordering::AcqRel);
    }

    /// What is told from now on may differ.
    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    fn publish(&self, pins: Pins) {
        self.parts.metrics.pins.set(i64::try_from(pins.list().len()).unwrap_or(i64::MAX));
        self.pins.store(Some(Arc::new(pins)));
        self.changed();
    }

    fn suspect(&self) {
        self.suspect.store(true, Ordering::Release);
        self.inbox.retry();
    }
}

/// The one handle. Threads end when it is dropped.
pub struct Registry {
    shared: Arc<Shared>,
    readers: Readers,
}

impl Registry {
    /// Opens in the background: [`Self::status`] tells when it is ready.
    pub fn start(parts: RegistryParts) -> Result<Arc<Self>> {
        let shared = Arc::new(Shared {
            began: parts.clock.mono(),
            inbox: Inbox::new(parts.metrics.clone()),
            parts,
            status: ArcSwap::default(),
            maintenance: ArcSwap::default(),
            pins: ArcSwapOption::empty(),
            roster: ArcSwap::default(),
            replaced: AtomicU64::new(0),
            readers: AtomicUsize::new(0),
            suspect: AtomicBool::new(false),
            changes: AtomicU64::new(0),
        });
        Writer::start(shared.clone())?;
        let readers = Readers::start(&shared)?;
        Ok(Arc::new(Self { shared, readers }))
    }

    pub fn status(&self) -> RegistryStatus {
        let status = RegistryStatus::clone(&self.shared.status.load());
        RegistryStatus { queue: self.shared.inbox.waiting(), dropped: self.shared.inbox.dropped(), ..status }
    }

    /// For the doctor: well or not, with what to tell.
    pub fn verdict(&self) -> std::result::Result<String, String> {
        let status = self.status();
        let why = status.error.unwrap_or_else(|| "does not answer".into());
        match status.state {
            State::Opening if self.shared.parts.clock.mono().since(self.shared.began) < OPENING_LIMIT => {
                Ok("is being opened".into())
            }
            State::Opening => Err("the disk has not given it yet".into()),
            State::Ready => Ok(format!("takes what it is told, {} wait", status.queue)),
            State::Failing => Err(format!("{why}; {} incidents wait in RAM", status.queue)),
            State::Newer => Err(why),
        }
    }

    /// Whether the device's incidents are not to be told at that moment. Costs nothing.
    pub fn in_maintenance(&self, device: &DeviceId, at: Utc90k) -> bool {
        self.shared.maintenance.load().covers(device, at)
    }

    /// [`Kind::Unavailable`] until the database was read.
    pub fn maintenance(&self) -> Result<Arc<Maintenance>> {
        let now = self.shared.maintenance.load_full();
        let unknown = || Error::new(Kind::Unavailable, "the database is being opened");
        now.is_known.then_some(now).ok_or_else(unknown)
    }

    /// Ranges that must stay, those included that have ended lately. None until the database was read: then nobody
    /// knows what must stay. Costs nothing.
    pub fn pins(&self) -> Option<Arc<Pins>> {
        self.shared.pins.load_full()
    }

    /// [`Kind::Conflict`] when there are too many. It is in force, and published, when this answers.
    pub async fn pin(&self, wish: pins::Wish, by: &str) -> Result<Pin> {
        let (now, by) = (self.shared.parts.clock.wall(), by.to_owned());
        let pin = self.write(move |connection| pins::add(connection, wish, &by, now)).await?;
        info!(self.shared.parts.log, "range pinned"; "pin" => pin.id, "device" => %pin.device, "by" => &pin.by,
            "from" => %pin.start, "to" => %pin.end, "until" => pin.until.map(Utc90k::rfc3339), "why" => &pin.why);
        Ok(pin)
    }

    /// False when there is none of that number.
    pub async fn unpin(&self, id: i64, by: &str) -> Result<bool> {
        let is_gone = self.write(move |connection| pins::remove(connection, id)).await?;
        if is_gone {
            info!(self.shared.parts.log, "range unpinned"; "pin" => id, "by" => by);
        }
        Ok(is_gone)
    }

    /// Until the database was looked through, or cannot be: call it on a thread that may wait.
    pub fn wait_opened(&self) {
        self.shared.inbox.wait_opened(OPENING_LIMIT);
    }

    /// Those that were not over when the daemon ended. Waits until the database is open: call it on a thread that may.
    pub fn open_incidents(&self) -> Result<Vec<Incident>> {
        self.wait_opened();
        // More than all devices can have.
        let filter = Filter { open: Some(true), limit: 1024, ..Filter::default() };
        let (sender, answer) = mpsc::sync_channel(1);
        let waiting = self.shared.inbox.incidents();
        self.readers.ask(
            move |connection| incidents::list(connection, &filter, &waiting),
            // Whoever asked may have given up.
            move |page| drop(sender.try_send(page)),
        )?;
        answer.recv_timeout(ANSWER_LIMIT).map_err(|_| late())?.map(|page| page.incidents)
    }

    /// Newest first.
    pub async fn incidents(&self, filter: Filter) -> Result<Page> {
        // Before the database is asked: what is written meanwhile is then told twice, and once in the page.
        let waiting = self.shared.inbox.incidents();
        self.read(move |connection| incidents::list(connection, &filter, &waiting)).await
    }

    pub async fn incident(&self, id: String) -> Result<Option<Incident>> {
        let waiting = self.shared.inbox.incident(&id);
        self.read(move |connection| incidents::one(connection, &id, waiting.as_ref())).await
    }

    /// What people said of these. Those that are not there are left out of the answer.
    pub async fn edit(&self, ids: Vec<String>, edit: Edit, by: impl Into<String>) -> Result<Vec<Incident>> {
        self.edit_within(ids, edit, by, None).await
    }

    /// The same; those of other devices than `only` are left out as if they were not there.
    pub async fn edit_within(
        &self,
        mut ids: Vec<String>,
        edit: Edit,
        by: impl Into<String>,
        only: Option<Vec<DeviceId>>,
    ) -> Result<Vec<Incident>> {
        let (at, by) = (self.shared.parts.clock.wall(), by.into());
        let changed = self
            .write(move |connection| {
                if let Some(only) = only {
                    let mut within = Vec::with_capacity(ids.len());
                    for id in ids {
                        let found = incidents::get(connection, &id)?;
                        within.extend(found.filter(|it| only.contains(&it.device)).map(|_| id));
                    }
                    ids = within;
                }
                incidents::edit(connection, &ids, &edit, &by, at)
            })
            .await?;
        for incident in &changed {
            self.tell("incident_changed", incident);
        }
        Ok(changed)
    }

    /// From now until then the device's incidents are not told; those that last end now, and whoever watches them tells.
    pub async fn maintain(
        &self,
        device: DeviceId,
        until: Utc90k,
        why: String,
        by: impl Into<String>,
    ) -> Result<Upkeep> {
        let by = by.into();
        let (from, named) = (self.shared.parts.clock.wall(), device.clone());
        let upkeep = Upkeep { device, from, until, why };
        let kept = upkeep.clone();
        self.write(move |connection| maintenance::begin(connection, &kept, &by)).await?;
        let now = self.shared.maintenance.load();
        // A second beginning keeps the first one's start.
        Ok(now.of(&named, from).cloned().unwrap_or(upkeep))
    }

    /// False when the device was in none.
    pub async fn end_maintenance(&self, device: DeviceId) -> Result<bool> {
        self.write(move |connection| maintenance::end(connection, &device)).await
    }

    /// Incidents that were let go of since the last call, so that their evidence can be deleted.
    pub fn expired(&self) -> Vec<Incident> {
        self.shared.inbox.take_expired()
    }

    /// While this stays, so do the answers to all questions but who watches. Costs nothing.
    pub fn changes(&self) -> u64 {
        self.shared.changes.load(Ordering::Acquire)
    }

    /// Asks the thread to try again what the disk refused.
    pub fn retry(&self) {
        self.shared.inbox.retry();
    }

    /// Asks the thread to let old incidents go and to make a backup, as far as these are due.
    pub fn tidy(&self) {
        self.shared.inbox.tidy();
    }

    /// On an orderly stop: writes down what waits. Takes two and a half seconds at most.
    pub fn finish(&self) {
        self.readers.end(&self.shared, READ_LIMIT);
        self.shared.inbox.finish(FINISH_LIMIT);
    }

    /// On a reading connection.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, answer) = oneshot::channel();
        self.readers.ask(work, move |outcome| drop(sender.send(outcome)))?;
        within_limit(answer).await
    }

    /// On the one writing connection, inside a transaction that is durable before this answers.
    ///
    /// [`Kind::Unavailable`]: too much waits, or the disk does not take it; [`Kind::Full`]: there is no space.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, answer) = oneshot::channel();
        // Whoever asked may have gone away.
        self.shared.inbox.ask(work, move |outcome| drop(sender.send(outcome)))?;
        within_limit(answer).await
    }

    /// The same for a thread that may wait.
    pub fn write_now<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, answer) = mpsc::sync_channel(1);
        self.shared.inbox.ask(work, move |outcome| drop(sender.try_send(outcome)))?;
        answer.recv_timeout(ANSWER_LIMIT).map_err(|_| late())?
    }

    /// Of transcoding, when the database is ready. For a thread that may wait.
    pub fn transcoding(&self) -> Result<transcode::Known> {
        if self.shared.status.load().state != State::Ready {
            return Err(Error::new(Kind::Unavailable, "the database is not ready"));
        }
        let (sender, answer) = mpsc::sync_channel(1);
        self.readers.ask(transcode::load, move |found| drop(sender.try_send(found)))?;
        answer.recv_timeout(ANSWER_LIMIT).map_err(|_| late())?
    }

    /// Like [`Self::write`] for what nobody waits for: refused, it is not done.
    pub fn post(&self, work: impl FnOnce(&Connection) -> Result<()> + Send + 'static) -> Result<()> {
        self.shared.inbox.ask(work, drop)
    }

    fn tell(&self, kind: &'static str, incident: &Incident) {
        let now = self.shared.parts.clock.wall();
        let device = Some(&incident.device);
        self.shared.parts.events.publish(Topic::Incident, kind, device, json!({"incident": told(incident, now)}));
    }
}

impl Book for Registry {
    fn save(&self, incident: &Incident) {
        let now = self.shared.parts.clock.wall();
        if !self.shared.maintenance.load().hides(incident, now) {
            self.shared.inbox.save(incident);
            self.shared.changed();
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.shared.inbox.end();
    }
}

fn late() -> Error {
    Error::new(Kind::Unavailable, "the database does not answer")
}

async fn within_limit<T>(answer: oneshot::Receiver<Result<T>>) -> Result<T> {
    match tokio::time::timeout(ANSWER_LIMIT, answer).await {
        Ok(Ok(outcome)) => outcome,
        // The thread dropped it: a defect, or the end of the daemon.
        Ok(Err(_)) => Err(Error::new(Kind::Unavailable, "the database gave no answer")),
        Err(_) => {
            let seconds = ANSWER_LIMIT.as_secs();
            Err(Error::new(Kind::Unavailable, format!("the disk has not answered for {seconds} s")))
        }
    }
}
