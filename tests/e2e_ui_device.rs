//! The page of one device in a real Chromium: live and past on one time line, clips, links, pins, what cannot play.
//!
//! Decoded frames are counted, and pictures are told by the moment they show. Figures of how fast it is are printed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

mod common;

use std::path::PathBuf;

use capstan::clock::{Clock, Utc90k};
use common::{Setup, TestDaemon, Turn, browser::Browser, clip, footage::Footage, media, skip, until};
use serde_json::{Value, json};

const CAM: &str = "cam";
/// Black for 4 s in every 20 s: incidents to jump to.
const PATTERN: &str = "quality = \"low\"\nfps = 25\nsource = { kind = \"test\", pattern = \"testsrc2\", tone = 440, \
                       black = [[6, 10]], period = 20 }";

/// What the issue asks for.
const CLICK_MEDIAN_MS: u64 = 300;
const SCRUB_MS: f64 = 50.0;
const CLICKS: usize = 20;

#[test]
fn live_and_past_are_one_player_on_one_time_line() {
    let Some(program) = browser("e2e_ui_device") else { return };
    let _turn = Turn::wait();
    let setup = Setup::new().camera(CAM, PATTERN);
    // Two chunks that continue each other, and one behind a gap, so that nobody waits for them; meanwhile it records.
    let start = recent(600);
    Footage::numbered(80).keep(&setup, CAM, &[(start, 0..20), (start + 20_000, 20..40), (start + 45_000, 40..80)]);
    let daemon = TestDaemon::start(setup);
    if !daemon.get("/").text().contains("/assets/") {
        return skip("e2e_ui_device", "the binary was built without its page; run `make ui` and build again");
    }
    until("the host is healthy", 30, || daemon.get("/api/host/health").status == 200);

    let mut browser = Browser::start(&program, &format!("http://{}/", daemon.address()));
    browser.ask("device.open", json!({"id": CAM}));
    let live = browser.ask("device.live", json!({"id": CAM}));
    println!("live, {} s behind", live["delay"]);
    let delay = live["delay"].as_f64().unwrap();
    assert!(delay > 0.0 && delay < 15.0, "the real delay: {live}");

    seams_and_gaps(&daemon, &mut browser);
    speeds_and_steps(&daemon, &mut browser);
    a_reload_leads_back(&daemon, &mut browser);
    incidents(&daemon, &mut browser);
    until("enough is recorded", 60, || seconds(&recorded(&daemon)) > 22.0);
    clips(&daemon, &mut browser);
    figures(&daemon, &mut browser);

    let restart = browser.ask("device.restart", json!({"id": CAM}));
    let length = restart["duration"].as_f64().unwrap();
    assert!((length - 10.0).abs() < 1.5 && restart["width"] == 320, "the last 10 s: {restart}");

    browser.ask("device.key", json!({"id": CAM, "keys": "l"}));
    browser.ask("device.live", json!({"id": CAM}));
    browser.ask("device.key", json!({"id": CAM, "keys": "?"}));
    let keys = browser.ask("device.look", json!({"id": CAM, "selector": ".dialog"}));
    let keys = keys["text"].as_str().unwrap();
    assert!(["Clip: set in", "One picture on", "Incident after"].iter().all(|key| keys.contains(key)), "{keys}");
    assert_eq!(browser.ask("report", json!({}))["problems"], json!([]));
}

/// Plays over the seam of two chunks and over a gap; pictures keep coming.
fn seams_and_gaps(daemon: &TestDaemon, browser: &mut Browser) {
    let seam = at(&chunks(daemon)[1]["start"]);
    browser.ask("device.zoom", json!({"id": CAM, "at": seam, "span": 120_000}));
    browser.ask("device.click", json!({"id": CAM, "at": seam - 1500}));
    let over = browser.ask("device.through", json!({"id": CAM, "at": seam + 1500}));
    println!("over the seam of two chunks: {} ms at most between two pictures", over["longest_rest_ms"]);
    assert!(over["longest_rest_ms"].as_u64() < Some(1000), "{over}");

    let parts = coverage(daemon);
    let (end, next) = (at(&parts[0]["end"]), at(&parts[1]["start"]));
    assert!(next - end > 500, "a gap: {parts:?}");
    browser.ask("device.click", json!({"id": CAM, "at": end - 2000}));
    let over = browser.ask("device.through", json!({"id": CAM, "at": next + 500}));
    println!("over a gap of {} ms: {} ms between two pictures", next - end, over["longest_rest_ms"]);
    assert!(over["longest_rest_ms"].as_u64() < Some(2000), "{over}");
    // A click into the gap goes to what follows it, and says so.
    browser.ask("device.zoom", json!({"id": CAM, "at": end, "span": 20_000}));
    let landed = browser.ask("device.click", json!({"id": CAM, "at": i64::midpoint(end, next), "within": 20_000}));
    assert!(landed["at"].as_i64() >= Some(next - 100), "{landed}");

    // Dragging shows stills at once, and the picture of where it rests.
    browser.ask("device.open", json!({"id": CAM, "query": format!("?t={}&zoom=120", rfc3339(seam))}));
    browser.ask("device.plays", json!({"id": CAM, "at": seam}));
    let drag = browser.ask("device.drag", json!({"id": CAM, "from": seam + 8000, "to": seam - 3000}));
    println!("dragging showed {} stills, then video", drag["stills"]);
}

fn speeds_and_steps(daemon: &TestDaemon, browser: &mut Browser) {
    let start = at(&coverage(daemon)[0]["start"]);
    browser.ask("device.click", json!({"id": CAM, "at": start + 1000}));
    let fast = browser.ask("device.key", json!({"id": CAM, "keys": [">", ">", ">"]}));
    assert_eq!(fast["rate"], 4, "{fast}");
    let began = common::now();
    let over = browser.ask("device.through", json!({"id": CAM, "at": start + 13_000}));
    let pace = (over["at"].as_f64().unwrap() - fast["at"].as_f64().unwrap())
        / (common::now().since(began).as_secs_f64() * 1000.0);
    println!("at 4 ×, it plays {pace:.1} s in a second");
    assert!(pace > 2.0, "{pace}");
    browser.ask("device.key", json!({"id": CAM, "keys": ["<", "<", "<", " "]}));

    let held = browser.ask("device.state", json!({"id": CAM}));
    assert_eq!(held["paused"], true, "{held}");
    let held = steady(browser);
    browser.ask("device.key", json!({"id": CAM, "keys": "."}));
    let on = steady(browser);
    assert!((on - held - 40).abs() <= 12, "one picture of 25 a second on: {}", on - held);
    browser.ask("device.key", json!({"id": CAM, "keys": [",", ","]}));
    let back = steady(browser);
    assert!((on - back - 80).abs() <= 22, "two back: {}", on - back);
}

/// The moment of the picture that stands there, once it does not change any more.
fn steady(browser: &mut Browser) -> i64 {
    let (mut last, mut same) = (None, 0);
    until("the picture stands", 10, || {
        let now = browser.ask("device.state", json!({"id": CAM}))["at"].as_i64();
        same = if now == last { same + 1 } else { 0 };
        last = now;
        same >= 8
    });
    last.unwrap()
}

fn incidents(daemon: &TestDaemon, browser: &mut Browser) {
    until("an incident is told", 40, || !list(daemon).is_empty());
    let first = at(&list(daemon).last().unwrap()["start"]);
    let start = at(&coverage(daemon)[0]["start"]);
    browser.ask("device.click", json!({"id": CAM, "at": start + 200, "isHeld": true}));
    browser.ask("device.key", json!({"id": CAM, "keys": "n"}));
    let there = browser.ask("device.plays", json!({"id": CAM, "at": first, "isHeld": true, "within": 200}));
    assert!((there["at"].as_i64().unwrap() - first).abs() < 200, "the first incident begins at {first}: {there}");
}

fn list(daemon: &TestDaemon) -> Vec<Value> {
    daemon.json(&format!("/api/host/incidents?device={CAM}&kind=blackscreen"))["incidents"].as_array().unwrap().clone()
}

fn a_reload_leads_back(daemon: &TestDaemon, browser: &mut Browser) {
    let moment = at(&coverage(daemon)[0]["start"]) + 12_000;
    let query = format!("?t={}&zoom=60", rfc3339(moment));
    let opened = browser.ask("device.open", json!({"id": CAM, "query": query}));
    assert_eq!(opened["span"], 60_000, "{opened}");
    let shown = browser.ask("device.plays", json!({"id": CAM, "at": moment}));
    browser.ask("device.key", json!({"id": CAM, "keys": " "}));
    let held = steady(browser);
    // What the address tells after a while leads to the same place.
    until("the address follows", 10, || {
        let url = browser.ask("device.state", json!({"id": CAM}))["url"].as_str().unwrap().to_owned();
        let told = url.split("t=").nth(1).map(|rest| rest.split('&').next().unwrap().replace("%3A", ":"));
        told.is_some_and(|told| (at(&json!(told)) - held).abs() < 500)
    });
    let url = browser.ask("device.state", json!({"id": CAM}))["url"].as_str().unwrap().to_owned();
    let query = format!("?{}", url.split('?').nth(1).unwrap());
    browser.ask("device.open", json!({"id": CAM, "query": query}));
    let again = browser.ask("device.plays", json!({"id": CAM, "at": held}));
    assert!((again["at"].as_i64().unwrap() - held).abs() < 4000, "{shown} then {again}");
}

/// Marks a range by keys; takes it as it is, encoded anew, as a link, and pins it.
fn clips(daemon: &TestDaemon, browser: &mut Browser) {
    let start = at(&recorded(daemon)["start"]);
    browser.ask("device.open", json!({"id": CAM, "query": format!("?t={}&zoom=60", rfc3339(start + 5000))}));
    browser.ask("device.plays", json!({"id": CAM, "at": start + 5000}));
    browser.ask("device.key", json!({"id": CAM, "keys": " "}));
    let from = steady(browser);
    browser.ask("device.key", json!({"id": CAM, "keys": ["i", "ArrowRight"]}));
    browser.ask("device.plays", json!({"id": CAM, "at": from + 5000, "isHeld": true, "within": 100}));
    browser.ask("device.key", json!({"id": CAM, "keys": "o"}));
    let text =
        |browser: &mut Browser, selector: &str| browser.ask("device.look", json!({"id": CAM, "selector": selector}));
    let length = text(browser, "[data-clip=length]")["text"].as_str().unwrap().to_owned();
    assert!(length.starts_with("00:05.0") || length.starts_with("00:04.9"), "{length}");
    assert!(text(browser, "[data-clip=size]")["text"].as_str().unwrap().contains("iB"));

    let file = daemon.setup.folder().join("clip.mp4");
    let saved = browser.ask("device.download", json!({"id": CAM, "selector": "[data-act=download]", "path": file}));
    assert!(saved["name"].as_str().unwrap().starts_with("cam_2"), "{saved}");
    assert_clip(&file, 5.0);

    let encoded = browser.ask("device.encode", json!({"id": CAM}));
    println!("a job of a preset told {}", encoded["parts"]);
    assert_eq!(encoded["parts"][0], 0, "{encoded}");
    let reply = daemon.get(encoded["href"].as_str().unwrap());
    std::fs::write(&file, &reply.body).unwrap();
    assert_clip(&file, 5.0);

    browser.ask("device.clickOn", json!({"id": CAM, "selector": "[data-act=share]"}));
    browser.ask("device.clickOn", json!({"id": CAM, "selector": "[data-act=make-link]"}));
    let link = text(browser, ".share-link input")["value"].as_str().unwrap().to_owned();
    let path =
        link.split_once("://").and_then(|(_, rest)| rest.find('/').map(|slash| rest[slash..].to_owned())).unwrap();
    assert!(path.contains("share="), "{link}");
    let reply = daemon.get(&path);
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("video/mp4")), "{link}");
    browser.ask("device.key", json!({"id": CAM, "keys": "Escape"}));

    browser.ask("device.clickOn", json!({"id": CAM, "selector": "[data-act=pin]"}));
    let why = "<img src=x onerror=alert(1)> for the record";
    browser.ask("device.fill", json!({"id": CAM, "selector": "input[name=why]", "value": why}));
    browser.ask("device.clickOn", json!({"id": CAM, "selector": "[data-act=make-pin]"}));
    browser.ask("device.clickOn", json!({"id": CAM, "selector": "#tab-pins"}));
    let pin = text(browser, "[data-pin]");
    assert!(pin["text"].as_str().unwrap().contains(why), "{pin}");
    assert!(chunks(daemon).iter().any(|chunk| chunk["pinned"] == true));
    browser.ask("device.key", json!({"id": CAM, "keys": "x"}));
}

/// A click in the archive shows a decoded picture soon; stills that were there show at once.
fn figures(daemon: &TestDaemon, browser: &mut Browser) {
    let part = recorded(daemon);
    let (start, end) = (at(&part["start"]), at(&part["end"]));
    browser.ask("device.open", json!({"id": CAM, "query": format!("?t={}&zoom=120", rfc3339(start + 1000))}));
    browser.ask("device.plays", json!({"id": CAM, "at": start + 1000}));
    browser.ask("device.key", json!({"id": CAM, "keys": " "}));
    // Spread over all there is, far from one another.
    let moments: Vec<i64> =
        (0..CLICKS as i64).map(|n| start + 500 + (end - start - 1500) * ((n * 37) % 101) / 101).collect();
    let took = browser.ask("device.measure", json!({"id": CAM, "moments": moments}))["took"].clone();
    let mut took: Vec<u64> = took.as_array().unwrap().iter().map(|one| one.as_u64().unwrap()).collect();
    took.sort_unstable();
    let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
    println!("click in the archive to a decoded picture of it: median {median} ms, worst {worst} ms of {CLICKS}");
    assert!(median < CLICK_MEDIAN_MS, "{took:?}");

    let moves = browser.ask("device.scrub", json!({"id": CAM, "moments": moments}))["moves"].clone();
    let moves = moves.as_array().unwrap();
    let mut drawn: Vec<f64> =
        moves.iter().filter(|one| one["isShown"] == true).map(|one| one["ms"].as_f64().unwrap()).collect();
    drawn.sort_by(f64::total_cmp);
    assert!(drawn.len() * 10 >= moves.len() * 9 && drawn.len() >= CLICKS / 2, "{moves:?}");
    println!("a still under the pointer: median {:.1} ms of {}", drawn[drawn.len() / 2], drawn.len());
    assert!(drawn[drawn.len() / 2] < SCRUB_MS, "{drawn:?}");
}

#[test]
fn what_cannot_play_is_said_and_gone_around() {
    let Some(program) = browser("e2e_ui_device of what cannot play") else { return };
    let _turn = Turn::wait();
    let copied = format!("quality = \"copy\"\nsource = {{ kind = \"file\", path = {:?} }}", clip());
    let setup = Setup::new().camera(CAM, &copied).camera("h265", "enabled = false\nsource = { kind = \"test\" }");
    let start = recent(80);
    let chunks = [0, 10, 20, 30, 40].map(|second| (start + i64::from(second) * 1000, second..second + 10));
    Footage::numbered(50).keep(&setup, CAM, &chunks);
    Footage::h265(8).keep(&setup, "h265", &[(start, 0..8)]);
    let daemon = TestDaemon::start(setup);
    if !daemon.get("/").text().contains("/assets/") {
        return skip("e2e_ui_device", "the binary was built without its page; run `make ui` and build again");
    }
    until("the host is healthy", 30, || daemon.get("/api/host/health").status == 200);
    let mut browser = Browser::start(&program, &format!("http://{}/", daemon.address()));

    a_chunk_goes_under_the_page(&daemon, &mut browser);
    a_slow_line(&daemon, &mut browser);

    // A codec that this browser lacks: it says so, and plays it as H.264 when asked.
    let start = at(&daemon.json("/api/host/timeline/h265")["coverage"][0]["start"]);
    browser.ask("device.open", json!({"id": "h265", "query": format!("?t={}&zoom=60", rfc3339(start + 3000))}));
    let offer = browser.ask("device.look", json!({"id": "h265", "selector": ".stage-offer"}));
    assert!(offer["text"].as_str().unwrap().contains("H.265"), "{offer}");
    browser.ask("device.clickOn", json!({"id": "h265", "selector": "[data-act=h264]"}));
    let played = browser.ask("device.plays", json!({"id": "h265", "at": start + 3000, "within": 3000}));
    assert!(played["source"].as_str().unwrap().contains("/clip-jobs/") && played["width"] == 320, "{played}");
    let problems = browser.ask("device.problems", json!({}));
    // Live is what it says that it cannot play; nothing else may be wrong.
    assert_eq!(problems["problems"], json!([]));
}

/// Deleted while somebody looks at what it was: a clear message, and on it goes behind it.
fn a_chunk_goes_under_the_page(daemon: &TestDaemon, browser: &mut Browser) {
    let files = daemon.ring(CAM);
    let told = chunks(daemon);
    browser.ask("device.open", json!({"id": CAM, "query": "?zoom=120"}));
    browser.ask("device.live", json!({"id": CAM}));
    let gone = &told[2];
    // Both lists are in the order of time.
    std::fs::remove_file(&files[2]).unwrap();
    browser.ask("device.click", json!({"id": CAM, "at": at(&gone["start"]) + 2000, "within": 60_000, "isHeld": true}));
    let mut said = String::new();
    until("it says what is gone, and goes on behind it", 30, || {
        let now = browser.ask("device.state", json!({"id": CAM}));
        let told = now["said"].as_array().unwrap().iter().filter_map(Value::as_str);
        if let Some(note) = told.rev().find(|note| note.contains("Going on at")) {
            note.clone_into(&mut said);
        }
        !said.is_empty() && now["at"].as_i64() >= Some(at(&gone["end"]) - 100)
    });
    println!("a chunk that is gone: {said}");
    let end = at(&gone["end"]);
    browser.ask("device.plays", json!({"id": CAM, "at": end, "within": 20_000}));
    // What lies before it still plays, up to it.
    let before = at(&gone["start"]) - 4000;
    browser.ask("device.open", json!({"id": CAM, "query": format!("?t={}&zoom=60", rfc3339(before))}));
    browser.ask("device.plays", json!({"id": CAM, "at": before}));
    browser.ask("device.through", json!({"id": CAM, "at": end}));
    let problems = browser.ask("device.problems", json!({}));
    // Chromium calls an answer that is an error an error; an exception would be ours.
    let is_ours = |one: &&Value| !one.as_str().unwrap().contains("Failed to load resource");
    let others: Vec<_> = problems["problems"].as_array().unwrap().iter().filter(is_ours).collect();
    assert!(others.is_empty(), "{others:#?}");
}

fn a_slow_line(daemon: &TestDaemon, browser: &mut Browser) {
    let start = at(&coverage(daemon)[0]["start"]);
    // 1.6 Mbit/s, 150 ms: a phone outside.
    browser.ask("device.throttle", json!({"id": CAM, "bytes": 200_000, "latency": 150}));
    let began = common::now();
    browser.ask("device.click", json!({"id": CAM, "at": start + 6000, "within": 3000}));
    println!("at 1.6 Mbit/s and 150 ms, a click plays after {} ms", common::now().since(began).as_millis());
    browser.ask("device.throttle", json!({"id": CAM}));
    browser.ask("device.close", json!({"id": CAM}));
}

#[track_caller]
fn assert_clip(file: &std::path::Path, seconds: f64) {
    media::assert_decodes(file);
    let length = media::duration_seconds(file);
    assert!((length - seconds).abs() < 0.15, "{length} s of {seconds}");
    assert_eq!(media::codecs(file), ["h264", "aac"]);
}

fn browser(test: &str) -> Option<PathBuf> {
    Browser::missing().map_err(|why| skip(test, &why)).ok()
}

fn timeline(daemon: &TestDaemon) -> Value {
    daemon.json(&format!("/api/host/timeline/{CAM}"))
}

fn coverage(daemon: &TestDaemon) -> Vec<Value> {
    timeline(daemon)["coverage"].as_array().unwrap().clone()
}

fn chunks(daemon: &TestDaemon) -> Vec<Value> {
    timeline(daemon)["chunks"].as_array().unwrap().clone()
}

/// What was recorded since the start.
fn recorded(daemon: &TestDaemon) -> Value {
    coverage(daemon).last().unwrap().clone()
}

/// So many seconds ago, on the grid of chunks.
fn recent(seconds: i64) -> i64 {
    (Clock::system().wall().as_ms() / 10_000 - seconds / 10) * 10_000
}

fn seconds(span: &Value) -> f64 {
    (at(&span["end"]) - at(&span["start"])) as f64 / 1000.0
}

/// Milliseconds since 1970.
#[track_caller]
fn at(stamp: &Value) -> i64 {
    let text = stamp.as_str().unwrap_or_else(|| panic!("{stamp} is no time"));
    text.parse::<jiff::Timestamp>().unwrap_or_else(|error| panic!("{text}: {error}")).as_millisecond()
}

fn rfc3339(ms: i64) -> String {
    Utc90k::from_ms(ms).rfc3339()
}
