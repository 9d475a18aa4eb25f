//! FFmpeg dies, hangs, or its source goes away and comes back: segments again within 5 s, neighbours lose none.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod common;

use std::{collections::HashSet, time::Duration};

use common::{
    Dice, Setup, TestDaemon, Turn,
    daemon::{Usage, children_of, is_alive},
    holds_within, media, now, rounds, soaking, until,
};
use rustix::process::{Pid, Signal, kill_process};

const PATTERN: &str = "quality = \"low\"\nfps = 10\nsource = { kind = \"test\", tone = 440 }";

fn two_devices() -> TestDaemon {
    let daemon = TestDaemon::start(Setup::new().camera("sick", PATTERN).camera("well", PATTERN));
    for device in ["sick", "well"] {
        until("it records", 30, || daemon.hot_segments(device).len() >= 2);
    }
    daemon
}

/// The one FFmpeg of this device: it works in the device's folder in hot.
#[track_caller]
fn ffmpeg_of(daemon: &TestDaemon, device: &str) -> Pid {
    let found = ffmpegs_of(daemon, device);
    assert_eq!(found.len(), 1, "one FFmpeg per device: {:?}", daemon.children());
    found[0]
}

fn ffmpegs_of(daemon: &TestDaemon, device: &str) -> Vec<Pid> {
    let folder = format!("{}/{device}/", daemon.setup.hot.hot().display());
    let children = daemon.children();
    children.into_iter().filter(|(pid, line)| line.contains(&folder) && is_alive(*pid)).map(|(pid, _)| pid).collect()
}

fn segments(daemon: &TestDaemon, device: &str) -> f64 {
    daemon.metric("capstan_segments_total", &[("device", device)]).unwrap_or(0.0)
}

/// A new segment within 5 s, by a new FFmpeg, while the neighbour's FFmpeg stays.
#[track_caller]
fn assert_back_within_5_s(daemon: &TestDaemon, old: Pid, neighbour: Pid) {
    let before = segments(daemon, "sick");
    // 5 s as promised, and the second that a segment takes.
    until("segments again", 6, || segments(daemon, "sick") > before);
    assert_ne!(ffmpeg_of(daemon, "sick"), old);
    assert_eq!(ffmpeg_of(daemon, "well"), neighbour, "the neighbour is not touched");
}

#[test]
fn a_killed_ffmpeg_is_back_and_leaves_no_zombie() {
    let _turn = Turn::wait();
    let mut daemon = two_devices();
    let neighbour = ffmpeg_of(&daemon, "well");
    let mut dice = Dice::new();
    let mut settled = None;
    for round in 0..rounds(3) * if soaking() { 4 } else { 1 } {
        let target = segments(&daemon, "sick") + dice.between(0, 3) as f64;
        until("a while", 20, || segments(&daemon, "sick") >= target);
        let old = ffmpeg_of(&daemon, "sick");
        kill_process(old, Signal::KILL).unwrap();
        assert_back_within_5_s(&daemon, old, neighbour);
        if round == 20 {
            settled = Some(Usage::of(daemon.pid()).resident_bytes);
        }
    }
    let zombies: Vec<_> = children_of(daemon.pid()).into_iter().filter(|(pid, _)| !is_alive(*pid)).collect();
    assert!(zombies.is_empty(), "{zombies:?}");
    if let Some(settled) = settled {
        let grown = Usage::of(daemon.pid()).resident_bytes.saturating_sub(settled);
        assert!(grown < 8 << 20, "resident set grew by {grown} bytes");
    }
    assert_eq!(daemon.lost_seconds("well"), 0.0);
    daemon.stop();
    // Many short runs, still whole files.
    daemon.chunks("sick").iter().for_each(|chunk| media::assert_decodes(chunk));
}

#[test]
fn a_stopped_ffmpeg_is_noticed_by_its_progress() {
    let _turn = Turn::wait();
    let daemon = two_devices();
    let (old, neighbour) = (ffmpeg_of(&daemon, "sick"), ffmpeg_of(&daemon, "well"));
    kill_process(old, Signal::STOP).unwrap();
    let start = now();
    until("the hung FFmpeg is ended", 8, || !is_alive(old));
    assert!(now().since(start) >= Duration::from_secs(1), "a pause of a second is no hang");
    assert_back_within_5_s(&daemon, old, neighbour);
}

#[test]
fn a_source_that_goes_away_is_offline_within_5_s_and_back_when_it_is() {
    let _turn = Turn::wait();
    let setup = Setup::new();
    let source = setup.folder().join("source.mp4");
    let aside = setup.folder().join("aside.mp4");
    std::fs::copy(common::clip(), &source).unwrap();
    let camera = format!("quality = \"copy\"\nsource = {{ kind = \"file\", path = {source:?} }}");
    let daemon = TestDaemon::start(setup.camera("sick", &camera).camera("well", PATTERN));
    until("it records", 30, || segments(&daemon, "sick") >= 2.0);
    std::fs::rename(&source, &aside).unwrap();
    kill_process(ffmpeg_of(&daemon, "sick"), Signal::KILL).unwrap();
    until("offline is told", 5, || daemon.device_status("sick") == "offline");
    assert_eq!(daemon.metric("capstan_device_up", &[("device", "sick")]), Some(0.0));
    assert_eq!(daemon.device_status("well"), "online");
    // Gone for longer than any back-off below the cap of 2 s.
    let fast = holds_within(Duration::from_secs(6), || daemon.device_status("sick") == "online");
    assert!(!fast, "there is nothing to show");
    std::fs::rename(&aside, &source).unwrap();
    let before = segments(&daemon, "sick");
    until("segments again within 5 s", 6, || segments(&daemon, "sick") > before);
    assert_eq!(daemon.lost_seconds("well"), 0.0);
}

/// Never two FFmpegs of one device, whatever was killed when.
#[test]
fn one_ffmpeg_per_device_over_restarts_of_the_daemon() {
    let _turn = Turn::wait();
    let mut daemon = two_devices();
    let mut seen = HashSet::new();
    for _ in 0..3 {
        assert!(seen.insert(ffmpeg_of(&daemon, "sick")), "a new FFmpeg for a new daemon");
        daemon.kill();
        daemon.start_again();
        until("a new FFmpeg", 30, || !ffmpegs_of(&daemon, "sick").is_empty());
        let running = seen.iter().filter(|pid| is_alive(**pid)).count();
        assert_eq!(running, 0, "FFmpegs of dead daemons");
    }
}
