//! Footage older than the ring: moved into the library at home and onto a disk of its own, played as one with the ring,
//! listed, and told as out of reach when that disk is pulled.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod common;

use std::{fs, path::Path, sync::Arc};

use capstan::{
    clock::{Clock, Utc90k},
    config::Storage,
    ids::DeviceId,
    storage::{Volume, layout::RingSlot},
};
use common::{
    LoopDisk, Setup, TestDaemon, Turn,
    chunks::{into_ring, sealed_pictures},
    daemon::finished,
    skip, until,
};

const DEVICE: &str = "hall";

/// Sealed chunks of 20 s, which began so many minutes ago on the grid of ten, as a daemon of before left them. Their
/// starts in seconds.
fn prepare(setup: &Setup, minutes_ago: &[i64]) -> Vec<i64> {
    let device: DeviceId = DEVICE.parse().unwrap();
    let storage = Storage { root: setup.root(), ..Storage::default() };
    let volume = Volume::open(&storage, &Clock::system()).unwrap();
    let now = Clock::system().wall().as_seconds();
    let starts: Vec<i64> = minutes_ago.iter().map(|minutes| (now - minutes * 60) / 600 * 600).collect();
    for (number, start) in starts.iter().enumerate() {
        record(&volume, &device, Utc90k::from_seconds(*start), number as u64);
    }
    starts
}

fn record(volume: &Arc<Volume>, device: &DeviceId, start: Utc90k, number: u64) {
    let sealed = sealed_pictures(volume, device, start, &[(0, 10), (10, 10)], number);
    into_ring(volume, device, RingSlot::of(start, 600), &sealed);
}

fn setup() -> Setup {
    Setup::new()
        .set("archive.chunk_seconds", 600)
        .set("archive.retention_days", 3.0)
        .set("cleaner.interval_seconds", 1)
        // A machine that is busy with other tests still moves its chunks.
        .set("cleaner.max_cpu_percent", 100.0)
        .set("cleaner.max_io_wait", 100.0)
        .camera(DEVICE, "enabled = false\nsource = { kind = \"test\" }")
}

fn moved(daemon: &TestDaemon, pointer: &str, chunks: u64) {
    let state = || daemon.json("/api/host/state");
    until(pointer, 60, || state().pointer(pointer).and_then(serde_json::Value::as_u64) == Some(chunks));
}

/// All of it is told and played as one, whatever lies where. The clip's bytes.
fn plays(daemon: &TestDaemon, starts: &[i64]) -> Vec<u8> {
    let (first, last) = (starts[0], *starts.last().unwrap());
    let whole = format!("from={first}&duration={}", last + 20 - first);
    let timeline = daemon.json(&format!("/api/host/timeline/{DEVICE}?{whole}"));
    assert_eq!(timeline["coverage"].as_array().map(Vec::len), Some(starts.len()), "{timeline}");
    let whole = whole.replace("from=", "start=");
    let playlist = daemon.get(&format!("/api/host/playlist/{DEVICE}.m3u8?{whole}")).text();
    for start in starts {
        let address = format!("/host/stream/{DEVICE}/chunks/{start}000-0.mp4");
        assert!(playlist.contains(&address), "{address} in {playlist}");
        assert_eq!(daemon.get(&address).status, 200, "{address}");
        for name in names(*start) {
            let reply = daemon.get(&name);
            assert_eq!(reply.status, 200, "{name}: {}", reply.text());
        }
    }
    let reply = daemon.get(&format!("/api/host/clip/{DEVICE}.mp4?start={first}&duration=20"));
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.body
}

/// What is asked for by hour and day: the chunk by its ring name, the hour as a playlist, its verdicts, its stills.
fn names(start: i64) -> [String; 4] {
    let slot = RingSlot::of(Utc90k::from_seconds(start), 600);
    let (hour, date) = (slot.hour, Utc90k::from_seconds(start).rfc3339()[..10].to_owned());
    let segments = format!("/host/stream/{DEVICE}/segments/{hour}");
    [
        format!("{segments}/{}?date={date}", slot.file_name()),
        format!("{segments}/archive.m3u8?date={date}"),
        format!("{segments}/metadata.json?date={date}"),
        format!("/api/host/thumbnails/{DEVICE}/{hour}?date={date}"),
    ]
}

fn listed(setup: &Setup) -> String {
    let (code, said) = finished(setup.command(&["archive", "verify"]));
    assert_eq!(code, 0, "{said}");
    said
}

#[test]
fn what_leaves_the_ring_plays_on_from_the_library() {
    let _turn = Turn::wait();
    let setup = setup();
    let starts = prepare(&setup, &[30 * 60, 29 * 60, 180, 90]);
    let expired = prepare(&setup, &[5 * 24 * 60])[0];
    let mut daemon = TestDaemon::start(setup);
    moved(&daemon, "/cleaner/shelved", 2);
    moved(&daemon, "/cleaner/expired", 1);
    let gone = format!("/host/stream/{DEVICE}/chunks/{expired}000-0.mp4");
    assert_eq!(daemon.get(&gone).status, 404, "older than window and library");
    let clip = plays(&daemon, &starts);
    let said = listed(&daemon.setup);
    assert_eq!(said.matches("/library/").count(), 2, "{said}");
    let (code, said) = finished(daemon.setup.command(&["doctor"]));
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("ok   space") && said.contains("ok   cleaner: did its round"), "{said}");

    // Killed and started again it is the same; and by the command line alone.
    daemon.stop();
    assert_eq!(listed(&daemon.setup).matches("/library/").count(), 2);
    daemon.start_again();
    until("the archive is listed", 30, || daemon.log().contains("archive indexed"));
    assert_eq!(plays(&daemon, &starts), clip);
    daemon.stop();
}

#[test]
fn a_library_whose_disk_is_full_or_read_only_leaves_everything_playing() {
    let _turn = Turn::wait();
    let Some(disk) = LoopDisk::new(64) else {
        return skip("a_library_whose_disk_is_full_or_read_only", "loop mounts need root");
    };
    let filler = disk.fill();
    let setup = setup().set("storage.library_root", disk.root().to_str().unwrap());
    let starts = prepare(&setup, &[30 * 60, 29 * 60, 180, 90]);
    let mut daemon = TestDaemon::start(setup);
    moved(&daemon, "/cleaner/shelved", 2);
    let library = |daemon: &TestDaemon, name: &str| daemon.json("/api/host/state")["cleaner"]["library"][name].clone();
    until("it is told as full", 30, || library(&daemon, "is_full") == true);
    assert_eq!(library(&daemon, "moved"), 0);
    let clip = plays(&daemon, &starts);
    fs::remove_file(filler).unwrap();
    moved(&daemon, "/cleaner/library/moved", 2);
    assert_eq!(plays(&daemon, &starts), clip);
    daemon.stop();

    // The kernel makes it read-only; the next chunk waits at home, and its own are read.
    let more = prepare(&daemon.setup, &[28 * 60])[0];
    let remount = |how: &str| {
        let mount = disk.mount_point().to_str().unwrap().to_owned();
        let done = std::process::Command::new("mount").args(["-o", how, &mount]).status();
        assert!(done.unwrap().success(), "{how}");
    };
    remount("remount,ro");
    daemon.start_again();
    moved(&daemon, "/cleaner/shelved", 1);
    until("it is told as out of reach", 30, || library(&daemon, "ok") == false);
    assert!(library(&daemon, "error").as_str().is_some_and(|why| !why.is_empty()));
    let address = |start: i64| format!("/host/stream/{DEVICE}/chunks/{start}000-0.mp4");
    assert_eq!(daemon.get(&address(more)).status, 200, "it plays from home");
    remount("remount,rw");
    moved(&daemon, "/cleaner/library/moved", 1);
    until("all of it plays again", 30, || {
        [starts[0], more].iter().all(|start| daemon.get(&address(*start)).status == 200)
    });
    daemon.stop();
}

#[test]
fn a_library_on_a_disk_of_its_own_is_told_as_out_of_reach_when_it_is_pulled() {
    let _turn = Turn::wait();
    let Some(disk) = LoopDisk::new(64) else {
        return skip("a_library_on_a_disk_of_its_own", "loop mounts need root");
    };
    disk.detach();
    let setup = setup().set("storage.library_root", disk.root().to_str().unwrap());
    let starts = prepare(&setup, &[30 * 60, 29 * 60, 180, 90]);
    // The disk is absent at start: nothing waits for it.
    let mut daemon = TestDaemon::start(setup);
    moved(&daemon, "/cleaner/shelved", 2);
    let clip = plays(&daemon, &starts);
    let failing = |daemon: &TestDaemon| {
        let health = daemon.get("/api/host/health").json();
        let checks = health["checks"].as_array().unwrap().clone();
        checks.iter().any(|check| check["name"] == "library" && check["ok"] == false)
    };
    until("its absence is told", 30, || failing(&daemon));

    disk.mount();
    moved(&daemon, "/cleaner/library/moved", 2);
    assert_eq!(plays(&daemon, &starts), clip);
    let said = listed(&daemon.setup);
    assert_eq!(said.matches(disk.root().to_str().unwrap()).count(), 2, "{said}");
    assert!(!daemon.setup.root().join(DEVICE).join("library").join("x").exists());
    until("health is well", 30, || !failing(&daemon));

    // Pulled: what lies there is told as out of reach, and everything else plays.
    disk.detach();
    until("it is missed", 30, || failing(&daemon));
    let address = |start: i64| format!("/host/stream/{DEVICE}/chunks/{start}000-0.mp4");
    let reply = daemon.get(&address(starts[0]));
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert_eq!(daemon.get(&address(starts[3])).status, 200);
    disk.mount();
    until("it is back", 30, || daemon.get(&address(starts[0])).status == 200);
    assert_eq!(plays(&daemon, &starts), clip);
    daemon.stop();
    let left = fs::read_dir(Path::new(&daemon.setup.root()).join(DEVICE).join("library"));
    assert_eq!(left.map_or(0, Iterator::count), 0, "nothing of it is left at home");
}
