//! Cameras come, change and go by API, command line and file while others record: the others lose nothing, and nothing
//! that was committed is lost or doubled.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

mod common;

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use common::{
    Keeper, Setup, TestDaemon, Turn,
    daemon::{Usage, finished, is_alive},
    http, now, rounds, soaking, until,
};
use rustix::process::Signal;
use serde_json::{Value, json};

const SMALL: &str = "quality = \"low\"\nfps = 10\nsource = { kind = \"test\", tone = 440 }";

fn camera(id: &str) -> Value {
    json!({"id": id, "quality": "low", "fps": 10, "source": {"kind": "test", "tone": 440}})
}

trait Changes {
    fn send(&self, method: &str, path: &str, body: &Value) -> http::Response;
    fn add(&self, camera: &Value);
    fn put(&self, camera: &Value) -> Value;
    fn run_of(&self, device: &str) -> Value;
    fn running(&self, device: &str) -> Value;
}

impl Changes for TestDaemon {
    #[track_caller]
    fn send(&self, method: &str, path: &str, body: &Value) -> http::Response {
        http::send_with(self.address(), method, path, &[("If-Match", "*")], body).unwrap()
    }

    #[track_caller]
    fn add(&self, camera: &Value) {
        let mut reply = None;
        until("the database takes cameras", 20, || {
            reply = Some(self.send("POST", "/api/cameras", camera));
            reply.as_ref().unwrap().status != 503
        });
        let reply = reply.unwrap();
        assert_eq!(reply.status, 201, "{}", reply.text());
    }

    #[track_caller]
    fn put(&self, camera: &Value) -> Value {
        let reply = self.send("PUT", &format!("/api/cameras/{}", camera["id"].as_str().unwrap()), camera);
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    /// Pid, run and restarts of its FFmpeg.
    fn run_of(&self, device: &str) -> Value {
        let state = self.json("/api/host/state");
        let found = state["devices"].as_array().unwrap().iter().find(|it| it["id"] == device).cloned();
        let recorder = found.map(|device| device["recorder"].clone()).unwrap_or_default();
        json!([recorder["pid"], recorder["epoch"], recorder["restarts"]])
    }

    /// The same of one that runs: the state may tell of its pid later than others of its first seconds.
    fn running(&self, device: &str) -> Value {
        let mut run = Value::Null;
        until("its pid is told", 10, || {
            run = self.run_of(device);
            run[0].is_u64()
        });
        run
    }
}

#[test]
fn others_lose_nothing_while_one_comes_changes_and_goes() {
    let _turn = Turn::wait();
    let setup = Setup::new().camera("one", SMALL).camera("two", SMALL);
    let mut kept = Keeper::start(&setup.hot, &["one", "two"]);
    let mut daemon = TestDaemon::start(setup);
    until("they record", 30, || ["one", "two"].iter().all(|id| daemon.committed_seconds(id) > 0.0));
    let runs = ["one", "two"].map(|id| daemon.running(id));
    let mut events = http::Stream::open(daemon.address(), "/api/events?topics=device", &[]).unwrap();

    let began = now();
    daemon.add(&camera("door"));
    until("its first picture", 10, || daemon.get("/api/host/screenshot/door").status == 200);
    let took = now().since(began);
    println!("first picture of a new camera after {took:?}");
    assert!(took < Duration::from_secs(6), "{took:?}");
    until("it records", 20, || daemon.committed_seconds("door") > 0.0);
    until("it is told so", 5, || daemon.device_status("door") == "online");
    assert_eq!(daemon.send("POST", "/api/cameras", &camera("door")).status, 409);

    // A name restarts nothing.
    let before = daemon.running("door");
    let mut changed = camera("door");
    (changed["name"], changed["area"]) = (json!("Back door"), json!("Ground"));
    daemon.put(&changed);
    let active = daemon.json("/api/cameras/active");
    let door = active["cameras"].as_array().unwrap().iter().find(|it| it["id"] == "door").unwrap();
    assert_eq!(
        (&door["name"], &door["area"], &door["status"]),
        (&json!("Back door"), &json!("Ground"), &json!("online"))
    );
    assert_eq!(daemon.run_of("door"), before);

    // Another rate does, and the number of its run grows.
    changed["fps"] = json!(5);
    daemon.put(&changed);
    until("a later run", 20, || daemon.run_of("door")[1].as_u64() > before[1].as_u64());
    until("it is back", 20, || daemon.device_status("door") == "online");
    let after = daemon.run_of("door");
    let committed = daemon.committed_seconds("door");
    until("it goes on", 20, || daemon.committed_seconds("door") > committed);

    changed["enabled"] = json!(false);
    daemon.put(&changed);
    until("it is off", 5, || daemon.device_status("door") == "disabled");
    assert_eq!(daemon.children().len(), 2, "{:?}", daemon.children());
    until("its room in hot is free", 20, || daemon.metric("capstan_hot_bytes", &[("device", "door")]) == Some(0.0));
    changed["enabled"] = json!(true);
    daemon.put(&changed);
    until("it records again", 20, || daemon.device_status("door") == "online" && !daemon.run_of("door")[0].is_null());

    let ffmpeg = daemon.run_of("door")[0].as_i64().and_then(|pid| rustix::process::Pid::from_raw(pid as i32)).unwrap();
    assert_eq!(daemon.send("DELETE", "/api/cameras/door", &Value::Null).status, 204);
    assert!(!is_alive(ffmpeg));
    assert_eq!(daemon.get("/api/cameras/door").status, 404);
    assert_eq!(daemon.get("/host/stream/door/segments/output.m3u8").status, 404);
    until("its series go", 20, || !daemon.get("/metrics").text().contains("\"door\""));
    assert!(!daemon.setup.hot.hot().join("door").exists(), "nothing of it is left in hot");
    assert!(!daemon.ring("door").is_empty() && daemon.open_chunks("door").is_empty(), "its footage stays, sealed");
    daemon.ring("door").iter().for_each(|chunk| common::media::assert_decodes(chunk));

    for (id, run) in ["one", "two"].iter().zip(&runs) {
        assert_eq!(daemon.run_of(id), *run, "{id} was not restarted");
        assert_eq!(daemon.lost_seconds(id), 0.0);
    }
    events.until("camera_added").unwrap();
    events.until("camera_changed").unwrap();
    events.until("camera_removed").unwrap();
    let audit = daemon.json("/api/audit");
    let actions: Vec<_> =
        audit["entries"].as_array().unwrap().iter().map(|it| it["action"].as_str().unwrap()).collect();
    assert_eq!(actions.last(), Some(&"camera_added"));
    assert_eq!(actions.first(), Some(&"camera_removed"));

    // It may come again: its runs go on.
    daemon.add(&camera("door"));
    until("it records once more", 20, || daemon.committed_seconds("door") > 0.0);
    assert!(daemon.run_of("door")[1].as_u64() > after[1].as_u64());
    let (status, _) = daemon.stop();
    assert!(status.success());
    for id in ["one", "two"] {
        let runs = kept.finish(id);
        assert_eq!(runs.len(), 1, "{id}: one run");
        common::media::assert_all_frames_once(&daemon, id, &runs);
    }
}

/// Every frame of a camera that is changed again and again is recorded once.
#[test]
fn nothing_of_a_changed_camera_is_lost_or_doubled() {
    let _turn = Turn::wait();
    let setup = Setup::new();
    let mut kept = Keeper::start(&setup.hot, &["door"]);
    let mut daemon = TestDaemon::start(setup);
    daemon.add(&camera("door"));
    for fps in [5, 10, 5] {
        let committed = daemon.committed_seconds("door");
        until("it records", 30, || daemon.committed_seconds("door") > committed + 3.0);
        let mut changed = camera("door");
        changed["fps"] = json!(fps);
        daemon.put(&changed);
    }
    let committed = daemon.committed_seconds("door");
    until("it records", 30, || daemon.committed_seconds("door") > committed);
    assert_eq!(daemon.lost_seconds("door"), 0.0);
    daemon.stop();
    common::media::assert_all_frames_once(&daemon, "door", &kept.finish("door"));
}

#[test]
fn what_was_entered_outlasts_kills_and_its_password_is_nowhere() {
    let _turn = Turn::wait();
    let setup = Setup::new().camera("file", "enabled = false\nsource = { kind = \"test\" }");
    let mut daemon = TestDaemon::start(setup);
    let body = json!({"id": "door", "source": {"kind": "rtsp", "url": "rtsp://me:hidden@127.0.0.1:1/x?pwd=hidden"}});
    daemon.add(&body);
    until("it is told why it does not come", 20, || {
        daemon.json("/api/cameras/active")["cameras"][1]["reason"] == "refused"
    });
    for round in 0..3 {
        let mut changed = camera("gate");
        changed["enabled"] = json!(false);
        changed["name"] = json!(format!("Gate {round}"));
        let reply = daemon.send(
            if round == 0 { "POST" } else { "PUT" },
            if round == 0 { "/api/cameras" } else { "/api/cameras/gate" },
            &changed,
        );
        assert!([200, 201].contains(&reply.status), "{}", reply.text());
        daemon.kill();
        daemon.start_again();
        until("they are known", 20, || daemon.json("/api/cameras")["complete"] == true);
        assert_eq!(daemon.json("/api/cameras/gate")["name"], format!("Gate {round}"));
        assert_eq!(daemon.json("/api/cameras/door")["source"]["url"], "rtsp://***@127.0.0.1:1/x?pwd=***");
    }
    until("it runs", 20, || daemon.json("/api/cameras/active")["cameras"][1]["reason"] == "refused");
    let told = [
        "/api/cameras",
        "/api/cameras/door",
        "/api/cameras/active",
        "/api/areas",
        "/api/settings",
        "/api/audit",
        "/api/host/state",
        "/metrics",
        "/api/host/health",
    ];
    let shown: String = told.iter().map(|path| daemon.get(path).text()).collect();
    assert!(!shown.contains("hidden"), "{shown}");
    assert!(!daemon.log().contains("hidden"), "{}", daemon.log());
    for name in ["capstan.db", "capstan.db-wal", "capstan.db-shm", "capstan.db.bak"] {
        if let Ok(meta) = fs::metadata(daemon.setup.root().join(name)) {
            assert_eq!(meta.permissions().mode() & 0o777, 0o600, "{name}");
        }
    }
}

#[test]
fn the_command_line_changes_cameras_with_and_without_a_daemon() {
    let _turn = Turn::wait();
    let mut daemon = TestDaemon::start(Setup::new().camera("file", "enabled = false\nsource = { kind = \"test\" }"));
    until("the database is open", 20, || daemon.json("/api/cameras")["complete"] == true);
    let run = |daemon: &TestDaemon, words: &[&str]| finished(daemon.setup.command(&[&["camera"], words].concat()));
    let (code, said) = run(&daemon, &["add", "door", "rtsp://me:hidden@127.0.0.1:1/x", "--name", "Door", "--disabled"]);
    assert!(code == 0 && said.contains("rtsp://***@127.0.0.1:1/x"), "{said}");
    assert_eq!(daemon.json("/api/cameras/door")["name"], "Door");
    assert_eq!(run(&daemon, &["add", "door", "test"]).0, 1, "twice");
    assert_eq!(run(&daemon, &["disable", "file"]).0, 1, "it is the file's");
    assert_eq!(run(&daemon, &["enable", "door"]).0, 0);
    until("it tries", 20, || daemon.device_status("door") == "offline");
    daemon.stop();
    assert_eq!(run(&daemon, &["disable", "door"]).0, 0);
    assert_eq!(run(&daemon, &["add", "gate", "test", "--disabled"]).0, 0);
    let (code, said) = run(&daemon, &["list"]);
    assert!(code == 0 && ["file", "door", "gate"].iter().all(|id| said.contains(id)), "{said}");
    assert!(!said.contains("hidden"), "{said}");
    daemon.start_again();
    until("they are known", 20, || daemon.json("/api/cameras")["complete"] == true);
    assert_eq!(daemon.device_status("door"), "disabled");
    assert_eq!(run(&daemon, &["remove", "gate"]).0, 0);
    assert_eq!(daemon.get("/api/cameras/gate").status, 404);
}

#[test]
fn the_file_is_applied_again_and_again_and_others_run_on() {
    let _turn = Turn::wait();
    let mut daemon = TestDaemon::start(Setup::new().camera("stays", SMALL));
    until("it records", 30, || daemon.committed_seconds("stays") > 0.0);
    daemon.add(&json!({"id": "both", "name": "stored", "enabled": false, "source": {"kind": "test"}}));
    let file = daemon.setup.folder().join("capstan.toml");
    let before = fs::read_to_string(&file).unwrap();
    let run = daemon.running("stays");
    let reload = |text: &str| {
        fs::write(&file, text).unwrap();
        daemon.send("POST", "/api/host/reload", &Value::Null)
    };
    let more =
        |id: &str, rest: &str| format!("{before}\n[[camera]]\nid = \"{id}\"\nsource = {{ kind = \"test\" }}\n{rest}\n");

    let report = reload(&more("new", "enabled = false")).json();
    assert_eq!((&report["added"], &report["changed"]), (&json!(["new"]), &json!([])));
    let report = reload(&more("new", "enabled = false\nfps = 5")).json();
    assert_eq!(report["changed"], json!(["new"]));
    // The file wins, and lets go again.
    let report = reload(&more("both", "enabled = false\nname = \"filed\"")).json();
    assert_eq!((&report["removed"], &report["changed"]), (&json!(["new"]), &json!(["both"])));
    let both = daemon.json("/api/cameras/both");
    assert_eq!((&both["name"], &both["origin"], &both["shadows"]), (&json!("filed"), &json!("file"), &json!(true)));
    let refused = reload(&more("bad", "fps = 999"));
    assert_eq!((refused.status, &refused.json()["error"]["path"]), (400, &json!("camera[1].fps")));
    let report = reload(&before.replace("commit_seconds = 2", "commit_seconds = 3")).json();
    assert_eq!(report["needs_restart"], json!(["archive.commit_seconds"]));
    assert_eq!(daemon.json("/api/cameras/both")["name"], "stored");

    let threads = || fs::read_dir(format!("/proc/{}/task", daemon.pid().as_raw_nonzero())).unwrap().count();
    let count = rounds(if soaking() { 1000 } else { 20 });
    let mut settled = None;
    for round in 0..count {
        let text = if round % 2 == 0 { more("new", "enabled = false") } else { before.clone() };
        let reply = reload(&text);
        assert_eq!(reply.status, 200, "{}", reply.text());
        if round == count / 5 {
            settled = Some((Usage::of(daemon.pid()).resident_bytes, threads()));
        }
    }
    reload(&before);
    let (bytes, had) = settled.unwrap();
    let grown = Usage::of(daemon.pid()).resident_bytes.saturating_sub(bytes);
    println!("{count} reloads: {grown} bytes more, threads {had} then {}", threads());
    assert!(grown < 12 << 20, "{grown} bytes more after {count} reloads");
    assert!(threads() <= had + 2, "threads {had} then {}", threads());
    assert_eq!(daemon.children().len(), 1, "{:?}", daemon.children());
    assert_eq!((daemon.run_of("stays"), daemon.lost_seconds("stays")), (run, 0.0));
    // The signal does the same.
    fs::write(&file, more("new", "enabled = false")).unwrap();
    daemon.signal(Signal::HUP);
    until("it is there", 10, || daemon.get("/api/cameras/new").status == 200);
    let (status, _) = daemon.stop();
    assert!(status.success());
}

#[test]
fn a_database_that_is_gone_locked_or_damaged_costs_no_camera_that_runs() {
    let _turn = Turn::wait();
    let mut daemon = TestDaemon::start(Setup::new().camera("file", SMALL));
    daemon.add(&camera("door"));
    until("it records", 30, || daemon.committed_seconds("door") > 0.0);
    let run = daemon.running("door");
    let database = daemon.setup.root().join("capstan.db");
    let log = daemon.setup.root().join("capstan.db-wal");

    // Deleted while it is closed: it is made again with all that is known.
    until("it is at rest", 30, || !log.exists());
    fs::remove_file(&database).unwrap();
    let _ = fs::remove_file(daemon.setup.root().join("capstan.db.bak"));
    let rename =
        json!({"id": "door", "name": "Door", "quality": "low", "fps": 10, "source": {"kind": "test", "tone": 440}});
    until("it takes changes again", 30, || daemon.send("PUT", "/api/cameras/door", &rename).status == 200);
    assert_eq!(daemon.run_of("door"), run);

    // Locked by somebody else: told, and nothing changes.
    let other = rusqlite::Connection::open(&database).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let mut changed = rename.clone();
    changed["name"] = json!("Gate");
    let refused = daemon.send("PUT", "/api/cameras/door", &changed);
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(daemon.json("/api/cameras/door")["name"], "Door");
    other.execute_batch("ROLLBACK").unwrap();
    drop(other);
    until("it is taken now", 30, || daemon.send("PUT", "/api/cameras/door", &changed).status == 200);
    assert_eq!(daemon.run_of("door"), run);
    daemon.kill();
    daemon.start_again();
    until("the camera is back", 30, || daemon.get("/api/cameras/door").status == 200);
    assert_eq!(daemon.json("/api/cameras/door")["name"], "Gate");
    daemon.stop();

    // Damaged, without a copy: the file's cameras record.
    let _ = fs::remove_file(daemon.setup.root().join("capstan.db.bak"));
    fs::write(&database, b"SQLite format 3\0 and then nothing that makes sense".repeat(500)).unwrap();
    daemon.start_again();
    until("the file's camera records", 30, || daemon.committed_seconds("file") > 0.0);
    until("the database is a new one", 20, || daemon.json("/api/cameras")["complete"] == true);
    assert_eq!(daemon.get("/api/cameras/door").status, 404);
    daemon.add(&camera("door"));
}

#[test]
fn what_cannot_be_is_refused_and_taken_back() {
    let _turn = Turn::wait();
    let setup = Setup::new().camera("file", SMALL);
    let space = rustix::fs::statvfs(setup.hot.hot().parent().unwrap()).unwrap();
    let mib = (space.f_blocks * space.f_frsize * 2 / 3) >> 20;
    let daemon = TestDaemon::start(setup.set("hot.device_bytes", format!("{mib}MiB")));
    until("it records", 30, || daemon.committed_seconds("file") > 0.0);
    let run = daemon.running("file");
    let mut off = camera("door");
    off["enabled"] = json!(false);
    daemon.add(&off);
    if mib > 0 {
        let refused = daemon.send("PUT", "/api/cameras/door", &camera("door"));
        assert_eq!(refused.status, 409, "{}", refused.text());
        assert!(refused.text().contains("the devices' quotas"), "{}", refused.text());
        assert_eq!(daemon.json("/api/cameras/door")["enabled"], false);
    }
    // A folder that cannot be made: what was written down is taken back.
    let place = daemon.setup.hot.hot().join("gate");
    fs::write(&place, "in the way").unwrap();
    let mut gate = camera("gate");
    gate["enabled"] = json!(false);
    let failed = daemon.send("POST", "/api/cameras", &gate);
    assert_eq!(failed.status, 500, "{}", failed.text());
    assert_eq!(daemon.get("/api/cameras/gate").status, 404);
    fs::remove_file(&place).unwrap();
    daemon.add(&gate);
    fs::remove_dir_all(&place).unwrap();
    fs::write(&place, "in the way").unwrap();
    gate["fps"] = json!(5);
    assert_eq!(daemon.send("PUT", "/api/cameras/gate", &gate).status, 500);
    assert_eq!(daemon.json("/api/cameras/gate")["fps"], 10);
    fs::remove_file(&place).unwrap();
    assert_eq!(daemon.put(&gate)["fps"], 5);
    let refused = daemon.metric("capstan_camera_changes_total", &[("kind", "refused")]);
    assert!(refused >= Some(2.0), "{refused:?}");
    assert_eq!((daemon.run_of("file"), daemon.lost_seconds("file")), (run, 0.0));
}

/// Five seconds after its last frame a device is told offline, and as soon after its return online.
#[test]
fn a_source_that_goes_is_told_in_time() {
    let _turn = Turn::wait();
    let daemon = TestDaemon::start(Setup::new().camera("cam", SMALL));
    let status = || daemon.json("/api/cameras/active")["cameras"][0].clone();
    until("it is online", 30, || status()["status"] == "online");
    let pid = || daemon.run_of("cam")[0].as_i64().and_then(|pid| rustix::process::Pid::from_raw(pid as i32));
    let stopped = pid().unwrap();
    rustix::process::kill_process(stopped, Signal::STOP).unwrap();
    let began = now();
    until("it is offline", 10, || status()["status"] != "online");
    let took = now().since(began);
    println!("offline after {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let seen = status();
    assert!(seen["reason"].is_string() || seen["status"] == "starting", "{seen}");
    until("it is back", 10, || pid().is_some_and(|pid| pid != stopped) && status()["status"] == "online");
    let seen = status();
    assert!(seen["uptime_seconds"].as_f64().is_some_and(|up| up < 10.0), "{seen}");
    assert!(seen["availability_24h"].as_f64().is_some_and(|share| share > 0.2 && share <= 1.0), "{seen}");
}
