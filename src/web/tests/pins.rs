//! Pins over HTTP: made, listed, taken back, refused; and what the timeline tells of them.

use serde_json::json;

use super::{timeline::recorded, *};

impl Host {
    /// Once the database is open.
    fn pins(&self, query: &str) -> Value {
        self.list("");
        let reply = self.get(&format!("/api/host/pins{query}"));
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["pins"].clone()
    }

    fn pin(&self, body: &Value) -> Reply {
        self.list("");
        self.change("POST", "/api/host/pins", body)
    }
}

fn body(from_ago: i64, to_ago: i64) -> Value {
    json!({"device": "cam", "start": NOW.as_seconds() - from_ago, "end": NOW.as_seconds() - to_ago, "why": "theft"})
}

#[test]
fn a_range_is_pinned_listed_and_taken_back() {
    let host = recorded(&[(300, &[0, 1, 2], true), (100, &[0, 1], true)]);
    assert_eq!(host.pins(""), json!([]));
    let made = host.pin(&body(299, 298));
    assert_eq!((made.status, made.header("location")), (201, Some("/api/host/pins/1")));
    let pin = made.json();
    assert_eq!(
        pin,
        json!({
            "id": 1, "device": "cam", "start": "2023-11-14T22:08:21.000Z", "end": "2023-11-14T22:08:22.000Z",
            "until": null, "original": false, "why": "theft", "by": "local",
            "created": "2023-11-14T22:13:20.000Z", "active": true
        })
    );
    assert_eq!(host.pins(""), json!([pin]));
    assert_eq!(host.get("/api/host/pins/1").json(), pin);
    // Published before it was answered: whoever deletes reads it without waiting.
    let now = host.state.registry.pins().unwrap();
    assert!(now.hold(&"cam".parse().unwrap(), NOW + -300 * 90_000, NOW + -297 * 90_000, NOW));
    assert_eq!(host.state.metrics.pins.get(), 1);
    let pinned = || {
        let told = host.get("/api/host/timeline/cam?from=1699999000").json();
        told["chunks"].as_array().unwrap().iter().map(|chunk| chunk["pinned"] == true).collect::<Vec<_>>()
    };
    assert_eq!(pinned(), [true, false]);

    let mut soon = body(150, 50);
    soon["until"] = json!(NOW.as_seconds() + 60);
    soon["original"] = json!(true);
    assert_eq!(host.pin(&soon).json()["until"], "2023-11-14T22:14:20.000Z");
    assert_eq!(pinned(), [true, true]);
    host.manual.advance(Duration::from_secs(60));
    assert_eq!(pinned(), [true, false], "it ended by itself");
    let told: Vec<_> = host.pins("?device=cam").as_array().unwrap().iter().map(|pin| pin["active"].clone()).collect();
    assert_eq!(told, [json!(true), json!(false)]);
    assert_eq!(host.pins("?device=other"), json!([]));

    assert_eq!(host.ask("DELETE", "/api/host/pins/1", &[]).status, 204);
    assert_eq!(pinned(), [false, false]);
    for path in ["1", "99", "x", "-1", "1e0", "", "99999999999999999999", "..%2f2"] {
        assert_eq!(host.ask("DELETE", &format!("/api/host/pins/{path}"), &[]).status, 404, "{path}");
    }
    // A number is not given again.
    assert_eq!(host.pin(&body(10, 5)).json()["id"], 3);
}

#[test]
fn who_is_not_there_and_who_comes_from_elsewhere_are_refused() {
    let host = recorded(&[]);
    let mut of_another = body(100, 90);
    of_another["device"] = json!("attic");
    assert_eq!(host.pin(&of_another).status, 404);
    // It is no camera any more, and has footage.
    let volume = &host.state.volume;
    volume.mkdir_all(&volume.layout().segments(&"attic".parse().unwrap())).unwrap();
    assert_eq!(host.pin(&of_another).status, 201);
    assert_eq!(host.pins("?device=attic")[0]["device"], "attic");
    assert_eq!(host.get("/api/host/pins?device=..%2fx").json()["error"]["path"], "device");
    let json = "Content-Type: application/json";
    let foreign = host.send("POST", "/api/host/pins", &[json, "Sec-Fetch-Site: cross-site"], &body(100, 90));
    assert_eq!((foreign.status, foreign.json()["error"]["kind"].as_str()), (403, Some("forbidden")));
    assert_eq!(host.ask("DELETE", "/api/host/pins/1", &["Origin: http://evil.example"]).status, 403);
    let reply = host.pin(&body(90, 100));
    assert_eq!((reply.status, reply.json()["error"]["path"].as_str()), (400, Some("end")));
    assert_eq!(host.pins("").as_array().map(Vec::len), Some(1));
    let allowed = host.ask("PUT", "/api/host/pins", &["Content-Length: 0"]);
    assert_eq!((allowed.status, allowed.header("allow")), (405, Some("get, head, post")));
}

/// Who must not delete what is pinned has to know that nobody knows.
#[test]
fn without_a_database_nothing_is_known_of_pins() {
    let host = Host::start_with(|settings, _| {
        fs::create_dir_all(&settings.storage.root).unwrap();
        let database = rusqlite::Connection::open(settings.storage.root.join("capstan.db")).unwrap();
        database.pragma_update(None, "user_version", 99).unwrap();
    });
    host.state.registry.wait_opened();
    assert!(host.state.registry.pins().is_none());
    for path in ["/api/host/pins", "/api/host/pins?device=cam", "/api/host/pins/1"] {
        assert_eq!(host.get(path).status, 503, "{path}");
    }
    assert_eq!(host.change("POST", "/api/host/pins", &body(100, 90)).status, 503);
    assert_eq!(host.ask("DELETE", "/api/host/pins/1", &[]).status, 503);
    // The rest of the timeline is told all the same.
    assert_eq!(host.get("/api/host/timeline/cam").status, 200);
}
