//! Everything one host runs, built once from the settings: devices, the threads they share, the singletons.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock, atomic::AtomicBool},
    thread,
    time::Duration,
};

use arc_swap::ArcSwap;
use serde_json::{Map, Value, json};
use slog::{Logger, info, o, warn};

use super::Start;
use crate::{
    archive::Arrived,
    capture::{Capabilities, CaptureParts, CaptureStatus, ProcessCell, Spawner, WatchActor, Watcher},
    config::Camera,
    device::{self, Device},
    error::{Error, Kind, Result},
    keep::{Cleaner, CleanerActor, CleanerParts, CleanerStatus, KeptDevice, LoadReading},
    limits::WorkGroup,
    merge::{
        cell::MergeCell,
        committer::Committer,
        epoch::EpochSource,
        merger_actor::{CommitNow, MergerParts, SegmentArrived},
    },
    playback::{ClipCache, TableCache},
    storage::{DeviceIndex, HotDevice, HotLayout, HotLimits, Retention, Volume, inventory},
    supervisor::{ChildSpec, Load, LoadActor, Slot, Supervisor},
    web::{DeviceStatus, HotCache, Stills, WebDevice, WebState, encodes::Encodes, facts, reader::Readers},
};

/// Jobs that may wait for the commit thread: one commit and one reservation of run numbers for each device.
const COMMIT_JOBS_PER_DEVICE: usize = 2;

/// Whoever asked for a commit waits no longer than this; the commit goes on.
const COMMIT_LIMIT: Duration = Duration::from_secs(2);

pub(super) struct Host {
    start: Start,
    pub volume: Arc<Volume>,
    pub devices: Vec<Arc<Device>>,
    /// Footage in the archive whose camera is no longer configured: kept, listed and expired like all other.
    kept: Arc<ArcSwap<Vec<KeptDevice>>>,
    load: Arc<ArcSwap<Load>>,
    cleaner: Arc<Cleaner>,
    watcher: Watcher,
    spawner: Spawner,
}

impl Host {
    pub fn build(start: &Start, volume: Arc<Volume>, children: WorkGroup) -> Result<Self> {
        let settings = &start.settings;
        let committer =
            Committer::start("commit", settings.camera.len().max(1) * COMMIT_JOBS_PER_DEVICE, start.log.clone())?;
        let spawner = Spawner::start(children)?;
        let capabilities = Arc::new(Capabilities::new(settings.clone(), &start.log));
        let load = Arc::new(ArcSwap::from_pointee(Load::default()));
        let kept = Arc::new(ArcSwap::from_pointee(Vec::new()));
        let retention = Retention::load(&volume, start.clock.clone());
        let cleaner = Cleaner::start(CleanerParts {
            volume: volume.clone(),
            retention: retention.clone(),
            devices: kept.clone(),
            limits: settings.as_ref().into(),
            hot: settings.storage.hot.clone(),
            hot_quotas_bytes: facts::quota_bytes(settings),
            load: load_reading(&load),
            clock: start.clock.clone(),
            metrics: start.metrics.clone(),
            log: start.log.clone(),
        })?;
        let (spawner_of_devices, cleaner_of_devices) = (spawner.clone(), cleaner.clone());
        let shared = Shared {
            start,
            volume: &volume,
            retention,
            committer,
            spawner: spawner_of_devices,
            capabilities,
            cleaner: cleaner_of_devices,
        };
        let mut devices = Vec::with_capacity(settings.camera.len());
        for place in 0..settings.camera.len() {
            devices.extend(shared.device(place)?);
        }
        kept.store(Arc::new(devices.iter().map(|device| kept_device(device)).collect()));
        let watcher = Watcher::start(&start.log, start.metrics.inotify_overflows.clone())?;
        Ok(Self { start: start.clone(), volume, devices, kept, load, cleaner, watcher, spawner })
    }

    /// Recording begins; the index fills meanwhile.
    pub fn start(&self, supervisor: &Supervisor) -> Result<()> {
        for device in &self.devices {
            device.hot.prepare()?;
            self.watch(device)?;
            supervisor.add(device::spec(device))?;
        }
        let watcher = self.watcher.clone();
        supervisor.add(ChildSpec::new("watcher", &Slot::new(), move |_| WatchActor::new(watcher.clone())))?;
        let (load, metrics) = (self.load.clone(), self.start.metrics.clone());
        supervisor.add(ChildSpec::new("load", &Slot::new(), move |_| LoadActor::new(load.clone(), metrics.clone())))?;
        self.scan_archive(supervisor.clone())
    }

    fn watch(&self, device: &Arc<Device>) -> Result<()> {
        let wake = device.clone();
        // Refused wake-ups are no loss: both actors look for themselves each second.
        self.watcher.add(&device.capture.hot_layout, device.hot.clone(), move || {
            let _ = wake.archiver.try_send(Arrived);
            let _ = wake.merger.try_send(SegmentArrived);
        })
    }

    /// On a thread of its own: a month of chunks takes seconds to look through, a sick disk longer. The cleaner starts
    /// after it, because what is not in the index cannot be weighed against the rest.
    fn scan_archive(&self, supervisor: Supervisor) -> Result<()> {
        let (volume, kept) = (self.volume.clone(), self.kept.clone());
        let (start, cleaner) = (self.start.clone(), self.cleaner.clone());
        let devices: HashMap<_, _> = self.devices.iter().map(|device| (device.id.clone(), device.clone())).collect();
        let scan = move || {
            let began = start.clock.mono();
            let mut orphans = Vec::new();
            for id in inventory::devices(&volume).unwrap_or_else(|error| {
                warn!(start.log, "archive cannot be listed"; "error" => %error);
                Vec::new()
            }) {
                match devices.get(&id) {
                    Some(device) => fill(&device.index, &volume, &device.log),
                    None => {
                        let index = Arc::new(DeviceIndex::new(id.clone()));
                        fill(&index, &volume, &start.log.new(o!("device" => id.to_string())));
                        orphans.push(KeptDevice { index, metrics: start.metrics.device(&id) });
                    }
                }
            }
            let known = kept.load_full();
            kept.store(Arc::new(known.iter().cloned().chain(orphans).collect()));
            let chunks: usize = kept.load().iter().map(|kept| kept.index.snapshot().len()).sum();
            info!(start.log, "archive indexed"; "chunks" => chunks,
                "ms" => u64::try_from(start.clock.mono().since(began).as_millis()).unwrap_or(u64::MAX));
            let clock = start.clock.clone();
            let spec =
                ChildSpec::new("cleaner", &Slot::new(), move |_| CleanerActor::new(cleaner.clone(), clock.clone()));
            if let Err(error) = supervisor.add(spec) {
                warn!(start.log, "cleaner cannot start"; "error" => %error);
            }
        };
        let spawned = thread::Builder::new().name("index".into()).spawn(scan);
        spawned.map(|_| ()).map_err(|error| Error::io("starting the index thread", "", error))
    }

    pub fn web_state(&self, supervisor: &Supervisor, ready: &Arc<AtomicBool>) -> Result<WebState> {
        let devices = self.devices.iter().map(|device| Arc::new(web_device(device))).collect();
        let ffmpeg = self.start.settings.ffmpeg.path.clone();
        let version = OnceLock::new();
        let (settings, clock) = (self.start.settings.clone(), self.start.clock.clone());
        let readers = Readers::start().map_err(|error| Error::io("starting the reader threads", "", error))?;
        let encodes = Encodes::new(self.spawner.clone(), readers.clone(), settings, clock);
        Ok(WebState {
            settings: self.start.settings.clone(),
            clock: self.start.clock.clone(),
            metrics: self.start.metrics.clone(),
            devices: Arc::new(ArcSwap::from_pointee(devices)),
            volume: self.volume.clone(),
            board: supervisor.board().clone(),
            ready: ready.clone(),
            // Once: a check that starts a process every few seconds would be a load of its own.
            ffmpeg: Arc::new(move || version.get_or_init(|| facts::ffmpeg_version(&ffmpeg)).clone()),
            load: self.load.clone(),
            cleaner: self.cleaner_status(),
            readers,
            encodes,
            hot_cache: HotCache::default(),
            stills: Stills::new(self.spawner.clone()),
            tables: TableCache::default(),
            clips: ClipCache::default(),
        })
    }

    fn cleaner_status(&self) -> Arc<dyn Fn() -> Arc<CleanerStatus> + Send + Sync> {
        let cleaner = self.cleaner.clone();
        Arc::new(move || cleaner.status())
    }

    /// After the actors: what they left behind.
    pub fn finish(&self, log: &Logger) {
        if let Err(error) = self.cleaner.finish() {
            warn!(log, "retention clock not written down"; "error" => %error);
        }
    }
}

fn load_reading(load: &Arc<ArcSwap<Load>>) -> Arc<dyn Fn() -> LoadReading + Send + Sync> {
    let load = load.clone();
    Arc::new(move || {
        let now = load.load();
        LoadReading { cpu_percent: now.cpu_percent, io_wait_percent: now.io_wait_percent }
    })
}

/// Puts what lies on the disk into the index. What a commit publishes meanwhile is newer and stays.
fn fill(index: &DeviceIndex, volume: &Volume, log: &Logger) {
    match inventory::load(volume, index) {
        Ok(scanned) => {
            for strange in &scanned.set_aside {
                warn!(log, "file is not a chunk, left alone"; "path" => strange.path.display().to_string(),
                    "why" => &strange.why);
            }
        }
        Err(error) => warn!(log, "archive of the device cannot be listed"; "error" => %error),
    }
}

fn kept_device(device: &Device) -> KeptDevice {
    KeptDevice { index: device.index.clone(), metrics: device.metrics.clone() }
}

fn web_device(device: &Arc<Device>) -> WebDevice {
    let (told, committed) = (device.clone(), device.clone());
    WebDevice {
        id: device.id.clone(),
        camera: device.camera.clone(),
        hot: device.hot.clone(),
        index: device.index.clone(),
        metrics: device.metrics.clone(),
        status: Arc::new(move || {
            let status = told.status.load();
            DeviceStatus {
                status: status.state.name(),
                since: Some(status.since),
                reason: status.reason.clone(),
                recorder: recorder(&told),
            }
        }),
        commit: Arc::new(move || {
            let device = committed.clone();
            Box::pin(async move {
                let sent = device.merger.send(CommitNow, COMMIT_LIMIT).await;
                sent.unwrap_or_else(|error| Err(Error::new(Kind::Unavailable, format!("no commit now: {error}"))))
            })
        }),
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

/// What all devices of a host are built on.
struct Shared<'a> {
    start: &'a Start,
    volume: &'a Arc<Volume>,
    retention: Arc<Retention>,
    committer: Committer,
    spawner: Spawner,
    capabilities: Arc<Capabilities>,
    cleaner: Arc<Cleaner>,
}

impl Shared<'_> {
    fn device(&self, place: usize) -> Result<Option<Arc<Device>>> {
        let Start { settings, clock, metrics, log } = self.start;
        let Some(camera) = settings.camera.get(place) else { return Ok(None) };
        let id = camera.id.clone();
        let metrics = metrics.device(&id);
        let log = log.new(o!("device" => id.to_string()));
        let hot_layout = HotLayout::new(&settings.storage.hot);
        let limits = HotLimits::of(settings, camera);
        let hot = HotDevice::new(id.clone(), hot_layout.clone(), limits, clock.clone(), metrics.clone());
        let (hot, index) = (Arc::new(hot), Arc::new(DeviceIndex::new(id.clone())));
        let camera = Arc::new(Camera::clone(camera));
        let capture_status = Arc::new(ArcSwap::from_pointee(CaptureStatus::default()));
        let epochs =
            EpochSource::open(id.clone(), self.volume.clone(), self.committer.clone(), metrics.clone(), log.clone());
        let (next, seen) = (epochs.clone(), hot.clone());
        let capture = Arc::new(CaptureParts {
            device: id.clone(),
            camera: camera.clone(),
            settings: settings.clone(),
            clock: clock.clone(),
            log: log.clone(),
            hot_layout,
            hot: hot.clone(),
            cell: ProcessCell::new(self.spawner.clone()),
            capabilities: self.capabilities.clone(),
            next_epoch: Arc::new(move || next.next(seen.highest_epoch())),
            metrics: metrics.clone(),
            status: capture_status.clone(),
        });
        let cleaner = self.cleaner.clone();
        let merge = Arc::new(MergerParts {
            device: id.clone(),
            stagger: (place, settings.camera.len()),
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
        });
        Ok(Some(Arc::new(Device {
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
            status: ArcSwap::default(),
            ffmpeg: Slot::new(),
            merger: Slot::new(),
            archiver: Slot::new(),
        })))
    }
}
