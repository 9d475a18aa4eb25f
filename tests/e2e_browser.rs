//! The pages in a real Chromium, the wall and two devices in a tab each: live pictures, finished chunks, and a daemon that dies while somebody watches.
//!
//! Decoded frames are counted. A player's clock alone proves nothing: it also runs without a picture.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

mod common;

use common::{Setup, TestDaemon, Turn, browser::Browser, clip, skip, until};
use serde_json::{Value, json};

const DEVICE: &str = "clip";
const DEVICES: [&str; 2] = [DEVICE, "pattern"];
const PATTERN: &str = "quality = \"low\"\nfps = 25\nsource = { kind = \"test\", pattern = \"testsrc2\", tone = 440 }";

/// All scripts of the first load, as they travel (gzip). The live player (600 kB) comes when a picture is wanted, after
/// the page is there.
const FIRST_LOAD_BYTES_MAX: usize = 200 * 1024;

#[test]
fn the_page_plays_live_and_finished_and_recovers_by_itself() {
    let program = match Browser::missing() {
        Ok(program) => program,
        Err(why) => return skip("e2e_browser", &why),
    };
    let _turn = Turn::wait();
    let copied = format!("quality = \"copy\"\nsource = {{ kind = \"file\", path = {:?} }}", clip());
    let mut daemon = TestDaemon::start(
        // A short live window, so that MEDIA-SEQUENCE moves while this looks.
        Setup::new().set("hot.segments", 8).camera(DEVICE, &copied).camera("pattern", PATTERN),
    );
    if !daemon.get("/").text().contains("/assets/") {
        return skip("e2e_browser", "the binary was built without its page; run `make ui` and build again");
    }
    // A visitor of a host that just starts sees its health fail, which a browser's console calls an error.
    until("the host is healthy", 30, || daemon.get("/api/host/health").status == 200);
    let mut browser = Browser::start(&program, &format!("http://{}/", daemon.address()));
    browser.ask("open", json!({}));
    first_paint_is_small(&daemon, &mut browser);

    for device in DEVICES {
        let live = browser.ask("live", json!({"id": device}));
        println!("{device}: live, {} s behind, {} px wide, {} frames", live["delay"], live["width"], live["frames"]);
    }
    // A browser opens six connections to a host: its tabs share one stream of events.
    let listeners = |text: &str| text.lines().any(|line| line == "capstan_event_listeners 1");
    until("three tabs listen as one", 10, || listeners(&daemon.get("/metrics").text()));

    // The first may have begun a moment before its end: too short to seek in.
    until("a chunk of some length is sealed", 40, || {
        newest_chunk(&daemon).is_some_and(|(_, seconds)| (5.0..=13.0).contains(&seconds))
    });
    a_growing_chunk_is_not_offered(&mut browser);
    let (url, _) = newest_chunk(&daemon).unwrap();
    let played = browser.ask("chunk", json!({"id": DEVICE, "url": url}));
    assert_eq!(played["width"], 640, "{played}");
    assert!(played["shown_at"].as_str().is_some(), "{played}");
    browser.ask("back", json!({"id": DEVICE}));
    clean(&mut browser);

    let before = highest_sequences(&mut browser);
    daemon.kill();
    daemon.start_again();
    let restarted = daemon.json("/api/host/state")["host"]["time"].clone();
    for device in DEVICES {
        let live = browser.ask("live", json!({"id": device, "since": restarted}));
        println!("{device}: live after kill -9, {} s behind", live["delay"]);
    }
    until("MEDIA-SEQUENCE goes on", 30, || {
        highest_sequences(&mut browser).iter().zip(&before).all(|(now, before)| now > before)
    });

    let report = browser.ask("report", json!({}));
    // While nobody listened, asking failed, and a host that just starts says that it is not well yet; nothing else may have.
    let starts = |problem: &str| problem.contains("status of 503") && problem.contains("/api/host/health");
    let refused = |problem: &&Value| problem.as_str().is_none_or(|problem| !is_refusal(problem) && !starts(problem));
    let others: Vec<_> = report["problems"].as_array().unwrap().iter().filter(refused).collect();
    assert!(others.is_empty(), "{others:#?}");
    let requests = report["requests"].as_array().unwrap();
    for device in DEVICES {
        let sequences = media_sequences(device, requests);
        println!(
            "{device}: {} playlists, MEDIA-SEQUENCE {:?} to {:?}",
            sequences.len(),
            sequences.first(),
            sequences.last()
        );
        assert!(sequences.is_sorted(), "it fell: {sequences:?}");
    }
    player_came_after_the_page(requests);
}

/// What the wall fetched to be there, and that all of it can be kept for ever.
fn first_paint_is_small(daemon: &TestDaemon, browser: &mut Browser) {
    let report = browser.ask("report", json!({}));
    let urls = report["requests"].as_array().unwrap().iter().map(|request| request["url"].as_str().unwrap());
    let scripts: std::collections::BTreeSet<_> =
        urls.filter(|url| url.starts_with("/assets/") && url.ends_with(".js")).collect();
    let sizes: Vec<_> = scripts
        .into_iter()
        .map(|url| {
            let reply = daemon.get_with(url, &[("Accept-Encoding", "gzip")]);
            assert_eq!(reply.header("content-encoding"), Some("gzip"), "{url}");
            assert!(reply.header("cache-control").is_some_and(|it| it.contains("immutable")), "{url}");
            (url, reply.body.len())
        })
        .collect();
    let sum = sizes.iter().map(|(_, size)| size).sum::<usize>();
    println!("first load: {sum} bytes of scripts, gzip");
    assert!(sizes.len() >= 2 && sum < FIRST_LOAD_BYTES_MAX, "{sum}: {sizes:?}");
}

/// The browser would fetch a file without end. It is told, never linked.
#[track_caller]
fn a_growing_chunk_is_not_offered(browser: &mut Browser) {
    let mut seen = 0;
    until("the page shows a growing chunk", 30, || {
        let offered = browser.ask("offered", json!({"id": DEVICE}));
        let Some(growing) = offered["growing"].as_str() else { return false };
        let urls: Vec<_> = offered["urls"].as_array().unwrap().iter().map(|url| url.as_str().unwrap()).collect();
        assert!(!urls.iter().any(|url| url.contains(growing)), "{growing} grows: {urls:?}");
        seen = urls.iter().filter(|url| url.ends_with(".mp4")).count();
        // With a finished chunk beside it, so that the list is known to be there.
        seen > 0 && offered["note"].as_str().unwrap().starts_with("Recording since")
    });
}

/// Its address and length in seconds.
fn newest_chunk(daemon: &TestDaemon) -> Option<(String, f64)> {
    let manifest = daemon.json(&format!("/host/stream/{DEVICE}/segments/archive_manifest.json"));
    let newest = manifest["manifests"].as_array()?.last()?;
    Some((newest["url"].as_str()?.to_owned(), newest["duration_seconds"].as_f64()?))
}

#[track_caller]
fn clean(browser: &mut Browser) {
    let report = browser.ask("report", json!({}));
    assert_eq!(report["problems"], json!([]));
}

/// Chromium's words for an answer that never came.
fn is_refusal(problem: &str) -> bool {
    ["ERR_CONNECTION_", "ERR_EMPTY_RESPONSE", "ERR_INCOMPLETE_CHUNKED", "ERR_SOCKET", "ERR_NETWORK"]
        .iter()
        .any(|name| problem.contains(name))
}

fn highest_sequences(browser: &mut Browser) -> Vec<u64> {
    let report = browser.ask("report", json!({}));
    let requests = report["requests"].as_array().unwrap();
    DEVICES.iter().map(|device| media_sequences(device, requests).into_iter().max().unwrap_or(0)).collect()
}

/// Of every live playlist that the page was given, in the order of asking, over restarts too: it is never reloaded.
fn media_sequences(device: &str, requests: &[Value]) -> Vec<u64> {
    let playlist = format!("/host/stream/{device}/segments/output.m3u8");
    let mine = requests.iter().filter(|request| request["url"] == playlist.as_str());
    mine.filter_map(|request| request["sequence"].as_u64()).collect()
}

#[track_caller]
fn player_came_after_the_page(requests: &[Value]) {
    let place = |part: &str| requests.iter().position(|request| request["url"].as_str().unwrap().contains(part));
    let (state, player) = (place("/api/host/state"), place("/assets/hls-"));
    assert!(state.is_some() && player > state, "state {state:?}, player {player:?}");
}
