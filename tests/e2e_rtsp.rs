//! IP cameras as they are: other codecs, B-frames, sound that never comes, passwords; over TCP and UDP.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod common;

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use common::{Setup, TestDaemon, Turn, media, skip, until};

/// tests/lab/rtsp_server.py, ended with the test.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(arguments: &[&str]) -> Option<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/rtsp_server.py");
        let mut command = Command::new("/usr/bin/python3");
        command.arg(script).args(arguments).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().ok()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take()?).read_line(&mut line).ok()?;
        let port = line.trim().strip_prefix("ready ").and_then(|port| port.parse().ok());
        match port {
            Some(port) => Some(Self { child, port }),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                None
            }
        }
    }

    fn camera(&self, name: &str, transport: &str) -> String {
        let url = format!("rtsp://127.0.0.1:{}/{name}", self.port);
        format!("quality = \"copy\"\nsource = {{ kind = \"rtsp\", url = {url:?}, transport = {transport:?} }}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const NEEDS: &str = "needs python3-gi and gir1.2-gst-rtsp-server-1.0";

#[test]
fn cameras_of_all_sorts_are_recorded() {
    let _turn = Turn::wait();
    let Some(server) = Server::start(&[]) else { return skip("cameras_of_all_sorts_are_recorded", NEEDS) };
    // (name, transport, video codec on disk, sound on disk)
    let cameras = [
        ("live", "tcp", "h264", true),
        ("aac", "udp", "h264", true),
        ("bframes", "tcp", "h264", false),
        ("hevc", "tcp", "hevc", false),
        ("mjpeg", "tcp", "h264", false),
        ("mute", "tcp", "h264", false),
    ];
    let setup = cameras
        .iter()
        .fold(Setup::new(), |setup, (name, transport, ..)| setup.camera(name, &server.camera(name, transport)));
    let mut daemon = TestDaemon::start(setup);
    for (name, ..) in cameras {
        // 15 s of grace for a track that never comes, then once more without it.
        until(&format!("{name} is recorded"), 60, || daemon.committed_seconds(name) >= 6.0);
        assert_eq!(daemon.lost_seconds(name), 0.0, "{name}");
    }
    daemon.stop();
    for (name, _, codec, sound) in cameras {
        let chunk = &daemon.chunks(name)[0];
        media::assert_decodes(chunk);
        let codecs = media::codecs(chunk);
        assert_eq!(codecs[0], codec, "{name}: {codecs:?}");
        if sound {
            assert_eq!(codecs.get(1).map(String::as_str), Some("aac"), "{name}: {codecs:?}");
        }
    }
}

#[test]
fn refusals_of_a_camera_are_told_by_name() {
    let _turn = Turn::wait();
    let Some(server) = Server::start(&["--password", "viewer:secret"]) else {
        return skip("refusals_of_a_camera_are_told_by_name", NEEDS);
    };
    let with = |user: &str, path: &str| {
        let url = format!("rtsp://{user}127.0.0.1:{}/{path}", server.port);
        format!("quality = \"copy\"\nsource = {{ kind = \"rtsp\", url = {url:?} }}")
    };
    let setup = Setup::new()
        .camera("right", &with("viewer:secret@", "aac"))
        .camera("nobody", &with("", "aac"))
        .camera("nowhere", &with("viewer:secret@", "attic"));
    let daemon = TestDaemon::start(setup);
    until("the right one is recorded", 40, || daemon.committed_seconds("right") >= 2.0);
    let state = || daemon.json("/api/host/state").to_string().to_lowercase();
    until("401 is told", 20, || state().contains("unauthorized") || state().contains("unauthorised"));
    until("404 is told", 20, || state().contains("not found") || state().contains("not_found"));
    assert!(!state().contains("secret"), "passwords are not shown");
    assert!(!daemon.log().contains("secret"), "passwords are not logged");
}
