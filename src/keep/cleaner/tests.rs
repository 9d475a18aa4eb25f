//! With real files: what is deleted, what is told, and that a refusing or stalled disk harms nobody.

use slog::{Discard, o};
use std::path::Path;
use tempfile::TempDir;

use std::time::Duration;

use super::*;
use crate::{
    clock::{Clock, ManualClock, TICKS_PER_SECOND, Utc90k},
    config,
    keep::{CleanerActor, LedgerParts, LoadReading, PinsNow, plan::Limits},
    storage::{
        ChunkEntry, DeviceIndex, Effect, Gate as Stall, Op, Pins, Place,
        layout::{Companion, RingSlot, Sibling},
        siblings,
        test_disk::Disk,
    },
};

/// 2026-11-20T03:00:00Z.
const NOW: i64 = 1_795_143_600;
const MINUTE: i64 = 60;

type Load = Arc<dyn Fn() -> LoadReading + Send + Sync>;

struct Bench {
    _folder: Option<TempDir>,
    manual: ManualClock,
    device: KeptDevice,
    pinned: Arc<ArcSwap<Option<Arc<Pins>>>>,
    cleaner: Arc<Cleaner>,
}

impl Bench {
    /// Chunks of 1000 bytes that started so many minutes ago, and an open one.
    fn new(minutes_ago: &[i64], limits: KeepLimits, load: LoadReading) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut bench = Self::at(&folder.path().join("root"), limits, Arc::new(move || load));
        bench._folder = Some(folder);
        for minutes in minutes_ago {
            bench.put(NOW - minutes * MINUTE, true, 1000);
        }
        bench.put(NOW - MINUTE, false, 1000);
        bench
    }

    fn at(root: &Path, limits: KeepLimits, load: Load) -> Self {
        let manual = ManualClock::at(Utc90k::from_seconds(NOW));
        let storage = config::Storage { root: root.to_owned(), ..config::Storage::default() };
        let metrics = Arc::new(Metrics::new());
        let id: DeviceId = "cam".parse().unwrap();
        let device = KeptDevice { index: Arc::new(DeviceIndex::new(id.clone())), metrics: metrics.device(&id) };
        let volume = Volume::open(&storage, &manual.clock()).unwrap();
        let pinned = Arc::new(ArcSwap::from_pointee(Some(Arc::<Pins>::default())));
        let pins: PinsNow = {
            let pinned = pinned.clone();
            Arc::new(move || pinned.load().as_ref().clone())
        };
        let ledger = Ledger::new(LedgerParts {
            retention: Retention::load(&volume, manual.clock()),
            devices: Arc::new(ArcSwap::from_pointee(vec![device.clone()])),
            pins,
            limits,
            load,
            clock: manual.clock(),
        });
        let parts = CleanerParts {
            ledger: Arc::new(ledger),
            away: None,
            hot: "/dev/shm".into(),
            hot_quotas_bytes: 1,
            log: Logger::root(Discard, o!()),
            metrics,
            volume,
        };
        Self { _folder: None, manual, device, pinned, cleaner: Cleaner::start(parts).unwrap() }
    }

    fn volume(&self) -> &Volume {
        &self.cleaner.parts.volume
    }

    fn put(&self, start_s: i64, sealed: bool, bytes: u64) {
        let start = Utc90k::from_seconds(start_s);
        let entry = ChunkEntry {
            key: ChunkKey { start_ms: start.as_ms(), generation: 0 },
            place: if sealed { Place::Ring(RingSlot::of(start, 600)) } else { Place::Temp },
            start,
            end: start + 600 * TICKS_PER_SECOND,
            bytes,
            codecs: "".into(),
            gaps: 0,
            holes: None,
            sealed,
            original: false,
        };
        let path = self.path(&entry);
        self.volume().mkdir_all(path.parent().unwrap()).unwrap();
        self.volume().write_atomic(&path, &vec![1; bytes as usize]).unwrap();
        self.device.index.put(entry);
    }

    fn path(&self, entry: &ChunkEntry) -> PathBuf {
        entry.path(self.volume().layout(), self.device.index.device())
    }

    /// Minutes ago of what is published; each must have its file.
    fn left(&self) -> Vec<i64> {
        let chunks = self.device.index.snapshot();
        for chunk in chunks.iter() {
            assert!(self.volume().exists(&self.path(chunk)), "{chunk:?} is published without a file");
        }
        chunks.iter().map(|chunk| (NOW - chunk.start.as_seconds()) / MINUTE).collect()
    }
}

const DAY: i64 = 24 * 60;
const LIMITS: KeepLimits = KeepLimits {
    keep: Limits { window: Duration::from_secs(86_400), retention: Duration::ZERO, max_bytes: 0, device_max_bytes: 0 },
    min_free_bytes: 0,
    interval: Duration::from_secs(60),
    max_cpu_percent: 90.0,
    max_io_wait_percent: 40.0,
};
const IDLE: LoadReading = LoadReading { cpu_percent: 5.0, io_wait_percent: 1.0 };

#[test]
fn expired_chunks_go_from_index_and_disk() {
    let bench = Bench::new(&[DAY + 30, DAY + 20, DAY, 500, 200], LIMITS, IDLE);
    let cleaned = bench.cleaner.run(Job::Clean);
    assert_eq!(cleaned, Cleaned { expired: 2, bytes: 2000, ..Cleaned::default() });
    assert_eq!(bench.left(), [DAY, 500, 200, 1]);
    assert_eq!(bench.device.metrics.chunks_expired.get(), 2);
    let status = bench.cleaner.status();
    assert_eq!((status.gate, status.expired, status.volume_error.as_deref()), (Gate::Open, 2, None));
    assert!(status.free_bytes > 0);
    // The rest of the oldest hour leaves the window as time goes on.
    bench.manual.advance(Duration::from_secs(600));
    assert_eq!(bench.cleaner.run(Job::Watch).expired, 0, "watching expires nothing");
    assert_eq!(bench.cleaner.run(Job::Clean).expired, 1);
}

/// What doctor and metrics call the oldest age is the one that deletion goes by.
#[test]
fn the_oldest_age_is_not_fooled_by_labels() {
    let bench = Bench::new(&[500], LIMITS, IDLE);
    let age = |bench: &Bench| {
        bench.cleaner.run(Job::Clean);
        bench.device.metrics.oldest_chunk_age_seconds.get() as i64 / MINUTE
    };
    assert_eq!(age(&bench), 500);
    bench.manual.step_wall(Utc90k::from_seconds(NOW + DAY * MINUTE));
    assert_eq!(age(&bench), 500, "the clock jumped ahead by a day");
    bench.manual.step_wall(Utc90k::from_seconds(NOW));
    bench.put(100, true, 1000);
    assert_eq!(age(&bench), 500, "a chunk labelled 1970 came just now");
    bench.manual.advance(Duration::from_secs(600));
    assert_eq!(age(&bench), 510);
}

#[test]
fn a_busy_machine_expires_later_but_makes_room_at_once() {
    let check = |load, gate| {
        let bench = Bench::new(&[DAY + 30, 500, 200], LIMITS, load);
        assert_eq!(bench.cleaner.run(Job::Clean), Cleaned::default());
        assert_eq!(bench.cleaner.status().gate, gate);
        let short = KeepLimits { min_free_bytes: u64::MAX, ..LIMITS };
        bench.cleaner.set_limits(short);
        let cleaned = bench.cleaner.run(Job::Watch);
        assert_eq!((cleaned.expired, cleaned.evicted), (0, 3));
        assert_eq!(bench.left(), [1], "the open chunk stays whatever is missing");
        bench.cleaner.run(Job::Watch);
        assert!(bench.cleaner.status().out_of_space);
    };
    check(LoadReading { cpu_percent: 95.0, ..IDLE }, Gate::Cpu);
    check(LoadReading { io_wait_percent: 50.0, ..IDLE }, Gate::IoWait);
}

#[test]
fn room_is_made_for_a_write_that_found_none() {
    let bench = Bench::new(&[500, 400, 300, 200], LIMITS, IDLE);
    assert_eq!(bench.cleaner.evict(1500), 2000);
    assert_eq!(bench.left(), [300, 200, 1]);
    assert_eq!(bench.device.metrics.chunks_evicted.get(), 2);
}

#[test]
fn the_oldest_goes_before_a_real_disk_is_full() {
    let Some(disk) = Disk::new() else { return };
    let bench = Bench::at(&disk.root(), KeepLimits { min_free_bytes: 8 << 20, ..LIMITS }, Arc::new(|| IDLE));
    for i in 0..60 {
        bench.put(NOW - (600 - i * 10) * MINUTE, true, 1 << 20);
        bench.cleaner.run(Job::Watch);
        assert!(bench.volume().free_bytes() >= 8 << 20, "after {i} chunks");
    }
    let left = bench.left();
    let expected: Vec<i64> = (1..=left.len() as i64).rev().map(|i| i * 10).collect();
    assert!(left.len() > 10, "{left:?}");
    assert_eq!(left, expected, "only the oldest have gone");
}

#[test]
fn a_chunk_that_the_disk_will_not_delete_stays_published() {
    let bench = Bench::new(&[DAY + 30, 200], LIMITS, IDLE);
    bench.volume().faults().arm(Op::Unlink, 0, 1, Effect::Fail(libc::EACCES));
    assert_eq!(bench.cleaner.run(Job::Clean).expired, 0);
    assert_eq!(bench.left(), [DAY + 30, 200, 1]);
    assert_eq!(bench.cleaner.run(Job::Clean).expired, 1);
}

#[test]
fn a_sick_volume_is_told_and_nothing_is_deleted() {
    let bench = Bench::new(&[DAY + 30, 200], LIMITS, IDLE);
    bench.volume().faults().arm(Op::Write, 0, u32::MAX, Effect::Fail(libc::EIO));
    assert!(bench.volume().write_atomic(Path::new("x"), b"x").is_err());
    assert_eq!(bench.cleaner.run(Job::Clean), Cleaned::default());
    let status = bench.cleaner.status();
    assert_eq!(status.gate, Gate::Volume);
    assert!(status.volume_error.as_deref().is_some_and(|why| why.contains(".probe")), "{status:?}");
    bench.volume().faults().clear();
    assert_eq!(bench.cleaner.run(Job::Clean).expired, 1);
    assert_eq!(bench.cleaner.status().volume_error, None);
}

#[test]
fn a_hot_folder_on_a_disk_is_told() {
    let bench = Bench::new(&[], LIMITS, IDLE);
    assert_eq!(bench.cleaner.status().hot_error, None);
    bench.cleaner.set_hot_quotas(u64::MAX / 4);
    bench.cleaner.run(Job::Watch);
    assert!(bench.cleaner.status().hot_error.as_deref().is_some_and(|why| why.contains("add up to")));
}

#[test]
fn the_retention_clock_survives_a_restart() {
    let bench = Bench::new(&[], LIMITS, IDLE);
    bench.manual.step_wall(Utc90k::from_seconds(NOW + 7 * 86_400));
    bench.cleaner.finish().unwrap();
    let again = Retention::load(bench.volume(), bench.manual.clock());
    assert_eq!(again.now().retention, Utc90k::from_seconds(NOW));
}

#[test]
fn a_stalled_disk_stalls_only_the_cleaners_thread() {
    let bench = Bench::new(&[DAY + 30, 200], LIMITS, IDLE);
    let gate = Stall::closed();
    bench.volume().faults().arm(Op::Unlink, 0, 1, Effect::Stall(gate.clone()));
    assert!(bench.cleaner.ask(Job::Clean));
    // One job runs or is about to, one may wait, the next is refused; nobody blocks.
    until(|| !bench.cleaner.ask(Job::Watch));
    gate.open();
    until(|| bench.cleaner.status().expired == 1);
}

#[test]
fn the_actor_sets_the_thread_to_work() {
    let bench = Bench::new(&[DAY + 30, 200], LIMITS, IDLE);
    let system = actix::System::new();
    system.block_on(async {
        let _actor = actix::Actor::start(CleanerActor::new(bench.cleaner.clone(), bench.manual.clock()));
        while bench.cleaner.status().last_round.is_none() {
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(bench.left(), [200, 1]);
}

/// Polls with a limit of ten seconds.
fn until(mut happened: impl FnMut() -> bool) {
    let clock = Clock::system();
    let began = clock.mono();
    while !happened() {
        assert!(clock.mono().since(began) < Duration::from_secs(10), "it did not happen");
        std::thread::yield_now();
    }
}

#[test]
fn what_lies_beside_a_chunk_goes_with_it() {
    let bench = Bench::new(&[DAY + 30, 200], LIMITS, IDLE);
    let beside = |entry: &ChunkEntry| {
        let id = bench.device.index.device();
        Sibling::ALL.map(|it| siblings::path(bench.volume(), id, it, entry.key, entry.place))
    };
    let chunks = bench.device.index.snapshot();
    for path in chunks.iter().flat_map(|chunk| beside(chunk)) {
        bench.volume().mkdir_all(path.parent().unwrap()).unwrap();
        bench.volume().write_atomic(&path, b"beside").unwrap();
    }
    let exist = |entry: &ChunkEntry| beside(entry).map(|path| bench.volume().exists(&path));
    assert_eq!(bench.cleaner.run(Job::Clean).expired, 1);
    assert_eq!(exist(&chunks[0]), [false, false]);
    assert_eq!(exist(&chunks[1]), [true, true]);
}

#[test]
fn the_library_takes_what_leaves_the_ring_and_keeps_it_for_its_days() {
    let keep = Limits { retention: Duration::from_secs(2 * 86_400), ..LIMITS.keep };
    let bench = Bench::new(&[DAY + 30, 500], KeepLimits { keep, ..LIMITS }, IDLE);
    let cleaned = bench.cleaner.run(Job::Clean);
    assert_eq!(cleaned, Cleaned { shelved: 1, ..Cleaned::default() });
    assert_eq!(bench.left(), [DAY + 30, 500, 1]);
    let chunks = bench.device.index.snapshot();
    assert!(matches!(chunks[0].place, Place::Library(_, Shelf::Home)), "{:?}", chunks[0].place);
    assert!(!bench.volume().exists(Path::new("cam/segments/2")), "its empty hour is gone");
    assert_eq!((bench.cleaner.status().shelved, bench.cleaner.status().library_bytes), (1, 1000));
    bench.manual.advance(Duration::from_secs(2 * 86_400));
    assert_eq!(bench.cleaner.run(Job::Clean).expired, 1);
    // What was 500 minutes old has left the ring meanwhile.
    assert_eq!(bench.left(), [500, 1]);
    assert!(!bench.volume().exists(Path::new("cam/library/2026-11-19/02")), "so is that of the library");
}

#[test]
fn nothing_is_deleted_before_it_is_known_what_is_pinned() {
    let bench = Bench::new(&[DAY + 30, 200], LIMITS, IDLE);
    let known = bench.pinned.swap(Arc::new(None));
    assert_eq!(bench.cleaner.run(Job::Clean).expired, 0);
    assert_eq!(bench.cleaner.status().gate, Gate::Pins);
    assert_eq!(bench.cleaner.evict(1), 0);
    let (id, chunk) = (bench.device.index.device(), bench.device.index.snapshot()[0].clone());
    assert!(bench.cleaner.stays(id, chunk.start, chunk.end));
    bench.pinned.store(known);
    assert!(!bench.cleaner.stays(id, chunk.start, chunk.end));
    assert_eq!(bench.cleaner.run(Job::Clean).expired, 1);
    assert!(bench.cleaner.status().last_success.is_some());
}

#[test]
fn everything_beside_a_chunk_goes_with_it_and_strangers_stay() {
    let bench = Bench::new(&[DAY + 30, 200], LIMITS, IDLE);
    let chunk = bench.path(&bench.device.index.snapshot()[0]);
    for companion in Companion::ALL {
        bench.volume().write_atomic(&companion.beside(&chunk), b"x").unwrap();
    }
    let original = bench.device.index.snapshot()[0].as_ref().clone();
    bench.device.index.put_original(ChunkEntry { key: ChunkKey { generation: 7, ..original.key }, ..original });
    bench.volume().write_atomic(&chunk.with_file_name("holiday.mp4"), b"x").unwrap();
    assert_eq!(bench.cleaner.run(Job::Clean).expired, 1);
    assert!(bench.device.index.originals().is_empty());
    let left: Vec<_> = bench.volume().read_dir(chunk.parent().unwrap()).unwrap();
    assert_eq!(left.iter().map(|it| it.name.to_str().unwrap()).collect::<Vec<_>>(), ["holiday.mp4"]);
}

/// A real load, read by the one who reads it for all, closes the gate; the longest way is two of its readings.
#[test]
fn busy_threads_close_the_gate() {
    let published = Arc::new(ArcSwap::from_pointee(crate::supervisor::Load::default()));
    let read = published.clone();
    let load: Load = Arc::new(move || {
        let now = read.load();
        LoadReading { cpu_percent: now.cpu_percent, io_wait_percent: now.io_wait_percent }
    });
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::at(&folder.path().join("root"), KeepLimits { max_cpu_percent: 80.0, ..LIMITS }, load);
    bench.put(NOW - (DAY + 30) * MINUTE, true, 1000);
    bench.put(NOW - MINUTE, false, 1000);
    let burning = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let burners: Vec<_> = (0..std::thread::available_parallelism().unwrap().get() * 2)
        .map(|_| {
            let burning = burning.clone();
            std::thread::spawn(move || {
                while burning.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        })
        .collect();
    let system = actix::System::new();
    let closed = system.block_on(async {
        let clock = Clock::system();
        let metrics = bench.cleaner.parts.metrics.clone();
        let _reader = actix::Actor::start(crate::supervisor::LoadActor::new(
            published,
            crate::supervisor::LoadWatch::default(),
            metrics,
        ));
        let began = clock.mono();
        while bench.cleaner.parts.ledger.gate() != Gate::Cpu && clock.mono().since(began) < Duration::from_secs(20) {
            tokio::task::yield_now().await;
        }
        bench.cleaner.run(Job::Clean)
    });
    assert_eq!(closed, Cleaned::default(), "nothing is deleted meanwhile");
    assert_eq!(bench.cleaner.status().gate, Gate::Cpu, "and it says why");
    burning.store(false, Ordering::Relaxed);
    burners.into_iter().for_each(|burner| burner.join().unwrap());
}

/// What is told of other limits is what comes of them.
#[test]
fn the_outlook_is_what_then_happens() {
    let days = |days: f64| Duration::from_secs_f64(days * 86_400.0);
    let lasting = |keep: Limits| KeepLimits { keep, ..LIMITS };
    let kept = lasting(Limits { retention: days(10.0), ..LIMITS.keep });
    let check = |after: KeepLimits, deleted: usize, moved: usize| {
        let bench = Bench::new(&[20 * DAY + 50, 5 * DAY + 40, 3 * DAY + 30, 2 * DAY + 20, 500, 200], kept, IDLE);
        let clean = || assert!((0..9).any(|_| bench.cleaner.run(Job::Clean) == Cleaned::default()));
        // What goes in any case is not of the change.
        let told = bench.cleaner.outlook(&after).unwrap();
        assert_eq!((told.chunks, told.bytes), (deleted, 1000 * deleted as u64), "{after:?}");
        assert_eq!((told.moved_chunks, told.moved_bytes), (moved, 1000 * moved as u64), "{after:?}");
        assert_eq!(bench.left().len(), 7, "nothing was touched");
        clean();
        let before = bench.left().len();
        bench.cleaner.set_limits(after);
        clean();
        assert_eq!(before - bench.left().len(), deleted, "{after:?}");
        let oldest = bench.device.index.snapshot().iter().map(|chunk| chunk.start).min();
        assert_eq!(told.oldest_kept, oldest, "{after:?}");
    };
    check(kept, 0, 0);
    check(lasting(Limits { retention: days(2.5), ..kept.keep }), 1, 0);
    check(lasting(Limits { retention: Duration::ZERO, ..kept.keep }), 3, 0);
    check(lasting(Limits { window: Duration::from_secs(6 * 3600), ..kept.keep }), 0, 1);
    check(lasting(Limits { max_bytes: 4500, ..kept.keep }), 2, 0);
    check(lasting(Limits { device_max_bytes: 2500, ..kept.keep }), 4, 0);
    let bench = Bench::new(&[500], kept, IDLE);
    bench.pinned.store(Arc::new(None));
    assert_eq!(bench.cleaner.outlook(&kept).unwrap_err().kind, crate::error::Kind::Unavailable);
}
