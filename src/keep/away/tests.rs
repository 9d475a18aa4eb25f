//! The second volume comes and goes, is full, read-only, stalls; and 30 days of an archive in seconds.

use std::{collections::BTreeSet, path::Path, sync::Mutex};

use slog::{Discard, o};

use super::*;
use crate::{
    clock::{ManualClock, TICKS_PER_SECOND, Utc90k},
    config,
    keep::{Cleaner, CleanerParts, KeepLimits, LedgerParts, LoadReading, cleaner::Job, plan::Limits},
    storage::{
        ChunkEntry, DeviceIndex, Effect, Gate as Stall, Op, Pin, Pins, Place, Retention,
        layout::{ChunkKey, RingSlot, Sibling},
        library::tests::chunk_bytes,
        siblings,
        test_disk::Disk,
    },
    telemetry::Metrics,
};

/// 2026-11-20T03:00:00Z.
const NOW: i64 = 1_795_143_600;
const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60;
const DAY_TIME: Duration = Duration::from_secs(86_400);

struct Host {
    _folder: tempfile::TempDir,
    manual: ManualClock,
    devices: Vec<KeptDevice>,
    home: Arc<Volume>,
    away: Option<Arc<Away>>,
    cleaner: Arc<Cleaner>,
    pins: Arc<Mutex<Vec<Pin>>>,
    listed: u64,
}

impl Host {
    /// Devices of this many; the library's own volume where a root for it is given.
    fn new(devices: usize, limits: Limits, min_free_bytes: u64, away: Option<&Path>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let manual = ManualClock::at(Utc90k::from_seconds(NOW));
        manual.set_synchronised(true);
        let storage = config::Storage { root: folder.path().join("root"), ..config::Storage::default() };
        let home = Volume::open(&storage, &manual.clock()).unwrap();
        let (metrics, log) = (Arc::new(Metrics::new()), Logger::root(Discard, o!()));
        let devices: Vec<KeptDevice> = (0..devices)
            .map(|number| {
                let id = if number == 0 { "cam".into() } else { format!("cam-{number}") }.parse().unwrap();
                KeptDevice { index: Arc::new(DeviceIndex::new(id)), metrics: metrics.device(&"cam".parse().unwrap()) }
            })
            .collect();
        let pins = Arc::new(Mutex::new(Vec::new()));
        let pinned = pins.clone();
        let ledger = Arc::new(Ledger::new(LedgerParts {
            devices: Arc::new(ArcSwap::from_pointee(devices.clone())),
            pins: Arc::new(move || Some(Arc::new(Pins::new(pinned.lock().unwrap().clone())))),
            retention: Retention::load(&home, manual.clock()),
            limits: KeepLimits {
                keep: limits,
                min_free_bytes,
                interval: Duration::from_secs(60),
                max_cpu_percent: 90.0,
                max_io_wait_percent: 40.0,
            },
            load: Arc::new(LoadReading::default),
            clock: manual.clock(),
        }));
        let away = away.map(|root| {
            let away = Volume::away(root, &home);
            home.set_away(away.clone());
            let (ledger, metrics, log) = (ledger.clone(), metrics.clone(), log.clone());
            let away = Away::start(AwayParts { home: home.clone(), away, ledger, metrics, log }).unwrap();
            away.begun.store(true, Ordering::Release);
            away
        });
        let cleaner = Cleaner::start(CleanerParts {
            volume: home.clone(),
            ledger,
            away: away.clone(),
            hot: "/dev/shm".into(),
            hot_quotas_bytes: 1,
            metrics,
            log,
        })
        .unwrap();
        Self { _folder: folder, manual, devices, home, away, cleaner, pins, listed: 0 }
    }

    /// A sealed chunk of that device in the ring, with what lies beside it; and the open one after it.
    fn record(&self, device: usize, minute: i64, bytes: usize) {
        let index = &self.devices[device].index;
        let id = index.device();
        let start = Utc90k::from_seconds(NOW + minute * MINUTE);
        let entry = ChunkEntry {
            key: ChunkKey { start_ms: start.as_ms(), generation: 0 },
            place: Place::Ring(RingSlot::of(start, 600)),
            start,
            end: start + 600 * TICKS_PER_SECOND,
            bytes: bytes as u64,
            codecs: "".into(),
            gaps: 0,
            holes: None,
            sealed: true,
            original: false,
        };
        let mut content = chunk_bytes(id.as_str(), minute, 0);
        content.resize(bytes, 0x55);
        let lines = siblings::path(&self.home, id, Sibling::Metadata, entry.key, entry.place);
        for (path, content) in [(entry.path(self.home.layout(), id), &content[..]), (lines, b"lines")] {
            self.home.mkdir_all(path.parent().unwrap()).unwrap();
            let file = self.home.create_new(&path).unwrap();
            self.home.write_at(&file, &path, content, 0).unwrap();
        }
        index.put(entry);
    }

    fn away(&mut self) -> Arc<AwayStatus> {
        let away = self.away.clone().unwrap();
        away.run(&mut self.listed);
        away.status()
    }

    /// Where chunks lie, minutes ago of the start: `+` ring, `h` library at home, `a` away. Each is read.
    fn lies(&self) -> Vec<String> {
        let index = &self.devices[0].index;
        let told = |chunk: &Arc<ChunkEntry>| {
            let place = match chunk.place {
                Place::Temp => '.',
                Place::Ring(_) => '+',
                Place::Library(_, Shelf::Home) => 'h',
                Place::Library(_, Shelf::Away) => 'a',
            };
            let path = chunk.path(self.home.layout(), index.device());
            let read = self.home.open_at(chunk.place, &path);
            let mark = match read {
                Ok(_) => "",
                Err(error) if error.kind == Kind::Unavailable => "?",
                Err(error) => panic!("{error}"),
            };
            let minute = (chunk.start.as_seconds() - NOW) / MINUTE;
            format!("{minute}{place}{mark}")
        };
        index.snapshot().iter().map(told).collect()
    }
}

const WEEK: Limits =
    Limits { window: DAY_TIME, retention: Duration::from_secs(7 * 86_400), max_bytes: 0, device_max_bytes: 0 };

#[test]
fn chunks_follow_a_disk_that_comes_goes_and_comes_back() {
    let Some(disk) = Disk::new() else { return };
    disk.unmount();
    let mut host = Host::new(1, WEEK, 0, Some(&disk.root()));
    for minute in [-DAY - 40, -DAY - 20, -500, -10] {
        host.record(0, minute, 8192);
    }
    let told = host.away();
    assert!(!told.ok && told.error.is_some(), "{told:?}");
    assert_eq!(host.cleaner.run(Job::Clean).shelved, 2);
    let old = [-DAY - 40, -DAY - 20].map(|minute| minute.to_string());
    let at_home = [format!("{}h", old[0]), format!("{}h", old[1]), "-500+".into(), "-10+".into()];
    assert_eq!(host.lies(), at_home);

    disk.mount();
    let told = host.away();
    assert!(told.ok && told.moved == 2 && told.library_bytes == 2 * 8192, "{told:?}");
    let away = [format!("{}a", old[0]), format!("{}a", old[1]), "-500+".into(), "-10+".into()];
    assert_eq!(host.lies(), away);

    // Pulled: its footage is known, and told as out of reach; what leaves the ring waits at home.
    disk.unmount();
    let told = host.away();
    assert!(!told.ok, "{told:?}");
    let gone = away.clone().map(|text| if text.ends_with('a') { format!("{text}?") } else { text });
    assert_eq!(host.lies(), gone);
    host.manual.advance(Duration::from_secs(20 * 3600));
    assert_eq!(host.cleaner.run(Job::Clean).shelved, 1);
    assert_eq!(host.lies()[2], "-500h");

    // Back, and one chunk of it was deleted elsewhere meanwhile.
    disk.mount();
    let id = host.devices[0].index.device().clone();
    let first = host.devices[0].index.snapshot()[0].path(host.home.layout(), &id);
    std::fs::remove_file(disk.root().join(first)).unwrap();
    assert!(host.away().ok);
    assert_eq!(host.lies(), [format!("{}a", old[1]), "-500a".into(), "-10+".into()]);

    // Read-only: said, and the chunks that are there play on.
    disk.remount("ro");
    let told = host.away();
    assert!(!told.ok && told.error.as_deref().is_some_and(|why| why.contains("read-only")), "{told:?}");
    disk.remount("rw");
    assert!(host.away().ok);
    // Age takes what lies there too.
    host.manual.advance(8 * DAY_TIME);
    host.record(0, 8 * DAY + 1200, 8192);
    let told = host.away();
    assert_eq!((host.lies().len(), told.deleted), (2, 2), "{told:?}");
}

#[test]
fn a_full_disk_takes_the_newest_in_the_place_of_the_oldest_and_nothing_for_what_is_older() {
    let Some(disk) = Disk::new() else { return };
    let mut host = Host::new(1, WEEK, 4 << 20, Some(&disk.root()));
    for number in 0..24 {
        host.record(0, -2 * DAY + number * 10, 2 << 20);
    }
    host.record(0, -10, 8192);
    while host.cleaner.run(Job::Clean).shelved > 0 {}
    let told = host.away();
    assert!(told.ok && told.moved > 10 && told.free_bytes > 0, "{told:?}");
    host.away();
    let away: Vec<_> = host.lies().into_iter().filter(|it| it.ends_with('a')).collect();
    assert!(away.len() > 8, "{:?}", host.lies());
    assert!(away.last().unwrap().starts_with(&(-2 * DAY + 230).to_string()), "the newest came: {away:?}");
    assert!(host.away.as_ref().unwrap().parts.away.free_bytes() >= 4 << 20);
}

#[test]
fn a_stalled_volume_holds_up_nobody() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut host = Host::new(1, WEEK, 0, Some(folder.path()));
    for minute in [-DAY - 40, -500, -10] {
        host.record(0, minute, 8192);
    }
    assert!(host.away().ok);
    host.cleaner.run(Job::Clean);
    let (away, stall) = (host.away.clone().unwrap(), Stall::closed());
    away.parts.away.faults().arm(Op::SyncFile, 0, 1, Effect::Stall(stall.clone()));
    away.ask();
    let clock = crate::clock::Clock::system();
    let until = |happened: &dyn Fn() -> bool| {
        let began = clock.mono();
        while !happened() {
            assert!(clock.mono().since(began) < Duration::from_secs(10), "it did not happen");
            std::thread::yield_now();
        }
    };
    until(&|| away.status().copying.is_some());
    // The recorder's side goes on: planning, evicting, moving into the library, the ring's lock.
    host.manual.advance(Duration::from_secs(20 * 3600));
    assert_eq!(host.cleaner.run(Job::Clean).shelved, 1);
    assert!(host.cleaner.evict(1) > 0);
    drop(host.devices[0].index.hold_ring());
    // Nobody waits for ever to hear of it.
    host.manual.advance(Duration::from_secs(600));
    away.ask();
    assert!(!away.status().ok && away.status().error.is_some(), "{:?}", away.status());
    stall.open();
    until(&|| {
        away.ask();
        away.status().ok
    });
}

/// Two devices, a chunk each hour, 30 days: ring of 22 hours, so that no place of it is taken twice, library of a week on its own volume, a limit of bytes,
/// pins, steps of the wall clock. What is there at the end is known to the chunk.
#[test]
fn thirty_days_leave_exactly_what_should_stay() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    const BYTES: usize = 4096;
    // 6 days of both devices.
    let most = 6 * 24 * 2 * BYTES as u64;
    let mut host = Host::new(
        2,
        Limits { window: DAY_TIME - Duration::from_secs(7200), max_bytes: most, ..WEEK },
        0,
        Some(folder.path()),
    );
    let pin = |id: i64, device: &str, from: i64, to: i64, until: Option<i64>| Pin {
        id,
        device: device.parse().unwrap(),
        start: Utc90k::from_seconds(NOW + from * MINUTE),
        end: Utc90k::from_seconds(NOW + to * MINUTE),
        until: until.map(|minute| Utc90k::from_seconds(NOW + minute * MINUTE)),
        original: false,
        why: "trial".into(),
        by: "test".into(),
        created: Utc90k::from_seconds(NOW),
    };
    *host.pins.lock().unwrap() =
        vec![pin(1, "cam", 2 * DAY, 2 * DAY + 180, None), pin(2, "cam-1", 3 * DAY, 3 * DAY + 30, Some(20 * DAY))];
    for step in 0..30 * 24 {
        host.record(0, step * 60, BYTES);
        host.record(1, step * 60, BYTES);
        host.manual.advance(Duration::from_secs(3600));
        // Each day at another hour the clock is wrong by a day, either way, and unset.
        if step % 25 == 24 {
            let right = host.manual.clock().wall();
            host.manual.set_synchronised(false);
            for wrong in [right + 86_400 * TICKS_PER_SECOND, right + -86_400 * TICKS_PER_SECOND, Utc90k(0)] {
                host.manual.step_wall(wrong);
                host.cleaner.run(Job::Clean);
            }
            host.manual.step_wall(right);
            host.manual.set_synchronised(true);
        }
        while host.cleaner.run(Job::Clean).more {}
        host.away();
    }
    while host.cleaner.run(Job::Clean).more {}
    host.away();
    while host.cleaner.run(Job::Clean).more {}
    let starts = |device: usize| -> BTreeSet<i64> {
        let chunks = host.devices[device].index.snapshot();
        chunks.iter().map(|chunk| (chunk.start.as_seconds() - NOW) / MINUTE).collect()
    };
    let pinned: BTreeSet<i64> = (2 * DAY..2 * DAY + 180).step_by(60).collect();
    let (first, second) = (starts(0), starts(1));
    assert!(first.is_superset(&pinned), "what is pinned stays");
    let plain: Vec<i64> = first.difference(&pinned).copied().collect();
    let last = 30 * DAY - 60;
    // The limit counts what is pinned: the others share the rest, to the chunk.
    let total = 6 * 24 * 2 - pinned.len();
    assert_eq!(plain.len() + second.len(), total);
    for (device, left) in [plain, second.into_iter().collect()].iter().enumerate() {
        assert_eq!(*left.last().unwrap(), last);
        assert!(left.windows(2).all(|two| two[1] - two[0] == 60), "no hole, device {device}");
    }
    // Everything listed is there, and nothing else is.
    let mut files = 0;
    for device in &host.devices {
        for chunk in device.index.snapshot().iter() {
            let path = chunk.path(host.home.layout(), device.index.device());
            assert!(host.home.of(chunk.place).exists(&path), "{chunk:?}");
            files += 1;
        }
    }
    let find = |root: &Path| {
        let listing = std::process::Command::new("find").arg(root).args(["-name", "chunk_10min_?.mp4"]).output();
        String::from_utf8(listing.unwrap().stdout).unwrap().lines().count()
    };
    assert_eq!(find(host.home.root()) + find(folder.path()), files);
    assert_eq!(files, 6 * 24 * 2);
    let in_ring = |chunk: &&Arc<ChunkEntry>| matches!(chunk.place, Place::Ring(_));
    let ring = host.devices[0].index.snapshot().iter().filter(in_ring).count();
    assert!((22..=24).contains(&ring), "22 hours in the ring: {ring}");
}
