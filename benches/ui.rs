//! The pages in a real Chromium: what loads, how soon the wall is of use, what a hundred tiles cost, how soon the past is
//! there. What the wall costs is measured by `tests/browser/bench_ui.mjs`; this gives it a host with two cameras and its
//! policy for a host of a hundred. The past is asked for here, by the actions of the tests' driver.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a bench reports on its output")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::{path::Path, process::Command};

use capstan::clock::Utc90k;
use common::{Setup, TestDaemon, browser::Browser, clip, until};
use serde_json::{Value, json};

/// On the time line of each camera.
const CLICKS: i64 = 60;
/// Footage to click on.
const PAST_MS: i64 = 120_000;

fn main() {
    let program = match Browser::missing() {
        Ok(program) => program,
        Err(why) => return println!("ui: {why}, nothing measured"),
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let driver = root.join("tests/browser/bench_ui.mjs");
    if !root.join("ui/dist/index.html").is_file() || !root.join("tests/browser/node_modules/lighthouse").is_dir() {
        return println!("ui: no ui/dist or no lighthouse, nothing measured; `make bench-ui` installs and builds them");
    }
    let copied =
        format!("name = \"Big Buck Bunny\"\nquality = \"copy\"\nsource = {{ kind = \"file\", path = {:?} }}", clip());
    let pattern = "quality = \"low\"\nfps = 25\nsource = { kind = \"test\", pattern = \"testsrc2\", tone = 440 }";
    let daemon = TestDaemon::start(Setup::new().camera("clip", &copied).camera("pattern", pattern));
    until("both cameras are online", 60, || ["clip", "pattern"].iter().all(|id| daemon.device_status(id) == "online"));
    let index = daemon.get("/");
    let policy = index.header("content-security-policy").unwrap();
    let base = format!("http://{}/", daemon.address());
    let status = Command::new("node").arg(driver).arg(&program).arg(base).arg(policy).status().expect("node starts");
    assert!(status.success(), "{status}");
    let parts = std::env::var("CAPSTAN_BENCH_UI_PARTS");
    if parts.is_err() || parts.is_ok_and(|parts| parts.split(' ').any(|part| part == "past")) {
        past(&daemon, &program);
    }
}

/// From a click on the time line to a decoded picture of that moment, and from a move over it to the still of where it is.
fn past(daemon: &TestDaemon, program: &Path) {
    let mut said = [Vec::new(), Vec::new()];
    for (id, what) in [("clip", "640×360 as the camera sent it"), ("pattern", "320×180, encoded here")] {
        let mut span = (0, 0);
        until("there is a past", 300, || {
            span = longest(daemon, id);
            span.1 - span.0 > PAST_MS
        });
        let (start, length) = (span.0 + 1000, span.1 - span.0 - 12_000);
        // Spread over all there is, far from one another.
        let moments: Vec<_> = (0..CLICKS).map(|n| start + length * ((n * 37) % 101) / 101).collect();
        let mut browser = Browser::start(program, &format!("http://{}/", daemon.address()));
        // In the middle of what is shown: all of it can be clicked.
        let middle = i64::midpoint(span.0, span.1);
        let query = format!("?t={}&zoom={}", Utc90k::from_ms(middle), (span.1 - span.0) * 5 / 4000);
        browser.ask("device.open", json!({"id": id, "query": query}));
        browser.ask("device.plays", json!({"id": id, "at": middle}));
        browser.ask("device.key", json!({"id": id, "keys": " "}));
        let took = browser.ask("device.measure", json!({"id": id, "moments": moments}))["took"].clone();
        let took = took.as_array().unwrap().iter().filter_map(Value::as_f64);
        let moves = browser.ask("device.scrub", json!({"id": id, "moments": moments}))["moves"].clone();
        let moves = moves.as_array().unwrap().iter().filter(|one| one["isShown"] == true);
        let moves = moves.filter_map(|one| one["ms"].as_f64());
        for (said, (name, figures)) in said.iter_mut().zip([
            ("click to a decoded picture", took.collect::<Vec<_>>()),
            ("move to the still, from cache", moves.collect()),
        ]) {
            let (median, p90, count) = spread(figures);
            println!("  {name}, {what}: median {median:.1} ms, p90 {p90:.1} ms of {count}");
            said.push(format!("{what}: median {median:.1} ms (p90 {p90:.1} ms)"));
        }
    }
    println!("claim\tui_click\t\t{}", said[0].join("; "));
    println!("claim\tui_scrub\t\t{}", said[1].join("; "));
}

/// Begin and end of the longest footage without a gap, in milliseconds since 1970.
fn longest(daemon: &TestDaemon, id: &str) -> (i64, i64) {
    let coverage = daemon.json(&format!("/api/host/timeline/{id}"))["coverage"].clone();
    let ms = |moment: &Value| moment.as_str()?.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond);
    let parts = coverage.as_array().into_iter().flatten();
    let parts = parts.filter_map(|part| Some((ms(&part["start"])?, ms(&part["end"])?)));
    parts.max_by_key(|(start, end)| end - start).unwrap_or_default()
}

fn spread(mut figures: Vec<f64>) -> (f64, f64, usize) {
    figures.sort_by(f64::total_cmp);
    let at = |part: f64| figures[((figures.len() - 1) as f64 * part) as usize];
    (at(0.5), at(0.9), figures.len())
}
