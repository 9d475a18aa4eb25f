//! What a long history costs: looking through its files at start, RAM for each chunk, and timelines over any part of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a bench reports on its output")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use capstan::{
    clock::{Clock, Utc90k},
    config::Storage,
    ids::DeviceId,
    storage::{
        DeviceIndex, Volume, inventory,
        layout::{LibraryHour, RingSlot},
    },
};
use common::{LoopDisk, Setup, TestDaemon, chunks::sealed_pictures, daemon::Usage, now, until};

/// A device's history: as many chunks as 30 days of ten minutes, but of 20 s, so that they fit into the 24 h of a ring.
const CHUNKS: usize = 4230;
const CHUNK_SECONDS: u32 = 20;
/// One chunk in so many has a gap inside.
const GAP_EVERY: usize = 10;
const REQUESTS: usize = 400;
/// Whole histories asked for on top.
const WHOLE: usize = 100;

/// Counts what is allocated as the C library hands it out: 8 bytes more, in steps of 16.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

fn handed_out(layout: Layout) -> usize {
    (layout.size() + 8).next_multiple_of(16).max(32)
}

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(handed_out(layout), Ordering::Relaxed);
        // SAFETY: the caller's own promises about `layout`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(handed_out(layout), Ordering::Relaxed);
        // SAFETY: `block` came from `alloc` above with this `layout`, and so from the system's allocator.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let files = std::env::var("CAPSTAN_BENCH_FILES").ok().and_then(|text| text.parse().ok()).unwrap_or(50_000);
    let devices: Vec<DeviceId> =
        (0..usize::max(1, files / CHUNKS)).map(|number| format!("device-{number}").parse().unwrap()).collect();
    // In RAM: there the syncs of so many real seals cost nothing.
    let shm = tempfile::tempdir_in("/dev/shm").unwrap();
    let storage = Storage { root: shm.path().join("root"), ..Storage::default() };
    let start = Utc90k::from_seconds((Clock::system().wall().as_seconds() - 84_900) / 20 * 20);

    let mut made = 0;
    for share in [4, 2, 1] {
        let volume = Volume::open(&storage, &Clock::system()).unwrap();
        let upto = CHUNKS / share;
        for device in &devices {
            (made..upto).for_each(|number| record(&volume, device, start, number));
        }
        made = upto;
        let each = in_process(&volume, &devices);
        if share == 1 {
            println!("claim\tindex_bytes\t\t{each:.0} B");
        }
    }
    let total = made * devices.len();
    // The daemon takes the lock of the volume, which is free again.
    let mut daemon = TestDaemon::start(setup(&devices).set("storage.root", storage.root.to_str().unwrap()));
    let (ready_ms, holes_ms) = (told(&daemon, "archive indexed"), told(&daemon, "gaps inside chunks are known"));
    let resident = Usage::of(daemon.pid()).resident_bytes as f64;
    println!(
        "daemon, warm: {total} files indexed in {ready_ms} ms, gaps of {} chunks found in {holes_ms} ms, resident {:.0} MB",
        total / GAP_EVERY,
        resident / 1e6
    );
    println!("claim\tindex_ready\t\t{:.2} s", ready_ms / 1e3 * 50_000.0 / total as f64);
    timelines(&daemon, &devices, start);
    daemon.stop();
    drop(daemon);
    cold(setup(&devices), &storage.root, total);
    drop(shm);
    with_library(&devices);
}

/// As many files, but half of each device's are in its library, six in a folder as chunks of ten minutes are.
fn with_library(devices: &[DeviceId]) {
    let shm = tempfile::tempdir_in("/dev/shm").unwrap();
    let storage = Storage { root: shm.path().join("root"), ..Storage::default() };
    let (half, now) = (CHUNKS / 2, Clock::system().wall().as_seconds());
    let ring = Utc90k::from_seconds((now - 84_900) / 20 * 20);
    // Before the ring's first, and less than the retention ago.
    let library = Utc90k::from_seconds((now - 86_400) / 600 * 600 - half as i64 * 600);
    let volume = Volume::open(&storage, &Clock::system()).unwrap();
    for device in devices {
        (0..CHUNKS - half).for_each(|number| record(&volume, device, ring, number));
        (0..half).for_each(|number| shelve(&volume, device, library + number as i64 * 600 * 90_000, number));
    }
    let each = in_process(&volume, devices);
    // Its lock.
    drop(volume);
    let setup = setup(devices).set("archive.retention_days", 31.0).set("storage.root", storage.root.to_str().unwrap());
    let mut daemon = TestDaemon::start(setup);
    let ready_ms = told(&daemon, "archive indexed");
    let total = CHUNKS * devices.len();
    let duration = now - library.as_seconds();
    let whole =
        daemon.json(&format!("/api/host/timeline/{}?from={}&duration={duration}", devices[0], library.as_seconds()));
    assert_eq!(whole["chunks"].as_array().unwrap().len(), CHUNKS, "ring and library are one");
    println!("daemon, warm: {total} files, half of them in libraries, indexed in {ready_ms} ms");
    println!("claim\tlibrary_ready\t\t{:.2} s", ready_ms / 1e3 * 50_000.0 / total as f64);
    println!("claim\tlibrary_bytes\t\t{each:.0} B");
    daemon.stop();
}

/// Cameras that are switched off: their archives are all there is.
fn setup(devices: &[DeviceId]) -> Setup {
    let setup = Setup::new()
        .set("archive.chunk_seconds", i64::from(CHUNK_SECONDS))
        .set("archive.window_hours", 24)
        .set("archive.min_free_bytes", "1MiB");
    let camera = "enabled = false\nsource = { kind = \"test\" }";
    devices.iter().fold(setup, |setup, device| setup.camera(device.as_str(), camera))
}

/// A sealed chunk in its place in the ring.
fn record(volume: &Arc<Volume>, device: &DeviceId, start: Utc90k, number: usize) {
    let start = start + number as i64 * i64::from(CHUNK_SECONDS) * 90_000;
    let sealed = seal(volume, device, start, number);
    let slot = RingSlot::of(start, CHUNK_SECONDS);
    volume.mkdir_all(&volume.layout().ring_hour(device, slot.hour)).unwrap();
    let path = volume.layout().ring_chunk(device, slot);
    volume.rename_new(&sealed, &path).unwrap();
    if number.is_multiple_of(2000) {
        check(&volume.root().join(path));
    }
}

/// A sealed chunk in its place in the library.
fn shelve(volume: &Arc<Volume>, device: &DeviceId, start: Utc90k, number: usize) {
    let sealed = seal(volume, device, start, number);
    let layout = volume.layout();
    volume.mkdir_all(&layout.library_hour(device, LibraryHour::of(start))).unwrap();
    volume.rename_new(&sealed, &layout.library_chunk(device, start, RingSlot::of(start, CHUNK_SECONDS))).unwrap();
}

/// One sealed chunk with two key frames: side by side, or with a gap between them.
fn seal(volume: &Arc<Volume>, device: &DeviceId, start: Utc90k, number: usize) -> PathBuf {
    let second = if number.is_multiple_of(GAP_EVERY) { 12 } else { 10 };
    sealed_pictures(volume, device, start, &[(0, 10), (second, 10)], number as u64).path
}

/// FFmpeg finds both pictures.
fn check(path: &Path) {
    let probe = "-v error -select_streams v -count_packets -show_entries stream=nb_read_packets -of csv=p=0";
    let output = Command::new("ffprobe").args(probe.split(' ')).arg(path).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "2", "{output:?}");
}

/// One thread, device after device: how time and memory grow with the history. Bytes for each chunk.
fn in_process(volume: &Volume, devices: &[DeviceId]) -> f64 {
    let (before, began) = (IN_USE.load(Ordering::Relaxed), now());
    let indexes: Vec<DeviceIndex> = devices.iter().map(|device| DeviceIndex::new(device.clone())).collect();
    for index in &indexes {
        drop(inventory::load(volume, index).unwrap());
        drop(inventory::load_library(volume, index).unwrap());
    }
    let took = now().since(began);
    let chunks: usize = indexes.iter().map(|index| index.snapshot().len()).sum();
    let each = IN_USE.load(Ordering::Relaxed).saturating_sub(before) as f64 / chunks as f64;
    println!(
        "{:5} chunks of each of {} devices: {:.2} s for 50,000 files on one thread, {each:.0} B a chunk",
        chunks / devices.len(),
        devices.len(),
        took.as_secs_f64() * 50_000.0 / chunks as f64,
    );
    each
}

/// The `ms` of the last log line that says so.
fn told(daemon: &TestDaemon, message: &str) -> f64 {
    let ms = || {
        let log = daemon.log();
        let line = log.lines().rev().find(|line| line.contains(message))?;
        let rest = line.split("\"ms\":").nth(1).or_else(|| line.split("ms: ").nth(1))?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<f64>().ok()
    };
    until(message, 600, || ms().is_some());
    ms().unwrap()
}

/// As a client sees it: connecting, and reading the answer to its end.
fn timelines(daemon: &TestDaemon, devices: &[DeviceId], start: Utc90k) {
    let history = CHUNKS as u64 * u64::from(CHUNK_SECONDS);
    // Any sequence of numbers that looks random and is the same each time.
    let mut seed = 1_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut ask = |whole: bool| {
        let device = &devices[random(devices.len() as u64) as usize];
        let from = if whole { 0 } else { random(history - 60) };
        let length = if whole { history } else { 60 + random(history - from - 59) };
        let from = start.as_seconds() as u64 + from;
        let query = format!("from={from}&duration={length}&resolution={}", [0, 60, 600][random(3) as usize]);
        let query = query.replace("&resolution=0", "");
        let began = now();
        let reply = daemon.get(&format!("/api/host/timeline/{device}?{query}"));
        let took = now().since(began);
        assert_eq!(reply.status, 200, "{query}: {}", reply.text());
        assert!(reply.text().contains("\"exact\":true"), "{query}");
        (took, reply.body.len())
    };
    for (what, whole, count) in [("any span", false, REQUESTS), ("the whole history", true, WHOLE)] {
        let (mut times, sizes): (Vec<Duration>, Vec<usize>) = (0..count).map(|_| ask(whole)).unzip();
        times.sort();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
        let kilobytes = sizes.iter().max().unwrap() >> 10;
        println!("timeline of {what}: p50 {:.1} ms, p99 {:.1} ms, up to {kilobytes} KiB", at(50), at(99));
        if !whole {
            println!("claim\ttimeline\t\tp50 {:.1}, p99 {:.1} ms", at(50), at(99));
        }
    }
}

/// The same files on a disk that was mounted a moment ago.
fn cold(setup: Setup, from: &Path, total: usize) {
    // Megabytes: three blocks a file, and of the image one inode for every 16 KiB.
    let Some(disk) = LoopDisk::new(total as u64 / 50 + 64) else {
        return println!("cold start not measured: it needs root and loop devices");
    };
    let copied = Command::new("cp").args(["-r", "--sparse=always"]).arg(from.join(".")).arg(disk.root()).status();
    assert!(copied.unwrap().success());
    disk.unmount();
    disk.forget_image();
    disk.mount();
    let mut daemon = TestDaemon::start(setup.on(disk));
    let ready_ms = told(&daemon, "archive indexed");
    println!("daemon, cold: {total} files indexed in {ready_ms} ms");
    println!("claim\tindex_cold\t\t{:.2} s", ready_ms / 1e3 * 50_000.0 / total as f64);
    daemon.stop();
}
