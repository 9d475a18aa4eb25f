//! The command line beside a running daemon and without one: doctor, hot, archive.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod common;

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
    process::Command,
};

use common::{Setup, TestDaemon, Turn, clip, daemon::finished, skip, until};
use rustix::process::Signal;

fn copied_clip() -> String {
    format!("quality = \"copy\"\nsource = {{ kind = \"file\", path = {:?} }}", clip())
}

#[track_caller]
fn check(command: Command, code: i32, parts: &[&str]) -> String {
    let (found, said) = finished(command);
    assert_eq!(found, code, "{said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not said: {said}");
    }
    said
}

#[test]
fn the_doctor_asks_the_daemon_and_else_judges_the_host() {
    let _turn = Turn::wait();
    let mut daemon = TestDaemon::start(Setup::new().camera("cam", &copied_clip()));
    until("something is on disk", 30, || daemon.committed_seconds("cam") > 2.0);
    let said = check(daemon.setup.command(&["doctor"]), 0, &["ok   daemon", "ok   recorder cam", "ok   ffmpeg"]);
    assert!(!said.contains("FAIL"), "{said}");
    check(daemon.setup.command(&["hot", "status"]), 0, &["tmpfs", "cam:", "segments"]);
    // A mistyped name must not read as an archive without damage.
    check(daemon.setup.command(&["archive", "verify", "cma"]), 1, &["no device cma"]);
    let socket = daemon.setup.hot.hot().join("control.sock");
    assert!(socket.exists());
    daemon.stop();
    assert!(!socket.exists(), "an orderly stop leaves no socket");
    check(daemon.setup.command(&["doctor"]), 1, &["FAIL daemon", "ok   hot", "ok   archive"]);
    check(daemon.setup.command(&["hot", "status"]), 0, &["no daemon runs"]);
    check(daemon.setup.command(&["archive", "list", "cma"]), 1, &["no device cma"]);
}

#[test]
fn ranges_are_pinned_with_and_without_a_daemon() {
    let _turn = Turn::wait();
    let mut daemon = TestDaemon::start(Setup::new().camera("cam", &copied_clip()));
    let pin = |device: &str, end: &str, more: &[&str]| {
        let line =
            ["archive", "pin", device, "--start", "2026-01-01T00:00:00Z", "--end", end, "--why", "theft in hall 7"];
        daemon.setup.command(&[&line[..], more].concat())
    };
    let first = ["1  cam  2026-01-01T00:00:00.000Z  2026-01-01T01:00:00.000Z  for ever  local: theft in hall 7"];
    until("the database is open", 20, || finished(daemon.setup.command(&["archive", "pins"])).0 == 0);
    check(pin("cam", "2026-01-01T01:00:00Z", &[]), 0, &first);
    check(pin("cam", "2025-01-01T01:00:00Z", &[]), 1, &["end: must be after start"]);
    check(pin("cma", "2026-01-01T01:00:00Z", &[]), 1, &["no device cma"]);
    let later = pin("cam", "2026-01-02T00:00:00Z", &["--original", "--until", "2035-01-01T00:00:00Z"]);
    assert_eq!(daemon.json("/api/host/pins?device=cam")["pins"][0]["why"], "theft in hall 7");
    let daemonless = [pin("cam", "2025-01-01T01:00:00Z", &[]), pin("cma", "2026-01-01T01:00:00Z", &[])];
    daemon.stop();
    check(later, 0, &["2  cam", "until 2035-01-01T00:00:00.000Z, as recorded"]);
    for command in daemonless {
        check(command, 1, &[]);
    }
    check(daemon.setup.command(&["archive", "pins", "cam"]), 0, &[first[0], "2  cam"]);
    check(daemon.setup.command(&["archive", "unpin", "1"]), 0, &["pin 1 is taken back"]);
    check(daemon.setup.command(&["archive", "unpin", "1"]), 1, &["no such pin"]);
    daemon.start_again();
    until("the database is open", 20, || finished(daemon.setup.command(&["archive", "pins"])).0 == 0);
    let said = check(daemon.setup.command(&["archive", "pins"]), 0, &["2  cam"]);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(daemon.metric("capstan_pins", &[]), Some(1.0));
}

#[test]
fn damage_is_found_and_mended_while_recording_goes_on() {
    let _turn = Turn::wait();
    let mut daemon = TestDaemon::start(Setup::new().camera("cam", &copied_clip()));
    until("two chunks are sealed", 60, || daemon.ring("cam").len() >= 2);
    let [junk, damaged] = &daemon.ring("cam")[..2] else { panic!("two chunks") };
    let name = |path: &Path| path.strip_prefix(daemon.setup.root()).unwrap().to_str().unwrap().to_owned();
    let (damaged_name, junk_name) = (name(damaged), name(junk));
    check(daemon.setup.command(&["archive", "verify"]), 0, &["0 of", &damaged_name, "open"]);

    // A sector of zeroes in the media of the second, a full one; the first is no chunk at all any more.
    let file = File::options().write(true).open(damaged).unwrap();
    file.write_all_at(&[0; 4096], file.metadata().unwrap().len() - 100_000).unwrap();
    fs::write(junk, "junk").unwrap();
    check(daemon.setup.command(&["archive", "verify", "cam"]), 1, &["2 of", &damaged_name, "not a chunk"]);
    check(daemon.setup.command(&["archive", "repair"]), 0, &["2 of", "repaired", &junk_name]);
    check(daemon.setup.command(&["archive", "verify"]), 0, &["0 of", &damaged_name]);
    common::media::assert_decodes(damaged);

    let manifest = daemon.json("/host/stream/cam/segments/archive_manifest.json");
    for entry in manifest["manifests"].as_array().unwrap() {
        let path = format!("/host/stream/cam/segments/{}", entry["name"].as_str().unwrap());
        assert_eq!(daemon.get(&path).status, 200, "{path}");
    }
    assert_eq!(daemon.lost_seconds("cam"), 0.0);
    daemon.stop();
}

/// The settings are as they were, and reading them costs nothing.
#[test]
fn a_hangup_disturbs_nobody_and_a_disabled_camera_does_not_record() {
    let _turn = Turn::wait();
    let setup = Setup::new().camera("cam", &copied_clip());
    let mut daemon = TestDaemon::start(setup.camera("off", &format!("enabled = false\n{}", copied_clip())));
    until("it records", 30, || daemon.committed_seconds("cam") > 2.0);
    let ffmpegs = daemon.children();
    assert_eq!(ffmpegs.len(), 1, "{ffmpegs:?}");
    daemon.signal(Signal::HUP);
    until("the signal is answered", 5, || daemon.log().contains("settings are read"));
    let before = daemon.committed_seconds("cam");
    until("it records on", 20, || daemon.committed_seconds("cam") > before + 2.0);
    assert_eq!(daemon.children(), ffmpegs);
    assert_eq!(daemon.device_status("off"), "disabled");
    assert!(daemon.chunks("off").is_empty());
    assert_eq!(daemon.get("/api/host/health").status, 200, "{}", daemon.get("/api/host/health").text());
    assert_eq!(daemon.stop().0.code(), Some(0));
}

/// A chunk knows whose it is: one that was copied into another device's folder is set aside, not adopted.
#[test]
fn a_foreign_chunk_is_named_and_set_aside() {
    let _turn = Turn::wait();
    let setup = Setup::new().camera("cam", &copied_clip()).camera("other", &copied_clip());
    let mut daemon = TestDaemon::start(setup);
    until("both have a chunk", 60, || ["cam", "other"].iter().all(|device| !daemon.ring(device).is_empty()));
    let own = daemon.ring("cam").remove(0);
    let name = own.file_name().unwrap().to_str().unwrap().replace(".mp4", "-9.mp4");
    let foreign = own.with_file_name(&name);
    fs::copy(&daemon.ring("other")[0], &foreign).unwrap();
    let named = ["1 of", &name, "belongs to device other"];
    check(daemon.setup.command(&["archive", "verify", "cam"]), 1, &named);
    check(daemon.setup.command(&["archive", "repair", "cam"]), 0, &["1 of", "set aside"]);
    assert!(!foreign.exists());
    check(daemon.setup.command(&["archive", "verify"]), 0, &["0 of"]);
    let manifest = daemon.json("/host/stream/cam/segments/archive_manifest.json");
    assert!(!manifest.to_string().contains(&name), "{manifest}");
    // The same between two daemons, in the folder of open chunks.
    daemon.kill();
    let temp = daemon.setup.root().join("cam/segments/temp");
    let strange = temp.join("1700000000000-0.mp4");
    fs::copy(&daemon.ring("other")[0], &strange).unwrap();
    check(daemon.setup.command(&["archive", "verify", "cam"]), 1, &["belongs to device other"]);
    daemon.start_again();
    until("it is set aside at the start", 20, || !strange.exists());
    until("recording goes on", 20, || daemon.committed_seconds("cam") > 0.0);
    assert_eq!(daemon.lost_seconds("cam"), 0.0);
}

#[test]
fn what_a_kill_left_open_is_sealed_without_a_daemon() {
    let _turn = Turn::wait();
    let mut daemon = TestDaemon::start(Setup::new().camera("cam", &copied_clip()));
    until("a chunk grows", 30, || daemon.committed_seconds("cam") > 2.0);
    // Just after one is handed over nothing may be open.
    until("one is open", 20, || !daemon.open_chunks("cam").is_empty());
    daemon.kill();
    let setup = &daemon.setup;
    check(setup.command(&["archive", "list", "cam"]), 0, &["cam/segments/temp/", "unfinished"]);
    check(setup.command(&["archive", "repair", "cam"]), 0, &["sealed"]);
    daemon.open_chunks("cam").iter().for_each(|chunk| common::media::assert_table_first(chunk));
    daemon.start_again();
    until("it has its place in the ring", 20, || !daemon.ring("cam").is_empty());
    assert_eq!(daemon.lost_seconds("cam"), 0.0);
}

#[test]
fn hot_setup_mounts_grows_and_does_nothing_twice() {
    if !rustix::process::geteuid().is_root() {
        return skip("hot_setup_mounts_grows_and_does_nothing_twice", "mounting needs root");
    }
    let setup = Setup::new().camera("cam", "source = { kind = \"test\" }");
    let path = setup.folder().join("mounted hot");
    let setup = setup.set("storage.hot", path.to_str().unwrap());
    let mounted = Mounted(&path);
    let fstab = format!("tmpfs {} tmpfs size=64m,mode=0750", path.to_str().unwrap().replace(' ', "\\040"));
    check(setup.command(&["hot", "setup"]), 0, &["is a tmpfs of 64.0 MiB now", &fstab, "noexec,nodev,nosuid"]);
    check(setup.command(&["hot", "setup"]), 0, &["nothing to do", &fstab]);
    fs::write(path.join("kept"), "what lies in hot survives growing").unwrap();
    check(setup.command(&["hot", "setup", "--size", "96MiB"]), 0, &["has grown to 96.0 MiB", "size=96m"]);
    assert!(path.join("kept").exists());
    check(setup.command(&["hot", "status"]), 0, &["size 96.0 MiB", "quotas 32.0 MiB"]);
    check(setup.command(&["hot", "setup", "--size", "1MiB"]), 78, &["--size", "32.0 MiB"]);
    drop(mounted);
    fs::write(path.join("file"), "on a disk").unwrap();
    check(setup.command(&["hot", "setup"]), 1, &["not empty", path.to_str().unwrap()]);
}

/// Unmounted in the end, also when the test fails.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(self.0, rustix::mount::UnmountFlags::DETACH);
    }
}
