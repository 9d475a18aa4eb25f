//! Frames from hot to verdict with real FFmpeg: verdicts follow the picture, and the recording never notices.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod common;

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Stdio},
};

use common::{
    Setup, TestDaemon, Turn, clip,
    media::{self, prepare_replay},
    until,
};
use serde_json::Value;

const LATEST: &str = "/host/stream/cam/captures/latest.json";

/// What was told of each frame: by its run time in hundredths of a second.
type Seen = BTreeMap<u64, Value>;

/// Follows the newest verdict until `enough`.
fn watch(daemon: &TestDaemon, what: &str, seconds: u64, mut enough: impl FnMut(&Seen) -> bool) -> Seen {
    let mut seen = Seen::new();
    until(what, seconds, || {
        let reply = daemon.get(LATEST);
        if reply.status == 200 {
            let told = reply.json();
            let frame = told["frame"].as_str().unwrap().to_owned();
            seen.insert(frame.split_once('_').unwrap().1.parse().unwrap(), told);
        }
        enough(&seen)
    });
    seen
}

fn first(seen: &Seen, from: u64, key: &str, value: &Value) -> u64 {
    let found = seen.range(from..).find(|(_, told)| told[key] == *value);
    *found.unwrap_or_else(|| panic!("{key} is never {value} from {from} to {:?}", seen.keys().last())).0
}

/// A JPEG of the recording at that moment: a black one takes next to nothing.
fn is_black(daemon: &TestDaemon, at: f64) -> bool {
    let mut reply = None;
    until("that moment is on the disk", 20, || {
        let got = daemon.get(&format!("/api/host/screenshot/cam?at={at:.4}&exact=1"));
        let done = got.status == 200;
        reply = Some(got);
        done
    });
    reply.unwrap().body.len() < 8000
}

#[test]
fn verdicts_follow_the_timetable_on_the_time_of_the_recording() {
    let _turn = Turn::wait();
    let source = "{ kind = \"test\", pattern = \"testsrc2\", tone = 440, black = [[8, 11]], silence = [[12, 15]] }";
    let camera = format!("quality = \"sd\"\nfps = 25\nsource = {source}");
    let daemon = TestDaemon::start(Setup::new().camera("cam", &camera));
    let seen = watch(&daemon, "the timetable is through", 60, |seen| seen.keys().last() > Some(&1700));

    // Five pictures a second; one may be missed between two looks of ours.
    let near =
        |found: u64, told: u64, slack: u64| assert!((told..=told + slack).contains(&found), "{found} for {told}");
    near(first(&seen, 100, "blackscreen", &true.into()), 800, 60);
    near(first(&seen, 850, "blackscreen", &false.into()), 1100, 60);
    // A verdict on sound is about the second before; a test of the tone's own start would say nothing.
    near(first(&seen, 300, "audio", &false.into()), 1200, 130);
    near(first(&seen, 1350, "audio", &true.into()), 1500, 100);
    let loud = &seen[&first(&seen, 300, "audio", &true.into())];
    assert!(loud["mean_volume_db"].as_f64().unwrap() > -40.0, "{loud}");

    // One run, one time: every frame by the same offset, once the merger has told its own.
    let offset = |(number, told): (&u64, &Value)| told["t"].as_f64().unwrap() - *number as f64 / 100.0;
    let offsets: Vec<f64> = seen.range(700..).map(offset).collect();
    let (low, high) = offsets.iter().fold((f64::MAX, f64::MIN), |(low, high), it| (low.min(*it), high.max(*it)));
    println!("offsets of frames differ by {:.1} ms", (high - low) * 1000.0);
    assert!(high - low < 0.040, "one picture: {low} to {high}");

    // The recorded picture at a thumbnail's time is the thumbnail's: the one at 8 s is the first that is black.
    let turn = low + 8.0;
    assert!(is_black(&daemon, turn + 0.025), "half a picture after it begins");
    assert!(!is_black(&daemon, turn - 0.035), "and not the picture before");

    let state = daemon.json("/api/host/state")["devices"][0]["analysis"].clone();
    assert_eq!((state["dropped"].as_u64(), state["failed"].as_u64()), (Some(0), Some(0)), "{state}");
    let device = [("device", "cam")];
    assert_eq!(daemon.metric("capstan_frames_dropped_total", &device), Some(0.0));
    assert!(daemon.metric("capstan_analysis_seconds_count", &[]).unwrap() > 50.0);
}

#[test]
fn a_device_without_sound_is_unknown_and_so_is_sound_that_has_stopped() {
    let _turn = Turn::wait();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    // Pictures all the time; sound for three seconds, and again from the ninth on.
    let film = folder.path().join("film.ts");
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=20"]);
    command.args([
        "-f",
        "lavfi",
        "-i",
        "sine=duration=20",
        "-af",
        "aselect='lt(t,3)+gte(t,9)'",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-g",
        "5",
    ]);
    assert!(command.args(["-c:a", "aac"]).arg(&film).status().unwrap().success());
    let stops = format!("quality = \"copy\"\nsource = {{ kind = \"file\", path = {film:?}, loop = false }}");
    let mute = "quality = \"low\"\nsource = { kind = \"test\", tone = 0 }";
    let daemon = TestDaemon::start(Setup::new().camera("cam", &stops).camera("mute", mute));
    let seen = watch(&daemon, "sound comes, goes and comes again", 60, |seen| seen.keys().last() > Some(&1200));
    let near = |found: u64, told: u64| assert!((told..=told + 130).contains(&(found + 30)), "{found} for {told}");
    near(first(&seen, 0, "audio", &true.into()), 0);
    // Unknown, and never silent, from two seconds after the last of it.
    near(first(&seen, 200, "audio", &Value::Null), 500);
    near(first(&seen, 700, "audio", &true.into()), 900);
    let silent: Vec<_> = seen.values().filter(|told| told["audio"] == false).collect();
    assert!(silent.is_empty(), "it was never silent: {silent:?}");
    let unheard = daemon.json("/host/stream/mute/captures/latest.json");
    assert!(unheard["audio"].is_null() && unheard["volume_percentage"].is_null(), "{unheard}");
    assert_eq!(unheard["blackscreen"], false);
    let restarts = |device| daemon.metric("capstan_ffmpeg_restarts_total", &[("device", device)]);
    assert_eq!((restarts("cam"), restarts("mute")), (Some(0.0), Some(0.0)));
}

/// MD5 of each packet as it lies in the file.
fn packets(chunks: &[std::path::PathBuf]) -> Vec<String> {
    let of = |chunk: &std::path::PathBuf| {
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-v", "error", "-i"]).arg(chunk);
        command.args(["-map", "0:v:0", "-map", "0:a:0?", "-c", "copy", "-f", "framehash", "-hash", "md5", "-"]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{chunk:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        // The stream and the content; times are those of the wall clock.
        let line = |line: &str| format!("{} {}", &line[..1], line.split(',').nth(5).unwrap().trim());
        let mut lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).map(line).collect();
        // Each track by itself: how they interleave depends on where commits fall.
        lines.sort_by_key(|line| line.as_bytes()[0]);
        lines
    };
    let all: Vec<String> = chunks.iter().flat_map(of).collect();
    let track = |wanted: char| all.iter().filter(|line| line.starts_with(wanted)).cloned().collect::<Vec<_>>();
    let (pictures, sound) = (track('0'), track('1'));
    // Sound of the last segment may wait for the next.
    assert!(pictures.len() > 24 * 8, "{} pictures of 12 s", pictures.len());
    [&pictures[..24 * 8], &sound[..sound.len().min(300)]].concat()
}

/// Two replays for some seconds; what lies on the disk of one, and the metrics of its analysis.
fn recorded(prepared: &Path, options: &[(&str, toml::Value)]) -> (Vec<String>, f64, f64) {
    let source = format!("source = {{ kind = \"replay\", dir = {prepared:?} }}");
    let setup = Setup::new().set("archive.chunk_seconds", 600).camera("cam", &source).camera("other", &source);
    let setup = options.iter().fold(setup, |setup, (key, value)| setup.set(key, value.clone()));
    let mut daemon = TestDaemon::start(setup);
    until("12 s are on the disk", 60, || daemon.committed_seconds("cam") >= 12.0);
    let metric = |name: &str| daemon.metric(name, &[("device", "cam")]).unwrap();
    let passed_over = metric("capstan_frames_skipped_total") + metric("capstan_frames_dropped_total");
    let looked = daemon.metric("capstan_analysis_seconds_count", &[]).unwrap();
    assert_eq!(daemon.lost_seconds("cam"), 0.0);
    daemon.stop();
    (packets(&daemon.chunks("cam")), looked, passed_over)
}

#[test]
fn the_recording_is_the_same_with_watching_on_off_and_overwhelmed() {
    let _turn = Turn::wait();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (usual, flood) = (folder.path().join("usual"), folder.path().join("flood"));
    prepare_replay(&usual, 15, 5);
    // The same segments beside thumbnails of full HD, a hundred a second: more than any thread can look at.
    prepare_replay(&flood, 15, 0);
    let pattern = flood.join("thumbnails/%06d.jpg");
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-i"]).arg(clip()).args(["-frames:v", "40", "-s", "1920x1080"]);
    assert!(command.arg(pattern).status().unwrap().success());
    for n in 41..=1500 {
        let name = |n: u32| flood.join(format!("thumbnails/{n:06}.jpg"));
        std::fs::hard_link(name((n - 1) % 40 + 1), name(n)).unwrap();
    }
    let threads = ("analysis.threads", toml::Value::from(1));
    let off = recorded(&usual, &[("analysis.enabled", false.into())]);
    let on = recorded(&usual, std::slice::from_ref(&threads));
    let full = recorded(&flood, &[threads, ("analysis.queue", 20.into()), ("hot.device_bytes", "64MiB".into())]);
    println!(
        "looked at and passed over: off {:?}, on {:?}, overwhelmed {:?}",
        (off.1, off.2),
        (on.1, on.2),
        (full.1, full.2)
    );
    assert_eq!(off.1, 0.0);
    assert!(on.1 > 60.0, "both were watched");
    assert!(full.2 > 0.0, "it was too much");
    media::assert_same(&on.0, &off.0, "watched, unwatched");
    media::assert_same(&full.0, &off.0, "overwhelmed, unwatched");
}
