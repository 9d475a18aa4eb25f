//! `/api/events` of a running daemon: a device that goes and comes back, commits, a job, and the end.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod common;

use common::{Setup, TestDaemon, Turn, daemon::is_alive, http::Stream, until};
use rustix::process::{Signal, kill_process};
use serde_json::Value;

/// The data of all events of this kind that were told so far.
fn told(text: &str, kind: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let events = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    events.filter(|event| event["kind"] == kind).collect()
}

#[test]
fn what_happens_is_told_to_whoever_listens() {
    let _turn = Turn::wait();
    let camera = "quality = \"low\"\nfps = 10\nsource = { kind = \"test\" }";
    let mut daemon = TestDaemon::start(Setup::new().camera("cam", camera));
    let mut all = Stream::open(daemon.address(), "/api/events?after=0", &[]).unwrap();
    let mut jobs = Stream::open(daemon.address(), "/api/events?topics=job&device=cam", &[]).unwrap();
    assert_eq!(all.head.header("content-type"), Some("text/event-stream"));
    assert_eq!(daemon.metric("capstan_event_listeners", &[]), Some(2.0));

    all.until("\"device_up\"").unwrap();
    let text = all.until("\"committed\"").unwrap();
    let up = &told(&text, "device_up")[0];
    assert_eq!((&up["device"], &up["status"], &up["was"]), (&"cam".into(), &"online".into(), &"starting".into()));
    let committed = &told(&text, "committed")[0];
    assert!(committed["bytes"].as_u64() > Some(1000), "{committed}");
    let timeline = daemon.json("/api/host/timeline/cam");
    assert_eq!(committed["start"], timeline["coverage"][0]["start"], "what is told is on the disk: {timeline}");

    // A source that hangs is a device that goes down and comes back.
    let (ffmpeg, _) = daemon.children().into_iter().next().unwrap();
    kill_process(ffmpeg, Signal::STOP).unwrap();
    until("it is replaced", 15, || !is_alive(ffmpeg));
    let text = all.until("\"device_down\"").unwrap();
    assert!(!told(&text, "device_down")[0]["reason"].is_null(), "{text}");

    // A job, from its start to its end.
    let start = committed["start"].as_str().unwrap();
    let clip = format!("/api/host/clip/cam.mp4?start={start}&duration=1&preset=low");
    assert_eq!(common::http::request(daemon.address(), "HEAD", &clip, &[]).unwrap().status, 202);
    assert_eq!(daemon.get(&clip).status, 202);
    let text = jobs.until("\"job_done\"").unwrap();
    assert_eq!(told(&text, "job_started").len(), 1, "looking at the head started none: {text}");
    let done = &told(&text, "job_done")[0];
    let job = done["job_url"].as_str().unwrap();
    assert_eq!(daemon.json(job)["size"], done["size"]);
    assert!(told(&text, "committed").is_empty() && told(&text, "device_down").is_empty(), "{text}");
    let remove = || common::http::request(daemon.address(), "DELETE", job, &[]).unwrap().status;
    assert_eq!((remove(), remove(), daemon.get(job).status), (204, 404, 404));

    // Back after a while, from the last event that was heard.
    let id = done["id"].as_u64().unwrap();
    let since = |after: u64| Stream::open(daemon.address(), &format!("/api/events?topics=job&after={after}"), &[]);
    let again = since(id - 1).unwrap().until("\"job_done\"").unwrap();
    assert_eq!(told(&again, "job_done")[0]["id"], id);

    // Whoever listens does not keep the daemon from stopping.
    let (status, took) = daemon.stop();
    assert!(status.success(), "{status}");
    assert!(took.as_secs() < 8, "{took:?}");
    assert!(all.ends() && jobs.ends());
}
