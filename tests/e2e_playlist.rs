//! The archive played by others while it is recorded: HLS by byte ranges, stills of any moment, the last seconds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

mod common;

use std::{fs, path::PathBuf, process::Command};

use capstan::clock::Clock;
use common::{
    Dice, Setup, TestDaemon, Turn,
    browser::Browser,
    clip, http,
    media::{assert_same, duration_seconds, frame_hashes},
    now, skip, until,
};
use m3u8_rs::{MediaPlaylist, MediaPlaylistType, parse_media_playlist_res};
use rustix::process::{Signal, kill_process};
use serde_json::json;

const DEVICE: &str = "clip";

fn start() -> TestDaemon {
    let copied = format!("quality = \"copy\"\nsource = {{ kind = \"file\", path = {:?} }}", clip());
    TestDaemon::start(Setup::new().camera(DEVICE, &copied))
}

/// Sealed chunks as the manifest tells them: start, end in milliseconds, and file.
fn sealed(daemon: &TestDaemon) -> Vec<(i64, i64, PathBuf)> {
    let manifest = daemon.json(&format!("/host/stream/{DEVICE}/segments/archive_manifest.json"));
    let folder = daemon.setup.root().join(DEVICE).join("segments");
    let chunks = manifest["manifests"].as_array().unwrap().iter();
    let moment = |text: &serde_json::Value| {
        text.as_str().unwrap().parse::<jiff::Timestamp>().expect("RFC 3339").as_millisecond()
    };
    chunks.map(|one| (moment(&one["start"]), moment(&one["end"]), folder.join(one["name"].as_str().unwrap()))).collect()
}

fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

#[track_caller]
fn playlist(daemon: &TestDaemon, path: &str) -> (String, MediaPlaylist) {
    let reply = daemon.get(path);
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/vnd.apple.mpegurl")), "{path}");
    let read = parse_media_playlist_res(&reply.body).unwrap_or_else(|error| panic!("{error}: {}", reply.text()));
    let target = read.target_duration as f32;
    assert!(read.segments.iter().all(|one| one.duration.round() <= target), "{}", reply.text());
    (reply.text(), read)
}

/// What a player has in its buffer after it has played all: one file per discontinuity.
fn fetched(daemon: &TestDaemon, list: &MediaPlaylist) -> Vec<PathBuf> {
    let range = |uri: &str, range: &m3u8_rs::ByteRange| {
        let from = range.offset.expect("absolute offsets");
        let wanted = format!("bytes={from}-{}", from + range.length - 1);
        let reply = daemon.get_with(uri, &[("Range", &wanted)]);
        assert_eq!((reply.status, reply.body.len() as u64), (206, range.length), "{uri} {wanted}");
        reply.body
    };
    let (mut map, mut files, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    for (number, entry) in list.segments.iter().enumerate() {
        if entry.discontinuity || number == 0 {
            assert!(entry.program_date_time.is_some(), "{entry:?}");
            files.extend((!bytes.is_empty()).then(|| std::mem::take(&mut bytes)));
        }
        if let Some(told) = &entry.map {
            map = range(&told.uri, told.byte_range.as_ref().unwrap());
        }
        if bytes.is_empty() {
            bytes.extend_from_slice(&map);
        }
        bytes.extend(range(&entry.uri, entry.byte_range.as_ref().unwrap()));
    }
    files.push(bytes);
    let folder = daemon.setup.folder();
    let write = |(number, bytes): (usize, Vec<u8>)| {
        let path = folder.join(format!("played-{number}.mp4"));
        fs::write(&path, bytes).unwrap();
        path
    };
    files.into_iter().enumerate().map(write).collect()
}

#[test]
fn the_archive_plays_by_byte_ranges_across_seams_and_gaps() {
    let _turn = Turn::wait();
    let daemon = start();
    until("a chunk is sealed", 40, || !daemon.ring(DEVICE).is_empty());
    let hour = format!("/host/stream/{DEVICE}/segments/{}/archive.m3u8", hour_of(sealed(&daemon)[0].0));
    let (early, list) = playlist(&daemon, &hour);
    assert_eq!((list.end_list, list.playlist_type), (false, Some(MediaPlaylistType::Event)));
    // FFmpeg hangs: some five seconds are missing until it is replaced. Both ends must lie in one chunk of ten.
    until("a chunk is young", 15, || (3..4).contains(&Clock::system().wall().as_seconds().rem_euclid(10)));
    let before = daemon.json("/api/host/state")["devices"][0]["ffmpeg_restarts"].as_f64();
    let ffmpeg = daemon.children()[0].0;
    kill_process(ffmpeg, Signal::STOP).unwrap();
    until("FFmpeg is replaced", 20, || {
        daemon.json("/api/host/state")["devices"][0]["ffmpeg_restarts"].as_f64() > before
    });
    let had = sealed(&daemon).len();
    until("two more chunks are sealed", 60, || sealed(&daemon).len() >= had + 2);

    let chunks = sealed(&daemon);
    let (first, last) = (chunks.first().unwrap(), chunks.last().unwrap());
    let span = format!("/api/host/playlist/{DEVICE}.m3u8?start={}&end={}", seconds(first.0), seconds(last.1 - 200));
    let (text, list) = playlist(&daemon, &span);
    assert_eq!((list.end_list, &list.playlist_type), (true, &Some(MediaPlaylistType::Vod)), "{text}");
    let files = fetched(&daemon, &list);
    let played: Vec<_> = files.iter().flat_map(|file| frame_hashes(file)).collect();
    let recorded: Vec<_> = chunks.iter().flat_map(|(_, _, file)| frame_hashes(file)).collect();
    assert!(recorded.len() > 24 * 15, "{} frames", recorded.len());
    assert_same(&played, &recorded, "frames played, frames recorded");
    assert!(
        files.len() > chunks.len(),
        "{} discontinuities, {} chunks: no gap in any\n{text}",
        files.len(),
        chunks.len()
    );
    told_times_are_those_of_the_media(&list);
    ffmpeg_plays_it(&daemon, &span, recorded.len());

    // What was listed once is there unchanged, and more.
    if hour_of(last.1) == hour_of(first.0) {
        let (late, _) = playlist(&daemon, &hour);
        assert!(late.starts_with(&early) && late.len() > early.len(), "{early}\n{late}");
    }
    let told = daemon.json(&format!("/api/host/segments/{DEVICE}/{}", hour_of(last.0)));
    playlist(&daemon, told["manifest_url"].as_str().unwrap());
    // Key frames come every second: this begins in the middle between two.
    // The last chunk is whole: FFmpeg hung before it.
    let within = format!("/api/host/playlist/{DEVICE}.m3u8?start={}&duration=5", seconds(last.0 + 3500));
    browser_plays_it(&daemon, &span, &list, &within);
}

fn hour_of(ms: i64) -> i64 {
    ms.rem_euclid(86_400_000) / 3_600_000
}

/// Between two PROGRAM-DATE-TIMEs passes what the entries between them last, or more: never less.
fn told_times_are_those_of_the_media(list: &MediaPlaylist) {
    let (mut at, mut gaps) = (None::<f64>, Vec::new());
    for entry in &list.segments {
        if let Some(told) = &entry.program_date_time {
            let told = told.timestamp_millis() as f64 / 1000.0;
            let missing = at.map_or(0.0, |at| told - at);
            assert!(missing > -0.05, "time runs back by {missing} s: {entry:?}");
            gaps.extend((missing > 0.5).then_some(missing));
            at = Some(told);
        }
        at = at.map(|at| at + f64::from(entry.duration));
    }
    println!("gaps: {gaps:?}");
    assert!(gaps.len() == 1 && gaps[0] < 10.0, "FFmpeg hung once: {gaps:?}");
}

fn ffmpeg_plays_it(daemon: &TestDaemon, path: &str, frames: usize) {
    let mut command = Command::new("ffprobe");
    command.args([
        "-v",
        "error",
        "-select_streams",
        "v:0",
        "-count_packets",
        "-show_entries",
        "stream=nb_read_packets",
    ]);
    let output = command.args(["-of", "csv=p=0"]).arg(format!("http://{}{path}", daemon.address())).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let counted = String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().parse().ok();
    assert_eq!(counted, Some(frames), "{said}");
}

fn browser_plays_it(daemon: &TestDaemon, path: &str, list: &MediaPlaylist, within: &str) {
    let program = match Browser::missing() {
        Ok(program) => program,
        Err(why) => return skip("e2e_playlist in a browser", &why),
    };
    if !daemon.get("/").text().contains("/assets/") {
        return skip(
            "e2e_playlist in a browser",
            "the binary was built without its page; run `make ui` and build again",
        );
    }
    let mut browser = Browser::start(&program, &format!("http://{}/", daemon.address()));
    browser.ask("open", json!({}));
    let total: f64 = list.segments.iter().map(|entry| f64::from(entry.duration)).sum();
    // The last one shortly before the first seam.
    let until_seam = 1 + list.segments.iter().skip(1).take_while(|entry| !entry.discontinuity).count();
    let seam: f64 = list.segments.iter().take(until_seam).map(|entry| f64::from(entry.duration)).sum();
    let seeks = [total / 2.0, total * 0.8, 0.5, seam - 0.5];
    let played = browser.ask("archive", json!({"url": path, "seeks": seeks}));
    println!("{played}");
    assert_eq!((played["errors"].clone(), played["live"].clone()), (json!([]), json!(false)), "{played}");
    assert!((played["duration"].as_f64().unwrap() - total).abs() < 0.1, "{total}: {played}");
    assert!(played["width"].as_u64() == Some(640) && played["entries"] == list.segments.len(), "{played}");
    let played = browser.ask("archive", json!({"url": within, "seeks": []}));
    assert_eq!(played["errors"], json!([]));
    assert!((0.3..1.5).contains(&played["first"].as_f64().unwrap()), "starts at the moment asked for: {played}");
    assert_eq!(browser.ask("report", json!({}))["problems"], json!([]));
}

#[test]
fn any_moment_has_its_picture_and_the_last_seconds_an_address() {
    let _turn = Turn::wait();
    let daemon = start();
    let newest = format!("/api/host/screenshot/{DEVICE}");
    until("a screenshot", 20, || daemon.get(&newest).status == 200);
    assert!(daemon.get(&newest).body.starts_with(&[0xFF, 0xD8, 0xFF]));
    // The first chunk may be short: it ends on the grid of the clock.
    until("a second chunk grows", 60, || {
        daemon.committed_seconds(DEVICE) > 8.0
            && !daemon.ring(DEVICE).is_empty()
            && daemon.open_chunks(DEVICE).len() == 1
    });

    let reply =
        http::post(daemon.address(), &format!("/api/host/restart-video/{DEVICE}"), &json!({"duration_seconds": 5}));
    let made = reply.unwrap().json();
    let ms = |text: &serde_json::Value| text.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let host_time = ms(&daemon.json("/api/host/state")["host"]["time"]);
    assert_eq!(ms(&made["end"]) - ms(&made["start"]), 5000, "{made}");
    assert!((0..5000).contains(&(host_time - ms(&made["end"]))), "{made} at {host_time}");
    // All of it is on the disk already.
    let state = daemon.json("/api/host/state");
    assert!(ms(&state["devices"][0]["chunks"]["newest"]) >= ms(&made["end"]), "{made}");

    let clip = daemon.get(made["video_url"].as_str().unwrap());
    assert_eq!((clip.status, clip.header("content-type")), (200, Some("video/mp4")), "{}", clip.text());
    let file = daemon.setup.folder().join("restart.mp4");
    fs::write(&file, clip.body).unwrap();
    let lasts = duration_seconds(&file);
    assert!((lasts - 5.0).abs() < 0.1, "{lasts} s");
    let shown = frame_hashes(&file).len();
    assert!((5 * 24 - 1..=5 * 24 + 1).contains(&shown), "{shown} frames");

    let (from, to) = (sealed(&daemon)[0].0, ms(&made["end"]));
    let (mut dice, mut times) = (Dice::new(), Vec::new());
    for _ in 0..20 {
        let at = dice.between(from as u64 + 100, to as u64 - 100) as i64;
        for (exact, within) in [(0, 1000), (1, 1000 / 24 + 1)] {
            let began = now();
            let reply = daemon.get(&format!("{newest}?at={}&exact={exact}", seconds(at)));
            times.push(now().since(began));
            assert_eq!(reply.status, 200, "{at}: {}", reply.text());
            let taken = reply.header("x-picture-time").unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond();
            assert!((0..=within).contains(&(at - taken)), "{at}, exact {exact}: a picture of {taken}");
            assert!(reply.body.starts_with(&[0xFF, 0xD8, 0xFF]));
        }
    }
    times.sort();
    println!("stills: median {:?}, p95 {:?}", times[times.len() / 2], times[times.len() * 95 / 100]);
    let refused =
        |query: &str, status: u16| assert_eq!(daemon.get(&format!("{newest}?{query}")).status, status, "{query}");
    refused(&format!("at={}", seconds(from - 60_000)), 404);
    refused("at=yesterday", 400);
    refused(&format!("at={}&exact=yes", seconds(from + 1000)), 400);
    assert_eq!(daemon.lost_seconds(DEVICE), 0.0);
}
