//! What keeping footage costs: a plan over a long history, a round in which nothing is due, one chunk that goes, and
//! what those who ask a daemon notice of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a bench reports on its output")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use capstan::{
    clock::{Clock, Mono, Utc90k},
    config::Storage,
    ids::DeviceId,
    keep::{
        Ages, Now,
        plan::{Deed, Footage, Limits, Wanted, plan},
    },
    storage::{
        ChunkEntry, DeviceIndex, Pins, Place, Volume,
        layout::{ChunkKey, LibraryHour, RingSlot, Shelf, Sibling},
        library,
        retention::Moment,
        siblings,
    },
};
use common::{Setup, TestDaemon, chunks::sealed_pictures, holds_within, now, until};
use rustix::fs::{Advice, FallocateFlags, fadvise, fallocate};

const DEVICES: usize = 100;
/// 30 days of ten minutes.
const CHUNKS: i64 = 4320;
const ROUNDS: usize = 21;
/// Chunks moved and deleted for real.
const GONE: i64 = 500;
const CHUNK_BYTES: usize = 16 << 20;
/// Pictures in an hour folder of the systems before: five a second.
const PICTURES: usize = 18_000;

fn main() {
    plans();
    files();
    workers();
}

fn entry(start: Utc90k, place: Place) -> ChunkEntry {
    ChunkEntry {
        key: ChunkKey { start_ms: start.as_ms(), generation: 0 },
        place,
        start,
        end: start + 600 * 90_000,
        bytes: CHUNK_BYTES as u64,
        codecs: "avc1.64001f,mp4a.40.2".into(),
        gaps: 0,
        holes: None,
        sealed: true,
        original: false,
    }
}

fn plans() {
    let wall = Clock::system().wall();
    let wall = Utc90k::from_seconds(wall.as_seconds() / 3600 * 3600 + 1800);
    let moment = Moment { wall, retention: wall };
    let when = Now { moment, mono: Mono::ZERO };
    let indexes: Vec<DeviceIndex> = (0..DEVICES)
        .map(|number| {
            let index = DeviceIndex::new(format!("device-{number}").parse().unwrap());
            let chunk = |back: i64| {
                let start = wall + -(back * 600) * 90_000;
                let slot = RingSlot::of(start, 600);
                let old = back > 144;
                entry(start, if old { Place::Library(slot, Shelf::Home) } else { Place::Ring(slot) })
            };
            index.put_absent((1..=CHUNKS).rev().map(chunk).collect());
            index
        })
        .collect();
    let ages: Vec<Ages> = indexes.iter().map(|_| Ages::new(moment, Mono::ZERO)).collect();
    let snapshots: Vec<_> = indexes.iter().map(|index| (index.snapshot(), index.originals())).collect();
    let footage: Vec<Footage<'_>> = (indexes.iter().zip(&ages).zip(&snapshots))
        .map(|((index, ages), (chunks, originals))| Footage { device: index.device(), chunks, originals, ages })
        .collect();
    let day = Duration::from_secs(86_400);
    let limits = Limits { window: day, retention: 31 * day, max_bytes: 0, device_max_bytes: 0 };
    let wanted = Wanted {
        on: Shelf::Home,
        limits: Some(limits),
        free_bytes: 0,
        takes_away: false,
        away_is_there: false,
        most: 32,
    };
    let pins = Pins::default();
    // The current hour of each device stays.
    let all = DEVICES * (CHUNKS as usize - 3);
    let time = |wanted: Wanted, expected: usize| {
        let mut times: Vec<Duration> = (0..ROUNDS)
            .map(|_| {
                let began = now();
                let plan = plan(&footage, Some(&pins), when, wanted);
                let took = now().since(began);
                assert_eq!(plan.actions.len(), expected);
                took
            })
            .collect();
        times.sort();
        (times[ROUNDS / 2].as_secs_f64() * 1e3, times[ROUNDS - 1].as_secs_f64() * 1e3)
    };
    let chunks = DEVICES as i64 * CHUNKS;
    let (quiet, quiet_most) = time(wanted, 0);
    println!("{chunks} chunks, nothing due: {quiet:.3} ms, {quiet_most:.3} ms at most");
    let (due, due_most) = time(Wanted { limits: Some(Limits { retention: Duration::ZERO, ..limits }), ..wanted }, 32);
    println!("{chunks} chunks, nearly all due: {due:.1} ms, {due_most:.1} ms at most");
    let (short, short_most) = time(Wanted { free_bytes: 1 << 30, limits: None, ..wanted }, 32);
    let (last, last_most) = time(Wanted { free_bytes: u64::MAX, limits: None, most: usize::MAX, ..wanted }, all);
    println!("{chunks} chunks, every one planned to go: {last:.1} ms, {last_most:.1} ms at most; {short_most:.2} ms");
    println!(
        "claim\tcleaner_plan\t\t{short:.2} ms a round, {due:.2} ms when nearly all are due, {last:.0} ms for all at once"
    );
    println!("claim\tcleaner_round\t\t{:.1} µs: {:.6} % of a core", quiet * 1e3, quiet / 60_000.0 * 100.0);
    let bytes = Limits { max_bytes: chunks as u64 * (CHUNK_BYTES as u64) - (1 << 30), ..limits };
    let plan = plan(&footage, Some(&pins), when, Wanted { limits: Some(bytes), ..wanted });
    assert!(plan.actions.iter().all(|action| matches!(action.deed, Deed::Delete(_))));
}

fn files() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let storage = Storage { root: folder.path().join("root"), ..Storage::default() };
    let volume = Volume::open(&storage, &Clock::system()).unwrap();
    let index = DeviceIndex::new("cam".parse().unwrap());
    let start = Utc90k::from_seconds(1_795_143_600);
    let content = vec![0x5a_u8; CHUNK_BYTES];
    let (mut moves, mut deletes, mut works) = (Vec::new(), Vec::new(), Vec::new());
    // One at a time, as they leave a ring, and no more of the disk than one takes.
    for number in 0..GONE {
        let at = start + number * 600 * 90_000;
        let chunk = entry(at, Place::Ring(RingSlot::of(at, 600)));
        record(&volume, &index, &chunk, &content);
        let began = now();
        {
            let ring = index.hold_ring();
            library::shelve(&volume, &index, chunk.key, &ring).unwrap().unwrap();
        }
        moves.push(now().since(began));
        let (began, used) = (now(), cpu());
        let gone = index.forget(&chunk.key).unwrap();
        library::remove(&volume, index.device(), &gone).unwrap();
        deletes.push(now().since(began));
        works.push(cpu() - used);
    }
    let pictures = folder.path().join("hour");
    fs::create_dir(&pictures).unwrap();
    for number in 0..PICTURES {
        fs::write(pictures.join(format!("frame_{number:05}.jpg")), &content[..8 << 10]).unwrap();
    }
    let began = now();
    fs::remove_dir_all(&pictures).unwrap();
    let rm = now().since(began);
    println!(
        "claim\tcleanup\t{:.0} ms, 18,000 JPEGs\t{}; CPU of the cleaner's thread {}",
        rm.as_secs_f64() * 1e3,
        told(deletes),
        told(works)
    );
    println!("claim\tshelve\t\t{}", told(moves));
    println!("claim\tcleanup_folder\t\t{}", told(steps(&volume)));
}

/// The captures of one hour go one by one, as the daemon deletes them: how long each step takes.
fn steps(volume: &Volume) -> Vec<Duration> {
    let (device, start) = ("cam".parse().unwrap(), Utc90k::from_seconds(1_795_143_600));
    let paths = pictures(volume, &device, start);
    (paths.iter())
        .map(|path| {
            let began = now();
            volume.unlink(path).unwrap();
            now().since(began)
        })
        .collect()
}

/// Of one hour, five a second. Their paths.
fn pictures(volume: &Volume, device: &DeviceId, hour: Utc90k) -> Vec<PathBuf> {
    let content = [0x5a_u8; 8 << 10];
    let paths: Vec<_> =
        (0..PICTURES as i64).map(|number| volume.layout().capture(device, hour + number * 18_000)).collect();
    volume.mkdir_all(paths[0].parent().unwrap()).unwrap();
    for path in &paths {
        let file = volume.create_new(path).unwrap();
        volume.write_at(&file, path, &content, 0).unwrap();
    }
    paths
}

/// A daemon deletes what expired while somebody asks it one thing after the other: how long its workers keep them waiting.
fn workers() {
    let setup = Setup::new()
        .set("archive.chunk_seconds", 600)
        .set("archive.retention_days", 1.0)
        .set("archive.captures", "all")
        .set("archive.captures_hours", 1)
        .set("cleaner.interval_seconds", 1)
        .set("cleaner.max_cpu_percent", 100.0)
        .set("cleaner.max_io_wait", 100.0)
        .camera("cam", "quality = \"low\"\nfps = 5\nsource = { kind = \"test\" }");
    let device = "cam".parse().unwrap();
    let now_s = Clock::system().wall().as_seconds();
    {
        let storage = Storage { root: setup.root(), ..Storage::default() };
        let volume = Volume::open(&storage, &Clock::system()).unwrap();
        let first = Utc90k::from_seconds((now_s - 20 * 86_400) / 600 * 600);
        (0..GONE).for_each(|number| expired(&volume, &device, first + number * 600 * 90_000));
        pictures(&volume, &device, Utc90k::from_seconds((now_s - 5 * 3600) / 3600 * 3600));
    }
    let mut daemon = TestDaemon::start(setup);
    let captures = daemon.setup.root().join("cam/captures");
    let is_left = |path: &Path| path.read_dir().is_ok_and(|mut it| it.next().is_some());
    let hour = captures.join((now_s / 3600 - 5).rem_euclid(24).to_string());
    assert!(is_left(&hour), "{}", hour.display());
    let expired = || daemon.metric("capstan_chunks_expired_total", &[("device", "cam")]) == Some(GONE as f64);
    let mut busy = Vec::new();
    // The state of both is looked at now and then only: the workers are to be asked the same thing all the time.
    let gone = holds_within(Duration::from_secs(180), || {
        busy.extend(asked(&daemon, Duration::from_secs(1)));
        expired() && !is_left(&hour)
    });
    assert!(gone, "{}", daemon.log());
    let asks = busy.len();
    let mut quiet = Vec::new();
    while quiet.len() < asks {
        quiet.extend(asked(&daemon, Duration::from_secs(1)));
    }
    let longer = |percent: usize| (at(&mut busy.clone(), percent) - at(&mut quiet.clone(), percent)).max(0.0);
    let (half, most) = (longer(50), longer(99));
    println!("asked all the time: {} when nothing is due", told(quiet.clone()));
    println!(
        "claim\tcleanup_workers\t{} when nothing is due\t{} while {GONE} chunks and 18,000 captures go: {half:.2} and \
         {most:.2} ms longer",
        told(quiet),
        told(busy)
    );
    until("it still records", 30, || daemon.committed_seconds("cam") > 0.0);
    assert_eq!(daemon.lost_seconds("cam"), 0.0);
    daemon.stop();
}

fn asked(daemon: &TestDaemon, so_long: Duration) -> Vec<Duration> {
    let (began, mut took) = (now(), Vec::new());
    while now().since(began) < so_long {
        let asked = now();
        assert_eq!(daemon.get("/healthz").status, 200);
        took.push(now().since(asked));
        std::thread::sleep(Duration::from_millis(1));
    }
    took
}

/// A sealed chunk in the library, with as many blocks behind its end as one of ten minutes takes.
fn expired(volume: &Arc<Volume>, device: &DeviceId, start: Utc90k) {
    let sealed = sealed_pictures(volume, device, start, &[(0, 600)], 1);
    let path = volume.root().join(&sealed.path);
    let file = File::options().write(true).open(path).unwrap();
    fallocate(&file, FallocateFlags::KEEP_SIZE, 0, CHUNK_BYTES as u64).unwrap();
    let (layout, slot) = (volume.layout(), RingSlot::of(start, 600));
    volume.mkdir_all(&layout.library_hour(device, LibraryHour::of(start))).unwrap();
    volume.rename_new(&sealed.path, &layout.library_chunk(device, start, slot)).unwrap();
    for sibling in Sibling::ALL {
        let path = layout.library_sibling(device, start, sibling, slot);
        let file = volume.create_new(&path).unwrap();
        volume.write_at(&file, &path, &[0x5a; 48 << 10], 0).unwrap();
    }
}

fn record(volume: &Arc<Volume>, index: &DeviceIndex, chunk: &ChunkEntry, content: &[u8]) {
    let put = |path: &Path, content: &[u8]| {
        volume.mkdir_all(path.parent().unwrap()).unwrap();
        let file = volume.create_new(path).unwrap();
        volume.write_at(&file, path, content, 0).unwrap();
        volume.sync_data(&file, path).unwrap();
        // Who expires was written a day ago.
        fadvise(&file, 0, None, Advice::DontNeed).unwrap();
    };
    put(&chunk.path(volume.layout(), index.device()), content);
    for sibling in Sibling::ALL {
        put(&siblings::path(volume, index.device(), sibling, chunk.key, chunk.place), &content[..480 << 10]);
    }
    index.put(chunk.clone());
}

/// What this thread has used of a core.
fn cpu() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
}

/// ms
fn at(times: &mut [Duration], percent: usize) -> f64 {
    times.sort();
    times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3
}

fn told(mut times: Vec<Duration>) -> String {
    let [half, most, slowest] = [50, 99, 100].map(|percent| at(&mut times, percent));
    format!("p50 {half:.2} ms, p99 {most:.2} ms, slowest {slowest:.2} ms of {}", times.len())
}
