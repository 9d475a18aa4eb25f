//! Segments that no chunk can take: each is named in the log, counted in seconds, and costs nothing but itself.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use common::{Setup, TestDaemon, media, until};

const DEVICE: &str = "odd";

/// A folder to replay, 30 s of the clip, of which some segments are made odd.
fn prepared(setup: &Setup) -> PathBuf {
    let folder = setup.folder().join("prepared");
    media::prepare_replay(&folder, 30, 0);
    folder
}

fn segment(folder: &Path, number: u32) -> PathBuf {
    folder.join("segments").join(format!("{number:05}.ts"))
}

/// The same second in another form, at the same time.
#[track_caller]
fn convert(segment: &Path, arguments: &[&str]) {
    let original = segment.with_extension("original");
    fs::rename(segment, &original).unwrap();
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-copyts", "-i"]).arg(&original).args(arguments);
    command.args(["-muxdelay", "0", "-f", "mpegts"]).arg(segment);
    assert!(command.status().unwrap().success(), "{command:?}");
}

/// As a receiver without its key gives it out: transport_scrambling_control (ISO/IEC 13818-1 clause 2.4.3.2) says
/// "scrambled with the even key" in every packet of pictures and sound.
fn encrypt(segment: &Path) {
    let mut bytes = fs::read(segment).unwrap();
    for packet in bytes.chunks_exact_mut(188) {
        let pid = u16::from(packet[1] & 0x1f) << 8 | u16::from(packet[2]);
        // FFmpeg's muxer gives elementary streams PIDs from 256 on.
        if pid >= 0x100 && pid != 0x1fff && pid != 0x1000 {
            packet[3] |= 0x80;
            packet[4..].iter_mut().for_each(|byte| *byte ^= 0x5a);
        }
    }
    fs::write(segment, bytes).unwrap();
}

fn start(setup: Setup, folder: &Path) -> TestDaemon {
    let camera = format!("source = {{ kind = \"replay\", dir = {folder:?}, speed = 3 }}");
    TestDaemon::start(setup.camera(DEVICE, &camera))
}

fn corrupt_seconds(daemon: &TestDaemon) -> f64 {
    let labels = [("device", DEVICE), ("reason", "corrupt")];
    daemon.metric("capstan_lost_seconds_total", &labels).unwrap_or(0.0)
}

#[test]
fn segments_that_cannot_be_recorded_are_named_and_counted() {
    let setup = Setup::new();
    let folder = prepared(&setup);
    fs::write(segment(&folder, 3), "").unwrap();
    fs::write(segment(&folder, 6), [0xa5; 40_000]).unwrap();
    encrypt(&segment(&folder, 9));
    convert(&segment(&folder, 12), &["-an", "-c:v", "mpeg2video"]);
    let tables = fs::read(segment(&folder, 15)).unwrap();
    fs::write(segment(&folder, 15), &tables[..3 * 188]).unwrap();

    let mut daemon = start(setup, &folder);
    until("it went round once", 60, || daemon.committed_seconds(DEVICE) >= 26.0);
    until("each is counted", 20, || corrupt_seconds(&daemon) >= 4.9);
    let log = daemon.log();
    for named in [
        "the file is empty",
        "not an MPEG transport stream",
        "the stream is encrypted",
        "MPEG-2 video cannot be recorded",
        "not one whole picture",
    ] {
        assert!(log.contains(named), "{named:?} is not said: {log}");
    }
    assert_eq!(daemon.device_status(DEVICE), "online");
    assert_eq!(daemon.metric("capstan_commit_failures_total", &[("device", DEVICE)]), Some(0.0));
    let (status, _) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    daemon.chunks(DEVICE).iter().for_each(|chunk| media::assert_decodes(chunk));
}

/// Sound without pictures, and pictures of a kind we do not take beside sound that we do: the sound is kept.
#[test]
fn what_is_usable_of_a_segment_is_recorded_and_the_rest_is_named() {
    let setup = Setup::new();
    let folder = prepared(&setup);
    convert(&segment(&folder, 3), &["-vn", "-c:a", "copy"]);
    convert(&segment(&folder, 6), &["-c:v", "mpeg2video", "-c:a", "copy"]);
    convert(&segment(&folder, 9), &["-c:v", "copy", "-c:a", "ac3"]);

    let mut daemon = start(setup, &folder);
    until("it went round once", 60, || daemon.committed_seconds(DEVICE) >= 26.0);
    let log = daemon.log();
    for named in ["MPEG-2 video", "AC-3 audio"] {
        assert!(log.contains(named), "{named:?} is not said: {log}");
    }
    assert_eq!(daemon.lost_seconds(DEVICE), 0.0, "{log}");
    let (status, _) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    daemon.chunks(DEVICE).iter().for_each(|chunk| media::assert_decodes(chunk));
}

/// A device without pictures is a device: its chunks hold sound alone.
#[test]
fn a_device_of_sound_alone_is_recorded() {
    let setup = Setup::new();
    let folder = prepared(&setup);
    for number in 0..30 {
        convert(&segment(&folder, number), &["-vn", "-c:a", "copy"]);
    }
    let mut daemon = start(setup, &folder);
    until("chunks are sealed", 60, || daemon.ring(DEVICE).len() >= 2);
    assert_eq!(daemon.lost_seconds(DEVICE), 0.0);
    daemon.stop();
    for chunk in daemon.chunks(DEVICE) {
        assert_eq!(media::codecs(&chunk), ["aac"], "{chunk:?}");
        media::assert_decodes(&chunk);
    }
}
