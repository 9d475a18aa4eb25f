//! What the timeline says is missing is what the files lack, to the picture.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod common;

use capstan::clock::Clock;
use common::{Setup, TestDaemon, Turn, daemon::is_alive, media, until};
use rustix::process::{Signal, kill_process};
use serde_json::Value;

/// Seconds since 1970.
fn seconds(time: &Value) -> f64 {
    let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    time.as_millisecond() as f64 / 1e3
}

/// When pictures are shown, by ffprobe's reading of every chunk the timeline lists, growing ones too.
fn pictures(daemon: &TestDaemon, chunks: &Value) -> Vec<f64> {
    let mut times = Vec::new();
    for chunk in chunks.as_array().unwrap() {
        let reply = daemon.get(chunk["url"].as_str().unwrap());
        assert_eq!(reply.status, 200);
        let file = daemon.setup.folder().join(chunk["name"].as_str().unwrap());
        std::fs::write(&file, &reply.body).unwrap();
        let start = seconds(&chunk["start"]);
        times.extend(media::times(&media::packets(&file), true).iter().map(|time| start + time));
    }
    times.sort_by(f64::total_cmp);
    times
}

#[test]
fn a_gap_is_told_as_the_files_have_it() {
    let _turn = Turn::wait();
    let camera = "quality = \"low\"\nfps = 10\nsource = { kind = \"test\", tone = 440 }";
    // Long chunks, so that the hole lies inside one.
    let daemon = TestDaemon::start(Setup::new().set("archive.chunk_seconds", 600).camera("cam", camera));
    let frame = 0.1;
    let committed = |goal: f64| until("it records", 60, || daemon.committed_seconds("cam") >= goal);
    committed(4.0);
    let [(ffmpeg, _)] = daemon.children()[..] else { panic!("one FFmpeg: {:?}", daemon.children()) };
    // It hangs; after 3 s it is ended and another one begins: a hole of at least that.
    kill_process(ffmpeg, Signal::STOP).unwrap();
    until("the hung FFmpeg is ended", 8, || !is_alive(ffmpeg));
    committed(daemon.committed_seconds("cam") + 6.0);

    let now = Clock::system().wall();
    let told = daemon.json(&format!("/api/host/timeline/cam?to={}&duration=60", now.rfc3339()));
    assert_eq!(told["exact"], true, "{told}");
    let coverage = told["coverage"].as_array().unwrap();
    let stretches: Vec<_> = coverage.iter().map(|it| (seconds(&it["start"]), seconds(&it["end"]))).collect();
    let (first, last) = (stretches[0].0, stretches[stretches.len() - 1].1);
    let shown: Vec<f64> = pictures(&daemon, &told["chunks"]).into_iter().filter(|time| *time < last - 0.01).collect();
    let pairs = shown.windows(2).map(|pair| (pair[0] + frame, pair[1]));
    let lacking: Vec<_> = pairs.filter(|(end, next)| next - end > 0.5).collect();
    let gaps = told["gaps"].as_array().unwrap().iter().map(|gap| (seconds(&gap["start"]), seconds(&gap["end"])));
    let gaps: Vec<_> = gaps.filter(|(start, end)| *start >= first && *end <= last).collect();

    let agree = |found: &[(f64, f64)], expected: &[(f64, f64)]| {
        let near = |a: f64, b: f64| (a - b).abs() < frame / 2.0;
        let pairs = found.iter().zip(expected);
        found.len() == expected.len() && pairs.into_iter().all(|(a, b)| near(a.0, b.0) && near(a.1, b.1))
    };
    assert!(agree(&gaps, &lacking), "told {gaps:?}, the files lack {lacking:?}");
    assert!(gaps.iter().any(|(start, end)| end - start > 2.0), "{gaps:?}");
    // Coverage is the rest, and RAM holds what is newer than the last commit.
    let between: Vec<_> = stretches.windows(2).map(|pair| (pair[0].1, pair[1].0)).collect();
    assert_eq!(between, gaps);
    assert!((shown[0] - first).abs() < frame / 2.0 && (shown[shown.len() - 1] + frame - last).abs() < frame / 2.0);
    let reasons: Vec<_> = told["gaps"].as_array().unwrap().iter().map(|gap| gap["reason"].as_str().unwrap()).collect();
    assert_eq!((reasons[0], reasons.contains(&"not_recorded")), ("not_kept", true));
}
