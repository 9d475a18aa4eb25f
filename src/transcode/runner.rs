//! Transcodes one chunk after the other on a thread of its own, as gates and people allow. Outlives its actor.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use jiff::tz::TimeZone;
use slog::{Logger, error};

use super::{
    Encode,
    candidates::{Failures, Rules},
    control::Control,
    gate::{Admission, Gate, Room, Throttle},
    heal::Keeping,
    ledger::Entry,
    power::{Power, PowerReading},
    tuning::Tuning,
};
use crate::{
    clock::{Clock, Mono, TICKS_PER_SECOND, Utc90k},
    config,
    error::{Error, Result},
    events::Events,
    ids::DeviceId,
    registry::{Registry, transcode::Known},
    storage::{
        ChunkEntry, DeviceIndex, Pins, Place, Retention, Volume,
        layout::{ChunkKey, Shelf},
    },
    supervisor::{Load, LoadWatch, Watching},
    telemetry::Metrics,
};

const DAY_90K: i64 = 24 * 3600 * TICKS_PER_SECOND;
const GB: f64 = 1e9;

/// What a runner is built on. What is called must not wait.
pub struct RunnerParts {
    pub volume: Arc<Volume>,
    pub retention: Arc<Retention>,
    pub registry: Arc<Registry>,
    pub encode: Arc<dyn Encode>,
    /// All devices with footage, those without a camera included.
    pub devices: Arc<dyn Fn() -> Vec<Arc<DeviceIndex>> + Send + Sync>,
    /// None while nobody knows what must stay.
    pub pins: Arc<dyn Fn() -> Option<Arc<Pins>> + Send + Sync>,
    /// Why a recorder is not well or late, if one is.
    pub recorders: Arc<dyn Fn() -> Option<String> + Send + Sync>,
    pub load: Arc<ArcSwap<Load>>,
    pub watch: LoadWatch,
    /// Those of the start; [`Runner::tune`] brings others.
    pub settings: config::Transcode,
    /// `[archive] min_free_bytes`, likewise
    pub recorder_bytes: u64,
    pub zone: TimeZone,
    /// `/sys`
    pub sys: PathBuf,
    pub cores: usize,
    pub clock: Clock,
    pub events: Events,
    pub metrics: Arc<Metrics>,
    pub log: Logger,
}

pub struct Runner {
    pub(super) parts: RunnerParts,
    tuning: ArcSwap<Tuning>,
    pub(super) inner: Mutex<Inner>,
    pub(super) job_ended: Condvar,
    turns: SyncSender<()>,
}

pub(super) struct Inner {
    /// None until the database was read.
    pub known: Option<Known>,
    /// What the database has not taken yet; while there is something, nothing is begun.
    pub unsaved: Vec<Entry>,
    pub wanted: VecDeque<Wanted>,
    pub force_all: bool,
    pub rest: Option<(Mono, Gate)>,
    pub throttle: Throttle,
    /// What the machine says now.
    pub machine: Gate,
    pub detail: Option<String>,
    /// Why no encoder works, when that was found last.
    pub no_encoder: Option<String>,
    pub was_scheduled: bool,
    pub power: Power,
    pub power_read: Option<(Mono, PowerReading)>,
    /// What was told last, and since when it holds.
    pub gate: Gate,
    pub gate_since: Option<Utc90k>,
    pub running: Option<Running>,
    /// The thread touches the library's own volume, which may not answer.
    pub is_away: bool,
    pub last_tidy: Option<Mono>,
    pub last_heal: Option<Mono>,
    /// Of the library's own volume when its folders were healed last.
    pub healed_mounts: u64,
    /// Folders that could not be healed.
    pub troubles: Vec<String>,
    pub ending: bool,
}

/// A chunk that somebody named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub device: DeviceId,
    pub key: ChunkKey,
}

pub(super) struct Running {
    pub control: Arc<Control>,
    pub device: DeviceId,
    pub source: Arc<ChunkEntry>,
    pub path: PathBuf,
    pub began: Utc90k,
    /// Whatever the time of day.
    pub forced: bool,
    /// Since when it is being put in its place.
    pub swaps_since: Option<Mono>,
    /// Tenths of it that were told.
    pub tenths: u32,
    pub _watching: Watching,
}

/// What is begun next.
pub(super) struct Next {
    pub index: Arc<DeviceIndex>,
    pub source: Arc<ChunkEntry>,
    pub forced: bool,
}

impl Runner {
    pub fn start(parts: RunnerParts) -> Result<Arc<Self>> {
        // One turn may wait while one runs; a third would ask for nothing new.
        let (turns, queue) = sync_channel(1);
        parts.metrics.transcode.target_savings_percent.set(parts.settings.target_space_savings);
        let inner = Inner {
            known: None,
            unsaved: Vec::new(),
            wanted: VecDeque::new(),
            force_all: false,
            rest: None,
            throttle: Throttle::default(),
            machine: Gate::Open,
            detail: None,
            no_encoder: None,
            was_scheduled: false,
            power: Power::new(parts.sys.clone()),
            power_read: None,
            gate: Gate::Database,
            gate_since: None,
            running: None,
            is_away: false,
            last_tidy: None,
            last_heal: None,
            healed_mounts: 0,
            troubles: Vec::new(),
            ending: false,
        };
        let runner = Arc::new(Self {
            tuning: ArcSwap::from_pointee(Tuning::new(&parts, parts.settings.clone(), parts.recorder_bytes)),
            inner: Mutex::new(inner),
            job_ended: Condvar::new(),
            turns,
            parts,
        });
        let weak = Arc::downgrade(&runner);
        std::thread::Builder::new()
            .name("transcoder".into())
            .spawn(move || work(&weak, &queue))
            .map_err(|error| Error::io("starting the transcoder's thread", "", error))?;
        Ok(runner)
    }

    /// Asks the thread to look whether something is to be done; while it is at work, for nothing new.
    pub fn ask(&self) {
        let _ = self.turns.try_send(());
    }

    pub(super) fn tuning(&self) -> Arc<Tuning> {
        self.tuning.load_full()
    }

    /// From changed settings: schedule, gates and choice go by them at once, a job that runs ends by what it began with.
    /// Whether it is enabled at all stays.
    pub fn tune(&self, settings: &config::Transcode, recorder_bytes: u64) {
        let settings = config::Transcode { enabled: self.parts.settings.enabled, ..settings.clone() };
        let before = self.tuning();
        if before.settings == settings && before.recorder_bytes == recorder_bytes {
            return;
        }
        self.parts.metrics.transcode.target_savings_percent.set(settings.target_space_savings);
        self.tuning.store(Arc::new(Tuning::new(&self.parts, settings, recorder_bytes)));
        // What was to be waited for was so by the settings before.
        let mut inner = self.lock();
        (inner.rest, inner.throttle) = (None, Throttle::default());
    }

    pub fn is_running(&self) -> bool {
        self.lock().running.is_some()
    }

    /// One look on the calling thread, and what follows from it: up to one whole job. One at a time.
    pub fn turn(&self) {
        if self.lock().ending {
            return;
        }
        let gate = self.admit();
        if gate != Gate::Open {
            return self.tell_gate(&mut self.lock(), gate);
        }
        let pins = (self.parts.pins)();
        let Some(pins) = pins else { return self.tell_gate(&mut self.lock(), Gate::Database) };
        self.tidy(&pins);
        let Some(next) = self.next(&pins) else {
            let mut inner = self.lock();
            inner.force_all = false;
            let idle = Duration::from_secs(self.tuning().settings.idle_seconds);
            inner.rest = Some((self.parts.clock.mono() + idle, Gate::Idle));
            return self.tell_gate(&mut inner, Gate::Idle);
        };
        let room = self.while_at(next.source.place, || self.room(&next.source).gate());
        if room != Gate::Open {
            return self.tell_gate(&mut self.lock(), room);
        }
        if let Err(why) = self.parts.encode.ready() {
            let mut inner = self.lock();
            let pause = Duration::from_secs(self.tuning().settings.error_pause_seconds.max(60));
            inner.rest = Some((self.parts.clock.mono() + pause, Gate::Encoder));
            inner.no_encoder = Some(why);
            return self.tell_gate(&mut inner, Gate::Encoder);
        }
        self.tell_gate(&mut self.lock(), Gate::Open);
        self.while_at(next.source.place, || self.run(&next));
    }

    /// Work that touches a chunk in that place. Where it may not answer, [`Self::steer`] watches over it.
    pub(super) fn while_at<T>(&self, place: Place, work: impl FnOnce() -> T) -> T {
        self.while_on(if let Place::Library(_, shelf) = place { shelf } else { Shelf::Home }, work)
    }

    pub(super) fn while_on<T>(&self, shelf: Shelf, work: impl FnOnce() -> T) -> T {
        self.lock().is_away = shelf == Shelf::Away && self.parts.volume.library().is_some();
        let done = work();
        self.lock().is_away = false;
        done
    }

    /// What is known is read, what is not written down is written, and then: does anything hold?
    fn admit(&self) -> Gate {
        let database_ready = self.settle_books();
        let volume_ok = self.parts.volume.is_ok();
        let now = self.parts.clock.mono();
        let inner = self.lock();
        let admission = Admission {
            database_ready,
            enabled: self.parts.settings.enabled && !inner.known.as_ref().is_some_and(|it| it.totals.disabled),
            volume_ok,
            rest: None,
        };
        match admission.gate(now) {
            Gate::Open => {}
            gate => return gate,
        }
        // A person need not wait for a rest to end; but trying out encoders each second helps nobody.
        let rest = inner.rest.filter(|(_, why)| inner.wanted.is_empty() || *why == Gate::Encoder);
        match inner.machine {
            Gate::Open => Admission { rest, ..admission }.gate(now),
            gate => gate,
        }
    }

    fn next(&self, pins: &Pins) -> Option<Next> {
        let devices = (self.parts.devices)();
        while let Some(wanted) = self.lock().wanted.front().cloned() {
            let index = devices.iter().find(|index| *index.device() == wanted.device);
            let found = index.and_then(|index| Some((index, index.snapshot().get(&wanted.key)?.clone())));
            // Who names a file means it, whether or not it failed before.
            let none = Failures::new();
            let fits = |source: &ChunkEntry| self.rules(pins, &none, true).unfit(&wanted.device, source).is_none();
            if let Some((index, source)) = found.filter(|(_, source)| fits(source)) {
                return Some(Next { index: index.clone(), source, forced: true });
            }
            // It went, or was pinned, while it waited.
            self.lock().wanted.pop_front();
        }
        let lists: Vec<_> = devices.iter().map(|index| (index.clone(), index.snapshot())).collect();
        let inner = self.lock();
        let force = inner.force_all;
        let failures = &inner.known.as_ref()?.failures;
        let rules = self.rules(pins, failures, force);
        let (device, source) = rules.next(lists.iter().map(|(index, list)| (index.device(), &***list)))?;
        let index = lists.iter().find(|(index, _)| index.device() == device)?.0.clone();
        Some(Next { index, source: source.clone(), forced: force })
    }

    pub(super) fn rules<'a>(&self, pins: &'a Pins, failures: &'a Failures, force: bool) -> Rules<'a> {
        Rules {
            moment: self.parts.retention.now(),
            min_age: Duration::from_secs_f64((self.tuning().settings.min_age_days * 86_400.0).max(0.0)),
            force,
            pins,
            failures,
            away_ok: self.parts.volume.shelves().all(Volume::is_ok),
        }
    }

    fn room(&self, source: &ChunkEntry) -> Room {
        let tuning = self.tuning();
        let settings = &tuning.settings;
        let written = self.lock().known.as_ref().map_or(0, |it| it.totals.written_on(self.day()));
        Room {
            free_bytes: self.parts.volume.of(source.place).free_bytes(),
            min_free_bytes: (settings.min_free_space_gb * GB) as u64,
            recorder_bytes: tuning.recorder_bytes,
            source_bytes: source.bytes,
            written_bytes: written,
            written_bytes_max: settings.max_write_bytes_per_day,
        }
    }

    /// By the clock that nobody sets back to write more.
    pub(super) fn day(&self) -> i64 {
        self.parts.retention.now().for_ages().0.div_euclid(DAY_90K)
    }

    pub(super) fn keeping(&self, tuning: &Tuning) -> Keeping {
        let days = tuning.settings.keep_original_days;
        // By the clock that expiry goes by, labels by the wall's.
        let moment = self.parts.retention.now();
        let after = moment.for_ages() + (days * DAY_90K as f64) as i64;
        Keeping { now: moment.wall, delete_after: (days > 0.0).then_some(after) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends when the runner is dropped.
fn work(runner: &Weak<Runner>, queue: &Receiver<()>) {
    while let Ok(()) = queue.recv() {
        let Some(runner) = runner.upgrade() else { return };
        if catch_unwind(AssertUnwindSafe(|| runner.turn())).is_err() {
            error!(runner.parts.log, "transcoder's turn panicked");
            let mut inner = runner.lock();
            (inner.running, inner.is_away) = (None, false);
            let pause = Duration::from_secs(runner.tuning().settings.error_pause_seconds.max(60));
            inner.rest = Some((runner.parts.clock.mono() + pause, Gate::ErrorPause));
        }
    }
}
