//! Sealed chunks in a folder, an encoder that makes smaller ones of them, and a runner on a clock that is moved.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use arc_swap::ArcSwap;
use jiff::tz::TimeZone;
use slog::Logger;

use crate::{
    clock::{ManualClock, Utc90k},
    config::{self, Storage},
    events::Events,
    ids::DeviceId,
    media::{AudioCodec, AudioConfig},
    merge::{
        chunk::{ChunkSpec, ChunkWriter, Fragment, MarkInfo, OutSample, TrackRun},
        handover::key_of,
    },
    registry::{Registry, RegistryParts},
    storage::{
        ChunkEntry, DeviceIndex, Pins, Place, Retention, Volume, inventory,
        layout::{Companion, RingSlot},
    },
    supervisor::{Load, LoadWatch},
    telemetry::Metrics,
    transcode::{Encode, Failure, Job, Made, Runner, RunnerParts, Steer},
};

/// 2026-11-20T03:50:00Z, and a chunk of that time.
pub const NOW: Utc90k = Utc90k::from_seconds(1_795_146_600);
pub const DAY: u64 = 86_400;

pub fn device() -> DeviceId {
    "cam".parse().unwrap()
}

/// A sealed chunk that begins there, under this path; `seconds` of sound make its size.
pub fn write_chunk(volume: &Arc<Volume>, start: Utc90k, generation: u32, seconds: u64, to: &Path) -> ChunkEntry {
    let audio = AudioConfig {
        codec: AudioCodec::Aac,
        sample_rate: 48_000,
        channels: 1,
        samples_per_frame: 1024,
        specific: vec![0x11, 0x88],
    };
    let spec = ChunkSpec { device: device(), start, generation, video: None, audio: Some(audio), fps: 0.0 };
    let mut writer = ChunkWriter::create(Arc::clone(volume), spec).unwrap();
    for at in 0..seconds {
        let samples: Vec<_> = (0..46)
            .map(|at| OutSample { duration: 1024, cts: 0, sync: true, data: at * 640..(at + 1) * 640 })
            .collect();
        let run = TrackRun { base: at * 48_000, samples: &samples, es: &[7; 46 * 640] };
        writer.append(&Fragment { video: None, audio: Some(run) }).unwrap();
    }
    writer.commit(MarkInfo::default()).unwrap();
    let sealed = writer.seal().unwrap();
    volume.mkdir_all(to.parent().unwrap()).unwrap();
    volume.rename(&sealed.path, to).unwrap();
    volume.fsync_dir(to.parent().unwrap()).unwrap();
    // What is in it stays sound; for the lists it is video.
    let codecs = if generation == 0 { "avc1.64001f" } else { "hvc1.1.6.L93.B0" };
    ChunkEntry { codecs: codecs.into(), ..sealed.entry(Place::Ring(RingSlot::of(start, 600))) }
}

/// One device's chunks in a folder of its own.
pub struct Disk {
    pub folder: tempfile::TempDir,
    pub volume: Arc<Volume>,
    pub index: Arc<DeviceIndex>,
}

impl Disk {
    pub fn new(manual: &ManualClock) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage { root: folder.path().to_owned(), ..Storage::default() };
        let volume = Volume::open(&storage, &manual.clock()).unwrap();
        Self { folder, volume, index: Arc::new(DeviceIndex::new(device())) }
    }

    /// A chunk as recorded, in its place and listed; each day's in another place of the ring.
    pub fn record(&self, days_ago: u64) -> ChunkEntry {
        let start = NOW + -i64::try_from(days_ago * (DAY + 600) + 600).unwrap() * 90_000;
        let slot = RingSlot::of(start, 600);
        let path = self.volume.layout().ring_chunk(&device(), slot);
        let entry = write_chunk(&self.volume, start, 0, 20, &path);
        self.index.put(entry.clone());
        entry
    }

    pub fn path(&self, entry: &ChunkEntry) -> PathBuf {
        entry.path(self.volume.layout(), &device())
    }

    /// The generation of what lies there, if it is a whole chunk.
    pub fn generation(&self, path: &Path) -> Option<u32> {
        let (meta, _) = inventory::look(&self.volume, path).ok()?;
        meta.filter(|meta| meta.sealed.is_some()).map(|meta| key_of(&meta).generation)
    }

    /// Names in the chunk's folder.
    pub fn names(&self, entry: &ChunkEntry) -> Vec<String> {
        let folder = self.path(entry);
        let entries = self.volume.read_dir(folder.parent().unwrap()).unwrap();
        let mut names: Vec<_> = entries.iter().map(|entry| entry.name.to_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    /// The successor of a chunk, as an encoder leaves it.
    pub fn encode(&self, source: &ChunkEntry) -> Made {
        encode(&self.volume, source, &Companion::Successor.beside(&self.path(source)))
    }
}

pub fn encode(volume: &Arc<Volume>, source: &ChunkEntry, successor: &Path) -> Made {
    let entry = write_chunk(volume, source.start, source.key.generation + 1, 10, successor);
    let entry = ChunkEntry { place: source.place, ..entry };
    Made { entry, encoder: "libx265", ssim: Some(0.985) }
}

/// What one job does instead of working: None goes on as usual.
pub type Step = Box<dyn FnOnce(&Job, &dyn Steer) -> Option<Result<Made, Failure>> + Send>;

#[derive(Default)]
pub struct FakeEncode {
    pub steps: Mutex<VecDeque<Step>>,
    pub jobs: Mutex<Vec<ChunkEntry>>,
    /// Why no encoder works.
    pub broken: Mutex<Option<String>>,
}

impl Encode for FakeEncode {
    fn ready(&self) -> Result<(), String> {
        self.broken.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    fn run(&self, job: &Job, control: &dyn Steer) -> Result<Made, Failure> {
        self.jobs.lock().unwrap().push(job.source.as_ref().clone());
        let step = self.steps.lock().unwrap().pop_front();
        let made = encode(&job.volume, &job.source, &job.successor);
        control.tell(1.0, 2.0);
        control.wrote(made.entry.bytes);
        match step.and_then(|step| step(job, control)) {
            Some(outcome) => {
                if outcome.is_err() {
                    let _ = job.volume.unlink(&job.successor);
                }
                outcome
            }
            None => Ok(made),
        }
    }
}

/// A runner whose turns are taken by the test.
pub struct Rig {
    pub disk: Disk,
    pub manual: ManualClock,
    pub retention: Arc<Retention>,
    pub registry: Arc<Registry>,
    pub encode: Arc<FakeEncode>,
    pub load: Arc<ArcSwap<Load>>,
    pub pins: Arc<ArcSwap<Option<Arc<Pins>>>>,
    pub recorders: Arc<Mutex<Option<String>>>,
    pub metrics: Arc<Metrics>,
    pub settings: config::Transcode,
    pub runner: Arc<Runner>,
}

impl Rig {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut config::Transcode)) -> Self {
        // No pauses, any time of day, no idle.
        let mut settings = config::Transcode {
            run_schedule: "always".into(),
            min_free_space_gb: 0.0,
            pause_between_seconds: 0,
            idle_seconds: 0,
            error_pause_seconds: 0,
            ..config::Transcode::default()
        };
        change(&mut settings);
        let manual = ManualClock::at(NOW);
        let disk = Disk::new(&manual);
        let retention = Arc::new(Retention::at(NOW, manual.clock()));
        let metrics = Arc::new(Metrics::new());
        let registry = registry(&disk.volume, &retention, &manual, &metrics);
        let pins = Arc::new(ArcSwap::from_pointee(Some(Arc::default())));
        let (load, encode, recorders) = (Arc::default(), Arc::default(), Arc::default());
        let parts = Parts { disk: &disk, manual: &manual, retention: &retention, registry: &registry };
        let runner = parts.runner(&encode, &load, &pins, &recorders, &metrics, &settings);
        Self { disk, manual, retention, registry, encode, load, pins, recorders, metrics, settings, runner }
    }

    /// As after a restart of the daemon: only files and database are left.
    pub fn restart(mut self) -> Self {
        self.registry.finish();
        self.registry = registry(&self.disk.volume, &self.retention, &self.manual, &self.metrics);
        let Self { disk, manual, retention, registry, .. } = &self;
        let parts = Parts { disk, manual, retention, registry };
        self.runner =
            parts.runner(&self.encode, &self.load, &self.pins, &self.recorders, &self.metrics, &self.settings);
        self
    }

    /// What the next job does.
    pub fn next_job(&self, step: impl FnOnce(&Job, &dyn Steer) -> Option<Result<Made, Failure>> + Send + 'static) {
        self.encode.steps.lock().unwrap().push_back(Box::new(step));
    }

    /// A look at the machine and a turn; how many jobs were begun so far.
    pub fn turn(&self) -> usize {
        self.runner.steer();
        self.runner.turn();
        self.encode.jobs.lock().unwrap().len()
    }

    pub fn foreign_cpu(&self, percent: f64) {
        self.load.store(Arc::new(Load { foreign_cpu_percent: percent, ..Load::default() }));
    }

    pub fn gate(&self) -> &'static str {
        self.runner.status().gate.name()
    }

    pub fn advance(&self, seconds: u64) {
        self.manual.advance(Duration::from_secs(seconds));
    }
}

struct Parts<'a> {
    disk: &'a Disk,
    manual: &'a ManualClock,
    retention: &'a Arc<Retention>,
    registry: &'a Arc<Registry>,
}

impl Parts<'_> {
    fn runner(
        &self,
        encode: &Arc<FakeEncode>,
        load: &Arc<ArcSwap<Load>>,
        pins: &Arc<ArcSwap<Option<Arc<Pins>>>>,
        recorders: &Arc<Mutex<Option<String>>>,
        metrics: &Arc<Metrics>,
        settings: &config::Transcode,
    ) -> Arc<Runner> {
        let (index, pins, recorders) = (self.disk.index.clone(), pins.clone(), recorders.clone());
        Runner::start(RunnerParts {
            volume: self.disk.volume.clone(),
            retention: self.retention.clone(),
            registry: self.registry.clone(),
            encode: encode.clone(),
            devices: Arc::new(move || vec![index.clone()]),
            pins: Arc::new(move || pins.load().as_ref().clone()),
            recorders: Arc::new(move || recorders.lock().unwrap().clone()),
            load: load.clone(),
            watch: LoadWatch::default(),
            settings: settings.clone(),
            recorder_bytes: 0,
            zone: TimeZone::UTC,
            sys: self.disk.folder.path().join("no-sys"),
            cores: 2,
            clock: self.manual.clock(),
            events: Events::new(self.manual.clock()),
            metrics: metrics.clone(),
            log: Logger::root(slog::Discard, slog::o!()),
        })
        .unwrap()
    }
}

fn registry(
    volume: &Arc<Volume>,
    retention: &Arc<Retention>,
    manual: &ManualClock,
    metrics: &Arc<Metrics>,
) -> Arc<Registry> {
    let registry = Registry::start(RegistryParts {
        volume: volume.clone(),
        retention: retention.clone(),
        clock: manual.clock(),
        metrics: metrics.clone(),
        events: Events::new(manual.clock()),
        log: Logger::root(slog::Discard, slog::o!()),
    })
    .unwrap();
    registry.wait_opened();
    registry
}
