//! SIGHUP reads the settings again: thresholds at once, the rest is named, faults change nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod common;

use std::fs;

use common::{Setup, TestDaemon, Turn, until};
use rustix::process::Signal;

fn log_lines(daemon: &TestDaemon, message: &str) -> usize {
    daemon.log().lines().filter(|line| line.contains(message)).count()
}

#[test]
fn thresholds_change_without_a_restart() {
    let webhook = "[{ url = \"http://127.0.0.1:1/hidden-path\", secret = \"hidden-key\" }]";
    let webhooks: toml::Table = format!("webhook = {webhook}").parse().unwrap();
    let setup = Setup::new()
        .set("notify.webhook", webhooks["webhook"].clone())
        .camera("one", "enabled = false\nsource = { kind = \"test\" }")
        .camera("two", "enabled = false\nsource = { kind = \"test\" }\ndetect = { black_luma = 30 }");
    let mut daemon = TestDaemon::start(setup);
    let file = daemon.setup.folder().join("capstan.toml");
    let before = fs::read_to_string(&file).unwrap();
    let reload = |daemon: &TestDaemon, text: &str, message: &str| {
        fs::write(&file, text).unwrap();
        let count = log_lines(daemon, message);
        daemon.signal(Signal::HUP);
        until(message, 10, || log_lines(daemon, message) > count);
    };

    reload(&daemon, &format!("{before}\n[detect]\nblack_luma = 20\n"), "settings are read");
    let log = daemon.log();
    let changed: Vec<_> = log.lines().filter(|line| line.contains("thresholds changed")).collect();
    assert!(changed.len() == 1 && changed[0].contains("one"), "the other has its own: {changed:?}");
    assert!(!log.contains("need a restart"), "{log}");

    reload(&daemon, &format!("{before}\n[detect]\nblack_luma = 20\nblack_share = 7.0\n"), "settings are refused");
    let log = daemon.log();
    let refused = log.lines().find(|line| line.contains("settings are refused")).unwrap();
    for part in ["detect.black_share", "7", "0 to below 1"] {
        assert!(refused.contains(part), "{refused} should contain {part}");
    }

    let other = before.replace("hidden-key", "other-hidden-key").replace("commit_seconds = 2", "commit_seconds = 3");
    reload(&daemon, &format!("{other}\n[detect]\nblack_luma = 20\n"), "need a restart");
    let log = daemon.log();
    let named = log.lines().find(|line| line.contains("need a restart")).unwrap();
    assert!(named.contains("archive.commit_seconds") && !named.contains("notify"), "{named}");
    let changed = log.lines().find(|line| line.contains("settings of the file changed")).unwrap();
    assert!(changed.contains("notify.webhook[0].secret"), "{changed}");

    until("who is told", 10, || daemon.json("/api/host/state")["webhooks"][0]["receiver"] == "127.0.0.1:1");
    let state = daemon.json("/api/host/state");
    let shown = daemon.log() + &state.to_string() + &daemon.get("/metrics").text();
    assert!(!shown.contains("hidden"), "{shown}");
    let (status, _) = daemon.stop();
    assert!(status.success());
}

#[test]
fn a_threshold_flips_the_verdict_of_a_picture_that_is_watched() {
    let _turn = Turn::wait();
    let camera = "quality = \"low\"\nfps = 25\nsource = { kind = \"test\", tone = 440 }";
    let daemon = TestDaemon::start(Setup::new().camera("cam", camera));
    let file = daemon.setup.folder().join("capstan.toml");
    let before = fs::read_to_string(&file).unwrap();
    let heard = |wanted: bool| {
        let reply = daemon.get("/host/stream/cam/captures/latest.json");
        reply.status == 200 && reply.json()["audio"] == wanted
    };
    until("the tone is heard", 30, || heard(true));
    let ffmpeg = daemon.children();
    fs::write(&file, format!("{before}\n[detect]\nsilence_db = -10.0\n")).unwrap();
    daemon.signal(Signal::HUP);
    until("it counts as silence", 10, || heard(false));
    let open = || daemon.json("/api/host/incidents?open=1&kind=silence")["incidents"].as_array().unwrap().len();
    until("that is an incident", 20, || open() == 1);
    fs::write(&file, &before).unwrap();
    daemon.signal(Signal::HUP);
    until("it is over", 20, || heard(true) && open() == 0);
    assert_eq!(daemon.children(), ffmpeg, "nothing was started again");
}
