//! How soon the archive answers: clips and playlists of 8 devices × 24 hours, warm and cold, and stills of any second.
//!
//! Takes 6 GB of the target folder while it runs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a bench reports on its output")]

#[path = "common.rs"]
mod bench;
#[path = "../tests/common/mod.rs"]
mod common;

use std::{fmt::Write as _, time::Duration};

use bench::{
    client::{first_byte, whole},
    footage::{self, HD, SMALL, Template},
    ms, percentile,
};
use common::{Dice, Setup, TestDaemon};

const DEVICES: usize = 8;
/// The ring holds 24; the hour that has just begun has no room for itself and for what it replaces.
const HOURS: i64 = 23;
const HOUR: i64 = 3600;
const HD_HOURS: i64 = 1;
const STILLS: usize = 60;
const ASKED: usize = 200;

fn main() {
    let devices: Vec<String> = (0..DEVICES).map(|n| format!("device-{n}")).collect();
    let disabled = "enabled = false\nsource = { kind = \"test\" }";
    let setup = Setup::new().set("archive.chunk_seconds", 600).camera("hd", disabled);
    let setup = devices.iter().fold(setup, |setup, device| setup.camera(device, disabled));
    let (small, starts) = (Template::new(SMALL), footage::starts(HOURS));
    footage::fill(&setup.root(), &small, &starts, &devices);
    let hd_starts = &starts[starts.len() - 6 * HD_HOURS as usize..];
    footage::fill(&setup.root(), &Template::new(HD), hd_starts, &["hd".into()]);
    let mut daemon = TestDaemon::start(setup);
    let [from, hd_from] = [&starts, hd_starts].map(|starts| starts[0].as_seconds());
    let mut dice = Dice::new();

    clips(&daemon, &devices, from, &mut dice);
    cold_clips(&mut daemon, &devices, from);
    playlists(&daemon, from);
    manifest(&daemon);
    stills(&daemon, [from, hd_from], &mut dice);
}

/// Of an hour, off the key frames.
fn clip(device: &str, start: i64, tenths: u64) -> String {
    format!("/api/host/clip/{device}.mp4?start={start}.{tenths}&duration={HOUR}")
}

/// In RAM as the disk's pages: whole hours from anywhere, most of which nobody asked for lately.
fn clips(daemon: &TestDaemon, devices: &[String], from: i64, dice: &mut Dice) {
    let mut asked = |count: usize| {
        let paths = (0..count).map(|_| {
            // Not the last seconds: only what is behind them is settled.
            let start = from + dice.between(0, ((HOURS - 1) * HOUR - 10) as u64) as i64;
            clip(&devices[dice.between(0, devices.len() as u64) as usize], start, dice.between(1, 10))
        });
        paths.collect::<Vec<_>>()
    };
    let address = daemon.address();
    // So that every table is in the page cache; those of the last hour as well, into which the last clips reach.
    for device in devices {
        for hour in 0..HOURS {
            first_byte(address, &clip(device, (from + hour * HOUR - 10).max(from), 0));
        }
    }
    let paths = asked(ASKED);
    let anywhere = paths.iter().map(|path| first_byte(address, path).0).collect();
    // The same few once more, as a player asks for its ranges.
    let few = &paths[ASKED - 8..];
    let again = (0..ASKED).map(|n| first_byte(address, &few[n % few.len()]).0).collect();
    let text = format!("{}; asked for again: {}", figures(anywhere), figures(again));
    println!("claim\tclip_warm\t\t{text}");
}

/// Every hour once, its files out of RAM, by a daemon that has seen nothing.
fn cold_clips(daemon: &mut TestDaemon, devices: &[String], from: i64) {
    daemon.stop();
    daemon.start_again();
    let root = daemon.setup.root();
    let mut times = Vec::new();
    for hour in 0..HOURS - 1 {
        for device in devices {
            footage::drop_caches(&root.join(device));
            times.push(first_byte(daemon.address(), &clip(device, from + hour * HOUR, 3)).0);
        }
    }
    println!("claim\tclip_cold\t\t{}", figures(times));
}

fn playlists(daemon: &TestDaemon, from: i64) {
    let url = |start: i64, end: i64| format!("/api/host/playlist/device-1.m3u8?start={start}&end={end}");
    let address = daemon.address();
    let timed = |path: &str, count: usize| {
        whole(address, path);
        let all: Vec<_> = (0..count).map(|_| whole(address, path)).collect();
        (figures(all.iter().map(|(took, _)| *took).collect()), all[0].1 as f64 / 1e3)
    };
    let (hour, hour_kb) = timed(&url(from + HOUR, from + 2 * HOUR), ASKED);
    let (day, day_kb) = timed(&url(from, from + HOURS * HOUR), 20);
    println!("claim\tplaylist_hour\t\t{hour} ({hour_kb:.0} kB)");
    println!("claim\tplaylist_day\t\t{day} ({HOURS} h, {day_kb:.0} kB)");
}

fn manifest(daemon: &TestDaemon) {
    let path = "/host/stream/device-0/segments/archive_manifest.json";
    let times = (0..ASKED).map(|_| whole(daemon.address(), path).0).collect();
    println!("claim\tlistings\t\tmanifest of {HOURS} h: {}", figures(times));
}

/// Each second a new one, so that none is known.
fn stills(daemon: &TestDaemon, [from, hd_from]: [i64; 2], dice: &mut Dice) {
    let mut text = String::new();
    for (name, device, from, hours) in [("320×180", "device-2", from, HOURS), ("1280×720", "hd", hd_from, HD_HOURS)] {
        for exact in [false, true] {
            let mut paths = (0..STILLS).map(|_| {
                let at = from + dice.between(1, (hours * HOUR) as u64 - 1) as i64;
                let exact = u8::from(exact);
                format!("/api/host/screenshot/{device}?at={at}.{}&exact={exact}", dice.between(0, 10))
            });
            let times: Vec<Duration> = paths.by_ref().map(|path| whole(daemon.address(), &path).0).collect();
            let which = if exact { "exact" } else { "key frame" };
            let [half, most] = [50, 95].map(|percent| ms(percentile(times.clone(), percent)));
            let _ = write!(text, "{name} {which} p50 {half:.0} ms, p95 {most:.0} ms; ");
        }
    }
    println!("claim\tstill\t\t{}", text.trim_end_matches("; "));
}

fn figures(times: Vec<Duration>) -> String {
    let [half, most, all] = [50, 99, 100].map(|percent| ms(percentile(times.clone(), percent)));
    format!("p50 {half:.1} ms, p99 {most:.1} ms, slowest {all:.1} ms of {}", times.len())
}
