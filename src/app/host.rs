//! Everything one host runs, built once from the settings: devices, the threads they share, the singletons.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64},
    },
    thread,
    time::Duration,
};

use arc_swap::ArcSwap;
use serde_json::{Value, json};
use slog::{Logger, info, o, warn};

use super::{
    Start,
    building::Shared,
    fleet::Fleet,
    indexing::{Ending, fill, find_holes},
    levers::{Known, Levers, evidence_min_free_bytes},
    transcoding,
    yard::{Lists, Yard},
};
use crate::{
    access::{Access, AccessParts},
    archive::{Captures, CapturesParts},
    capture::{Capabilities, Spawner, WatchActor, Watcher},
    config::{self, ENABLED_MAX},
    device::Device,
    error::{Error, Result},
    events::Events,
    frames::{Pool, Thresholds},
    incident::{Book, Evidence},
    keep::{
        Away, AwayParts, Cleaner, CleanerActor, CleanerParts, CleanerStatus, Ledger, LedgerParts, LoadReading, PinsNow,
    },
    limits::WorkGroup,
    merge::committer::Committer,
    notify::{Notifier, NotifierParts},
    playback::{ClipCache, Fronts, PreviewCache, TableCache},
    registry::{Registry, RegistryActor, RegistryParts},
    storage::{Retention, Volume, inventory},
    supervisor::{ChildSpec, History, Load, LoadActor, LoadWatch, Slot, Supervisor},
    transcode::{Runner, TranscoderActor},
    web::{
        Heatmap, HotCache, Limiter, Look, Replies, Sights, Stills, Tls, TryWebhook, Viewers, WebState,
        encodes::Encodes, events::Feed, facts, reader::Readers,
    },
};

/// Jobs that may wait for the commit thread: one commit and one reservation of run numbers for each device.
const COMMIT_JOBS_PER_DEVICE: usize = 2;

pub(super) struct Host {
    start: Start,
    pub volume: Arc<Volume>,
    pub fleet: Arc<Fleet>,
    load: Arc<ArcSwap<Load>>,
    load_watch: LoadWatch,
    history: Arc<History>,
    cleaner: Arc<Cleaner>,
    /// Where the library has a volume of its own.
    away: Option<Arc<Away>>,
    pub transcoder: Arc<Runner>,
    registry: Arc<Registry>,
    pub access: Arc<Access>,
    watcher: Watcher,
    spawner: Spawner,
    pub ending: Ending,
    pub events: Events,
    pub notifier: Arc<Notifier>,
    evidence: Option<Evidence>,
    _captures: Option<Captures>,
}

impl Host {
    pub fn build(start: &Start, volume: Arc<Volume>, children: WorkGroup, tls: Option<Tls>) -> Result<Self> {
        let settings = &start.settings;
        let committer = Committer::start("commit", ENABLED_MAX * COMMIT_JOBS_PER_DEVICE, start.log.clone())?;
        let spawner = Spawner::start(children)?;
        let capabilities = Arc::new(Capabilities::new(settings.clone(), &start.log));
        let load = Arc::new(ArcSwap::from_pointee(Load::default()));
        let lists = Arc::<Lists>::default();
        let retention = Retention::load(&volume, start.clock.clone());
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
        let known = Known::default();
        let pins = pins(&registry, &known);
        let ledger = Arc::new(Ledger::new(LedgerParts {
            devices: lists.kept.clone(),
            pins: pins.clone(),
            retention: retention.clone(),
            limits: settings.as_ref().into(),
            load: load_reading(&load),
            clock: start.clock.clone(),
        }));
        let away = library(start, &volume, &ledger)?;
        let cleaner = Cleaner::start(CleanerParts {
            volume: volume.clone(),
            ledger,
            away: away.clone(),
            hot: settings.storage.hot.clone(),
            hot_quotas_bytes: facts::quota_bytes(settings),
            metrics: start.metrics.clone(),
            log: start.log.clone(),
        })?;
        // Before anything is published.
        let notifier = Arc::new(Notifier::start(NotifierParts {
            host: settings.server.host_name(),
            events: &events,
            clock: start.clock.clone(),
            metrics: start.metrics.clone(),
            log: start.log.clone(),
        })?);
        let evidence = evidence(start, &volume)?;
        let shared = Shared {
            start: start.clone(),
            volume: volume.clone(),
            retention: retention.clone(),
            committer,
            spawner: spawner.clone(),
            capabilities,
            cleaner: cleaner.clone(),
            events: events.clone(),
            pool: Pool::start(settings.analysis.threads, &start.log)?,
            registry: registry.clone(),
            thresholds: Thresholds::default(),
            evidence: evidence.clone(),
        };
        let load_watch = LoadWatch::default();
        let (transcoder, encoder) = transcoding::runner(
            start,
            transcoding::Shared {
                volume: &volume,
                retention: retention.clone(),
                registry: registry.clone(),
                pins,
                spawner: spawner.clone(),
                lists: lists.clone(),
                load: load.clone(),
                watch: load_watch.clone(),
                events: events.clone(),
            },
        )?;
        let watcher = Watcher::start(&start.log, start.metrics.inotify_overflows.clone())?;
        let captures_min_free_bytes = Arc::new(AtomicU64::new(settings.archive.min_free_bytes.0));
        let _captures = copy_captures(start, &volume, retention, &lists, &captures_min_free_bytes)?;
        let levers = Levers {
            cleaner: cleaner.clone(),
            runner: transcoder.clone(),
            transcoder: encoder,
            notifier: notifier.clone(),
            evidence: evidence.clone(),
            captures_min_free_bytes,
            known,
            log: start.log.clone(),
        };
        let yard = Yard::new(shared, lists, watcher.clone());
        let fleet = Arc::new(Fleet::new(yard, registry.clone(), events.clone(), tls, levers)?);
        let history = Arc::new(History::new(start.clock.clone(), fleet.lists.sums(&start.metrics)));
        Ok(Self {
            start: start.clone(),
            volume,
            fleet,
            load,
            load_watch,
            history,
            cleaner,
            away,
            transcoder,
            registry,
            access,
            watcher,
            spawner,
            ending: Ending::default(),
            events,
            notifier,
            evidence,
            _captures,
        })
    }

    /// Recording begins; the index fills meanwhile.
    pub fn start(&self, supervisor: &Supervisor) -> Result<()> {
        let (registry, log) = (self.registry.clone(), self.start.log.clone());
        self.fleet.begin(supervisor, Box::new(move |devices| restore_incidents(registry, devices.to_vec(), log)))?;
        let watcher = self.watcher.clone();
        supervisor.add(ChildSpec::new("watcher", &Slot::new(), move |_| WatchActor::new(watcher.clone())))?;
        let (load, watch, metrics) = (self.load.clone(), self.load_watch.clone(), self.start.metrics.clone());
        let history = self.history.clone();
        let load = move |_| LoadActor::new(load.clone(), watch.clone(), metrics.clone()).noting(history.clone());
        supervisor.add(ChildSpec::new("load", &Slot::new(), load))?;
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
        self.scan_archive(supervisor.clone())
    }

    /// On threads of its own: months of many devices take seconds to look through, a sick disk longer. The cleaner starts
    /// after it, because what is not in the index cannot be weighed against the rest.
    fn scan_archive(&self, supervisor: Supervisor) -> Result<()> {
        let (volume, lists) = (self.volume.clone(), self.fleet.lists.clone());
        let (start, cleaner, ending) = (self.start.clone(), self.cleaner.clone(), self.ending.clone());
        let away = self.away.clone();
        let transcoder = self.transcoder.clone();
        let scan = move || {
            let began = start.clock.mono();
            let mut wanted = Vec::new();
            for id in inventory::devices(&volume).unwrap_or_else(|error| {
                warn!(start.log, "archive cannot be listed"; "error" => %error);
                Vec::new()
            }) {
                // Of all that have footage, with a camera or without: one that comes meanwhile takes the same up.
                let log = start.log.new(o!("device" => id.to_string()));
                wanted.push((lists.index(&id, &start.metrics), log));
            }
            // What a power cut left half swapped, before anything of it is listed.
            transcoder.heal(&wanted.iter().map(|(index, _)| index.clone()).collect::<Vec<_>>());
            let unknown = fill(&volume, &wanted);
            cleaner.found_unknown(unknown);
            let chunks: usize = lists.kept.load().iter().map(|kept| kept.index.snapshot().len()).sum();
            info!(start.log, "archive indexed"; "chunks" => chunks,
                "ms" => u64::try_from(start.clock.mono().since(began).as_millis()).unwrap_or(u64::MAX));
            let clock = start.clock.clone();
            let spec =
                ChildSpec::new("cleaner", &Slot::new(), move |_| CleanerActor::new(cleaner.clone(), clock.clone()));
            if let Err(error) = supervisor.add(spec) {
                warn!(start.log, "cleaner cannot start"; "error" => %error);
            }
            if let Some(away) = away {
                away.begin();
            }
            let spec = ChildSpec::new("transcoder", &Slot::new(), move |_| TranscoderActor::new(transcoder.clone()));
            if let Err(error) = supervisor.add(spec) {
                warn!(start.log, "transcoder cannot start"; "error" => %error);
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
        let ffmpeg = self.start.settings.ffmpeg.path.clone();
        let version = OnceLock::new();
        let (settings, clock) = (self.start.settings.clone(), self.start.clock.clone());
        let readers = Readers::start().map_err(|error| Error::io("starting the reader threads", "", error))?;
        let cache = settings.cache.clone();
        let listeners_max = settings.limits.event_listeners;
        let feed = Feed::new(self.events.clone(), listeners_max, &self.start.metrics);
        let quotas_bytes = self.fleet.lists.quotas_bytes.clone();
        let (spawner, events) = (self.spawner.clone(), self.events.clone());
        let encodes = Encodes::new(spawner, readers.clone(), settings, clock, events, quotas_bytes);
        Ok(WebState {
            settings: self.start.settings.clone(),
            clock: self.start.clock.clone(),
            metrics: self.start.metrics.clone(),
            devices: self.fleet.lists.web.clone(),
            fleet: self.fleet.clone(),
            volume: self.volume.clone(),
            board: supervisor.board().clone(),
            ready: ready.clone(),
            // Once: a check that starts a process every few seconds would be a load of its own.
            ffmpeg: Arc::new(move || version.get_or_init(|| facts::ffmpeg_version(&ffmpeg)).clone()),
            load: self.load.clone(),
            history: self.history.clone(),
            cleaner: self.cleaner_status(),
            transcoder: self.transcoder.clone(),
            registry: self.registry.clone(),
            access: self.access.clone(),
            webhooks: self.webhooks(),
            try_webhook: self.try_webhook(),
            outlook: self.outlook(),
            readers,
            encodes,
            feed,
            hot_cache: HotCache::default(),
            stills: Stills::new(self.spawner.clone()),
            sights: Sights::new(self.spawner.clone()),
            tables: TableCache::default(),
            previews: PreviewCache::default(),
            heatmap: Heatmap::default(),
            clips: ClipCache::default(),
            fronts: Fronts::default(),
            replies: Replies::new(cache.ttl(), cache.capacity, self.start.metrics.clone()),
            limiter: Limiter::new(&self.start.settings.limits, self.start.clock.clone(), self.start.log.clone()),
            viewers: Arc::new(Viewers::new(self.start.clock.clone(), self.start.metrics.clone())),
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

    fn try_webhook(&self) -> TryWebhook {
        let notifier = self.notifier.clone();
        Arc::new(move |id| notifier.test(id))
    }

    fn outlook(&self) -> Look {
        let cleaner = self.cleaner.clone();
        Arc::new(move |limits| cleaner.outlook(limits))
    }

    /// After the actors: what they left behind.
    pub fn finish(&self, log: &Logger) {
        for device in self.fleet.lists.running.load().iter() {
            device.tracker.finish();
        }
        self.registry.finish();
        if let Err(error) = self.cleaner.finish() {
            warn!(log, "retention clock not written down"; "error" => %error);
        }
    }
}

/// None unless the library has a volume of its own. It need not be there.
fn library(start: &Start, home: &Arc<Volume>, ledger: &Arc<Ledger>) -> Result<Option<Arc<Away>>> {
    let Some(root) = &start.settings.storage.library_root else { return Ok(None) };
    let away = Volume::away(root, home);
    home.set_away(away.clone());
    let parts = AwayParts {
        home: home.clone(),
        away,
        ledger: ledger.clone(),
        metrics: start.metrics.clone(),
        log: start.log.clone(),
    };
    Away::start(parts).map(Some)
}

/// None unless the settings ask for all of them.
fn copy_captures(
    start: &Start,
    volume: &Arc<Volume>,
    retention: Arc<Retention>,
    lists: &Lists,
    min_free_bytes: &Arc<AtomicU64>,
) -> Result<Option<Captures>> {
    let archive = &start.settings.archive;
    if archive.captures != config::Captures::All {
        return Ok(None);
    }
    let parts = CapturesParts {
        volume: volume.clone(),
        retention,
        devices: lists.captures.clone(),
        keep: Duration::from_secs(u64::from(archive.captures_hours) * 3600),
        min_free_bytes: min_free_bytes.clone(),
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
    let min_free_bytes = evidence_min_free_bytes(&start.settings);
    Evidence::start(volume.clone(), min_free_bytes, start.clock.clone(), start.log.clone()).map(Some)
}

/// None while nobody knows what is pinned, or what was changed of the settings.
fn pins(registry: &Arc<Registry>, known: &Known) -> PinsNow {
    let (registry, known) = (registry.clone(), known.clone());
    Arc::new(move || registry.pins().filter(|_| known.get()))
}

fn load_reading(load: &Arc<ArcSwap<Load>>) -> Arc<dyn Fn() -> LoadReading + Send + Sync> {
    let load = load.clone();
    Arc::new(move || {
        let now = load.load();
        LoadReading { cpu_percent: now.cpu_percent, io_wait_percent: now.io_wait_percent }
    })
}

/// On a thread of its own: the database may be slow, and recording has begun.
fn restore_incidents(registry: Arc<Registry>, devices: Vec<Arc<Device>>, log: Logger) {
    let told = log.clone();
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
    if let Err(error) = thread::Builder::new().name("incidents".into()).spawn(restore) {
        warn!(told, "incidents of before are not looked for"; "error" => %error);
    }
}
