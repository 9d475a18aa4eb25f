//! Screenshots and the restart video.

use super::{
    timeline::{recorded, recorded_on},
    *,
};
use crate::storage::layout::PictureKind;

/// 16×16 pixels in JPEG.
fn jpeg() -> Vec<u8> {
    let mut ffmpeg = std::process::Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "error", "-f", "lavfi", "-i", "color=size=64x64:rate=1", "-frames:v", "1"]);
    let output = ffmpeg.args(["-c:v", "mjpeg", "-f", "image2pipe", "-"]).output().expect("ffmpeg runs");
    assert!(output.status.success());
    output.stdout
}

impl Host {
    pub(super) fn picture(&self, kind: PictureKind, number: u64, bytes: &[u8]) {
        let key = SegmentKey { epoch: Epoch(7), number };
        let hot = HotLayout::new(self.dir.path().join("hot"));
        fs::write(hot.file(&self.device().id, HotKind::Picture(kind), key), bytes).unwrap();
        self.device().hot.picture_arrived(kind, key, bytes.len() as u64, self.state.clock.wall());
    }

    pub(super) fn post(&self, path: &str, kind: &str, body: &str) -> Reply {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let (length, kind) = (body.len(), format!("Content-Type: {kind}"));
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{kind}\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all((head + body).as_bytes()).unwrap();
        read_reply(stream)
    }
}

/// Width of a JPEG, from its frame header (ITU-T T.81 B.2.2).
fn width_of(jpeg: &[u8]) -> u16 {
    let at = jpeg.windows(2).position(|two| two == [0xFF, 0xC0]).expect("a baseline frame");
    u16::from_be_bytes([jpeg[at + 7], jpeg[at + 8]])
}

#[test]
fn a_screenshot_is_the_newest_picture_and_goes_stale() {
    let host = Host::start();
    let path = "/api/host/screenshot/cam";
    let none = host.get(path);
    assert_eq!((none.status, none.json()["error"]["kind"].as_str()), (503, Some("stale")));
    host.picture(PictureKind::Capture, 1, b"first");
    host.picture(PictureKind::Thumbnail, 9, b"small");
    host.manual.advance(Duration::from_millis(200));
    host.picture(PictureKind::Capture, 2, b"second");
    let newest = host.get(path);
    assert_eq!((newest.status, newest.text()), (200, "second"));
    assert_eq!(newest.header("content-type"), Some("image/jpeg"));
    assert_eq!(newest.header("x-picture-time"), Some("2023-11-14t22:13:20.200z"));
    let known = format!("If-None-Match: {}", newest.header("etag").unwrap());
    assert_eq!(host.ask("GET", path, &[&known]).status, 304);
    host.manual.advance(Duration::from_millis(3000));
    assert_eq!(host.get(path).status, 200);
    host.manual.advance(Duration::from_millis(1));
    let stale = host.get(path);
    assert_eq!((stale.status, stale.header("retry-after")), (503, Some("1")));
}

#[test]
fn a_source_of_rare_pictures_is_not_stale_between_them() {
    let host = Host::start();
    for number in 0..5 {
        host.picture(PictureKind::Capture, number, b"key frame");
        host.manual.advance(Duration::from_secs(4));
    }
    host.manual.advance(Duration::from_secs(4));
    assert_eq!(host.get("/api/host/screenshot/cam").status, 200, "8 s old, one comes every 4 s");
    host.manual.advance(Duration::from_millis(10));
    assert_eq!(host.get("/api/host/screenshot/cam").status, 503);
}

#[test]
fn a_screenshot_is_made_smaller_on_request() {
    let host = Host::start();
    host.picture(PictureKind::Capture, 1, &jpeg());
    let small = host.get("/api/host/screenshot/cam?width=32");
    assert_eq!((small.status, width_of(&small.body)), (200, 32));
    for bad in ["0", "15", "8193", "-1", "+64", "64.5", "wide", "", "99999999999"] {
        let refused = host.get(&format!("/api/host/screenshot/cam?width={bad}"));
        assert_eq!((refused.status, refused.json()["error"]["path"].as_str()), (400, Some("width")), "{bad}");
    }
    host.picture(PictureKind::Capture, 2, b"no picture at all");
    assert_eq!(host.get("/api/host/screenshot/cam?width=32").json()["error"]["kind"], "corrupt");
}

/// A host whose FFmpeg makes the same JPEG of everything, with a line in `told` for each: what is decoded is compared in
/// `tests/chunk/stills`.
fn decoding_host() -> Host {
    Host::start_with(|settings, folder| {
        fs::write(folder.join("a.jpg"), jpeg()).unwrap();
        let script = folder.join("ffmpeg.sh");
        let lines = "#!/bin/sh\ncd DIR\necho x >> told\ncat > /dev/null\ncat a.jpg\n"
            .replace("DIR", &folder.display().to_string());
        fs::write(&script, lines).unwrap();
        fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        settings.ffmpeg.path = script;
    })
}

#[test]
fn a_moment_that_waits_in_hot_is_committed_once_and_shown() {
    let (host, commits) = super::newest::waiting(decoding_host());
    for (ago, status) in [(3, 200), (2, 200), (-60, 404)] {
        let reply = host.get(&format!("/api/host/screenshot/cam?at={}", NOW.as_seconds() - ago));
        assert_eq!((reply.status, commits.load(Ordering::Relaxed)), (status, 1), "{ago}");
    }
}

#[test]
fn a_picture_is_decoded_once() {
    let host = recorded_on(decoding_host(), &[(300, &[0, 1, 2, 3, 4], true)]);
    let decoded = || fs::read_to_string(host.dir.path().join("told")).unwrap_or_default().lines().count();
    let ask = |at: i64, query: &str| {
        let reply = host.get(&format!("/api/host/screenshot/cam?at={}{query}", NOW.as_seconds() - at));
        assert_eq!((reply.status, reply.body == jpeg()), (200, true), "{at}{query}");
        reply.header("etag").unwrap().to_owned()
    };
    let etag = ask(299, "");
    assert_eq!((ask(299, ""), decoded()), (etag.clone(), 1));
    assert_ne!(ask(298, ""), etag);
    assert_ne!(ask(299, "&width=32"), etag);
    assert_eq!(decoded(), 3);
    ask(299, "&width=32");
    assert_eq!(decoded(), 3);
    // A chunk that is no more has no picture, whatever is remembered.
    let chunk = host.device().index.snapshot()[0].key;
    host.device().index.remove(&chunk);
    assert_eq!(host.get("/api/host/screenshot/cam?at=1699999701").status, 503, "a segment waits in hot");
}

#[test]
fn past_pictures_are_asked_for_in_words_that_make_sense() {
    let host = Host::start();
    let check = |query: &str, status: u16, path: Option<&str>| {
        let reply = host.get(&format!("/api/host/screenshot/cam?{query}"));
        assert_eq!((reply.status, reply.json()["error"]["path"].as_str()), (status, path), "{query}");
    };
    for bad in ["", "now", "-5", "1e9", "9999-12-31T23:59:59Z", "99999999999999999999", "%ff", "2023-11-14"] {
        check(&format!("at={bad}"), 400, Some("at"));
    }
    check("at=1700000000&exact=yes", 400, Some("exact"));
    check("at=1700000000&width=0", 400, Some("width"));
    check("at=1600000000", 404, None);
    // Its file is no chunk at all.
    check("at=1699999300", 500, None);
    host.device().index.remove(&OPEN);
    check("at=1700000000", 503, None);
}

#[test]
fn a_restart_video_of_a_disk_that_takes_nothing_is_an_address_all_the_same() {
    let host = Host::start();
    let device = host.device();
    for key in [OLD, OPEN] {
        device.index.remove(&key);
    }
    let answer = |commit: fn() -> Result<()>| {
        host.commits_by(Arc::new(move || Box::pin(std::future::ready(commit()))));
        host.post("/api/host/restart-video/cam", "application/json", r#"{"duration_seconds": 20}"#)
    };
    // The segment in hot arrived at 22:13:20.
    let made = answer(|| Err(Error::new(Kind::Io, "the disk is sick")));
    assert_eq!(made.json()["end"], "2023-11-14T22:13:20.000Z");
    assert_eq!(answer(|| Ok(())).status, 404, "committed, and yet nothing there: it held nothing to keep");
}

#[test]
fn a_restart_video_is_an_address_for_the_last_seconds() {
    let host = recorded(&[(300, &[0, 1, 2, 3, 4], true), (100, &[0, 1, 2, 3], false)]).nothing_waits();
    let path = "/api/host/restart-video/cam";
    let made = host.post(path, "application/json", r#"{"duration_seconds": 10}"#);
    assert_eq!((made.status, made.json()["success"].as_bool()), (200, Some(true)));
    // 96 s ago, where the last picture of the growing chunk ends.
    let expected = "/api/host/clip/cam.mp4?start=2023-11-14T22:11:34.000Z&end=2023-11-14T22:11:44.000Z";
    assert_eq!(made.json()["video_url"], expected);
    let again = host.post(path, "application/json", r#"{"duration_seconds": 10}"#);
    assert_ne!(made.json()["video_id"], again.json()["video_id"]);
    let refused = |kind: &str, body: &str| {
        let reply = host.post(path, kind, body);
        assert_eq!((reply.status, reply.json()["error"]["kind"].as_str()), (400, Some("invalid")), "{body}");
    };
    refused("application/json", r#"{"duration_seconds": 61}"#);
    refused("application/json", r#"{"duration_"#);
    refused("application/json", "");
    refused("text/plain", r#"{"duration_seconds": 10}"#);
    let read = host.get(path);
    assert_eq!((read.status, read.header("allow")), (405, Some("post")));
    assert_eq!(host.post("/api/host/restart-video/none", "application/json", "{}").status, 404);
}
