//! A wall clock that is set while it records, either way, or was never set at boot: nothing is overwritten, lost, doubled
//! or deleted early, and FFmpeg runs through. (Summer time does not matter: everything on disk is UTC.)

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod common;

use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt as _, path::PathBuf, time::Duration};

use capstan::clock::Clock;
use common::{Keeper, Setup, TestDaemon, Turn, clip, faketime::WallClock, holds_within, media, skip, until};

const DEVICE: &str = "clip";
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// A daemon whose wall clock runs so many seconds ahead of the machine's; it can be moved while it runs.
struct Host {
    daemon: TestDaemon,
    kept: Keeper,
    offset: WallClock,
    ffmpegs: Vec<(rustix::process::Pid, String)>,
}

impl Host {
    /// None, loudly, where there is no faketime.
    fn start(test: &str, offset_s: i64, hot: &str) -> Option<Self> {
        let Some((setup, offset)) = WallClock::of(Setup::new(), offset_s) else {
            skip(test, "faketime is not installed");
            return None;
        };
        let camera = format!("quality = \"copy\"\nsource = {{ kind = \"file\", path = {:?} }}", clip());
        let setup = setup
            // Each clock that is set is followed by two whole chunks.
            .set("archive.chunk_seconds", 5)
            .set("hot.device_bytes", hot)
            .set("hot.segments", 20)
            // One hour: what is deleted by age at all is deleted soon, and the cleaner looks each second.
            .set("archive.window_hours", 1)
            .set("cleaner.interval_seconds", 1)
            // Half an hour off: a local hour anywhere in the ring would show.
            .environment("TZ", "America/St_Johns")
            .camera(DEVICE, &camera);
        let kept = Keeper::start(&setup.hot, &[DEVICE]);
        let daemon = TestDaemon::start(setup);
        until("it records", 30, || daemon.hot_segments(DEVICE).len() >= 3);
        let ffmpegs = daemon.children();
        Some(Self { daemon, kept, offset, ffmpegs })
    }

    /// Sets the clock, and waits until chunks of the new time were sealed: each a chance to overwrite an older one.
    fn set_clock(&self, offset_s: i64) {
        let before = self.chunks();
        self.offset.set(offset_s);
        let clock = Clock::system();
        until(&format!("chunks are labelled {offset_s} s ahead"), 60, || {
            let now_ms = clock.wall().as_ms() + offset_s * 1000;
            let labels = self.labels_ms();
            labels.iter().filter(|label| (**label - now_ms).abs() < 30_000).count() >= 2
        });
        let after = self.chunks();
        for (inode, path) in before {
            assert!(after.contains_key(&inode), "{path:?} was deleted or overwritten; left: {after:?}");
        }
        assert_eq!(self.daemon.lost_seconds(DEVICE), 0.0);
        // A label that lies hours ahead or 50 years back is neither an old chunk nor a missing commit.
        let health = || self.daemon.get("/api/host/health");
        assert!(holds_within(Duration::from_secs(20), || health().status == 200), "{}", health().text());
    }

    /// Sealed chunks by inode: a file that is moved stays the same, one that replaces it does not.
    fn chunks(&self) -> BTreeMap<u64, PathBuf> {
        let ring = self.daemon.ring(DEVICE).into_iter();
        ring.filter_map(|path| Some((fs::metadata(&path).ok()?.ino(), path))).collect()
    }

    /// Starts of the finished chunks as the API tells them.
    fn labels_ms(&self) -> Vec<i64> {
        let manifest = self.daemon.json(&format!("/host/stream/{DEVICE}/segments/archive_manifest.json"));
        let entries = manifest["manifests"].as_array().unwrap().iter();
        entries
            .map(|entry| {
                let url = entry["url"].as_str().unwrap();
                let key = url.rsplit('/').next().unwrap();
                let (negative, digits) = key.strip_prefix('-').map_or((false, key), |rest| (true, rest));
                let start: i64 = digits.split('-').next().unwrap().parse().unwrap();
                let start = if negative { -start } else { start };
                let hour = start.div_euclid(HOUR * 1000) % 24;
                assert!(
                    entry["name"].as_str().unwrap().starts_with(&format!("{hour}/")),
                    "not in its UTC hour: {entry}"
                );
                start
            })
            .collect()
    }

    /// The same FFmpeg all the time, and every frame on disk once.
    fn finish(mut self) {
        assert_eq!(self.daemon.children(), self.ffmpegs, "FFmpeg runs through");
        assert_eq!(self.daemon.device_status(DEVICE), "online");
        let (status, _) = self.daemon.stop();
        assert_eq!(status.code(), Some(0), "{}", self.daemon.log());
        let runs = self.kept.finish(DEVICE);
        assert_eq!(runs.len(), 1, "one run");
        media::assert_all_frames_once(&self.daemon, DEVICE, &runs);
        let log = self.daemon.log();
        assert!(log.contains("the wall clock stepped"), "it is said: {log}");
    }
}

#[test]
fn a_clock_set_by_an_hour_and_back_overwrites_nothing() {
    let _turn = Turn::wait();
    let Some(host) = Host::start("a_clock_set_by_an_hour_and_back", 0, "32MiB") else { return };
    until("a chunk is sealed", 30, || !host.daemon.ring(DEVICE).is_empty());
    host.set_clock(HOUR);
    // An hour back in one go: the same minutes again, whose places are taken.
    host.set_clock(0);
    host.set_clock(-HOUR);
    host.finish();
}

#[test]
fn a_clock_set_by_a_day_and_back_deletes_nothing() {
    let _turn = Turn::wait();
    let Some(host) = Host::start("a_clock_set_by_a_day_and_back", 0, "32MiB") else { return };
    until("a chunk is sealed", 30, || !host.daemon.ring(DEVICE).is_empty());
    // The same places of the ring, a day later, with a window of an hour: the label alone would say "long expired".
    host.set_clock(DAY);
    host.set_clock(-DAY);
    host.finish();
}

#[test]
fn what_waits_when_a_clock_from_1970_is_set_gets_its_true_time() {
    let _turn = Turn::wait();
    let began = Clock::system().wall();
    let Some(host) = Host::start("a_boot_in_1970", 100 - began.as_seconds(), "32MiB") else { return };
    until("footage waits for the clock", 30, || host.daemon.hot_segments(DEVICE).len() >= 6);
    assert!(host.daemon.chunks(DEVICE).is_empty(), "nothing is labelled 1970: {:?}", host.daemon.chunks(DEVICE));
    host.set_clock(0);
    let labels = host.labels_ms();
    assert!(labels.iter().all(|start| *start > began.as_ms() - 10_000), "{labels:?} from {began}");
    host.finish();
}

/// A quarter of hot is full before anybody sets the clock: recorded as 1970, and kept.
#[test]
fn what_was_recorded_in_1970_is_kept_when_the_clock_is_set() {
    let _turn = Turn::wait();
    let began = Clock::system().wall();
    let Some(host) = Host::start("recorded_in_1970", 100 - began.as_seconds(), "4MiB") else { return };
    until("a chunk is sealed", 60, || !host.labels_ms().is_empty());
    assert!(host.labels_ms().iter().all(|start| *start < HOUR * 1000), "{:?}", host.labels_ms());
    host.set_clock(0);
    host.finish();
}
