//! What keeping footage costs: a plan over a long history, a round in which nothing is due, one chunk that goes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a bench reports on its output")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::{fs, path::Path, sync::Arc, time::Duration};

use capstan::{
    clock::{Clock, Mono, Utc90k},
    config::Storage,
    keep::{
        Ages, Now,
        plan::{Deed, Footage, Limits, Wanted, plan},
    },
    storage::{
        ChunkEntry, DeviceIndex, Pins, Place, Volume,
        layout::{ChunkKey, RingSlot, Shelf, Sibling},
        library,
        retention::Moment,
        siblings,
    },
};
use common::now;

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
    println!("claim\tcleaner_round\t\t{quiet:.2} ms: {:.4} % of a core", quiet / 60_000.0 * 100.0);
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
    println!("claim\tcleanup\t{:.0} ms, 18,000 JPEGs\t{}; CPU {}", rm.as_secs_f64() * 1e3, told(deletes), told(works));
    println!("claim\tshelve\t\t{}", told(moves));
}

fn record(volume: &Arc<Volume>, index: &DeviceIndex, chunk: &ChunkEntry, content: &[u8]) {
    let put = |path: &Path, content: &[u8]| {
        volume.mkdir_all(path.parent().unwrap()).unwrap();
        let file = volume.create_new(path).unwrap();
        volume.write_at(&file, path, content, 0).unwrap();
        volume.sync_data(&file, path).unwrap();
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

fn told(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    format!("p50 {:.2} ms, p99 {:.2} ms, slowest {:.2} ms of {}", at(50), at(99), at(100), times.len())
}
