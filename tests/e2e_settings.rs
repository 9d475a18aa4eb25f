//! Settings changed by the API while all runs: footage goes and stays by them, the transcoder's window moves, webhooks come
//! and go; and a restart remembers.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod common;

use std::{fs, net::TcpListener, path::PathBuf};

use capstan::clock::{Clock, Utc90k};
use common::{Setup, TestDaemon, Turn, chunks, daemon::finished, http, receiver::receive, until};
use rustix::process::Signal;
use serde_json::{Value, json};

const DEVICE: &str = "hall";

fn setup() -> Setup {
    Setup::new()
        .set("archive.chunk_seconds", 600)
        .set("archive.retention_days", 30.0)
        // A change is waited for, not the next round.
        .set("cleaner.interval_seconds", 3600)
        .set("cleaner.max_cpu_percent", 100.0)
        .set("cleaner.max_io_wait", 100.0)
        .camera(DEVICE, "enabled = false\nsource = { kind = \"test\" }")
}

fn put(daemon: &TestDaemon, query: &str, body: &Value) -> http::Response {
    let headers = [("If-Match", "*")];
    http::send_with(daemon.address(), "PUT", &format!("/api/settings{query}"), &headers, body).unwrap()
}

#[track_caller]
fn changed(daemon: &TestDaemon, body: &Value) -> Value {
    let reply = put(daemon, "", body);
    assert_eq!(reply.status, 200, "{body}: {}", reply.text());
    reply.json()
}

fn is_there(daemon: &TestDaemon, start: i64) -> bool {
    daemon.get(&format!("/host/stream/{DEVICE}/chunks/{start}000-0.mp4")).status == 200
}

fn database(daemon: &TestDaemon) -> PathBuf {
    daemon.setup.root().join("capstan.db")
}

#[test]
fn footage_goes_and_stays_by_what_was_changed_here_over_restarts() {
    let _turn = Turn::wait();
    let setup = setup();
    let starts = chunks::in_ring(&setup.root(), DEVICE, &[100, 60, 30, 3]);
    let mut daemon = TestDaemon::start(setup);
    until("the library has it", 30, || daemon.json("/api/host/state")["cleaner"]["shelved"] == 3);
    assert!(starts.iter().all(|start| is_there(&daemon, *start)));

    let lower = json!({"archive": {"retention_days": 2}});
    let told = put(&daemon, "?dry_run=true", &lower).json();
    assert_eq!((&told["chunks"], &told["moved_chunks"]), (&json!(1), &json!(0)), "{told}");
    assert_eq!(told["oldest_kept"], Utc90k::from_seconds(starts[1]).rfc3339());
    assert!(told["bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{told}");
    assert!(is_there(&daemon, starts[0]), "it was a look alone");

    changed(&daemon, &lower);
    until("the oldest is gone", 10, || !is_there(&daemon, starts[0]));
    assert!(starts[1..].iter().all(|start| is_there(&daemon, *start)));
    let bad = put(&daemon, "", &json!({"archive": {"retention_days": 0}, "transcode": {"codec": "x"}}));
    assert_eq!((bad.status, &bad.json()["error"]["path"]), (400, &json!("transcode.codec")));

    // The environment wants less than was said here: what was said here holds, from the first second of the next run.
    let file = daemon.setup.folder().join("capstan.toml");
    daemon.stop();
    let setup = std::mem::replace(&mut daemon.setup, Setup::new());
    daemon.setup = setup.environment("CAPSTAN__ARCHIVE__RETENTION_DAYS", "0");
    daemon.start_again();
    until("it did its round", 30, || !daemon.json("/api/host/state")["cleaner"]["last_success"].is_null());
    assert!(starts[1..].iter().all(|start| is_there(&daemon, *start)), "over the environment");
    let told = daemon.json("/api/settings");
    let days = |part: &str| told[part]["archive"]["retention_days"].as_f64();
    assert_eq!((days("settings"), days("file"), days("changed_here")), (Some(2.0), Some(0.0), Some(2.0)));
    let (_, doctor) = finished(daemon.setup.command(&["doctor"]));
    assert!(doctor.contains("ok   cleaner"), "{doctor}");
    let (code, checked) = finished(daemon.setup.command(&["check"]));
    assert!(code == 0 && checked.contains("retention_days = 2.0"), "{checked}");
    assert!(checked.contains("changed in the page, above the file: archive.retention_days"), "{checked}");

    // A reload of the file keeps it, and brings the rest.
    let text = fs::read_to_string(&file).unwrap().replace("min_free_bytes = \"16MiB\"", "min_free_bytes = \"17MiB\"");
    fs::write(&file, text).unwrap();
    daemon.signal(Signal::HUP);
    until("it is read", 10, || daemon.json("/api/host/state")["archive"]["min_free_bytes"] == 17 << 20);
    assert_eq!(daemon.json("/api/settings")["settings"]["archive"]["retention_days"], 2.0);

    // What cannot be read in the database is the file's, and the daemon starts.
    daemon.stop();
    let broken = "UPDATE setting SET json = '{\"of_tomorrow\": 1}' WHERE name = 'archive'";
    rusqlite::Connection::open(database(&daemon)).unwrap().execute_batch(broken).unwrap();
    daemon.start_again();
    until("the file's hold", 30, || !is_there(&daemon, starts[1]) && !is_there(&daemon, starts[2]));
    assert!(is_there(&daemon, starts[3]));
    assert!(daemon.log().contains("settings changed here do not hold"));
    assert_eq!(daemon.metric("capstan_settings_refused", &[]), Some(1.0));
    assert_eq!(daemon.json("/api/settings")["changed_here"]["archive"], json!({}));
}

#[test]
fn the_transcoders_window_and_who_is_told_change_while_it_runs() {
    let _turn = Turn::wait();
    let daemon = TestDaemon::start(
        setup()
            .set("transcode.run_schedule", "always")
            .set("transcode.max_cpu_percent", 100.0)
            .set("transcode.max_io_wait", 100.0)
            .environment("TZ", "UTC0"),
    );
    let transcoder = || daemon.json("/api/transcode")["status"].clone();
    until("it has nothing to do", 30, || transcoder()["gate"] == "idle");
    // Hours from now.
    let hour = |hours: i64| (Clock::system().wall().as_seconds() / 3600 + hours) % 24;
    let window = format!("{:02}:00-{:02}:00", hour(11), hour(13));
    let schedule = |windows: &str| changed(&daemon, &json!({"transcode": {"run_schedule": windows}}));
    let told = schedule(&window);
    assert_eq!(told["settings"]["transcode"]["run_schedule"], window.as_str());
    let opens = |gate: &str| until(gate, 10, || transcoder()["gate"] == gate);
    opens("schedule");
    changed(&daemon, &json!({"transcode": null}));
    opens("idle");

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hidden", listener.local_addr().unwrap());
    let heard = receive(listener);
    let told = changed(&daemon, &json!({"notify": {"webhook": [{"url": url, "secret": "hidden"}]}}));
    let webhook = &told["settings"]["notify"]["webhook"][0];
    let id = webhook["id"].as_str().unwrap();
    assert!(!told.to_string().contains("hidden"), "{told}");
    let tried = http::post(daemon.address(), "/api/settings/notify/test", &json!({"id": id})).unwrap();
    assert_eq!((tried.status, &tried.json()["status"]), (200, &json!(200)), "{}", tried.text());
    assert_eq!(heard.recv().unwrap().body["kind"], "test");
    // Sent back as it was shown, it stays what it is.
    changed(&daemon, &json!({"notify": {"webhook": [{"id": id, "kinds": ["device_up", "device_down"]}]}}));
    let camera = json!({"id": "new", "source": {"kind": "test"}, "quality": "low", "fps": 10});
    assert_eq!(http::post(daemon.address(), "/api/cameras", &camera).unwrap().status, 201);
    let event = heard.recv_timeout(std::time::Duration::from_secs(30)).unwrap();
    assert_eq!((&event.body["kind"], &event.body["device"]), (&json!("device_up"), &json!("new")));
    let state = daemon.json("/api/host/state");
    assert_eq!((&state["webhooks"][0]["id"], state["webhooks"].as_array().unwrap().len()), (&json!(id), 1));
    changed(&daemon, &json!({"notify": {}}));
    assert_eq!(daemon.json("/api/host/state")["webhooks"], json!([]));
    let shown = daemon.log() + &daemon.get("/metrics").text() + &daemon.json("/api/audit").to_string();
    assert!(!shown.contains("hidden"), "{shown}");
}
