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

use super::{
    Start,
    building::Shared,
    indexing::{Ending, fill, find_holes},
};
use crate::{
    access::{Access, AccessParts},
    archive::{Captures, CapturesParts},
    capture::{Capabilities, Spawner, WatchActor, Watcher},
    config,
    device::{self, Device, Doorbell},
    error::{Error, Kind, Result},
    events::Events,
    frames::{Pool, Thresholds},
    incident::{Book, Evidence},
    keep::{Cleaner, CleanerActor, CleanerParts, CleanerStatus, KeptDevice, LoadReading},
    limits::WorkGroup,
    merge::{committer::Committer, merger_actor::CommitNow},
    notify::{Notifier, NotifierParts},
    playback::{ClipCache, Fronts, PreviewCache, TableCache},
    registry::{Registry, RegistryActor, RegistryParts},
    storage::{DeviceIndex, Retention, Volume, inventory},
    supervisor::{ChildSpec, Load, LoadActor, Slot, Supervisor},
    web::{
        DeviceStatus, Heatmap, HotCache, Stills, WebDevice, WebState, encodes::Encodes, events::Feed, facts,
        reader::Readers, tail::Tail,
    },
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
    registry: Arc<Registry>,
    pub access: Arc<Access>,
    watcher: Watcher,
    spawner: Spawner,
    pub ending: Ending,
    pub events: Events,
    pub thresholds: Thresholds,
    pub notifier: Arc<Notifier>,
    evidence: Option<Evidence>,
    _captures: Option<Captures>,
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
        let events = Events::counted(start.clock.clone(), &start.metrics);
        let registry = Registry::start(RegistryParts {
            volume: volume.clone(),
            retention: retention.clone(),
            clock: start.clock.clone(),
            metrics: start.metrics.clone(),
            events: events.clone(),
            log: start.log.clone(),
        })?;
        let access = Access::start(AccessParts {
            auth: settings.auth.clone(),
            registry: registry.clone(),
            clock: start.clock.clone(),
            metrics: start.metrics.clone(),
            log: start.log.clone(),
        })?;
        // Before anything is published.
        let notifier = Arc::new(Notifier::start(NotifierParts {
            webhooks: &settings.notify.webhook,
            host: settings.server.host_name(),
            events: &events,
            clock: start.clock.clone(),
            metrics: start.metrics.clone(),
            log: start.log.clone(),
        })?);
        let thresholds = Thresholds::new(settings);
        let evidence = evidence(start, &volume)?;
        let (spawner_of_devices, cleaner_of_devices) = (spawner.clone(), cleaner.clone());
        let shared = Shared {
            start,
            volume: &volume,
            retention: retention.clone(),
            committer,
            spawner: spawner_of_devices,
            capabilities,
            cleaner: cleaner_of_devices,
            events: events.clone(),
            pool: Pool::start(settings.analysis.threads, &start.log)?,
            registry: registry.clone(),
            thresholds: thresholds.clone(),
            evidence: evidence.clone(),
        };
        let mut devices = Vec::with_capacity(settings.camera.len());
        for place in 0..settings.camera.len() {
            devices.extend(shared.device(place)?);
        }
        kept.store(Arc::new(devices.iter().map(|device| kept_device(device)).collect()));
        let watcher = Watcher::start(&start.log, start.metrics.inotify_overflows.clone())?;
        let _captures = copy_captures(start, &volume, retention, &devices)?;
        Ok(Self {
            start: start.clone(),
            volume,
            devices,
            kept,
            load,
            cleaner,
            registry,
            access,
            watcher,
            spawner,
            ending: Ending::default(),
            events,
            thresholds,
            notifier,
            evidence,
            _captures,
        })
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
        let (registry, clock) = (self.registry.clone(), self.start.clock.clone());
        let evidence = self.evidence.clone();
        // What the evidence thread does not take stays on the disk: a few pictures that nothing names any more.
        let forget = move |paths| {
            if let Some(evidence) = &evidence {
                evidence.delete(paths);
            }
        };
        let forget: Arc<dyn Fn(Vec<String>) + Send + Sync> = Arc::new(forget);
        supervisor.add(ChildSpec::new("registry", &Slot::new(), move |_| {
            RegistryActor::new(registry.clone(), clock.clone(), forget.clone())
        }))?;
        self.restore_incidents()?;
        self.scan_archive(supervisor.clone())
    }

    /// On a thread of its own: the database may be checked for long, and recording has begun.
    fn restore_incidents(&self) -> Result<()> {
        let (devices, registry, log) = (self.devices.clone(), self.registry.clone(), self.start.log.clone());
        let restore = move || match registry.open_incidents() {
            Err(error) => warn!(log, "incidents of before are not known"; "error" => %error),
            Ok(open) => {
                let mut of: HashMap<_, Vec<_>> = HashMap::new();
                open.into_iter().for_each(|incident| of.entry(incident.device.clone()).or_default().push(incident));
                for device in devices.iter().filter(|device| device.camera.enabled) {
                    device.tracker.restore(of.remove(&device.id).unwrap_or_default());
                }
                // Their cameras are gone or off: nobody will see them end.
                for mut incident in of.into_values().flatten() {
                    incident.end = Some(incident.last_bad);
                    registry.save(&incident);
                }
            }
        };
        let spawned = thread::Builder::new().name("incidents".into()).spawn(restore);
        spawned.map(drop).map_err(|error| Error::io("starting the thread of incidents", "", error))
    }

    fn watch(&self, device: &Arc<Device>) -> Result<()> {
        self.watcher.add(&device.capture.hot_layout, device.hot.clone(), Doorbell::new(device.clone()))
    }

    /// On threads of its own: months of many devices take seconds to look through, a sick disk longer. The cleaner starts
    /// after it, because what is not in the index cannot be weighed against the rest.
    fn scan_archive(&self, supervisor: Supervisor) -> Result<()> {
        let (volume, kept) = (self.volume.clone(), self.kept.clone());
        let (start, cleaner, ending) = (self.start.clone(), self.cleaner.clone(), self.ending.clone());
        let devices: HashMap<_, _> = self.devices.iter().map(|device| (device.id.clone(), device.clone())).collect();
        let scan = move || {
            let began = start.clock.mono();
            let (mut wanted, mut orphans) = (Vec::new(), Vec::new());
            for id in inventory::devices(&volume).unwrap_or_else(|error| {
                warn!(start.log, "archive cannot be listed"; "error" => %error);
                Vec::new()
            }) {
                match devices.get(&id) {
                    Some(device) => wanted.push((device.index.clone(), device.log.clone())),
                    None => {
                        let index = Arc::new(DeviceIndex::new(id.clone()));
                        wanted.push((index.clone(), start.log.new(o!("device" => id.to_string()))));
                        orphans.push(KeptDevice { index, metrics: start.metrics.device(&id) });
                    }
                }
            }
            fill(&volume, &wanted);
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
            let began = start.clock.mono();
            let indexes: Vec<_> = wanted.into_iter().map(|(index, _)| index).collect();
            let read = find_holes(&volume, &indexes, &start.clock, &ending);
            info!(start.log, "gaps inside chunks are known"; "read" => read,
                "ms" => u64::try_from(start.clock.mono().since(began).as_millis()).unwrap_or(u64::MAX));
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
        let listeners_max = settings.limits.event_listeners;
        let feed = Feed::new(self.events.clone(), listeners_max, &self.start.metrics);
        let encodes = Encodes::new(self.spawner.clone(), readers.clone(), settings, clock, self.events.clone());
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
            registry: self.registry.clone(),
            access: self.access.clone(),
            webhooks: self.webhooks(),
            readers,
            encodes,
            feed,
            hot_cache: HotCache::default(),
            stills: Stills::new(self.spawner.clone()),
            tables: TableCache::default(),
            previews: PreviewCache::default(),
            heatmap: Heatmap::default(),
            clips: ClipCache::default(),
            fronts: Fronts::default(),
        })
    }

    fn cleaner_status(&self) -> Arc<dyn Fn() -> Arc<CleanerStatus> + Send + Sync> {
        let cleaner = self.cleaner.clone();
        Arc::new(move || cleaner.status())
    }

    fn webhooks(&self) -> Arc<dyn Fn() -> Value + Send + Sync> {
        let notifier = self.notifier.clone();
        Arc::new(move || json!(notifier.status()))
    }

    /// After the actors: what they left behind.
    pub fn finish(&self, log: &Logger) {
        for device in &self.devices {
            device.tracker.finish();
        }
        self.registry.finish();
        if let Err(error) = self.cleaner.finish() {
            warn!(log, "retention clock not written down"; "error" => %error);
        }
    }
}

/// None unless the settings ask for all of them.
fn copy_captures(
    start: &Start,
    volume: &Arc<Volume>,
    retention: Arc<Retention>,
    devices: &[Arc<Device>],
) -> Result<Option<Captures>> {
    let archive = &start.settings.archive;
    if archive.captures != config::Captures::All {
        return Ok(None);
    }
    let parts = CapturesParts {
        volume: volume.clone(),
        retention,
        devices: devices.iter().map(|device| (device.hot.clone(), device.metrics.clone())).collect(),
        keep: Duration::from_secs(u64::from(archive.captures_hours) * 3600),
        min_free_bytes: archive.min_free_bytes.0,
        log: start.log.clone(),
    };
    Captures::start(parts).map(Some)
}

/// None unless pictures of incidents are kept.
fn evidence(start: &Start, volume: &Arc<Volume>) -> Result<Option<Evidence>> {
    let archive = &start.settings.archive;
    if archive.captures == config::Captures::None {
        return Ok(None);
    }
    let min_free_bytes = archive.min_free_bytes.0 / 2;
    Evidence::start(volume.clone(), min_free_bytes, start.clock.clone(), start.log.clone()).map(Some)
}

fn load_reading(load: &Arc<ArcSwap<Load>>) -> Arc<dyn Fn() -> LoadReading + Send + Sync> {
    let load = load.clone();
    Arc::new(move || {
        let now = load.load();
        LoadReading { cpu_percent: now.cpu_percent, io_wait_percent: now.io_wait_percent }
    })
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
        siblings: device.siblings.clone(),
        metrics: device.metrics.clone(),
        latest: device.latest.clone(),
        status: Arc::new(move || {
            let status = told.status.load();
            DeviceStatus {
                status: status.state.name(),
                since: Some(status.since),
                reason: status.reason.clone(),
                recorder: recorder(&told),
            }
        }),
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
