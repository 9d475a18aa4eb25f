//! The one place that changes cameras and settings while the daemon runs: carries out orders one after another, on a thread
//! of its own. What was entered is durable before it takes effect, and taken back when it cannot.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use serde_json::json;
use slog::{Logger, error, warn};
use tokio::sync::{mpsc, oneshot};

use super::{
    Start,
    in_force::InForce,
    levers::Levers,
    reload::{self, differences},
    yard::{Done, Lists, Yard},
};
use crate::{
    config::Camera,
    device::Device,
    error::{Error, Kind, Result},
    events::{Events, Topic},
    ids::DeviceId,
    registry::{Change, Registry, Roster, Stored},
    supervisor::Supervisor,
    telemetry::KindLabel,
    web::{
        Tls,
        fleet::{Answer, Cameras, Listed, Order, Origin, Refused, Report},
    },
};

mod areas;

/// Orders that wait; one more is refused. People and programs give few.
const ORDERS_MAX: usize = 32;
/// Between two looks for cameras that are not known yet, or footage of those that left.
const TICK: Duration = Duration::from_secs(1);
/// Between two looks whether the database was read.
const LOOK: Duration = Duration::from_millis(50);
/// Looks after which incidents are taken up without the cameras of a database that cannot be read.
const PATIENCE_TICKS: u32 = 30;
/// Looks after which who is told by webhooks is what the file says.
const SILENCE_TICKS: u32 = 5;
/// Who takes back what could not be carried out.
const SELF: &str = "capstan";

/// Called once, when it is known which devices there are.
type Known = Box<dyn FnOnce(&[Arc<Device>]) + Send>;

/// The handle. Orders are given from any thread.
pub(super) struct Fleet {
    orders: mpsc::Sender<Ordered>,
    published: Arc<ArcSwap<Cameras>>,
    ending: Arc<AtomicBool>,
    waiting: Mutex<Option<(Desk, mpsc::Receiver<Ordered>)>>,
    pub lists: Arc<Lists>,
}

struct Ordered {
    order: Order,
    by: String,
    reply: oneshot::Sender<Result<Option<Report>>>,
}

impl Fleet {
    /// With the cameras of the file, which begin to record by [`Self::begin`].
    pub fn new(
        mut yard: Yard,
        registry: Arc<Registry>,
        events: Events,
        tls: Option<Tls>,
        levers: Levers,
    ) -> Result<Self> {
        let start = yard.shared.start.clone();
        let (orders, receiver) = mpsc::channel(ORDERS_MAX);
        let published = Arc::new(ArcSwap::default());
        let lists = yard.lists.clone();
        start.settings.camera.iter().for_each(|camera| yard.expect(camera));
        let mut desk = Desk {
            file: start.settings.camera.clone(),
            in_force: InForce::new(&start, levers)?,
            stored: Arc::default(),
            refused: BTreeMap::new(),
            published: published.clone(),
            log: start.log.clone(),
            start,
            yard,
            registry,
            events,
            tls,
            known: None,
            ticks: 0,
        };
        desk.thresholds();
        desk.publish();
        let waiting = Mutex::new(Some((desk, receiver)));
        Ok(Self { orders, published, ending: Arc::default(), waiting, lists })
    }

    /// Recording begins; the cameras of the database follow when it has been read. `known` is told of all that there are.
    pub fn begin(&self, supervisor: &Supervisor, known: Known) -> Result<()> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((mut desk, orders)) = waiting else { return Ok(()) };
        desk.yard.begin(supervisor)?;
        desk.known = Some(known);
        let failed = |error| Error::io("starting the thread that changes cameras", "fleet", error);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
        let ending = self.ending.clone();
        let run = move || runtime.block_on(serve(desk, orders, &ending));
        thread::Builder::new().name("fleet".into()).spawn(run).map(drop).map_err(failed)
    }

    /// No further order is begun.
    pub fn end(&self) {
        self.ending.store(true, Ordering::Release);
    }
}

impl crate::web::fleet::Fleet for Fleet {
    fn cameras(&self) -> Arc<Cameras> {
        self.published.load_full()
    }

    fn changes(&self) -> u64 {
        self.lists.changes.load(Ordering::Acquire)
    }

    fn order(&self, order: Order, by: &str) -> Result<Answer> {
        let (reply, answer) = oneshot::channel();
        let full = |_| Error::new(Kind::Unavailable, "too many changes of cameras wait");
        self.orders.try_send(Ordered { order, by: by.to_owned(), reply }).map_err(full)?;
        Ok(answer)
    }
}

async fn serve(mut desk: Desk, mut orders: mpsc::Receiver<Ordered>, ending: &AtomicBool) {
    let mut ticks = tokio::time::interval(TICK);
    let mut looks = tokio::time::interval(LOOK);
    for interval in [&mut ticks, &mut looks] {
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    }
    loop {
        let next = tokio::select! {
            next = orders.recv() => next,
            // The cleaner and who is to be told wait for it.
            _ = looks.tick(), if !desk.stored.is_known => {
                if desk.registry.roster().is_known {
                    guarded(&desk.log.clone(), desk.learn()).await;
                }
                continue;
            }
            _ = ticks.tick(), if !desk.is_at_rest() => {
                if ending.load(Ordering::Acquire) {
                    return;
                }
                guarded(&desk.log.clone(), desk.tick()).await;
                continue;
            }
        };
        let Some(Ordered { order, by, reply }) = next else { return };
        if ending.load(Ordering::Acquire) {
            return;
        }
        let outcome = guarded(&desk.log.clone(), desk.obey(order, &by)).await;
        let defect = || Err(Error::new(Kind::Internal, "a defect while changing cameras"));
        // Whoever asked may have gone away.
        let _ = reply.send(outcome.unwrap_or_else(defect));
    }
}

/// One order's defect must not end all others.
async fn guarded<T>(log: &Logger, work: impl Future<Output = T>) -> Option<T> {
    let done = AssertUnwindSafe(work).catch_unwind().await;
    if done.is_err() {
        error!(log, "changing cameras panicked");
    }
    done.ok()
}

struct Desk {
    start: Start,
    yard: Yard,
    registry: Arc<Registry>,
    events: Events,
    /// Its certificate is read again with the settings.
    tls: Option<Tls>,
    /// What the settings file says.
    file: Vec<Camera>,
    in_force: InForce,
    /// What the database says, as far as it was read.
    stored: Arc<Roster>,
    refused: BTreeMap<DeviceId, String>,
    published: Arc<ArcSwap<Cameras>>,
    known: Option<Known>,
    ticks: u32,
    log: Logger,
}

impl Desk {
    fn is_at_rest(&self) -> bool {
        self.stored.is_known && self.known.is_none() && !self.yard.is_settling()
    }

    async fn tick(&mut self) {
        self.ticks += 1;
        if !self.stored.is_known {
            self.learn().await;
        }
        if self.ticks >= SILENCE_TICKS {
            self.in_force.tell();
        }
        if self.stored.is_known || self.ticks >= PATIENCE_TICKS {
            self.tell_known();
        }
        self.yard.settle().await;
    }

    fn tell_known(&mut self) {
        if let Some(known) = self.known.take() {
            known(&self.yard.lists.running.load());
        }
    }

    /// Starts the cameras of the database as soon as it was read; a disk that takes no writes gives them too.
    async fn learn(&mut self) {
        let mut roster = self.registry.roster();
        if !roster.is_known {
            let Ok(read) = self.registry.read_roster().await else { return };
            // To be asked again when it can be written to.
            roster = Arc::new(Roster { is_known: false, ..read });
        }
        self.in_force.know(&roster.settings);
        if *roster == *self.stored {
            return;
        }
        let before = std::mem::replace(&mut self.stored, roster);
        let ids = ids(before.cameras.iter().chain(&self.stored.cameras).map(|stored| &stored.camera));
        for id in ids {
            if self.in_file(&id).is_some() {
                warn!(self.log, "a camera of the settings file hides the stored one"; "device" => %id);
            }
            // What is refused is told where it is.
            let _ = self.settle_one(&id).await;
        }
        self.thresholds();
        self.publish();
    }

    async fn obey(&mut self, order: Order, by: &str) -> Result<Option<Report>> {
        if order == Order::Reload {
            return self.reload().await.map(Some);
        }
        if !self.stored.is_known {
            self.learn().await;
        }
        if !self.stored.is_known {
            return Err(Error::new(Kind::Unavailable, "the database is being opened, or cannot be used"));
        }
        let done = match order {
            Order::Add(camera) => self.add(*camera, by).await,
            Order::Change(camera, revision) => self.change(*camera, revision, by).await,
            Order::Remove(id, revision) => {
                let before = self.mine(&id, revision)?;
                self.carry(vec![Change::Delete(id.clone())], vec![Change::Restore(Box::new(before))], &[id], by).await
            }
            Order::Enable(id, enabled) => {
                let camera = self.mine(&id, None)?.camera;
                self.change(Camera { enabled, ..camera }, None, by).await
            }
            Order::AddArea(name) => self.add_area(name, by).await,
            Order::RenameArea(from, to) => self.rename_area(&from, &to, by).await,
            Order::RemoveArea(name) => self.remove_area(name, by).await,
            Order::Settings(sections, revision) => {
                if revision.is_some_and(|revision| revision != self.in_force.revision()) {
                    return Err(stepped());
                }
                self.in_force.check(&sections)?;
                self.carry(
                    sections.into_iter().map(|section| Change::Setting(Box::new(section))).collect(),
                    Vec::new(),
                    &[],
                    by,
                )
                .await
            }
            Order::Reload => Ok(()),
        };
        done.map(|()| None)
    }

    async fn add(&mut self, camera: Camera, by: &str) -> Result<()> {
        let id = camera.id.clone();
        if self.in_file(&id).is_some() || self.stored.camera(&id).is_some() {
            return Err(Error::new(Kind::Conflict, "there is a camera of that id"));
        }
        self.yard.check_room(&camera)?;
        let (change, undo) = (Change::Put(Box::new(camera)), Change::Delete(id.clone()));
        self.carry(vec![change], vec![undo], &[id], by).await
    }

    async fn change(&mut self, camera: Camera, revision: Option<u64>, by: &str) -> Result<()> {
        let id = camera.id.clone();
        let before = self.mine(&id, revision)?;
        if before.camera == camera && !self.refused.contains_key(&id) {
            return Ok(());
        }
        self.yard.check_room(&camera)?;
        let undo = Change::Restore(Box::new(before));
        self.carry(vec![Change::Put(Box::new(camera))], vec![undo], &[id], by).await
    }

    /// One of the database, at that revision.
    fn mine(&self, id: &DeviceId, revision: Option<u64>) -> Result<Stored> {
        if self.in_file(id).is_some() {
            return Err(Error::new(
                Kind::Forbidden,
                "this camera is in the settings file: change it there, and reload",
            ));
        }
        let stored = self.stored.camera(id).ok_or_else(|| Error::new(Kind::NotFound, "there is no such camera"))?;
        if revision.is_some_and(|revision| revision != stored.revision) {
            return Err(stepped());
        }
        Ok(stored.clone())
    }

    /// Writes down, then carries out; when that fails, both are undone.
    async fn carry(&mut self, changes: Vec<Change>, undo: Vec<Change>, ids: &[DeviceId], by: &str) -> Result<()> {
        self.registry.enter(changes, by).await?;
        self.stored = self.registry.roster();
        self.in_force.know(&self.stored.settings);
        let mut failed = None;
        for id in ids {
            failed = failed.or(self.settle_one(id).await.err());
        }
        if let Some(error) = failed.take_if(|_| !undo.is_empty()) {
            if let Err(error) = self.registry.enter(undo, SELF).await {
                error!(self.log, "a change that failed stays written down"; "error" => %error);
            }
            self.stored = self.registry.roster();
            for id in ids {
                let _ = self.settle_one(id).await;
            }
            self.thresholds();
            self.publish();
            return Err(error);
        }
        self.thresholds();
        self.publish();
        Ok(())
    }

    /// Makes the device what file and database say it should be.
    async fn settle_one(&mut self, id: &DeviceId) -> Result<Done> {
        let wanted = self.in_file(id).or(self.stored.camera(id).map(|stored| &stored.camera)).cloned();
        let before = self.yard.cameras().find(|camera| camera.id == *id).map(|camera| camera.area.clone());
        let done = self.yard.put(id, wanted.as_ref()).await;
        match &done {
            Ok(_) => drop(self.refused.remove(id)),
            Err(error) => {
                warn!(self.log, "camera refused"; "device" => %id, "error" => %error);
                self.count("refused");
                self.refused.insert(id.clone(), error.message.clone());
            }
        }
        let (kind, event) = match done {
            Ok(Done::Added) => ("added", "camera_added"),
            Ok(Done::Changed) => ("changed", "camera_changed"),
            Ok(Done::Removed) => ("removed", "camera_removed"),
            Ok(Done::Nothing) | Err(_) => return done,
        };
        self.count(kind);
        let data = wanted.map(|it| json!({"name": it.display_name(), "area": it.area, "enabled": it.enabled}));
        // Where it was: whoever saw it there hears that it is gone.
        let data = data.unwrap_or_else(|| json!({"area": before.unwrap_or_default()}));
        self.events.publish(Topic::Device, event, Some(id), data);
        done
    }

    fn count(&self, kind: &'static str) {
        self.start.metrics.camera_changes.get_or_create_owned(&KindLabel { kind }).inc();
    }

    async fn reload(&mut self) -> Result<Report> {
        let fresh = reload::read(self.start.file.as_deref(), &self.log)?;
        let before = std::mem::replace(&mut self.file, fresh.camera.clone());
        let settings = self.in_force.read(&fresh);
        let needs_restart = differences(&self.start.settings, &fresh);
        let mut report = Report { settings, needs_restart, ..Report::default() };
        // First what makes room.
        let all = ids(before.iter().chain(&self.file));
        let (gone, stay): (Vec<_>, Vec<_>) = all.into_iter().partition(|id| self.in_file(id).is_none());
        for id in gone.into_iter().chain(stay) {
            match self.settle_one(&id).await {
                Ok(Done::Added) => report.added.push(id),
                Ok(Done::Changed) => report.changed.push(id),
                Ok(Done::Removed) => report.removed.push(id),
                Ok(Done::Nothing) => {}
                Err(error) => report.refused.push(Refused { device: id, message: error.message }),
            }
        }
        report.thresholds = self.thresholds();
        self.publish();
        reload::certificate(self.tls.as_ref(), &self.start.settings, &self.log);
        reload::tell(&report, &self.log);
        Ok(report)
    }

    /// Puts the thresholds in force; the devices for which that changes something.
    fn thresholds(&self) -> Vec<DeviceId> {
        let detect = &self.in_force.now.detect;
        let cameras = self.yard.cameras();
        let changed = cameras.filter(|camera| self.yard.shared.thresholds.set(&camera.id, detect.of(camera)));
        changed.map(|camera| camera.id.clone()).collect()
    }

    fn in_file(&self, id: &DeviceId) -> Option<&Camera> {
        self.file.iter().find(|camera| camera.id == *id)
    }

    fn publish(&mut self) {
        let file = self.file.iter().map(|camera| Listed {
            camera: Arc::new(camera.clone()),
            origin: Origin::File,
            revision: None,
            created: None,
            changed: None,
            shadows: self.stored.camera(&camera.id).is_some(),
            refused: self.refused.get(&camera.id).cloned(),
        });
        let stored = self.stored.cameras.iter().filter(|stored| self.in_file(&stored.camera.id).is_none());
        let stored = stored.map(|stored| Listed {
            camera: Arc::new(stored.camera.clone()),
            origin: Origin::Api,
            revision: Some(stored.revision),
            created: Some(stored.created),
            changed: Some(stored.changed),
            shadows: false,
            refused: self.refused.get(&stored.camera.id).cloned(),
        });
        let cameras: Vec<_> = file.chain(stored).collect();
        for (kind, origin) in [("file", Origin::File), ("api", Origin::Api)] {
            let count = cameras.iter().filter(|listed| listed.origin == origin).count();
            let gauge = self.start.metrics.cameras.get_or_create_owned(&KindLabel { kind });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.yard.sort(&cameras.iter().map(|listed| listed.camera.id.clone()).collect::<Vec<_>>());
        self.published.store(Arc::new(Cameras {
            cameras,
            areas: self.stored.areas.clone(),
            settings: self.in_force.now.clone(),
            file: self.in_force.file.clone(),
            changes: self.in_force.changes.clone(),
            settings_revision: self.in_force.revision(),
            receivers: self.in_force.receivers.clone(),
            is_known: self.stored.is_known,
        }));
        self.yard.lists.changes.fetch_add(1, Ordering::AcqRel);
    }
}

fn stepped() -> Error {
    Error::new(Kind::Changed, "it was changed meanwhile: look at it again")
}

fn ids<'a>(cameras: impl Iterator<Item = &'a Camera>) -> BTreeSet<DeviceId> {
    cameras.map(|camera| camera.id.clone()).collect()
}
