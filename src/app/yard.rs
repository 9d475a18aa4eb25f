//! The devices of a host as they come and go: starts, replaces and removes one without touching the others, and tells
//! everybody who holds a list of them.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use serde_json::{Map, Value, json};
use slog::{info, warn};

use super::building::Shared;
use crate::{
    archive::CaptureSources,
    capture::Watcher,
    config::{CAMERAS_MAX, Camera, ENABLED_MAX},
    device::{self, Device, Doorbell},
    error::{Error, Kind, Result},
    ids::DeviceId,
    keep::KeptDevice,
    merge::merger_actor::{CommitNow, conclude},
    storage::{DeviceIndex, HotLimits, tmpfs},
    supervisor::{Sums, Supervisor},
    telemetry::{LossReason, Metrics},
    web::{DeviceStatus, WebDevice, facts, tail::Tail},
};

/// Whoever asked for a commit waits no longer than this; the commit goes on.
const COMMIT_LIMIT: Duration = Duration::from_secs(2);

/// Who runs, as those know it who hold a list. Each is replaced as a whole.
#[derive(Default)]
pub(super) struct Lists {
    pub running: ArcSwap<Vec<Arc<Device>>>,
    pub web: Arc<ArcSwap<Vec<Arc<WebDevice>>>>,
    /// Those and the ones whose camera is gone: their footage is kept and expires like all other.
    pub kept: Arc<ArcSwap<Vec<KeptDevice>>>,
    pub captures: Arc<CaptureSources>,
    pub quotas_bytes: Arc<AtomicU64>,
    /// Rises after each change of these lists, and of what is configured.
    pub changes: AtomicU64,
    keeping: Mutex<()>,
}

impl Lists {
    /// The one index of a device's footage, whoever asks first: its camera, or the look through the archive that found
    /// its folder.
    pub fn index(&self, id: &DeviceId, metrics: &Metrics) -> Arc<DeviceIndex> {
        let _turn = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.kept.load_full();
        if let Some(kept) = known.iter().find(|it| it.index.device() == id) {
            return kept.index.clone();
        }
        let index = Arc::new(DeviceIndex::new(id.clone()));
        let new = KeptDevice { index: index.clone(), metrics: metrics.device(id) };
        self.kept.store(Arc::new(known.iter().cloned().chain([new]).collect()));
        index
    }

    /// What the history of the host is made of. Whoever is asked holds no list.
    pub fn sums(&self, metrics: &Arc<Metrics>) -> Arc<dyn Fn() -> Sums + Send + Sync> {
        let (devices, metrics) = (self.web.clone(), metrics.clone());
        Arc::new(move || {
            let devices = devices.load();
            let lost = |device: &WebDevice| LossReason::ALL.map(|reason| device.metrics.lost(reason).get());
            Sums {
                written_bytes: metrics.total_written_bytes(),
                media_bytes: metrics.total_media_bytes(),
                writes: metrics.total_writes(),
                lost_seconds: devices.iter().flat_map(|device| lost(device)).sum(),
                hot_bytes: devices.iter().map(|device| device.metrics.hot_bytes.get().max(0).unsigned_abs()).sum(),
            }
        })
    }

    fn keep(&self, device: &Device) {
        let _turn = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = KeptDevice { index: device.index.clone(), metrics: device.metrics.clone() };
        let others = self.kept.load_full();
        let others = others.iter().filter(|it| *it.index.device() != device.id).cloned();
        self.kept.store(Arc::new(std::iter::once(kept).chain(others).collect()));
    }
}

/// One device that is configured.
struct Member {
    device: Arc<Device>,
    /// As people know it; the device knows what it records by.
    camera: Arc<Camera>,
    /// Its own among all.
    place: usize,
    web: Arc<WebDevice>,
}

/// What [`Yard::put`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Nothing,
    Added,
    Changed,
    Removed,
}

pub(super) struct Yard {
    pub shared: Shared,
    pub lists: Arc<Lists>,
    watcher: Watcher,
    supervisor: Option<Supervisor>,
    members: Vec<Member>,
    /// Those that are gone or off, and what they left in hot is not on the disk yet.
    leaving: Vec<Arc<Device>>,
}

impl Yard {
    pub fn new(shared: Shared, lists: Arc<Lists>, watcher: Watcher) -> Self {
        Self { shared, lists, watcher, supervisor: None, members: Vec::new(), leaving: Vec::new() }
    }

    /// A camera of the start: made, and not started yet.
    pub fn expect(&mut self, camera: &Camera) {
        let place = self.free_place();
        let index = self.lists.index(&camera.id, &self.shared.start.metrics);
        let device = self.shared.device(camera, place, index);
        self.lists.keep(&device);
        self.enlist(device, Arc::new(camera.clone()), place);
        self.publish();
    }

    /// Recording begins with those that are expected.
    pub fn begin(&mut self, supervisor: &Supervisor) -> Result<()> {
        self.supervisor = Some(supervisor.clone());
        self.members.iter().try_for_each(|member| self.start(&member.device))
    }

    pub fn camera(&self, id: &DeviceId) -> Option<&Arc<Camera>> {
        self.members.iter().find(|member| member.device.id == *id).map(|member| &member.camera)
    }

    pub fn cameras(&self) -> impl Iterator<Item = &Arc<Camera>> {
        self.members.iter().map(|member| &member.camera)
    }

    /// In that order from now on; those that are not named come last.
    pub fn sort(&mut self, order: &[DeviceId]) {
        let place = |member: &Member| order.iter().position(|id| *id == member.device.id).unwrap_or(usize::MAX);
        if !self.members.is_sorted_by_key(place) {
            self.members.sort_by_key(place);
            self.publish();
        }
    }

    /// Whether there is room for this one beside the others, or in the place of its former self.
    pub fn check_room(&self, camera: &Camera) -> Result<()> {
        let others = || self.cameras().filter(|other| other.id != camera.id);
        if others().count() >= CAMERAS_MAX {
            return Err(Error::new(Kind::Conflict, format!("there are {CAMERAS_MAX} cameras, which is the most")));
        }
        if !camera.enabled || self.camera(&camera.id).is_some_and(|before| before.enabled) {
            return Ok(());
        }
        if others().filter(|other| other.enabled).count() >= ENABLED_MAX {
            let message = format!("{ENABLED_MAX} cameras run, which is the most: disable one first");
            return Err(Error::new(Kind::Conflict, message));
        }
        let settings = &self.shared.start.settings;
        let quotas = facts::quota_bytes_of(others().map(|other| &**other).chain([camera]), settings);
        // Refused, not invalid: the request is in order, the host is too small for it.
        tmpfs::look(&settings.storage.hot, quotas).map(drop).map_err(|error| Error::new(Kind::Conflict, error.message))
    }

    /// Makes the device what it should be; None: it should not be. An error leaves what ran before running.
    pub async fn put(&mut self, id: &DeviceId, wanted: Option<&Camera>) -> Result<Done> {
        let at = self.members.iter().position(|member| member.device.id == *id);
        let done = match (at, wanted) {
            (None, None) => Done::Nothing,
            (None, Some(camera)) => {
                self.add(camera)?;
                Done::Added
            }
            (Some(at), None) => {
                self.remove(at).await?;
                Done::Removed
            }
            (Some(at), Some(camera)) => self.change(at, camera).await?,
        };
        if done != Done::Nothing {
            self.publish();
        }
        Ok(done)
    }

    fn add(&mut self, camera: &Camera) -> Result<()> {
        self.check_room(camera)?;
        let place = self.free_place();
        let left = self.leaving.iter().position(|device| device.id == camera.id);
        let device = match left.map(|at| self.leaving.remove(at)) {
            // Its last footage is still on its way: it goes on where it was.
            Some(before) => self.shared.again(&before, camera),
            None => {
                let index = self.lists.index(&camera.id, &self.shared.start.metrics);
                self.shared.device(camera, place, index)
            }
        };
        if let Err(error) = self.start(&device) {
            self.watcher.remove(&device.id);
            self.shared.start.metrics.forget_device(&device.id);
            return Err(error);
        }
        info!(device.log, "camera added"; "enabled" => camera.enabled, "source" => camera.source.kind());
        self.lists.keep(&device);
        self.enlist(device, Arc::new(camera.clone()), place);
        Ok(())
    }

    async fn change(&mut self, at: usize, camera: &Camera) -> Result<Done> {
        let Some(member) = self.members.get(at).filter(|member| *member.camera != *camera) else {
            return Ok(Done::Nothing);
        };
        let (before, place) = (member.device.clone(), member.place);
        let device = if member.camera.records_like(camera) {
            before.hot.set_limits(HotLimits::of(&self.shared.start.settings, camera));
            before
        } else {
            self.check_room(camera)?;
            self.restart(&before, camera).await?
        };
        self.members.remove(at);
        self.enlist(device, Arc::new(camera.clone()), place);
        // In its place among the others.
        if let Some(member) = self.members.pop() {
            self.members.insert(at, member);
        }
        Ok(Done::Changed)
    }

    /// Ends the tree in the order of the data and starts its successor on what it left.
    async fn restart(&mut self, before: &Arc<Device>, camera: &Camera) -> Result<Arc<Device>> {
        // Whoever concludes takes the merging away from the actor.
        self.leaving.retain(|leaving| leaving.id != before.id);
        self.end_tree(&before.id).await?;
        let device = self.shared.again(before, camera);
        if let Err(error) = self.start(&device) {
            warn!(before.log, "camera cannot be changed, the former goes on"; "error" => %error);
            before.hot.set_limits(HotLimits::of(&self.shared.start.settings, &before.camera));
            self.start(before)?;
            return Err(error);
        }
        if !camera.enabled {
            device.tracker.retire();
            self.leaving.push(device.clone());
            self.settle().await;
        }
        info!(device.log, "camera changed"; "enabled" => camera.enabled, "source" => camera.source.kind());
        Ok(device)
    }

    async fn remove(&mut self, at: usize) -> Result<()> {
        let Some(id) = self.members.get(at).map(|member| member.device.id.clone()) else { return Ok(()) };
        self.end_tree(&id).await?;
        let device = self.members.remove(at).device;
        self.watcher.remove(&device.id);
        device.tracker.retire();
        info!(device.log, "camera removed");
        self.leaving.retain(|leaving| leaving.id != device.id);
        self.leaving.push(device);
        self.settle().await;
        Ok(())
    }

    fn start(&self, device: &Arc<Device>) -> Result<()> {
        let ending = || Error::new(Kind::Unavailable, "the daemon is not up, or about to end");
        let supervisor = self.supervisor.as_ref().ok_or_else(ending)?;
        device.hot.prepare()?;
        self.watcher.add(&device.capture.hot_layout, device.hot.clone(), Doorbell::new(device.clone()))?;
        supervisor.add(device::spec(device))
    }

    async fn end_tree(&self, id: &DeviceId) -> Result<()> {
        let Some(supervisor) = &self.supervisor else { return Ok(()) };
        match supervisor.remove(&format!("device/{id}")).await {
            // It ended by itself, or was never started.
            Err(error) if error.kind != Kind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether something of those that left waits for its commit.
    pub fn is_settling(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// Brings the last footage of those that left to the disk, seals it and gives their room in hot back.
    pub async fn settle(&mut self) {
        let mut still = Vec::new();
        for device in std::mem::take(&mut self.leaving) {
            let stays = self.members.iter().any(|member| member.device.id == device.id);
            let concluded = conclude(&device.merge).await;
            if let Err(error) = &concluded {
                warn!(device.log, "last footage waits in hot"; "error" => %error);
            }
            if concluded.is_err() || !device.hot.clear(stays) {
                still.push(device);
            } else if !stays {
                self.shared.thresholds.forget(&device.id);
                self.shared.start.metrics.forget_device(&device.id);
            }
        }
        self.leaving = still;
    }

    /// The lowest that nobody has.
    fn free_place(&self) -> usize {
        let is_free = |place: &usize| self.members.iter().all(|member| member.place != *place);
        (0..).find(is_free).unwrap_or_default()
    }

    fn enlist(&mut self, device: Arc<Device>, camera: Arc<Camera>, place: usize) {
        let web = Arc::new(web_device(&device, &camera));
        self.members.push(Member { device, camera, place, web });
    }

    fn publish(&self) {
        let all = || self.members.iter();
        self.lists.running.store(Arc::new(all().map(|member| member.device.clone()).collect()));
        self.lists.web.store(Arc::new(all().map(|member| member.web.clone()).collect()));
        let captures = all().map(|member| (member.device.hot.clone(), member.device.metrics.clone()));
        self.lists.captures.store(Arc::new(captures.collect()));
        let settings = &self.shared.start.settings;
        let quotas = facts::quota_bytes_of(self.cameras().map(|camera| &**camera), settings);
        self.lists.quotas_bytes.store(quotas, Ordering::Relaxed);
        self.shared.cleaner.set_hot_quotas(quotas);
        self.lists.changes.fetch_add(1, Ordering::AcqRel);
    }
}

fn web_device(device: &Arc<Device>, camera: &Arc<Camera>) -> WebDevice {
    let (told, shown, committed) = (device.clone(), device.clone(), device.clone());
    WebDevice {
        id: device.id.clone(),
        camera: camera.clone(),
        hot: device.hot.clone(),
        index: device.index.clone(),
        siblings: device.siblings.clone(),
        metrics: device.metrics.clone(),
        latest: device.latest.clone(),
        status: Arc::new(move || {
            let status = told.status.load();
            DeviceStatus {
                status: status.state.name(),
                since: Some(status.since),
                kind: status.kind,
                reason: status.reason.clone(),
            }
        }),
        recorder: Arc::new(move || recorder(&shown)),
        tail: Tail::new(
            device.clock.clone(),
            Arc::new(move || {
                let device = committed.clone();
                Box::pin(async move {
                    let sent = device.merger.send(CommitNow, COMMIT_LIMIT).await;
                    sent.unwrap_or_else(|error| Err(Error::new(Kind::Unavailable, format!("no commit now: {error}"))))
                })
            }),
        ),
    }
}

fn recorder(device: &Device) -> Map<String, Value> {
    let mut told = match json!(**device.capture_status.load()) {
        Value::Object(told) => told,
        _ => Map::new(),
    };
    told.insert("merge".into(), json!(*device.merge.cell.status()));
    told
}
