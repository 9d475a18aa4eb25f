//! Watching many devices: CPU time of it, and how long after a thumbnail is in its place its verdict is known.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a bench reports on its output")]

#[path = "common.rs"]
mod common;

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use capstan::{
    capture::{Arrivals, Thumbnail, Watcher},
    clock::{Clock, Mono, Utc90k},
    config::{Detect, Settings},
    frames::{Eyes, FrameParts, FrameQueue, Hearing, Pool, RunClock},
    ids::{DeviceId, Epoch, SegmentKey},
    storage::{
        HotDevice, HotLimits, HotSegment,
        layout::{HotKind, HotLayout, PictureKind},
    },
    telemetry::{DeviceMetrics, Metrics},
};

const THUMBNAIL: HotKind = HotKind::Picture(PictureKind::Thumbnail);
/// A thumbnail each so often.
const EVERY: Duration = Duration::from_millis(200);

fn main() {
    let seconds = std::env::var("CAPSTAN_BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let thumbnails = thumbnails(folder.path());

    let sixteen = Host::start(&folder.path().join("16"), 16);
    let usage = sixteen.feed(&thumbnails, seconds);
    let percent = usage.cpu.as_secs_f64() / usage.took.as_secs_f64() * 100.0;
    println!("claim\twatching_cpu\t\t{percent:.2} % of a core, {} dropped", sixteen.dropped());
    let idle = sixteen.p95();
    drop(sixteen);

    let many = Host::start(&folder.path().join("64"), 64);
    many.feed(&thumbnails, seconds);
    let dropped = many.dropped();
    println!(
        "claim\tverdict_latency\t\tp95 {} with 16 devices, {} with 64, {dropped} dropped",
        ms(idle),
        ms(many.p95())
    );
    drop(many);

    flood(&folder.path().join("flood"), &thumbnails);
    burst(&folder.path().join("burst"), &thumbnails, seconds);
}

/// Twenty frames at once of each of four devices, every second; against a thread for each frame, as many as there are.
fn burst(folder: &Path, thumbnails: &[Bytes], seconds: u32) {
    const DEVICES: usize = 4;
    const AT_ONCE: u64 = 20;
    let host = Host::start(folder, DEVICES);
    let frames = |second: u32| (0..AT_ONCE).map(move |n| u64::from(second) * AT_ONCE + n);
    let of = |number: u64| thumbnails[number as usize % thumbnails.len()].clone();
    let ours = peak(seconds, |second| {
        for device in &host.devices {
            for number in frames(second) {
                device.queue.arrived(SegmentKey { epoch: Epoch(1), number }, host.clock.wall(), Some(of(number)));
            }
            device.queue.start();
        }
    });
    assert_eq!(host.dropped(), 0);
    let eyes: Vec<_> = (0..DEVICES).map(|_| Arc::new(Mutex::new(Eyes::new()))).collect();
    let detect = Arc::new(Detect::default());
    let unbounded = peak(seconds, |second| {
        for eyes in &eyes {
            for number in frames(second) {
                let (eyes, detect, jpeg) = (eyes.clone(), detect.clone(), of(number));
                let look = move || drop(eyes.lock().unwrap().look(Utc90k(number as i64 * 4500), &jpeg, &detect));
                std::thread::spawn(look);
            }
        }
    });
    println!(
        "claim\tcpu_burst\t{unbounded:.1} % of the machine, a thread for each\t{ours:.1} % of the machine, 0 dropped"
    );
}

/// What the machine's processors did for us in the busiest second, in percent of them all; `act` begins each second.
fn peak(seconds: u32, act: impl Fn(u32)) -> f64 {
    let cores = std::thread::available_parallelism().unwrap().get();
    let share = |second| {
        let before = common::cpu();
        act(second);
        std::thread::sleep(Duration::from_secs(1));
        (common::cpu() - before).as_secs_f64() * 100.0 / cores as f64
    };
    (0..seconds).map(share).fold(0.0, f64::max)
}

/// One device is given 10,000 frames as fast as they can be; the others go on at their five a second.
fn flood(folder: &Path, thumbnails: &[Bytes]) {
    let host = Arc::new(Host::start(folder, 16));
    let (flooding, frame) = (host.clone(), thumbnails[0].clone());
    let flooder = std::thread::spawn(move || {
        let device = &flooding.devices[0];
        for number in 1_000_000..1_010_000 {
            let key = SegmentKey { epoch: Epoch(1), number };
            device.queue.arrived(key, flooding.clock.wall(), Some(frame.clone()));
            device.queue.start();
        }
    });
    host.feed_some(thumbnails, 10, 1..16);
    flooder.join().unwrap();
    let device = &host.devices[0];
    while device.metrics.frame_queue_depth.get() > 0 {
        std::thread::sleep(EVERY);
    }
    // The last of them may be in work still.
    std::thread::sleep(EVERY);
    let seen = device.seen.lock().unwrap();
    assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0), "out of order");
    let (looked, dropped) = (seen.len() as u64, device.metrics.frames_dropped.get());
    let skipped = device.metrics.frames_skipped.get();
    assert_eq!(looked + dropped + skipped, 10_000, "{looked} seen, {dropped} dropped, {skipped} passed over");
    let quiet = host.p95_of(1..16);
    println!(
        "claim\tflood\t\tp95 {} for the others; of 10,000: {looked} seen, {skipped} passed over, {dropped} dropped, all counted",
        ms(quiet)
    );
}

struct Usage {
    cpu: Duration,
    took: Duration,
}

struct Host {
    clock: Clock,
    devices: Vec<Watched>,
    layout: HotLayout,
    _watcher: Watcher,
}

struct Watched {
    hot: Arc<HotDevice>,
    queue: Arc<FrameQueue>,
    metrics: DeviceMetrics,
    /// When each frame was put in its place.
    placed: Mutex<Vec<(u64, Mono)>>,
    /// And when its verdict was known.
    seen: Arc<Mutex<Vec<(u64, Mono)>>>,
}

/// The watcher's notice without the actor in between.
struct Doorbell(Arc<FrameQueue>);

impl Arrivals for Doorbell {
    fn segment(&self, _: Option<&HotSegment>) {}

    fn last_thumbnail(&self) -> Option<SegmentKey> {
        Some(self.0.last().unwrap_or_default())
    }

    fn thumbnail(&self, thumbnail: Thumbnail, unnoticed: &[SegmentKey]) {
        self.0.unnoticed(unnoticed, thumbnail.arrived);
        self.0.arrived(thumbnail.key, thumbnail.arrived, thumbnail.jpeg);
        self.0.start();
    }
}

impl Host {
    fn start(folder: &Path, count: usize) -> Self {
        let (clock, log) = (Clock::system(), slog::Logger::root(slog::Discard, slog::o!()));
        let (metrics, layout) = (Metrics::new(), HotLayout::new(folder));
        let watcher = Watcher::start(&log, metrics.inotify_overflows.clone()).unwrap();
        let pool = Pool::start(0, &log).unwrap();
        let settings = Settings::default();
        let limits = HotLimits {
            segments: 150,
            segment_max_age: None,
            captures: 300,
            thumbnails: 100,
            device_bytes: settings.hot.device_bytes.0,
        };
        let device = |n: usize| {
            let id: DeviceId = format!("device-{n}").parse().unwrap();
            let metrics = metrics.device(&id);
            let hot = HotDevice::new(id, layout.clone(), limits, clock.clone(), metrics.clone());
            hot.prepare().unwrap();
            let seen = Arc::<Mutex<Vec<_>>>::default();
            let (told, at) = (seen.clone(), clock.clone());
            let queue = FrameQueue::new(FrameParts {
                clock: clock.clone(),
                log: log.clone(),
                metrics: metrics.clone(),
                pool: pool.clone(),
                frames_max: settings.analysis.queue,
                detect: Arc::default(),
                run_clock: Arc::new(RunClock::new(clock.clone())),
                hearing: Arc::new(Hearing::new()),
                eyes: Arc::new(|| Box::new(Eyes::new())),
                witnesses: vec![Arc::new(move |it, _| told.lock().unwrap().push((it.key.number, at.mono())))],
            });
            let hot = Arc::new(hot);
            watcher.add(&layout, hot.clone(), Doorbell(queue.clone())).unwrap();
            Watched { hot, queue, metrics, placed: Mutex::default(), seen }
        };
        let devices = (0..count).map(device).collect();
        Self { clock, devices, layout, _watcher: watcher }
    }

    fn feed(&self, thumbnails: &[Bytes], seconds: u32) -> Usage {
        self.feed_some(thumbnails, seconds, 0..self.devices.len())
    }

    /// As FFmpeg does it, each device at its own moment of the 200 ms. The feeding itself is not counted.
    fn feed_some(&self, thumbnails: &[Bytes], seconds: u32, which: std::ops::Range<usize>) -> Usage {
        let fed = || rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        let fed = || Duration::new(fed().tv_sec as u64, fed().tv_nsec as u32);
        let (began, cpu, own) = (self.clock.mono(), common::cpu(), fed());
        let devices = &self.devices[which];
        let apart = EVERY / u32::try_from(devices.len()).unwrap();
        for round in 0..seconds * 5 {
            for (n, device) in (0..).zip(devices) {
                let due = EVERY * round + apart * n;
                std::thread::sleep(due.saturating_sub(self.clock.mono().since(began)));
                let number = u64::from(round);
                let path = self.layout.file(device.hot.id(), THUMBNAIL, SegmentKey { epoch: Epoch(1), number });
                let aside = path.with_extension("tmp");
                std::fs::write(&aside, &thumbnails[round as usize % thumbnails.len()]).unwrap();
                device.placed.lock().unwrap().push((number, self.clock.mono()));
                std::fs::rename(aside, path).unwrap();
            }
        }
        std::thread::sleep(EVERY);
        Usage { cpu: (common::cpu() - cpu).saturating_sub(fed() - own), took: self.clock.mono().since(began) }
    }

    fn dropped(&self) -> u64 {
        self.devices.iter().map(|device| device.metrics.frames_dropped.get()).sum()
    }

    fn p95(&self) -> Duration {
        self.p95_of(0..self.devices.len())
    }

    fn p95_of(&self, which: std::ops::Range<usize>) -> Duration {
        let mut took = Vec::new();
        for device in &self.devices[which] {
            let (placed, seen) = (device.placed.lock().unwrap(), device.seen.lock().unwrap());
            let of = |(number, at): &(u64, Mono)| {
                let place = placed.binary_search_by_key(number, |(number, _)| *number).ok()?;
                Some(at.since(placed[place].1))
            };
            took.extend(seen.iter().filter_map(of));
        }
        assert!(!took.is_empty(), "nothing was seen");
        took.sort();
        took[took.len() * 95 / 100]
    }
}

/// Two seconds of the clip as the product makes them.
fn thumbnails(folder: &Path) -> Vec<Bytes> {
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/demo/bigbuckbunny.mp4");
    let (clip, out) = (clip.display(), folder.join("%03d.jpg"));
    let out = out.display();
    common::run(&format!("-i {clip} -vf scale=320:180:out_range=full -pix_fmt yuvj420p -q:v 6 -frames:v 48 {out}"));
    let read = |n: u32| std::fs::read(folder.join(format!("{n:03}.jpg"))).unwrap().into();
    (1..=48).map(read).collect()
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
