//! What cameras that come, change and go cost the others, how soon a new one shows itself, and how fast all are told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a bench reports on its output")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Duration;

use common::{Keeper, Setup, TestDaemon, http, now, until};
use serde_json::{Value, json};

const DEVICES: usize = 8;
/// With those that are off.
const LISTED: usize = 100;
const ROUNDS: usize = 10;
const REQUESTS: usize = 1000;

fn main() {
    let ids: Vec<_> = (0..DEVICES).map(|n| format!("device-{n}")).collect();
    let small = "quality = \"low\"\nfps = 5\nsource = { kind = \"test\", tone = 440 }";
    let setup = ids.iter().fold(Setup::new().set("cache.ttl_seconds", 0), |setup, id| setup.camera(id, small));
    let mut kept = Keeper::start(&setup.hot, &ids.iter().map(String::as_str).collect::<Vec<_>>());
    let mut daemon = TestDaemon::start(setup);
    until("all record", 60, || ids.iter().all(|id| daemon.committed_seconds(id) > 0.0));
    let send = |daemon: &TestDaemon, method: &str, path: &str, body: &Value| {
        let reply = http::send_with(daemon.address(), method, path, &[("If-Match", "*")], body).unwrap();
        assert!(reply.status < 300, "{method} {path}: {} {}", reply.status, reply.text());
    };
    let shows = |daemon: &TestDaemon| daemon.get("/api/host/screenshot/door").status == 200;
    let mut first = Vec::new();
    for _ in 0..ROUNDS {
        let mut door = json!({"id": "door", "quality": "low", "fps": 10, "source": {"kind": "test", "tone": 440}});
        let began = now();
        send(&daemon, "POST", "/api/cameras", &door);
        until("its first picture", 20, || shows(&daemon));
        first.push(now().since(began));
        door["fps"] = json!(5);
        send(&daemon, "PUT", "/api/cameras/door", &door);
        door["enabled"] = json!(false);
        send(&daemon, "PUT", "/api/cameras/door", &door);
        send(&daemon, "DELETE", "/api/cameras/door", &Value::Null);
    }
    first.sort();
    for number in DEVICES..LISTED {
        let off = json!({"id": format!("off-{number}"), "enabled": false, "source": {"kind": "test"}});
        send(&daemon, "POST", "/api/cameras", &off);
    }
    let mut took: Vec<_> = (0..REQUESTS)
        .map(|_| {
            let began = now();
            let reply = daemon.get("/api/cameras/active");
            assert_eq!(reply.status, 200);
            now().since(began)
        })
        .collect();
    took.sort();
    assert_eq!(daemon.json("/api/cameras/active")["total"], LISTED);
    let lost: f64 = ids.iter().map(|id| daemon.lost_seconds(id)).sum();
    daemon.stop();
    let runs = ids.iter().map(|id| {
        let runs = kept.finish(id);
        common::media::assert_all_frames_once(&daemon, id, &runs);
        assert_eq!(runs.len(), 1, "{id} was not restarted");
        runs[0].len()
    });
    let segments: usize = runs.sum();
    let ms = |took: Duration| took.as_secs_f64() * 1000.0;
    println!("claim\thot_changes\t\t{lost:.0} of {segments}, every frame compared, over {} changes", 4 * ROUNDS);
    println!(
        "claim\thot_first_picture\t\tmedian {:.0} ms, most {:.0} ms",
        ms(first[ROUNDS / 2]),
        ms(first[ROUNDS - 1])
    );
    let at = |share: usize| ms(took[REQUESTS * share / 100]);
    println!("claim\tcameras_active\t\tp50 {:.2} ms, p95 {:.2} ms", at(50), at(95));
}
