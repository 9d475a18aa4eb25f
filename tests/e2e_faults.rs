//! Disks that fill up, freeze, turn read-only, vanish or lose power while it records: RAM holds, the rest resumes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod common;

use std::{fs, path::Path};

use common::{Keeper, LoopDisk, Setup, TestDaemon, Turn, clip, media, skip, soaking, until};

const DEVICE: &str = "clip";

/// A daemon that records the clip onto a disk of its own, past its first commit.
fn recording_on(disk: LoopDisk) -> (TestDaemon, Keeper) {
    recording(Setup::new().on(disk))
}

fn recording(setup: Setup) -> (TestDaemon, Keeper) {
    recording_of(&clip(), setup)
}

fn recording_of(film: &Path, setup: Setup) -> (TestDaemon, Keeper) {
    let camera = format!("quality = \"copy\"\nsource = {{ kind = \"file\", path = {film:?} }}");
    let setup = setup.camera(DEVICE, &camera);
    let kept = Keeper::start(&setup.hot, &[DEVICE]);
    let daemon = TestDaemon::start(setup);
    until("it records", 30, || daemon.committed_seconds(DEVICE) >= 3.0);
    (daemon, kept)
}

fn disk(daemon: &TestDaemon) -> &LoopDisk {
    daemon.setup.disk.as_ref().unwrap()
}

/// A disk, or a loud skip.
fn loop_disk(test: &str, megabytes: u64) -> Option<LoopDisk> {
    let disk = LoopDisk::new(megabytes);
    if disk.is_none() {
        skip(test, "loop mounts need root and loop devices");
    }
    disk
}

/// Segments go on arriving in RAM for this many, whatever the disk does.
fn assert_captures_on(daemon: &TestDaemon, segments: usize) {
    let goal = daemon.metric("capstan_segments_total", &[("device", DEVICE)]).unwrap() + segments as f64;
    until("FFmpeg goes on into RAM", 20 + segments as u64 * 2, || {
        daemon.metric("capstan_segments_total", &[("device", DEVICE)]).unwrap() >= goal
    });
}

/// After the trouble: it commits again, lost nothing, stops well, and every frame is there once.
fn assert_nothing_lost(mut daemon: TestDaemon, mut kept: Keeper) {
    let before = daemon.committed_seconds(DEVICE);
    until("it commits again", 30, || daemon.committed_seconds(DEVICE) > before + 4.0);
    assert_eq!(daemon.lost_seconds(DEVICE), 0.0);
    assert_eq!(daemon.children().len(), 1, "the same FFmpeg");
    let (status, _) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    let runs = kept.finish(DEVICE);
    assert_eq!(runs.len(), 1, "FFmpeg ran through");
    media::assert_all_frames_once(&daemon, DEVICE, &runs);
}

#[test]
fn a_stalled_disk_is_waited_for_in_ram() {
    let _turn = Turn::wait();
    let Some(disk_of_own) = loop_disk("a_stalled_disk_is_waited_for_in_ram", 256) else { return };
    let (daemon, kept) = recording_on(disk_of_own);
    disk(&daemon).freeze();
    assert_captures_on(&daemon, if soaking() { 30 } else { 8 });
    // The page and the state answer while the disk does not.
    assert_eq!(daemon.get("/api/host/state").status, 200);
    assert_eq!(daemon.get(&format!("/host/stream/{DEVICE}/segments/output.m3u8")).status, 200);
    disk(&daemon).thaw();
    assert!(lines_about(&daemon, "hot").is_empty(), "RAM sufficed, nothing is to be said: {}", daemon.log());
    assert_nothing_lost(daemon, kept);
}

/// Log lines from the warning level on that contain `word`.
fn lines_about(daemon: &TestDaemon, word: &str) -> Vec<String> {
    let log = daemon.log();
    let loud = |line: &&str| ["warning", "error"].iter().any(|level| line.contains(&format!("\"level\":\"{level}\"")));
    log.lines().filter(loud).filter(|line| line.contains(word)).map(str::to_owned).collect()
}

/// When RAM does not suffice the oldest goes, each lost second is counted, and one line says that it begins.
#[test]
fn a_disk_that_stalls_for_too_long_costs_the_oldest_seconds_and_they_are_counted() {
    /// Of the clip.
    const FRAMES_PER_SECOND: f64 = 24.0;
    let _turn = Turn::wait();
    let Some(disk_of_own) = loop_disk("a_disk_that_stalls_for_too_long", 256) else { return };
    // The least that is allowed, and a clip of so many bytes that it is full in ten seconds or two.
    let setup = Setup::new().on(disk_of_own).set("hot.device_bytes", "4MiB");
    let film = setup.folder().join("film.mp4");
    let mut ffmpeg = std::process::Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "error", "-i"]).arg(clip()).args(["-c:a", "copy", "-c:v", "libx264"]);
    ffmpeg.args(["-preset", "ultrafast", "-b:v", "1800k", "-maxrate", "1800k", "-bufsize", "900k"]);
    assert!(
        ffmpeg.args(["-g", "24", "-keyint_min", "24", "-sc_threshold", "0"]).arg(&film).status().unwrap().success()
    );
    let (mut daemon, mut kept) = recording_of(&film, setup.set("hot.captures", 3).set("hot.thumbnails", 3));
    disk(&daemon).freeze();
    until("hot overflows", 150, || daemon.lost_seconds(DEVICE) >= 4.0);
    disk(&daemon).thaw();
    let before = daemon.committed_seconds(DEVICE);
    until("it commits again", 30, || daemon.committed_seconds(DEVICE) > before + 8.0);
    until("that is said", 10, || daemon.log().contains("hot has room again"));
    let lost = daemon.lost_seconds(DEVICE);
    let (status, _) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    let said = lines_about(&daemon, "\"msg\":\"hot is full");
    assert_eq!(said.len(), 1, "{said:?}");

    let runs = kept.finish(DEVICE);
    assert_eq!(runs.len(), 1, "FFmpeg ran through");
    let joined = daemon.setup.folder().join("joined.ts");
    media::join_segments(&runs[0], &joined);
    let captured = media::frame_hashes(&joined);
    let recorded: Vec<_> = daemon.chunks(DEVICE).iter().flat_map(|chunk| media::frame_hashes(chunk)).collect();
    let missing = (captured.len() - recorded.len()) as f64 / FRAMES_PER_SECOND;
    // The last picture's length is a guess of a hundredth.
    assert!((missing - lost).abs() < 0.05 * lost / 4.0, "{missing} s are missing, {lost} s were counted");
    let rest = missing_in_order(&captured, &recorded);
    assert_eq!(rest.len(), captured.len() - recorded.len(), "what is there is in order, once");
}

/// What of `all` is not in `some`, which must be in the same order.
fn missing_in_order<'a>(all: &'a [String], some: &[String]) -> Vec<&'a String> {
    let mut some = some.iter().peekable();
    let missing = all.iter().filter(|frame| some.next_if(|next| next == frame).is_none()).collect();
    assert_eq!(some.next(), None, "a frame that nobody captured here");
    missing
}

#[test]
fn a_full_disk_is_waited_for_in_ram() {
    let _turn = Turn::wait();
    let Some(disk_of_own) = loop_disk("a_full_disk_is_waited_for_in_ram", 128) else { return };
    let (daemon, kept) = recording_on(disk_of_own);
    let filler = disk(&daemon).fill();
    assert_captures_on(&daemon, 8);
    fs::remove_file(filler).unwrap();
    assert_nothing_lost(daemon, kept);
}

#[test]
fn a_read_only_disk_is_told_and_recording_resumes_when_it_is_back() {
    let _turn = Turn::wait();
    let Some(disk_of_own) = loop_disk("a_read_only_disk", 256) else { return };
    let (daemon, kept) = recording_on(disk_of_own);
    disk(&daemon).break_read_only();
    until("it is told within 5 s", 7, || daemon.get("/api/host/health").status == 503);
    assert_captures_on(&daemon, 4);
    // What was committed can still be read.
    assert_eq!(daemon.get(&format!("/host/stream/{DEVICE}/segments/archive_manifest.json")).status, 200);
    disk(&daemon).detach();
    disk(&daemon).mount();
    assert_nothing_lost(daemon, kept);
}

#[test]
fn nothing_is_written_beneath_a_missing_mount() {
    let _turn = Turn::wait();
    let Some(disk_of_own) = loop_disk("nothing_is_written_beneath_a_missing_mount", 256) else { return };
    let (daemon, kept) = recording_on(disk_of_own);
    disk(&daemon).detach();
    until("it is told within 5 s", 7, || daemon.get("/api/host/health").status == 503);
    assert_captures_on(&daemon, 6);
    let beneath = |folder: &Path| fs::read_dir(folder).unwrap().count();
    assert_eq!(beneath(disk(&daemon).mount_point()), 0, "files on the bare mount point");
    disk(&daemon).mount();
    assert_nothing_lost(daemon, kept);
}

/// What a commit promised is there after the power went, and the next daemon needs no human.
#[test]
fn a_power_cut_costs_at_most_what_was_not_committed() {
    let _turn = Turn::wait();
    let Some(disk_of_own) = loop_disk("a_power_cut", 256) else { return };
    let (mut daemon, mut kept) = recording_on(disk_of_own);
    // Into the second chunk, so that a hand-over lies behind us, too.
    until("a chunk is sealed", 30, || !daemon.ring(DEVICE).is_empty());
    until("the next one has a commit", 30, || !daemon.open_chunks(DEVICE).is_empty());
    let promised = daemon.committed_seconds(DEVICE);
    disk(&daemon).cut_power();
    daemon.kill();
    disk(&daemon).unmount();
    disk(&daemon).mount();

    // Power takes the RAM as well.
    let runs = kept.finish(DEVICE);
    fs::remove_dir_all(daemon.setup.hot.hot()).unwrap();
    fs::create_dir_all(daemon.setup.hot.hot()).unwrap();
    let joined = daemon.setup.folder().join("joined.ts");
    media::join_segments(&runs[0], &joined);
    let captured = media::frame_hashes(&joined);

    // Playable as it lies there, before any repair.
    let recorded: Vec<_> = daemon.chunks(DEVICE).iter().flat_map(|chunk| media::frame_hashes(chunk)).collect();
    media::assert_same(&recorded, &captured[..recorded.len().min(captured.len())], "a prefix of what was captured");
    let frames_promised = (promised * 24.0) as usize - 1;
    assert!(recorded.len() >= frames_promised, "{} frames of {frames_promised} promised", recorded.len());

    daemon.start_again();
    until("recording goes on", 30, || daemon.committed_seconds(DEVICE) >= 2.0);
    let (status, _) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    let after: Vec<_> = daemon.chunks(DEVICE).iter().flat_map(|chunk| media::frame_hashes(chunk)).collect();
    media::assert_same(&after[..recorded.len().min(after.len())], &recorded, "recovery keeps every frame");
    assert!(after.len() > recorded.len(), "and recording goes on behind it");
}
