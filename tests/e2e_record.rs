//! End to end with real FFmpeg: every frame that was captured is on disk, once, in files that others can play.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod common;

use std::{fs::File, os::fd::AsRawFd as _, path::PathBuf, time::Duration};

use common::{
    Dice, Keeper, Setup, TestDaemon, Turn, clip,
    daemon::{ended_by, is_alive},
    media::{self, assert_all_frames_once},
    rounds, until,
};
use rustix::process::Signal;

/// Recorded as it is: no encoder between the source and the disk.
fn copied_clip() -> String {
    format!("quality = \"copy\"\nsource = {{ kind = \"file\", path = {:?} }}", clip())
}

const PATTERN: &str = "quality = \"low\"\nfps = 25\nsource = { kind = \"test\", pattern = \"testsrc2\", tone = 440 }";

#[test]
fn every_frame_is_recorded_once_in_files_that_play() {
    let _turn = Turn::wait();
    let setup = Setup::new().set("archive.chunk_seconds", 5);
    let setup = setup.camera("clip", &copied_clip()).camera("pattern", PATTERN);
    let mut kept = Keeper::start(&setup.hot, &["clip", "pattern"]);
    let mut daemon = TestDaemon::start(setup);

    for device in ["clip", "pattern"] {
        until("two chunks are sealed", 60, || daemon.ring(device).len() >= 2);
        until("a third one grows", 20, || !daemon.open_chunks(device).is_empty());
        // The growing file plays at any moment, from another process, while it grows.
        until("it is read while it grows", 20, || {
            // Held open: it may be sealed and renamed while ffmpeg reads.
            let Some(Ok(file)) = daemon.open_chunks(device).first().map(File::open) else { return false };
            media::assert_decodes(&PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())));
            true
        });
        assert_eq!(daemon.device_status(device), "online");
        assert_eq!(daemon.lost_seconds(device), 0.0);
    }
    let ffmpegs = daemon.children();
    assert_eq!(ffmpegs.len(), 2, "one FFmpeg per device: {ffmpegs:?}");

    let (status, took) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    assert!(took < Duration::from_secs(10), "stopping took {took:?}");
    for (pid, line) in ffmpegs {
        assert!(!is_alive(pid), "still running: {line}");
    }
    for device in ["clip", "pattern"] {
        daemon.ring(device).iter().for_each(|chunk| media::assert_table_first(chunk));
        assert_all_frames_once(&daemon, device, &kept.finish(device));
    }
    let runs = kept.finish("clip");
    assert_eq!(runs.len(), 1, "one run");
    assert_times_and_sound_agree(&daemon, "clip", &runs[0]);
}

#[test]
fn a_killed_daemon_loses_nothing_and_doubles_nothing() {
    let _turn = Turn::wait();
    let setup = Setup::new().camera("clip", &copied_clip()).camera("pattern", PATTERN);
    let mut kept = Keeper::start(&setup.hot, &["clip", "pattern"]);
    let mut daemon = TestDaemon::start(setup);
    let mut dice = Dice::new();

    for round in 0..rounds(4) {
        // Any moment of the life of a chunk: before the first commit, between two, around the seal.
        let target = daemon.committed_seconds("clip") + dice.between(0, 9) as f64;
        until("time goes by", 40, || daemon.committed_seconds("clip") >= target);
        let ffmpegs = daemon.children();
        daemon.kill();
        until("FFmpeg goes with its daemon", 5, || ffmpegs.iter().all(|(pid, _)| !is_alive(*pid)));
        // Without its writer every file plays already, before anything was repaired.
        for device in ["clip", "pattern"] {
            daemon.ring(device).iter().for_each(|chunk| media::assert_decodes(chunk));
        }
        daemon.start_again();
        until(&format!("round {round}: recording goes on"), 20, || daemon.committed_seconds("clip") > 0.0);
    }
    let (status, _) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    for device in ["clip", "pattern"] {
        assert_all_frames_once(&daemon, device, &kept.finish(device));
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let _turn = Turn::wait();
    let mut daemon = TestDaemon::start(Setup::new().camera("pattern", PATTERN));
    until("it records", 20, || !daemon.hot_segments("pattern").is_empty());
    let ffmpegs = daemon.children();
    daemon.signal(Signal::TERM);
    daemon.signal(Signal::TERM);
    until("the daemon ends", 3, || !daemon.is_running());
    until("FFmpeg ends", 5, || ffmpegs.iter().all(|(pid, _)| !is_alive(*pid)));
}

/// What waits in hot when nobody runs is merged by the next daemon, once.
#[test]
fn segments_left_in_hot_are_merged_by_the_next_daemon() {
    let _turn = Turn::wait();
    let setup = Setup::new().set("archive.commit_seconds", 10).camera("clip", &copied_clip());
    let mut kept = Keeper::start(&setup.hot, &["clip"]);
    let mut daemon = TestDaemon::start(setup);
    until("segments wait", 30, || daemon.hot_segments("clip").len() >= 4);
    daemon.kill();
    let waiting = daemon.hot_segments("clip").len();
    assert!(waiting >= 4);
    daemon.start_again();
    until("they are committed", 30, || daemon.committed_seconds("clip") >= waiting as f64 - 1.0);
    let (status, _) = daemon.stop();
    assert!(!ended_by(status, Signal::KILL));
    assert_all_frames_once(&daemon, "clip", &kept.finish("clip"));
}

/// Inside each chunk picture and sound are as far apart as in the segments, and no sound is lost or doubled at seams.
#[track_caller]
fn assert_times_and_sound_agree(daemon: &TestDaemon, device: &str, run: &[PathBuf]) {
    /// A millisecond: the coarsest clock on the way (an MP4 movie header's).
    const TOLERANCE: f64 = 0.001;
    let joined = daemon.setup.folder().join(format!("{device}-times.ts"));
    media::join_segments(run, &joined);
    let source = media::packets(&joined);
    let (source_video, source_sound) = (media::times(&source, true), media::times(&source, false));
    let (mut video_at, mut sound_at) = (0, 0);
    let mut sound = Vec::new();
    for chunk in daemon.chunks(device) {
        let packets = media::packets(&chunk);
        let (video, audio) = (media::times(&packets, true), media::times(&packets, false));
        let offset = video[0] - source_video[video_at];
        let tracks = [(&video, &source_video, video_at), (&audio, &source_sound, sound_at)];
        for (mine, theirs, at) in tracks {
            for (i, time) in mine.iter().enumerate() {
                let apart = (time - theirs[at + i] - offset).abs();
                assert!(apart <= TOLERANCE, "{chunk:?}: packet {i} is {apart} s off");
            }
        }
        let end = video.last().unwrap();
        assert!((media::duration_seconds(&chunk) - end).abs() < 0.2, "{chunk:?} ends at {end}");
        video_at += video.len();
        sound_at += audio.len();
        sound.extend(media::audio_hashes(&chunk));
    }
    assert_eq!(video_at, source_video.len());
    media::assert_same(&sound, &media::audio_hashes(&joined), &format!("{device}: sound packets"));
}
