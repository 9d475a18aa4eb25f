//! Viewers as pages and players meet them, and what of them reaches the database.

use serde_json::json;

use super::*;

impl Host {
    pub(super) fn say(&self, path: &str, body: &Value) -> Reply {
        self.call("POST", path, &[], body)
    }

    fn session(&self) -> String {
        let reply = self.say("/api/viewer/start", &json!({"device": "cam"}));
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["session"].as_str().unwrap().to_owned()
    }

    fn viewers(&self) -> u64 {
        self.get("/api/viewer/active").json()["viewers"].as_u64().unwrap()
    }

    /// Until the server's own round has done what it must.
    pub(super) fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        for _ in 0..4000 {
            if holds() {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        panic!("{what}: not within 20 s");
    }
}

#[test]
fn a_viewer_is_counted_until_it_is_silent_or_leaves() {
    let host = Host::start();
    let session = host.session();
    assert_eq!(session.len(), 32);
    host.manual.advance(Duration::from_secs(14));
    assert_eq!(host.say("/api/viewer/heartbeat", &json!({"session": session})).status, 200);
    host.manual.advance(Duration::from_secs(14));
    assert_eq!(host.get(&format!("/host/stream/cam/segments/output.m3u8?session={session}")).status, 200);
    host.manual.advance(Duration::from_secs(14));
    let active = host.get("/api/viewer/active").json();
    assert_eq!((&active["viewers"], &active["devices"]), (&json!(1), &json!({"cam": 1})));
    assert_eq!(active["sessions"][0]["watched_seconds"], 28);
    assert!(!active.to_string().contains(&session), "who reads the list cannot end the session");
    assert_eq!(host.get("/api/viewer/stats").json()["viewers"], 1);
    let stopped = host.say("/api/viewer/stop", &json!({"session": session}));
    assert_eq!((stopped.status, &stopped.json()["ended"]), (200, &json!(true)));
    assert_eq!(host.viewers(), 0);
    assert_eq!(host.say("/api/viewer/heartbeat", &json!({"session": session})).status, 404);

    // A player that knows nothing of sessions; one that asks for the head alone watches nothing.
    host.ask("HEAD", "/host/stream/cam/segments/output.m3u8", &[]);
    assert_eq!(host.viewers(), 0);
    host.ask("GET", "/host/stream/cam/segments/output.m3u8", &["User-Agent: VLC"]);
    host.ask("GET", "/host/stream/cam/segments/output.m3u8", &["User-Agent: VLC"]);
    host.ask("GET", "/host/stream/cam/segments/output.m3u8", &["User-Agent: another"]);
    assert_eq!(host.viewers(), 2);
    host.manual.advance(Duration::from_secs(15));
    assert_eq!(host.viewers(), 0);
}

#[test]
fn bad_forms_are_named() {
    let host = Host::start();
    let check = |path: &str, body: Value, status: u16, at: &str| {
        let reply = host.say(path, &body);
        let told = reply.json()["error"]["path"].as_str().unwrap_or_default().to_owned();
        assert_eq!((reply.status, told.as_str()), (status, at), "{path} {body}");
    };
    for (path, field) in
        [("/api/viewer/start", "device"), ("/api/viewer/heartbeat", "session"), ("/api/viewer/stop", "session")]
    {
        check(path, json!({}), 400, field);
        check(path, json!([]), 400, "");
        check(path, json!({field: 5}), 400, field);
        check(path, json!({field: "x".repeat(65)}), 400, field);
        check(path, json!({field: "a\u{0}b"}), 400, field);
        check(path, json!({field: "a", "more": 1}), 400, "more");
        check(path, json!({field: "nobody"}), 404, "");
    }
    for bad in ["", "x", "%00", "A234567890123456789012345678901F"] {
        let reply = host.get(&format!("/host/stream/cam/segments/output.m3u8?session={bad}"));
        assert_eq!((reply.status, reply.json()["error"]["path"].as_str()), (400, Some("session")), "{bad}");
    }
    let unknown = "0".repeat(32);
    assert_eq!(host.get(&format!("/host/stream/cam/segments/output.m3u8?session={unknown}")).status, 200);
    for (query, at) in [
        ("device=a/b", "device"),
        ("from=soon", "from"),
        ("from=20&to=10", "to"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=+5", "limit"),
        ("before=-1", "before"),
        ("before=99999999999999999999", "before"),
    ] {
        let reply = host.get(&format!("/api/viewer/history?{query}"));
        assert_eq!((reply.status, reply.json()["error"]["path"].as_str()), (400, Some(at)), "{query}");
    }
}

#[test]
fn five_hundred_viewers_are_one_transaction_a_minute() {
    let host = Host::start();
    host.state.registry.wait_opened();
    let sessions: Vec<_> = (0..500).map(|_| host.session()).collect();
    let before = host.state.registry.status().transactions;
    for minute in 1..=3 {
        // Often enough that none is over.
        for _ in 0..5 {
            host.manual.advance(Duration::from_secs(12));
            assert!(sessions.iter().all(|session| host.state.viewers.beat(session, |_| true).is_some()));
        }
        let transactions = || host.state.registry.status().transactions - before;
        host.until("the minute is written down", || transactions() >= minute);
        assert_eq!(transactions(), minute);
    }
    let told = host.get("/api/viewer/history?limit=2").json();
    assert_eq!((&told["totals"][0]["sessions"], &told["totals"][0]["device"]), (&json!(500), &json!("cam")));
    let (page, next) = (told["sessions"].as_array().unwrap(), &told["next"]);
    assert_eq!((page.len(), next), (2, &page[1]["number"]));
    let more = host.get(&format!("/api/viewer/history?limit=1000&before={next}")).json();
    assert_eq!((more["sessions"].as_array().unwrap().len(), &more["next"]), (498, &Value::Null));
    assert_eq!(host.viewers(), 500);
    let metrics = host.get("/metrics");
    assert!(metrics.text().contains("capstan_viewers{device=\"cam\"} 500"), "{}", metrics.text());
}

#[test]
fn history_is_kept_over_the_end_and_for_90_days() {
    let host = Host::start();
    host.state.registry.wait_opened();
    host.session();
    // Over after 15 s, written down after 60.
    host.manual.advance(Duration::from_secs(60));
    let sessions = || host.get("/api/viewer/history").json()["sessions"].as_array().unwrap().len();
    host.until("it is written down", || sessions() == 1);
    let told = host.get("/api/viewer/history?device=cam&from=2023-11-14T22:00:00Z").json();
    assert_eq!((&told["sessions"][0]["ended"], &told["sessions"][0]["client"]), (&json!(true), &json!("127.0.0.1")));
    assert_eq!(host.get("/api/viewer/history?to=2023-11-14T22:00:00Z").json()["sessions"], json!([]));
    host.session();
    host.state.viewers.finish(&host.state.registry);
    host.until("it is written down at the end", || sessions() == 2);
}
