//! `/api/events` as a browser meets it: what is heard, resumed, filtered, refused, and how it ends.

use std::io::{BufRead, BufReader};

use serde_json::json;

use super::*;
use crate::events::Topic;

/// A listener whose first block, the wait before coming back, was read.
struct Ear(BufReader<TcpStream>);

impl Ear {
    fn new(host: &Host, query: &str, headers: &[&str]) -> Self {
        let mut stream = TcpStream::connect(host.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        write!(stream, "GET /api/events{query} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").unwrap();
        let mut ear = Self(BufReader::new(stream));
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(ear.0.read_line(&mut head).unwrap(), 0, "{head}");
        }
        let head = head.to_lowercase();
        assert!(head.starts_with("http/1.1 200 ") && head.contains("content-type: text/event-stream\r\n"), "{head}");
        assert!(head.contains("cache-control: no-store") && head.contains("x-accel-buffering: no"), "{head}");
        assert!(!head.contains("content-encoding"), "{head}");
        assert_eq!(ear.block().as_deref(), Some("retry: 2000\n"));
        ear
    }

    /// Lines up to an empty one, without those of the transfer encoding; None at the end.
    fn block(&mut self) -> Option<String> {
        let mut out = String::new();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            let is_size = line.trim_end().bytes().all(|byte| byte.is_ascii_hexdigit()) && line.ends_with("\r\n");
            match line.as_str() {
                "0\r\n" => return None,
                "\n" => return Some(out),
                _ if is_size => {}
                _ => out += &line,
            }
        }
    }

    /// Topic and data of the next event.
    fn event(&mut self) -> (String, Value) {
        let block = self.block().expect("an event");
        let part = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        (part("event: ").to_owned(), serde_json::from_str(part("data: ")).expect("one line of JSON"))
    }
}

fn tell(host: &Host, topic: Topic, number: usize) {
    let device = (number != 7).then(|| host.device().id.clone());
    host.state.feed.events.publish(topic, "told", device.as_ref(), json!({"number": number}));
}

#[test]
fn events_are_heard_resumed_and_filtered() {
    let host = Host::start();
    let mut all = Ear::new(&host, "", &["Accept-Encoding: gzip, br"]);
    let mut jobs = Ear::new(&host, "?topics=job,lost&device=cam", &[]);
    for (number, topic) in [Topic::Device, Topic::Job, Topic::Commit, Topic::Lost].into_iter().enumerate() {
        tell(&host, topic, number);
    }
    tell(&host, Topic::Job, 7);
    tell(&host, Topic::Job, 5);
    let heard: Vec<_> = (0..6).map(|_| all.event()).collect();
    let topics: Vec<_> = heard.iter().map(|(topic, _)| topic.as_str()).collect();
    assert_eq!(topics, ["device", "job", "commit", "lost", "job", "job"]);
    assert_eq!((&heard[0].1["kind"], &heard[0].1["device"]), (&json!("told"), &json!("cam")));
    let numbers: Vec<_> = (0..3).map(|_| jobs.event().1["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [1, 3, 5], "not those of other topics, nor what is of no device");

    // Back after two events, by the header that a browser sends and by the query of a program.
    let last = heard[3].1["id"].as_u64().unwrap();
    drop(all);
    until_free(&host);
    let mut back = Ear::new(&host, &format!("?after={}", last - 2), &[&format!("Last-Event-ID: {last}")]);
    assert_eq!(back.event().1["number"], 7);
    assert_eq!(back.event().1["number"], 5);
    drop(back);
    until_free(&host);
    let mut back = Ear::new(&host, &format!("?after={last}&topics=job,incident&device=cam"), &["Last-Event-ID: x"]);
    assert_eq!(back.event().1["number"], 5);
    drop(back);
    until_free(&host);
    // An id of an earlier life of the daemon.
    let (topic, data) = Ear::new(&host, "?after=1", &[]).event();
    assert_eq!((topic.as_str(), data["missed"].as_u64() > Some(1_000_000)), ("missed", true));
    let told = host.get("/metrics");
    assert!(told.text().contains("capstan_events_total{topic=\"job\"} 3"), "{}", told.text());
}

/// One place of the two is free.
fn until_free(host: &Host) {
    let clock = Clock::system();
    let start = clock.mono();
    // A connection that was closed is noticed when something is sent.
    while host.state.metrics.event_listeners.get() > 1 {
        tell(host, Topic::Incident, 0);
        assert!(clock.mono().since(start) < Duration::from_secs(60), "nobody left");
        // The server has the processor first: it is the one to notice.
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn listeners_are_few_and_end_with_the_daemon() {
    let host = Host::start();
    let mut ears = [Ear::new(&host, "", &[]), Ear::new(&host, "?topics=job", &[])];
    let refused = host.get("/api/events");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(host.state.metrics.event_listeners.get(), 2);
    let head = host.ask("HEAD", "/api/events", &[]);
    assert_eq!((head.status, head.header("content-type"), head.body.len()), (200, Some("text/event-stream"), 0));
    for (query, path) in [
        ("topics=", "topics"),
        ("topics=jobs", "topics"),
        ("topics=%ff", "topics"),
        ("device=other", "device"),
        ("device=..%2fcam", "device"),
        ("after=-1", "after"),
        ("after=99999999999999999999", "after"),
    ] {
        let reply = host.get(&format!("/api/events?{query}"));
        assert_eq!((reply.status, reply.json()["error"]["path"].as_str()), (400, Some(path)), "{query}");
    }
    host.state.feed.end();
    for ear in &mut ears {
        assert_eq!(ear.block(), None);
    }
    let late = Host::get(&host, "/api/events");
    assert!(late.text().ends_with("0\r\n\r\n"), "one who comes now hears the end at once: {}", late.text());
}
