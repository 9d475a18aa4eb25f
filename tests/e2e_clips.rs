//! Clips of a running daemon: every picture that was captured in the span, over seams and gaps, up to now, in any ranges.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod common;

use std::path::PathBuf;

use common::{
    Dice, Keeper, Setup, TestDaemon, Turn, browser::Browser, clip, daemon::is_alive, http::Response, media, skip, until,
};
use rustix::process::{Signal, kill_process};
use serde_json::json;

/// Follows the redirect to the explicit end; returns where it led, and the reply.
#[track_caller]
fn fetch(daemon: &TestDaemon, path: &str) -> (String, Response) {
    let reply = daemon.get(path);
    let target = reply.header("location").unwrap_or(path).to_owned();
    let reply = if reply.status == 307 { daemon.get(&target) } else { reply };
    assert_eq!(reply.status, 200, "{path} to {target}: {}", reply.text());
    (target, reply)
}

#[track_caller]
fn save(daemon: &TestDaemon, name: &str, reply: &Response) -> PathBuf {
    let file = daemon.setup.folder().join(name);
    std::fs::write(&file, &reply.body).unwrap();
    media::assert_decodes(&file);
    file
}

/// Start of the oldest chunk.
fn oldest(daemon: &TestDaemon) -> String {
    daemon.json("/api/host/timeline/clip")["chunks"][0]["start"].as_str().unwrap().to_owned()
}

#[test]
fn clips_hold_what_was_captured_over_seams_and_gaps_up_to_now() {
    let _turn = Turn::wait();
    let source = format!("quality = \"copy\"\nsource = {{ kind = \"file\", path = {:?} }}", clip());
    let setup = Setup::new().camera("clip", &source);
    let mut kept = Keeper::start(&setup.hot, &["clip"]);
    let mut daemon = TestDaemon::start(setup);
    until("a chunk is sealed and the next one grows", 40, || {
        !daemon.ring("clip").is_empty() && daemon.committed_seconds("clip") > 11.0
    });
    let (ffmpeg, _) = daemon.children().into_iter().next().unwrap();
    // Stuck, not killed: noticed after 3 s, so that the gap is a gap however fast FFmpeg starts again.
    kill_process(ffmpeg, Signal::STOP).unwrap();
    until("it is replaced", 15, || !is_alive(ffmpeg));
    let before = daemon.committed_seconds("clip");
    until("more is committed after the gap", 30, || daemon.committed_seconds("clip") > before + 6.0);

    // From the very beginning to now, with the time kept and with the gap skipped.
    let start = oldest(&daemon);
    let path = format!("/api/host/clip/clip.mp4?start={start}");
    let (address, whole) = fetch(&daemon, &path);
    let (_, skipped) = fetch(&daemon, &format!("{address}&gap=skip"));
    let whole_file = save(&daemon, "whole.mp4", &whole);
    let found = media::frame_hashes(&whole_file);
    let skipped_file = save(&daemon, "skipped.mp4", &skipped);
    media::assert_same(&media::frame_hashes(&skipped_file), &found, "the gap skipped and kept");
    assert!(media::duration_seconds(&skipped_file) < media::duration_seconds(&whole_file) - 0.5);
    media::assert_table_first(&whole_file);

    // Any ranges, in any order, put together are the whole; also after the growing chunk was sealed.
    let etag = whole.header("etag").unwrap().to_owned();
    let mut dice = Dice::new();
    let reassembled = |dice: &mut Dice| {
        let len = whole.body.len();
        let mut cuts: Vec<_> = (0..12).map(|_| dice.between(1, len as u64) as usize).chain([0, len]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let mut ranges: Vec<_> = cuts.windows(2).map(|pair| pair[0]..pair[1]).collect();
        let first = dice.between(0, ranges.len() as u64) as usize;
        ranges.rotate_left(first);
        let mut joined = vec![0; len];
        for range in ranges {
            let wanted = format!("bytes={}-{}", range.start, range.end - 1);
            let part = daemon.get_with(&address, &[("Range", &wanted), ("If-Range", &etag)]);
            assert_eq!((part.status, part.header("etag")), (206, Some(etag.as_str())), "{wanted}");
            joined[range].copy_from_slice(&part.body);
        }
        joined == whole.body
    };
    assert!(reassembled(&mut dice));
    let sealed = daemon.ring("clip").len();
    until("the chunk that grew is sealed", 30, || daemon.ring("clip").len() > sealed);
    assert!(reassembled(&mut dice), "the same bytes after sealing");

    // One second from inside a GOP, and its neighbours: each picture in one of them.
    let from: jiff::Timestamp = start.parse().unwrap();
    let at = |milliseconds: i64| from + jiff::SignedDuration::from_millis(milliseconds);
    let mut pieces = Vec::new();
    for (i, pair) in [0, 1700, 2790, 4001, 9750, 10_400].windows(2).enumerate() {
        let path = format!("/api/host/clip/clip.mp4?start={}&end={}", at(pair[0]), at(pair[1]));
        pieces.extend(media::frame_hashes(&save(&daemon, &format!("piece-{i}.mp4"), &fetch(&daemon, &path).1)));
    }
    media::assert_same(&pieces, &found[..pieces.len()], "clips that follow each other, one long clip");
    assert!(pieces.len() >= 24 * 10);
    let sound = fetch(&daemon, &format!("{address}&tracks=audio")).1;
    assert_eq!(media::codecs(&save(&daemon, "sound.m4a", &sound)), ["aac"]);
    assert!(daemon.get(&format!("{address}&explain=1")).text().contains(".mp4 at "));

    plays_in_a_browser(&daemon, &address, media::duration_seconds(&whole_file));

    daemon.stop();
    let runs = kept.finish("clip");
    assert_eq!(runs.len(), 2, "FFmpeg was replaced once");
    let mut captured = Vec::new();
    for (number, run) in runs.iter().enumerate() {
        let joined = daemon.setup.folder().join(format!("run-{number}.ts"));
        media::join_segments(run, &joined);
        captured.extend(media::frame_hashes(&joined));
    }
    assert!(found.len() <= captured.len() && found.len() > 24 * 15, "{} of {}", found.len(), captured.len());
    media::assert_same(&found, &captured[..found.len()], "pictures of the clip, pictures captured");
}

#[test]
fn what_waits_in_ram_is_committed_once_and_served_to_the_picture() {
    let _turn = Turn::wait();
    let source = format!("quality = \"copy\"\nsource = {{ kind = \"file\", path = {:?} }}", clip());
    let setup =
        Setup::new().set("archive.commit_seconds", 60).set("archive.chunk_seconds", 600).camera("clip", &source);
    let mut kept = Keeper::start(&setup.hot, &["clip"]);
    let mut daemon = TestDaemon::start(setup);
    let of = [("device", "clip")];
    let commits = || daemon.metric("capstan_commit_seconds_count", &of).unwrap_or(0.0);
    let written = || {
        let kinds = ["media", "index"].map(|kind| [("device", "clip"), ("kind", kind)]);
        kinds
            .map(|labels| daemon.metric("capstan_disk_written_bytes_total", &labels).unwrap_or(0.0))
            .iter()
            .sum::<f64>()
    };
    let media_bytes = || daemon.metric("capstan_media_bytes_total", &of).unwrap_or(0.0);
    until("8 s wait in RAM", 40, || daemon.hot_segments("clip").len() >= 8);

    // The last seconds, again and again: an address that is good at once, for a bounded number of commits.
    let began = common::now();
    let mut addresses = Vec::new();
    for _ in 0..20 {
        let path = "/api/host/restart-video/clip";
        let made = common::http::post(daemon.address(), path, &json!({"duration_seconds": 5})).unwrap().json();
        addresses.push(made["video_url"].as_str().unwrap().to_owned());
    }
    let seconds = common::now().since(began).as_secs_f64();
    println!(
        "20 restart videos in {seconds:.2} s: {} commits, {} bytes for {} of media",
        commits(),
        written(),
        media_bytes()
    );
    assert!((1.0..=2.0 + seconds / 2.0).contains(&commits()), "{} in {seconds} s", commits());
    for address in &addresses {
        assert_eq!(daemon.get(address).status, 200, "no other end follows: {address}");
    }

    // An end that RAM has and the disk has not.
    let (before, bytes, media, committed) = loop {
        let (before, bytes, media) = (commits(), written(), media_bytes());
        let committed = daemon.json("/api/host/timeline/clip")["chunks"][0]["end"].as_str().unwrap().to_owned();
        let committed: jiff::Timestamp = committed.parse().unwrap();
        let had = daemon.hot_segments("clip").len();
        until("5 s more wait in RAM", 20, || daemon.hot_segments("clip").len() >= had + 5);
        // The one commit a minute may fall into these seconds: then once more.
        if commits() == before {
            break (before, bytes, media, committed);
        }
        assert!(common::now().since(began).as_secs() < 50, "nothing is committed while nobody asks");
    };
    let start = oldest(&daemon);
    let end = committed + jiff::SignedDuration::from_millis(3_000);
    let reply = daemon.get(&format!("/api/host/clip/clip.mp4?start={start}&end={end}"));
    assert_eq!((reply.status, commits()), (200, before + 1.0), "{}", reply.text());
    let (bytes, media) = (written() - bytes, media_bytes() - media);
    println!("a commit that a clip asked for: {bytes} bytes for {media} of media, x{:.4}", bytes / media);
    assert!(bytes < 1.05 * media, "each byte once");
    let found = media::frame_hashes(&save(&daemon, "tail.mp4", &reply));
    let from: jiff::Timestamp = start.parse().unwrap();
    let expected = (end.duration_since(from).as_secs_f64() * 24.0).round() as usize;
    assert!(found.len().abs_diff(expected) <= 1, "{} of {expected} pictures", found.len());

    daemon.stop();
    let joined = daemon.setup.folder().join("run.ts");
    media::join_segments(&kept.finish("clip")[0], &joined);
    let captured = media::frame_hashes(&joined);
    media::assert_same(&found, &captured[..found.len()], "pictures of the clip, pictures captured");
}

/// A bare `<video>` on the clip: the picture, its length, seeks on and off key frames and over the seam and the gap.
fn plays_in_a_browser(daemon: &TestDaemon, address: &str, seconds: f64) {
    let program = match Browser::missing() {
        Ok(program) => program,
        Err(why) => return skip("clips in a browser", &why),
    };
    let mut browser = Browser::start(&program, &format!("http://{}/", daemon.address()));
    browser.ask("open", json!({}));
    let seeks = [9.0, 3.37, seconds - 4.0];
    let played = browser.ask("file", json!({"url": address, "seeks": seeks}));
    println!("clip in Chromium: {played}");
    assert_eq!(played["width"], 640, "{played}");
    assert!((played["duration"].as_f64().unwrap() - seconds).abs() < 0.05, "{played}");
    for sought in played["sought"].as_array().unwrap() {
        assert!(sought["ended"] == true || sought["frames"].as_u64() >= Some(60), "{played}");
    }
    assert_eq!(played["stalls"], 0, "{played}");
    // From inside a GOP: what precedes the first picture is not shown, so the length is that of the span.
    let from: jiff::Timestamp = oldest(daemon).parse().unwrap();
    let (_, end) = address.split_once("&end=").unwrap();
    let cut = format!("/api/host/clip/clip.mp4?start={}&end={end}", from + jiff::SignedDuration::from_millis(2610));
    let played = browser.ask("file", json!({"url": cut, "seeks": [0.0, 5.0]}));
    assert!((played["duration"].as_f64().unwrap() - (seconds - 2.61)).abs() < 0.1, "{played}");
}
