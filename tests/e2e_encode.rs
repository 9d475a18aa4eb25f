//! Clips encoded anew by the real FFmpeg, and what ends an encoding.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod common;

use capstan::storage::layout::HotLayout;
use common::{
    Setup, TestDaemon, Turn, clip,
    daemon::{children_of, is_alive},
    media, until,
};
use rustix::process::{Pid, getpriority_process};
use serde_json::Value;

/// The explicit address of the first seconds there are.
fn address(daemon: &TestDaemon, seconds: i64) -> String {
    let start = daemon.json("/api/host/timeline/clip")["chunks"][0]["start"].as_str().unwrap().to_owned();
    format!("/api/host/clip/clip.mp4?start={start}&duration={seconds}")
}

/// Asks for it and polls its job to the end.
#[track_caller]
fn encoded(daemon: &TestDaemon, address: &str) -> Value {
    let first = daemon.get(address);
    assert_eq!(first.status, 202, "{}", first.text());
    let job = first.json()["job_url"].as_str().unwrap().to_owned();
    assert_eq!(first.header("location"), Some(job.as_str()));
    let (mut last, mut shares) = (Value::Null, Vec::new());
    until("the clip is encoded", 60, || {
        let reply = daemon.get(&job);
        last = reply.json();
        shares.push(last["progress"].as_f64().unwrap_or(-1.0));
        reply.status != 202
    });
    assert!(shares.is_sorted() && shares.first().is_some_and(|share| *share >= 0.0), "{shares:?}: {last}");
    assert_eq!(last["success"], true, "{last}");
    last
}

fn encoder_of(daemon: &TestDaemon) -> Option<Pid> {
    let found = children_of(daemon.pid()).into_iter().find(|(_, line)| line.contains(".part"));
    found.map(|(pid, _)| pid)
}

#[test]
fn clips_are_encoded_anew_in_ram_and_with_the_daemon_it_ends() {
    let _turn = Turn::wait();
    let source = format!("quality = \"copy\"\nsource = {{ kind = \"file\", path = {:?} }}", clip());
    let mut daemon = TestDaemon::start(Setup::new().camera("clip", &source));
    until("there is something", 40, || daemon.committed_seconds("clip") > 12.0);

    let plain = address(&daemon, 4);
    let original = daemon.get(&plain);
    let original_file = daemon.setup.folder().join("original.mp4");
    std::fs::write(&original_file, &original.body).unwrap();
    let pictures = media::frame_hashes(&original_file).len();
    for (preset, expected) in [("low", pictures), ("fast", pictures), ("pi_optimized", 60)] {
        let done = encoded(&daemon, &format!("{plain}&preset={preset}"));
        let result = daemon.get(done["url"].as_str().unwrap());
        assert_eq!((result.status, result.header("content-type")), (200, Some("video/mp4")));
        assert_eq!(done["size"], result.body.len());
        let ratio = original.body.len() as f64 / result.body.len() as f64;
        assert!((done["compression_ratio"].as_f64().unwrap() - ratio).abs() < 0.01, "{done}: {ratio}");
        assert!(done["count"].as_u64().unwrap() >= 1);
        let name = result.header("content-disposition").unwrap();
        assert!(name.ends_with(&format!("_{preset}.mp4\"")), "{name}");
        let file = daemon.setup.folder().join(format!("{preset}.mp4"));
        std::fs::write(&file, &result.body).unwrap();
        media::assert_decodes(&file);
        media::assert_table_first(&file);
        assert_eq!(media::codecs(&file), ["h264", "aac"]);
        let found = media::frame_hashes(&file).len();
        assert!(found.abs_diff(expected) <= 1, "{preset}: {found} of {expected} pictures");
        assert!((media::duration_seconds(&file) - 4.0).abs() < 0.2, "{preset}");
        // Ranges of it, and the same wish again is the same result.
        let part = daemon.get_with(done["url"].as_str().unwrap(), &[("Range", "bytes=10-19")]);
        assert_eq!((part.status, &part.body[..]), (206, &result.body[10..20]));
        assert_eq!(daemon.get(&format!("{plain}&preset={preset}")).status, 200);
    }

    // It yields to everything else, and does not outlive the daemon.
    let long = format!("{}&preset=high", address(&daemon, 12));
    let mut found = None;
    until("an encoder is at work", 20, || {
        daemon.get(&long);
        found = encoder_of(&daemon);
        found.is_some()
    });
    let encoder = found.unwrap();
    assert_eq!(getpriority_process(Some(encoder)).unwrap(), 19);
    daemon.stop();
    until("it is gone", 5, || !is_alive(encoder));
    daemon.start_again();
    assert!(!HotLayout::new(daemon.setup.hot.hot()).encoded().exists(), "what was left of it as well");
}
