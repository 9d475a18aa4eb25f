//! One device with everything that capture needs around it, on a real tmpfs and real FFmpeg.

use std::{
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use arc_swap::ArcSwap;
use capstan::{
    capture::{Capabilities, CaptureParts, CaptureStatus, FfmpegActor, ProcessCell, Spawner, Watcher},
    clock::Clock,
    config,
    ids::{DeviceId, Epoch},
    limits::WorkGroup,
    media::{Segment, mpegts},
    storage::{
        HotDevice, HotLimits,
        layout::{HotKind, HotLayout, PictureKind},
    },
    supervisor::{ChildSpec, Ground, Injector, Limits, Slot, StateBoard, Supervisor, Timing},
    telemetry::Metrics,
};

/// What a machine under full load may take for anything that takes a moment.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Rig {
    pub hot: Arc<HotDevice>,
    pub layout: HotLayout,
    pub id: DeviceId,
    pub cell: Arc<ProcessCell>,
    pub supervisor: Supervisor,
    pub injector: Injector,
    status: Arc<ArcSwap<CaptureStatus>>,
    heard: Arc<Mutex<Vec<u8>>>,
    _watcher: Watcher,
    /// Last, so that its files outlive the threads above.
    pub dir: tempfile::TempDir,
}

/// A folder in RAM, or elsewhere where there is none.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

impl Rig {
    /// `camera`: the lines of a `[[camera]]` below its id; `more`: other sections.
    pub fn start(camera: &str, more: &str) -> Self {
        let dir = folder();
        let text = format!("{more}\n[[camera]]\nid = \"cam\"\n{camera}\n");
        let settings = Arc::new(config::parse(&text).unwrap());
        let camera = Arc::new(settings.camera[0].clone());
        let (clock, log, metrics) =
            (Clock::system(), slog::Logger::root(slog::Discard, slog::o!()), Arc::new(Metrics::new()));
        // A hot folder that is hostile to shells and lists.
        let layout = HotLayout::new(dir.path().join("hot: a,'b"));
        let (id, counters) = (camera.id.clone(), metrics.device(&camera.id));
        let limits = HotLimits::of(&settings, &camera);
        let hot = Arc::new(HotDevice::new(id.clone(), layout.clone(), limits, clock.clone(), counters.clone()));
        hot.prepare().unwrap();
        let watcher = Watcher::start(&log, metrics.inotify_overflows.clone()).unwrap();
        watcher.add(&layout, Arc::clone(&hot), || {}).unwrap();
        let heard = Arc::<Mutex<Vec<u8>>>::default();
        let hears = heard.clone();
        let sink = Arc::new(move |_, pcm: &[u8]| hears.lock().unwrap().extend_from_slice(pcm));
        let cell = ProcessCell::with_sound(Spawner::start(WorkGroup::default()).unwrap(), sink);
        let capabilities = Arc::new(Capabilities::new(Arc::clone(&settings), &log));
        let injector = Injector::enabled();
        let status = Arc::<ArcSwap<CaptureStatus>>::default();
        let ground = Ground {
            clock: clock.clone(),
            log: log.clone(),
            metrics,
            board: StateBoard::new(),
            injector: injector.clone(),
            timing: Timing::default(),
        };
        let supervisor = Supervisor::start(ground).unwrap();
        let factory = {
            let (device, hot, cell, status, layout) =
                (id.clone(), Arc::clone(&hot), Arc::clone(&cell), Arc::clone(&status), layout.clone());
            move |birth: capstan::supervisor::Birth| {
                let books = Arc::clone(&hot);
                let last = std::sync::atomic::AtomicU32::new(0);
                let parts = CaptureParts {
                    device: device.clone(),
                    camera: Arc::clone(&camera),
                    settings: Arc::clone(&settings),
                    clock: clock.clone(),
                    log: log.clone(),
                    hot_layout: layout.clone(),
                    hot: Arc::clone(&hot),
                    cell: Arc::clone(&cell),
                    capabilities: Arc::clone(&capabilities),
                    next_epoch: Arc::new(move || {
                        let seen = books.highest_epoch().map_or(0, |epoch| epoch.0);
                        let last = &last;
                        let next = seen.max(last.load(std::sync::atomic::Ordering::Relaxed)) + 1;
                        last.store(next, std::sync::atomic::Ordering::Relaxed);
                        Epoch(next)
                    }),
                    metrics: counters.clone(),
                    status: Arc::clone(&status),
                };
                FfmpegActor::new(Arc::new(parts), birth.token)
            }
        };
        let spec = ChildSpec::new("ffmpeg", &Slot::new(), factory).limits(Limits::default());
        supervisor.add(spec.finish_within(Duration::from_secs(4))).unwrap();
        Self { hot, layout, id, cell, supervisor, injector, status, heard, _watcher: watcher, dir }
    }

    /// The decoded sound of all runs so far.
    pub fn heard(&self) -> Vec<u8> {
        self.heard.lock().unwrap().clone()
    }

    pub fn status(&self) -> Arc<CaptureStatus> {
        self.status.load_full()
    }

    /// Waits until so many segments of runs from `epoch` on have arrived; their files in order.
    pub async fn segments(&self, count: usize, epoch: u32) -> Vec<PathBuf> {
        let of_run = || {
            let waiting = self.hot.waiting();
            waiting.into_iter().filter(|segment| segment.key.epoch.0 >= epoch).map(|s| s.key).collect::<Vec<_>>()
        };
        wait_for(&format!("{count} segments; {:?}", self.status()), || of_run().len() >= count).await;
        of_run().into_iter().map(|key| self.hot.segment_path(key)).collect()
    }

    pub fn pictures(&self, kind: PictureKind) -> Vec<PathBuf> {
        let folder = self.layout.folder(&self.id, HotKind::Picture(kind));
        let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|suffix| suffix == "jpg"));
        paths.sort();
        paths
    }

    pub async fn stop(self) -> tempfile::TempDir {
        self.supervisor.stop().await;
        assert!(self.cell.current().is_none_or(|running| running.exit().is_some()), "a child outlived the stop");
        self.dir
    }
}

/// Polls until `met`, at most [`PATIENCE`].
pub async fn wait_for(what: &str, mut met: impl FnMut() -> bool) {
    wait_within(PATIENCE, what, &mut met).await;
}

/// How long it took.
pub async fn wait_within(limit: Duration, what: &str, met: &mut dyn FnMut() -> bool) -> Duration {
    let clock = Clock::system();
    let began = clock.mono();
    while !met() {
        assert!(clock.mono().since(began) < limit, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    clock.mono().since(began)
}

pub fn demux(path: &PathBuf) -> Segment {
    mpegts::demux(&std::fs::read(path).unwrap(), None).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Runs FFmpeg to make test material.
pub fn ffmpeg(args: &str) {
    let words = args.split(' ').filter(|word| !word.is_empty());
    let done = Command::new("ffmpeg").args(["-v", "error", "-nostdin", "-y"]).args(words).status().unwrap();
    assert!(done.success(), "{args}");
}
