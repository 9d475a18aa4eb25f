//! Bad input is refused by name: which key or path, what was there, what would be right; with the right exit code.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod common;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::Command,
    time::Duration,
};

use common::{
    Setup, TestDaemon,
    daemon::{capstan, finished, free_address},
    http, until,
};

/// Bad usage, a bad configuration: they do not mend themselves, so systemd does not try again.
const USAGE: i32 = 2;
const CONFIGURATION: i32 = 78;

const PATTERN: &str = "quality = \"low\"\nfps = 10\nsource = { kind = \"test\" }";

#[track_caller]
fn assert_refused(command: Command, codes: &[i32], parts: &[&str]) {
    let (code, said) = finished(command);
    assert!(codes.contains(&code), "exit code {code}, expected {codes:?}: {said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not said: {said}");
    }
}

#[test]
fn bad_settings_are_named_by_check_and_by_serve() {
    let check = |setup: Setup, parts: &[&str]| {
        assert_refused(setup.command(&["check"]), &[CONFIGURATION], parts);
        assert_refused(setup.command(&["serve"]), &[CONFIGURATION], parts);
    };
    let camera = |source: &str| Setup::new().camera("cam", &format!("source = {source}"));
    check(Setup::new().set("archive.commit_second", 5), &["archive", "commit_second", "commit_seconds"]);
    check(Setup::new().set("archive.commit_seconds", "soon"), &["archive.commit_seconds", "soon"]);
    check(Setup::new().set("archive.window_hours", 25), &["archive.window_hours", "25", "24"]);
    check(Setup::new().set("recorder.speed", 5), &["recorder"]);
    check(Setup::new().camera("a", PATTERN).camera("a", PATTERN), &["camera[1].id", "twice"]);
    check(Setup::new().camera("../x", PATTERN), &["camera[0].id", "../x"]);
    check(camera("{ kind = \"telepathy\" }"), &["camera[0].source", "telepathy"]);
    check(camera("{ kind = \"rtsp\", url = \"file:///etc/passwd\" }"), &["camera[0].source.url", "rtsp://"]);
    check(camera("{ kind = \"http\", url = \"concat:a|b\" }"), &["camera[0].source.url", "http://"]);
    check(camera("{ kind = \"file\", path = \"/a/../etc/passwd\" }"), &["camera[0].source.path", ".."]);
    check(camera("{ kind = \"v4l2\", path = \"/etc/passwd\" }"), &["camera[0].source.path", "/dev"]);
}

#[test]
fn the_environment_is_read_and_checked() {
    let set = |value| Setup::new().environment("CAPSTAN__ARCHIVE__COMMIT_SECONDS", value);
    assert_refused(set("0").command(&["check"]), &[CONFIGURATION], &["archive.commit_seconds", "0"]);
    let (code, said) = finished(set("7").command(&["check"]));
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("commit_seconds = 7"), "check prints the effective settings: {said}");
}

#[test]
fn bad_usage_is_code_2_and_a_missing_file_is_named() {
    assert_refused(capstan(&["records"]), &[USAGE], &["records"]);
    assert_refused(capstan(&["serve", "--confg", "x"]), &[USAGE], &["--confg"]);
    let missing = capstan(&["check", "--config", "/nowhere/capstan.toml"]);
    assert_refused(missing, &[CONFIGURATION], &["/nowhere/capstan.toml"]);
}

#[test]
fn hot_must_be_ram_and_large_enough() {
    let setup = Setup::new();
    let on_disk = setup.folder().join("hot");
    fs::create_dir_all(&on_disk).unwrap();
    let setup = setup.set("storage.hot", on_disk.to_str().unwrap()).camera("cam", PATTERN);
    let codes = [1, CONFIGURATION];
    assert_refused(setup.command(&["serve"]), &codes, &["tmpfs", "hot setup", on_disk.to_str().unwrap()]);
    let setup = Setup::new().set("hot.device_bytes", "4TiB").camera("cam", PATTERN);
    assert_refused(setup.command(&["serve"]), &codes, &["device_bytes"]);
}

#[test]
fn the_archive_must_be_the_expected_volume() {
    let codes = [1, CONFIGURATION];
    let setup = Setup::new().set("storage.require_mount", true).camera("cam", PATTERN);
    let root = setup.root();
    fs::create_dir_all(&root).unwrap();
    assert_refused(setup.command(&["serve"]), &codes, &["mount", root.to_str().unwrap()]);
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0, "nothing was written beneath the missing mount");

    let setup = Setup::new().camera("cam", PATTERN);
    let root = setup.root();
    fs::write(&root, "a file").unwrap();
    assert_refused(setup.command(&["serve"]), &codes, &[root.to_str().unwrap()]);
}

#[test]
fn one_daemon_per_root_and_per_port() {
    let daemon = TestDaemon::start(Setup::new().camera("cam", PATTERN));
    let root = daemon.setup.root();
    let second = Setup::new()
        .set("storage.root", root.to_str().unwrap())
        .set("server.listen", free_address().to_string())
        .camera("cam", PATTERN);
    let holder = daemon.pid().as_raw_nonzero().to_string();
    assert_refused(second.command(&["serve"]), &[1, CONFIGURATION], &[root.to_str().unwrap(), &holder]);
    assert_eq!(daemon.get("/healthz").status, 200, "the first one is not disturbed");

    let second = Setup::new()
        .set("storage.hot", daemon.setup.hot.hot().to_str().unwrap())
        .set("server.listen", free_address().to_string())
        .camera("cam", PATTERN);
    assert_refused(second.command(&["serve"]), &[1], &[daemon.setup.hot.hot().to_str().unwrap(), "storage.hot"]);
    assert!(!second.root().join("cam").exists(), "the second did not begin to record");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let setup = Setup::new().set("server.listen", address.as_str()).camera("cam", PATTERN);
    assert_refused(setup.command(&["serve"]), &[1, CONFIGURATION], &[&address]);
}

/// A shell allows 1024 open files; viewers must not take those that FFmpeg and the chunks need.
#[test]
fn a_crowd_of_connections_does_not_stop_the_recording() {
    let _turn = common::Turn::wait();
    let mut daemon =
        TestDaemon::start(Setup::new().open_files(300).set("archive.chunk_seconds", 5).camera("cam", PATTERN));
    until("it records", 30, || daemon.committed_seconds("cam") > 2.0);
    let mut crowd = Vec::new();
    for _ in 0..400 {
        // Once all that are served and the kernel's queue are full, the next has to wait.
        let Ok(mut viewer) = TcpStream::connect_timeout(&daemon.address(), Duration::from_secs(1)) else { break };
        viewer.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        crowd.push(viewer);
    }
    // Nobody else is served meanwhile, so the files tell.
    let sealed = daemon.ring("cam").len();
    until("two more chunks are sealed", 60, || daemon.ring("cam").len() > sealed + 1);
    crowd.clear();
    until("the next viewer is served", 20, || {
        http::request(daemon.address(), "GET", "/healthz", &[]).is_ok_and(|reply| reply.status == 200)
    });
    assert_eq!(daemon.lost_seconds("cam"), 0.0);
    assert_eq!(daemon.metric("capstan_commit_failures_total", &[("device", "cam")]), Some(0.0));
    assert_eq!(daemon.metric("capstan_ffmpeg_restarts_total", &[("device", "cam")]), Some(0.0));
    daemon.stop();
    assert!(!daemon.log().contains("Too many open files"), "{}", daemon.log());
}

/// What speaks no HTTP is told so, and is no news for the journal.
#[test]
fn nonsense_over_http_is_answered_and_not_logged() {
    let mut daemon = TestDaemon::start(Setup::new().camera("cam", PATTERN));
    for nonsense in [&b"\x16\x03\x01\x02\0\x01\0"[..], b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", &[b'a'; 300_000]] {
        let mut stream = TcpStream::connect(daemon.address()).unwrap();
        // The answer may come, and the connection end, before all of it is sent.
        let _ = stream.write_all(nonsense);
        let mut start = [0; 10];
        if stream.read_exact(&mut start).is_ok() {
            assert_eq!(&start, b"HTTP/1.1 4");
        }
    }
    assert_eq!(daemon.get("/healthz").status, 200);
    daemon.stop();
    assert!(!daemon.log().contains("stream error"), "{}", daemon.log());
}

/// A source that cannot work is told in the state, and its neighbour records on.
#[test]
fn a_sick_device_is_named_and_disturbs_nobody() {
    let _turn = common::Turn::wait();
    let refused = format!("source = {{ kind = \"rtsp\", url = \"rtsp://{}/live\" }}", free_address());
    let setup = Setup::new();
    let garbage = setup.folder().join("garbage.mp4");
    fs::write(&garbage, [0x47; 4096]).unwrap();
    let setup = setup
        .camera("well", PATTERN)
        .camera("refused", &refused)
        .camera("missing", "source = { kind = \"file\", path = \"/nowhere/clip.mp4\" }")
        .camera("garbage", &format!("source = {{ kind = \"file\", path = {garbage:?} }}"))
        .camera("card", "source = { kind = \"v4l2\", path = \"/dev/video199\" }");
    let daemon = TestDaemon::start(setup);
    until("the healthy one records", 30, || daemon.committed_seconds("well") > 4.0);
    for device in ["refused", "missing", "garbage", "card"] {
        until(&format!("{device} is told"), 30, || {
            ["offline", "failed"].contains(&daemon.device_status(device).as_str())
        });
    }
    assert_eq!(daemon.device_status("well"), "online");
    assert_eq!(daemon.lost_seconds("well"), 0.0);
    let health = daemon.get("/api/host/health");
    assert_eq!(health.status, 503);
    for device in ["refused", "missing", "garbage", "card"] {
        assert!(health.text().contains(device), "{device}: {}", health.text());
    }
}

#[test]
fn a_missing_ffmpeg_is_named_and_the_daemon_serves() {
    let setup = Setup::new().set("ffmpeg.path", "/nowhere/ffmpeg").camera("cam", PATTERN);
    let daemon = TestDaemon::start(setup);
    until("the device is failed", 20, || daemon.device_status("cam") == "failed");
    assert!(daemon.json("/api/host/state").to_string().contains("missing_ffmpeg"));
    let health = daemon.get("/api/host/health");
    assert!(health.status == 503 && health.text().contains("/nowhere/ffmpeg"), "{}", health.text());
    assert_eq!(daemon.get("/healthz").status, 200);
}
