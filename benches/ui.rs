//! The pages in a real Chromium: what loads, how soon the wall is of use, what a hundred tiles cost. What is measured, and
//! how, is in `tests/browser/bench_ui.mjs`; this gives it a host with two cameras and its policy for a host of a hundred.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a bench reports on its output")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::{path::Path, process::Command};

use common::{Setup, TestDaemon, browser::Browser, clip, until};

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
    let copied = format!("name = \"Big Buck Bunny\"\nquality = \"copy\"\nsource = {{ kind = \"file\", path = {:?} }}", clip());
    let pattern = "quality = \"low\"\nfps = 25\nsource = { kind = \"test\", pattern = \"testsrc2\", tone = 440 }";
    let daemon = TestDaemon::start(Setup::new().camera("clip", &copied).camera("pattern", pattern));
    until("both cameras are online", 60, || ["clip", "pattern"].iter().all(|id| daemon.device_status(id) == "online"));
    let index = daemon.get("/");
    let policy = index.header("content-security-policy").unwrap();
    let base = format!("http://{}/", daemon.address());
    let status = Command::new("node").arg(driver).arg(program).arg(base).arg(policy).status().expect("node starts");
    assert!(status.success(), "{status}");
}
