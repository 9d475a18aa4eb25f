//! A panic and a hang in each actor, then in all actors of a device: FFmpeg runs on, nothing is lost, nothing doubled.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod common;

use common::{
    Keeper, Setup, TestDaemon, Turn, clip,
    media::{self, assert_all_frames_once},
    until,
};
use serde_json::{Value, json};

fn recording() -> (TestDaemon, Keeper) {
    let camera = format!("quality = \"copy\"\nsource = {{ kind = \"file\", path = {:?} }}", clip());
    let setup = Setup::new().environment("CAPSTAN_FAULTS", "1").camera("sick", &camera).camera("well", &camera);
    let kept = Keeper::start(&setup.hot, &["sick", "well"]);
    let daemon = TestDaemon::start(setup);
    for device in ["sick", "well"] {
        until("it records", 30, || daemon.committed_seconds(device) >= 2.0);
    }
    (daemon, kept)
}

fn actors(daemon: &TestDaemon) -> Vec<Value> {
    daemon.json("/api/host/state")["actors"].as_array().expect("actors").clone()
}

/// Names below `prefix`; all but the root when empty.
fn names(daemon: &TestDaemon, prefix: &str) -> Vec<String> {
    let all = actors(daemon);
    let names = all.iter().filter_map(|actor| actor["name"].as_str());
    names.filter(|name| name.starts_with(prefix) && *name != "supervisor").map(str::to_owned).collect()
}

fn generation(daemon: &TestDaemon, name: &str) -> u64 {
    let all = actors(daemon);
    let actor = all.iter().find(|actor| actor["name"] == name).unwrap_or_else(|| panic!("no {name} in {all:?}"));
    actor["generation"].as_u64().expect("a generation")
}

fn inject(daemon: &TestDaemon, actor: &str, poison: &Value) {
    // An actor that was just restarted takes none for a moment.
    until("the fault is taken", 10, || {
        let reply = daemon.control(&json!({ "op": "inject", "actor": actor, "poison": poison }));
        let busy = reply["error"]["kind"] == "unavailable";
        assert!(busy || reply.get("ok").is_some(), "{actor}: {reply}");
        !busy
    });
}

/// The same FFmpegs, no second lost, every frame of both devices on disk once.
#[track_caller]
fn assert_nobody_noticed(mut daemon: TestDaemon, mut kept: Keeper, ffmpegs: &[(rustix::process::Pid, String)]) {
    for device in ["sick", "well"] {
        let before = daemon.committed_seconds(device);
        until("it commits on", 30, || daemon.committed_seconds(device) > before + 2.0);
        assert_eq!(daemon.lost_seconds(device), 0.0, "{device}");
        assert_eq!(daemon.device_status(device), "online");
    }
    assert_eq!(daemon.children(), ffmpegs, "FFmpeg runs on");
    let (status, _) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    for device in ["sick", "well"] {
        let runs = kept.finish(device);
        assert_eq!(runs.len(), 1, "{device}: one run");
        assert_all_frames_once(&daemon, device, &runs);
        daemon.chunks(device).iter().for_each(|chunk| media::assert_decodes(chunk));
    }
}

#[test]
fn a_panic_in_any_actor_is_a_restart_of_that_one() {
    let _turn = Turn::wait();
    let (daemon, kept) = recording();
    let ffmpegs = daemon.children();
    let all = names(&daemon, "");
    assert!(all.len() >= 8, "two devices of four actors, and singletons: {all:?}");
    for actor in &all {
        let before = generation(&daemon, actor);
        inject(&daemon, actor, &json!("panic"));
        until(&format!("{actor} is restarted"), 10, || generation(&daemon, actor) > before);
        let all = actors(&daemon);
        let told = all.iter().find(|told| told["name"] == **actor).unwrap();
        assert!(told["restarts"].as_u64() > Some(0), "{told}");
        // The stages of a device go with it: theirs is the last exit of their own.
        assert_eq!(told["last_exit"]["kind"], "panic", "{told}");
        assert!(told["last_exit"]["at"].as_str().is_some(), "{told}");
    }
    assert_nobody_noticed(daemon, kept, &ffmpegs);
}

#[test]
fn a_panic_in_all_actors_of_a_device_at_once() {
    let _turn = Turn::wait();
    let (daemon, kept) = recording();
    let ffmpegs = daemon.children();
    let device = names(&daemon, "device/sick");
    let before: Vec<_> = device.iter().map(|actor| generation(&daemon, actor)).collect();
    device.iter().rev().for_each(|actor| inject(&daemon, actor, &json!("panic")));
    for (actor, before) in device.iter().zip(before) {
        until(&format!("{actor} is restarted"), 15, || generation(&daemon, actor) > before);
    }
    assert_nobody_noticed(daemon, kept, &ffmpegs);
}

#[test]
fn a_hang_replaces_the_device_tree() {
    let _turn = Turn::wait();
    let (daemon, kept) = recording();
    let ffmpegs = daemon.children();
    let tree = names(&daemon, "device/sick");
    for stage in &tree {
        let before: Vec<_> = tree.iter().map(|actor| generation(&daemon, actor)).collect();
        // Far longer than the 5 s after which silence is a hang; the thread wakes up to find itself replaced.
        inject(&daemon, stage, &json!({ "hang": { "ms": 12_000 } }));
        // The whole of it: the next hang must not befall one that is replaced already.
        let is_replaced = || tree.iter().zip(&before).all(|(actor, before)| generation(&daemon, actor) > *before);
        until(&format!("{stage} hangs, the tree is replaced"), 20, is_replaced);
    }
    assert_nobody_noticed(daemon, kept, &ffmpegs);
}

/// Recording does not depend on them, though all hang at once; they are replaced like the others.
#[test]
fn a_hang_of_the_actors_beside_the_devices_disturbs_nobody() {
    let _turn = Turn::wait();
    let (daemon, kept) = recording();
    let ffmpegs = daemon.children();
    let singletons: Vec<_> = names(&daemon, "").into_iter().filter(|name| !name.starts_with("device/")).collect();
    assert!(singletons.len() >= 3, "{singletons:?}");
    let before: Vec<_> = singletons.iter().map(|name| generation(&daemon, name)).collect();
    singletons.iter().for_each(|name| inject(&daemon, name, &json!({ "hang": { "ms": 12_000 } })));
    for (name, before) in singletons.iter().zip(before) {
        until(&format!("{name} hangs and is replaced"), 30, || generation(&daemon, name) > before);
    }
    assert_nobody_noticed(daemon, kept, &ffmpegs);
}

#[test]
fn faults_are_refused_unless_asked_for_at_start() {
    let daemon = TestDaemon::start(Setup::new().camera("cam", "quality = \"low\"\nsource = { kind = \"test\" }"));
    let reply = daemon.control(&json!({ "op": "inject", "actor": "device/cam", "poison": "panic" }));
    assert!(reply.to_string().contains("CAPSTAN_FAULTS"), "{reply}");
}
