//! Incidents and maintenance over HTTP: pages, tables, edits, and whom they are refused.

use serde_json::json;

use super::*;
use crate::incident::{Book, Incident, IncidentKind, Severity};

impl Host {
    /// Began so many seconds ago.
    pub(super) fn incident(&self, device: &str, kind: IncidentKind, ago: i64, lasted: Option<i64>) -> Incident {
        let (device, start) = (device.parse().unwrap(), NOW + -ago * 90_000);
        let incident = Incident {
            id: Incident::id_of(&device, kind, start),
            host: "hall-7".into(),
            kind,
            start,
            end: lasted.map(|seconds| start + seconds * 90_000),
            last_bad: start,
            severity: Severity::of_seconds(lasted.unwrap_or(0)),
            evidence: vec![format!("{device}/evidence/2023-11-14/{}-{}-first.jpg", start.as_ms(), kind.name())],
            device,
            acknowledged: false,
            discarded: false,
            comment: String::new(),
        };
        self.state.registry.save(&incident);
        incident
    }

    /// Once the database is open.
    pub(super) fn list(&self, query: &str) -> Value {
        for _ in 0..2000 {
            let reply = self.get(&format!("/api/host/incidents{query}"));
            if reply.status != 503 {
                assert_eq!(reply.status, 200, "{query}: {}", reply.text());
                return reply.json();
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        panic!("the database is not opened");
    }

    pub(super) fn send(&self, method: &str, path: &str, headers: &[&str], body: &Value) -> Reply {
        let body = body.to_string();
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        )
        .unwrap();
        read_reply(stream)
    }

    pub(super) fn change(&self, method: &str, path: &str, body: &Value) -> Reply {
        self.send(method, path, &["Content-Type: application/json"], body)
    }
}

fn ids(list: &Value) -> Vec<&str> {
    list["incidents"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect()
}

#[test]
fn incidents_are_listed_newest_first_and_page_by_page() {
    let host = Host::start();
    assert_eq!(host.list(""), json!({"incidents": []}));
    let open = host.incident("cam", IncidentKind::Blackscreen, 12, None);
    let closed = host.incident("cam", IncidentKind::Freeze, 100, Some(70));
    let other = host.incident("gone", IncidentKind::Silence, 50, Some(1));
    assert_eq!(
        host.list("?open=1"),
        json!({"incidents": [{
            "id": "cam-1699999988000-blackscreen", "host": "hall-7", "device": "cam", "kind": "blackscreen",
            "start": "2023-11-14T22:13:08.000Z", "end": null, "duration_seconds": 12.0, "severity": "minor",
            "state": "open", "acknowledged": false, "discarded": false, "comment": "",
            "evidence": ["/host/stream/cam/evidence/2023-11-14/1699999988000-blackscreen-first.jpg"],
        }]})
    );
    let check = |query: &str, expected: &[&Incident]| {
        assert_eq!(ids(&host.list(query)), expected.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), "{query}");
    };
    check("", &[&open, &other, &closed]);
    check("?device=cam", &[&open, &closed]);
    check("?device=gone", &[&other]);
    check("?kind=freeze&open=false", &[&closed]);
    check("?from=1699999975", &[&open]);
    check("?from=2023-11-14T22:11:00Z&to=1699999988", &[&other, &closed]);
    check("?acknowledged=1", &[]);
    let first = host.list("?limit=2");
    assert_eq!(ids(&first), [open.id.as_str(), &other.id]);
    let second = host.list(&format!("?limit=2&after={}", first["next"].as_str().unwrap()));
    assert_eq!((ids(&second), second["next"].is_null()), (vec![closed.id.as_str()], true));

    let timeline = host.get("/api/host/timeline/cam?from=1699999000").json();
    assert_eq!((ids(&timeline), &timeline["incidents_complete"]), (vec![closed.id.as_str(), &open.id], &json!(true)));
}

#[test]
fn a_table_holds_all_pages_and_runs_nothing() {
    let host = Host::start();
    for number in 0..2500 {
        // Not faster than they are written down: the oldest of more than a thousand that wait are forgotten.
        host.incident("cam", IncidentKind::Freeze, 10 * number + 10, Some(3));
        if number % 500 == 0 {
            let registry = &host.state.registry;
            while registry.status().queue > 0 {
                registry.retry();
                std::thread::yield_now();
            }
        }
    }
    let newest = host.list("?limit=1")["incidents"][0]["id"].as_str().unwrap().to_owned();
    let said = json!({"comment": "=cmd|'/c calc'!A1, \"x\"", "acknowledged": true});
    assert_eq!(host.change("PATCH", &format!("/api/host/incidents/{newest}"), &said).status, 200);
    let table = host.get("/api/host/incidents.csv?device=cam");
    assert_eq!((table.status, table.header("content-type")), (200, Some("text/csv; charset=utf-8")));
    let text = table.text();
    assert_eq!(text.matches("cam-").count(), 2500, "each once");
    assert!(
        text.contains(",3,minor,closed,true,false,\"'=cmd|'/c calc'!A1, \"\"x\"\"\",/host/stream/cam/"),
        "{text:.500}"
    );
    assert_eq!(host.get("/api/host/incidents.csv?limit=5").text().matches("cam-").count(), 5);
    assert_eq!(host.ask("HEAD", "/api/host/incidents.csv", &[]).body.len(), 0);
}

#[test]
fn what_people_say_is_kept_and_told() {
    let host = Host::start();
    host.list("");
    let (one, two) =
        (host.incident("cam", IncidentKind::Freeze, 9, None), host.incident("cam", IncidentKind::Silence, 8, None));
    let path = format!("/api/host/incidents/{}", one.id);
    assert_eq!(host.get(&path).json(), host.list("?kind=freeze")["incidents"][0]);
    assert_eq!(host.get("/api/host/incidents/none").status, 404);
    let reply = host.change("PATCH", &path, &json!({"acknowledged": true, "comment": "a cable"}));
    assert_eq!(
        (reply.status, &reply.json()["comment"], &reply.json()["state"]),
        (200, &json!("a cable"), &json!("open"))
    );
    assert_eq!(ids(&host.list("?acknowledged=true")), [one.id.as_str()]);
    let many = json!({"ids": [two.id, one.id, one.id, "none"], "discarded": true});
    let reply = host.change("PATCH", "/api/host/incidents", &many).json();
    assert_eq!((reply["incidents"].as_array().unwrap().len(), &reply["missing"]), (2, &json!(["none"])));
    assert_eq!(host.list("?discarded=1")["incidents"].as_array().unwrap().len(), 2);

    let refused = |method: &str, path: &str, body: Value, status: u16, at: &str| {
        let reply = host.change(method, path, &body);
        let told = reply.json()["error"]["path"].as_str().unwrap_or_default().to_owned();
        assert_eq!((reply.status, told.as_str()), (status, at), "{method} {path} {body}");
    };
    refused("PATCH", &path, json!({}), 400, "");
    refused("PATCH", &path, json!({"comment": "x".repeat(2001)}), 400, "comment");
    refused("PATCH", &path, json!({"state": "closed"}), 400, "state");
    refused("PATCH", "/api/host/incidents/none", json!({"discarded": true}), 404, "");
    refused("PATCH", &format!("/api/host/incidents/{}", "x".repeat(500)), json!({"discarded": true}), 404, "");
    refused("PATCH", "/api/host/incidents/%27%20OR%201%3D1", json!({"discarded": true}), 404, "");
    refused("PATCH", "/api/host/incidents", json!({"discarded": true}), 400, "ids");
    refused("PATCH", "/api/host/incidents", json!({"ids": [], "discarded": true}), 400, "ids");
    refused("PATCH", "/api/host/incidents", json!({"ids": [5], "discarded": true}), 400, "ids");
    refused("PATCH", "/api/host/incidents", json!({"ids": vec!["x"; 501], "discarded": true}), 400, "ids");
    refused("PUT", &path, json!({"discarded": true}), 405, "");
    for bad in
        ["device=..%2fx", "kind=blue", "open=2", "from=x", "to=-1", "limit=0", "limit=1001", "limit=+5", "after=1"]
    {
        let reply = host.get(&format!("/api/host/incidents?{bad}"));
        let name = bad.split('=').next().unwrap();
        assert_eq!((reply.status, reply.json()["error"]["path"].as_str()), (400, Some(name)), "{bad}");
    }
    let reply = host.get("/api/host/incidents?from=1699999990&to=1699999980");
    assert_eq!((reply.status, reply.json()["error"]["path"].as_str()), (400, Some("to")));
}

#[test]
fn pages_of_other_sites_change_nothing() {
    let host = Host::start();
    host.list("");
    let one = host.incident("cam", IncidentKind::Freeze, 9, None);
    let path = format!("/api/host/incidents/{}", one.id);
    let body = json!({"discarded": true});
    let json_type = "Content-Type: application/json";
    let refused = |headers: &[&str], status: u16| {
        let reply = host.send("PATCH", &path, headers, &body);
        assert_eq!(reply.status, status, "{headers:?}");
    };
    refused(&[], 400);
    refused(&["Content-Type: text/plain"], 400);
    refused(&[json_type, "Origin: http://evil.example"], 403);
    refused(&[json_type, "Origin: null"], 403);
    refused(&[json_type, "Sec-Fetch-Site: cross-site"], 403);
    refused(&["Content-Type: text/plain", "Origin: http://evil.example"], 403);
    let reply = host.send("DELETE", "/api/host/maintenance/cam", &["Origin: http://evil.example"], &Value::Null);
    assert_eq!((reply.status, reply.json()["error"]["kind"].as_str()), (403, Some("forbidden")));
    assert_eq!(host.list("?discarded=1")["incidents"], json!([]));
    refused(&[json_type, "Origin: http://localhost"], 200);
    assert_eq!(host.ask("GET", "/api/host/incidents", &["Origin: http://evil.example"]).status, 200);
}

#[test]
fn maintenance_begins_is_shown_and_ends() {
    let host = Host::start();
    host.list("");
    let path = "/api/host/maintenance/cam";
    let none = json!({"device": "cam", "active": false, "from": null, "until": null, "why": null});
    assert_eq!(host.get(path).json(), none);
    let one = host.incident("cam", IncidentKind::Freeze, 9, None);
    let reply = host.change("PUT", path, &json!({"until": "2023-11-14T23:00:00Z", "why": "new lens"}));
    let active = json!({"device": "cam", "active": true, "from": "2023-11-14T22:13:20.000Z",
                        "until": "2023-11-14T23:00:00.000Z", "why": "new lens"});
    assert_eq!((reply.status, reply.json()), (200, active.clone()));
    assert_eq!(host.get(path).json(), active);
    let closed = &host.list("")["incidents"][0];
    assert_eq!(
        (&closed["id"], &closed["state"], &closed["comment"]),
        (&json!(one.id), &json!("closed"), &json!("maintenance"))
    );
    assert_eq!(host.change("PUT", path, &json!({"until": 5})).status, 400);
    assert_eq!(host.change("PUT", "/api/host/maintenance/other", &json!({"until": 5})).status, 404);
    host.manual.advance(Duration::from_secs(3600));
    assert_eq!(host.get(path).json(), none, "it ended by itself");
    assert_eq!(host.ask("DELETE", path, &[]).json(), none);
    let allowed = host.ask("POST", path, &[]);
    assert_eq!((allowed.status, allowed.header("allow")), (405, Some("get, head, put, delete")));
}

#[test]
fn evidence_is_served_by_its_exact_name_alone() {
    let host = Host::start();
    let folder = host.root().join("cam/evidence/2023-11-14");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("1699999991000-freeze-worst.jpg"), b"a picture").unwrap();
    fs::write(folder.join("secret.jpg"), b"not evidence").unwrap();
    let path = "/host/stream/cam/evidence/2023-11-14/1699999991000-freeze-worst.jpg";
    let reply = host.get(path);
    assert_eq!((reply.status, reply.text(), reply.header("content-type")), (200, "a picture", Some("image/jpeg")));
    assert_eq!(reply.header("cache-control"), Some("private, no-cache"), "another one may take its name");
    let unchanged = format!("If-None-Match: {}", reply.header("etag").unwrap());
    assert_eq!(host.ask("GET", path, &[&unchanged]).status, 304);
    fs::write(folder.join("new.tmp"), b"another p").unwrap();
    fs::rename(folder.join("new.tmp"), folder.join("1699999991000-freeze-worst.jpg")).unwrap();
    assert_eq!(host.ask("GET", path, &[&unchanged]).text(), "another p");
    fs::copy(folder.join("1699999991000-freeze-worst.jpg"), folder.join("1699999991000-freeze-first.jpg")).unwrap();
    assert!(host.get(&path.replace("worst", "first")).header("cache-control").unwrap().contains("immutable"));
    assert_eq!(host.ask("GET", path, &["Range: bytes=2-5"]).text(), "othe");
    for missing in [
        "2023-11-14/secret.jpg",
        "2023-11-14/1699999991000-freeze-last.jpg",
        "2023-11-15/1699999991000-freeze-worst.jpg",
        "2023-11-14/..%2f2023-11-14%2f1699999991000-freeze-worst.jpg",
        "..%2fevidence/1699999991000-freeze-worst.jpg",
    ] {
        assert_eq!(host.get(&format!("/host/stream/cam/evidence/{missing}")).status, 404, "{missing}");
    }
    assert_eq!(host.get(&path.replace("cam", "..%2fcam")).status, 404);
}
