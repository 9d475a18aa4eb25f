//! The OpenAPI document against the daemon that serves it: every address, both ways.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

mod common;

use std::collections::BTreeSet;

use common::{
    Setup, TestDaemon, Turn, contract,
    http::{self, Response},
    until,
};
use serde_json::{Value, json};

/// An incident and the picture that proves it.
const INCIDENT: &str = "cam-1700000000125-freeze";
const EVIDENCE: &str = "1700000000125-freeze-first";

const USER: &str = "walker";
const PASSWORD: &str = "walkers-password";

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "DELETE", "PATCH"];

/// The document and what its addresses mean on this daemon.
struct Walk {
    daemon: TestDaemon,
    document: Value,
    /// A chunk of the ring, as the manifest tells.
    chunk: Value,
    asset: String,
    /// A clip encoded anew, done.
    job: String,
    /// A preview still of the chunk's hour.
    still: String,
    /// The number of a pin.
    pin: i64,
    /// A user, and a token of another.
    user: String,
    token: String,
}

/// A method of a path.
struct Operation<'a> {
    path: &'a str,
    method: String,
    says: &'a Value,
    parameters: Vec<&'a Value>,
}

#[test]
fn the_daemon_does_what_its_description_says() {
    let _turn = Turn::wait();
    let camera = "quality = \"low\"\nfps = 10\nsource = { kind = \"test\", tone = 440 }";
    let daemon = TestDaemon::start(Setup::new().set("archive.chunk_seconds", 10).camera("cam", camera));
    until("a chunk is finished", 60, || !daemon.ring("cam").is_empty());
    until("it shows pictures", 10, || daemon.get("/api/host/screenshot/cam").status == 200);
    until("it watches them", 10, || daemon.get("/host/stream/cam/captures/latest.json").status == 200);
    let document = daemon.json("/api/openapi.json");
    let mut chunk = Value::Null;
    until("the manifest has it", 10, || {
        chunk = daemon.json("/host/stream/cam/segments/archive_manifest.json")["manifests"][0].clone();
        chunk.is_object()
    });
    let page = daemon.get("/").text();
    let asset = page.split("/assets/").nth(1).and_then(|rest| rest.split('"').next());
    let span = format!("start={}&duration=1&preset=low", chunk["start"].as_str().unwrap());
    let mut job = String::new();
    until("a clip is encoded anew", 30, || {
        let reply = daemon.get(&format!("/api/host/clip/cam.mp4?{span}"));
        job = reply.json()["job_url"].as_str().unwrap_or_default().rsplit('/').next().unwrap().to_owned();
        reply.status == 200
    });
    let mut still = String::new();
    until("the hour has a still", 30, || {
        let hour = chunk["name"].as_str().unwrap().split('/').next().unwrap();
        let stills = daemon.json(&format!("/api/host/thumbnails/cam/{hour}"));
        let first = stills["thumbnails"][0].as_str().unwrap_or_default();
        still = first.rsplit('/').next().unwrap().trim_end_matches(".jpg").to_owned();
        !still.is_empty()
    });
    let pin = json!({"device": "cam", "start": chunk["start"], "end": chunk["end"], "why": "a look"});
    let pin = http::send(daemon.address(), "POST", "/api/host/pins", &pin).unwrap();
    assert_eq!(pin.status, 201, "{}", pin.text());
    let pin = pin.json()["id"].as_i64().unwrap();
    let add = |path: &str, body: Value| {
        let reply = http::send(daemon.address(), "POST", path, &body).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    };
    for name in [USER, "robot"] {
        add("/api/users", json!({"name": name, "role": "viewer", "password": PASSWORD}));
    }
    let token = add("/api/tokens", json!({"name": "t", "user": "robot", "scope": "read", "expires": soon()}));
    let (user, token) = (USER.to_owned(), token["id"].as_str().unwrap().to_owned());
    let asset = asset.unwrap_or("none.js").to_owned();
    let walk = Walk { asset, daemon, document, chunk, job, still, pin, user, token };

    let door = json!({"id": "door", "area": "Ground", "enabled": false, "source": {"kind": "test"}});
    until("cameras are taken", 10, || http::post(walk.daemon.address(), "/api/cameras", &door).unwrap().status == 201);
    assert_eq!(http::post(walk.daemon.address(), "/api/areas", &json!({"name": "Roof"})).unwrap().status, 201);
    walk.daemon.incident("cam", INCIDENT);
    until("the incident is listed", 10, || !walk.daemon.json("/api/host/incidents")["incidents"][0].is_null());
    let operations = walk.operations();
    assert!(operations.len() > 40, "GET and HEAD of every route: {}", operations.len());
    // What takes things away goes last: the others ask for them.
    let (removing, reading): (Vec<_>, Vec<_>) = operations.iter().partition(|it| it.method == "DELETE");
    for operation in reading.into_iter().chain(removing) {
        walk.answers_as_described(operation);
        walk.takes_every_word(operation);
        walk.refuses_bad_forms(operation);
        walk.knows_no_other_device(operation);
    }
    walk.has_nothing_else();
}

impl Walk {
    fn operations(&self) -> Vec<Operation<'_>> {
        let mut all = Vec::new();
        for (path, item) in self.document["paths"].as_object().unwrap() {
            for (method, says) in item.as_object().unwrap().iter().filter(|(name, _)| *name != "parameters") {
                let parameters = [item, says].into_iter().filter_map(|it| it["parameters"].as_array()).flatten();
                // Those of bytes are asked by name.
                let parameters = parameters.filter(|it| it["name"].is_string()).collect();
                all.push(Operation { path, method: method.to_uppercase(), says, parameters });
            }
        }
        all
    }

    /// The path with a value for each part, of things that are there.
    fn address(&self, path: &str) -> String {
        let told = |name: &str| self.chunk[name].as_str().unwrap();
        let (hour, ring) = told("name").split_once("/chunk_10min_").unwrap();
        // Half a second before its end: however short the chunk is, that piece of the hour has sound of it.
        let sound = self.chunk["end_time_seconds"].as_f64().unwrap() - 0.5 - 3600.0 * hour.parse::<f64>().unwrap();
        let key = match path.contains("segment_{key}") {
            false => told("url").rsplit('/').next().unwrap().trim_end_matches(".mp4").to_owned(),
            true => {
                let list = self.daemon.get("/host/stream/cam/segments/output.m3u8").text();
                let newest = list.lines().rfind(|line| line.starts_with("segment_")).unwrap();
                newest.trim_start_matches("segment_").trim_end_matches(".ts").to_owned()
            }
        };
        // That in which the chunk began.
        let minute: String = told("start").chars().skip("2026-11-20T".len()).take(5).filter(|it| *it != ':').collect();
        path.replace("{device}", "cam")
            .replace("{hour}", hour)
            .replace("{again}", hour)
            .replace("{index}", ring.trim_end_matches(".mp4"))
            .replace("{key}", &key)
            .replace("{piece}", &format!("{:03}", (sound / 10.0).clamp(0.0, 359.0) as u32))
            .replace("{date}", "2023-11-14")
            .replace("/{name}.jpg", &format!("/{EVIDENCE}.jpg"))
            .replace("areas/{name}", "areas/Roof")
            .replace("cameras/{id}", "cameras/door")
            .replace("{name}", &self.asset)
            .replace("incidents/{id}", &format!("incidents/{INCIDENT}"))
            .replace("pins/{id}", &format!("pins/{}", self.pin))
            .replace("{id}", &self.job)
            .replace("{still}", &self.still)
            .replace("{user}", &self.user)
            .replace("{token}", &self.token)
            .replace("{minute}", &minute)
    }

    /// What must be said, and what makes an open end one that is there.
    fn query(&self, operation: &Operation<'_>) -> Vec<(String, String)> {
        let needed = operation.parameters.iter().filter(|it| it["in"] == "query" && it["required"] == true);
        let needed: Vec<_> = needed.map(|it| it["name"].as_str().unwrap()).collect();
        let value = |name: &&str| match *name {
            "start" => ("start".to_owned(), self.chunk["start"].as_str().unwrap().to_owned()),
            other => panic!("no value for {other}"),
        };
        needed.iter().map(value).collect()
    }

    /// What a request that changes something says, and what it must not say.
    fn bodies(&self, operation: &Operation<'_>) -> (Value, Vec<Value>) {
        let soon = soon();
        if operation.says["requestBody"].is_null() {
            return (json!({}), Vec::new());
        }
        let (good, mut bad) = match (operation.method.as_str(), operation.path) {
            ("POST", "/api/host/pins") => {
                let good = json!({"device": "cam", "start": self.chunk["start"], "end": soon, "why": "a look"});
                let bad = [("end", json!(1)), ("until", json!("soon")), ("why", json!("")), ("device", json!(5))];
                (good.clone(), bad.into_iter().map(|(name, value)| contract::with(&good, name, value)).collect())
            }
            ("PATCH", "/api/host/incidents") => {
                (json!({"ids": [INCIDENT, "none"], "acknowledged": true}), vec![json!({"acknowledged": true})])
            }
            ("PATCH", "/api/users/{user}") => (json!({"areas": ["Hall"]}), vec![json!({"role": "root"})]),
            ("POST", "/api/users") => {
                let name = format!("u{}", capstan::clock::Clock::system().wall().0);
                (json!({"name": name, "role": "viewer"}), vec![json!({"name": "a b", "role": "viewer"})])
            }
            ("POST", "/api/tokens") => {
                let good = json!({"name": "t", "user": "robot", "scope": "read", "expires": soon});
                (good, vec![json!({"name": "t", "user": "robot", "scope": "all", "expires": soon})])
            }
            ("POST", "/api/auth/login") => {
                (json!({"username": USER, "password": PASSWORD}), vec![json!({"username": USER, "password": 5})])
            }
            ("POST", "/api/auth/password") => {
                (json!({"password": PASSWORD, "new_password": "another-one"}), vec![json!({"password": PASSWORD})])
            }
            ("POST", "/api/host/share") => {
                let (start, end) = (&self.chunk["start"], &self.chunk["end"]);
                let good = json!({"device": "cam", "start": start, "end": end, "expires": soon});
                (good, vec![json!({"device": "cam", "start": end, "end": start, "expires": soon})])
            }
            ("PATCH", _) => (json!({"acknowledged": true, "comment": "=x"}), vec![json!({"comment": 5})]),
            ("POST", "/api/cameras") => {
                let bad = json!({"id": "gate", "source": {"kind": "test"}, "fps": 0});
                (json!({"id": "gate", "enabled": false, "source": {"kind": "test"}}), vec![bad])
            }
            ("POST", "/api/cameras/probe") => {
                (json!({"source": {"kind": "test"}}), vec![json!({"source": {"kind": "rtsp", "url": "ftp://x"}})])
            }
            ("PUT", "/api/cameras/{id}") => {
                let changed = json!({"name": "Back door", "enabled": false, "source": {"kind": "test"}});
                (changed, vec![json!({"source": {"kind": "test"}, "fps": "x"})])
            }
            ("POST", "/api/areas") => (json!({"name": "Attic"}), vec![json!({"name": ""})]),
            ("PUT", "/api/areas/{name}") => (json!({"name": "Roof"}), vec![json!({"name": 5})]),
            ("PUT", "/api/settings") => contract::settings_bodies(),
            ("POST", "/api/settings/notify/test") => (json!({"id": "nobody"}), vec![json!({"id": 5})]),
            ("PUT", _) => (json!({"until": soon, "why": "a new lens"}), vec![json!({"until": "soon"})]),
            ("POST", "/api/viewer/start") => (json!({"device": "cam"}), vec![json!({"device": 5})]),
            ("POST", "/api/viewer/heartbeat" | "/api/viewer/stop") => {
                (json!({"session": self.session()}), vec![json!({"session": 5})])
            }
            ("POST", "/api/cache/invalidate") => (json!({"pattern": "*"}), vec![json!({"pattern": ""})]),
            ("POST", "/api/transcode/run") => (json!({"all": true}), vec![json!({"file": "../x"}), json!({"all": 1})]),
            ("POST", "/api/transcode/rollback") => {
                (json!({"file": "cam/segments/0/chunk_10min_0-9.mp4"}), vec![json!({"all": true})])
            }
            _ => {
                let bad = ["x".into(), Value::from(61)].map(|seconds| json!({"duration_seconds": seconds}));
                (json!({"duration_seconds": 2}), bad.into())
            }
        };
        bad.extend([json!({}), json!([]), json!({"nonsense": 1})]);
        (good, bad)
    }

    /// One that has just begun.
    fn session(&self) -> Value {
        let asked = json!({"device": "cam"});
        http::send(self.daemon.address(), "POST", "/api/viewer/start", &asked).unwrap().json()["session"].clone()
    }

    fn ask(&self, operation: &Operation<'_>, address: &str, headers: &[(&str, &str)]) -> Response {
        let once = || {
            let reply = match operation.method.as_str() {
                // Its body goes on as long as somebody listens.
                "GET" if operation.path == "/api/events" => self.ear(address, headers),
                method @ ("GET" | "HEAD") => http::request(self.daemon.address(), method, address, headers),
                method => {
                    let any = [("If-Match", "*")];
                    http::send_with(self.daemon.address(), method, address, &any, &self.bodies(operation).0)
                }
            };
            let reply = reply.unwrap();
            self.is_described(operation, &reply, address);
            reply
        };
        let mut reply = once();
        // A host that is busy with tests has no live picture for moments.
        if operation.path.contains("/screenshot/") || operation.path.contains("/captures/latest") {
            let fresh = || {
                reply = once();
                reply.status != 503
            };
            until("the picture is fresh", 20, fresh);
        }
        reply
    }

    fn ear(&self, address: &str, headers: &[(&str, &str)]) -> Result<Response, String> {
        let mut stream = http::Stream::open(self.daemon.address(), address, headers)?;
        if stream.head.status == 200 {
            stream.until("retry: 2000")?;
            return Ok(stream.head);
        }
        http::request(self.daemon.address(), "GET", address, headers)
    }

    /// The status is one of those told, with the type and the shape that belong to it.
    fn is_described(&self, operation: &Operation<'_>, reply: &Response, address: &str) {
        let shown = format!("{} {address}: {}", operation.method, reply.status);
        let told = &operation.says["responses"][reply.status.to_string()];
        assert!(told.is_object(), "{shown} is not described\n{}", reply.text());
        let Some(content) = told["content"].as_object() else {
            assert!(reply.body.is_empty(), "{shown} has a body");
            return;
        };
        let kind = reply.header("content-type").unwrap_or_default();
        let media = content.get(kind).or(content.get("*/*"));
        let media = media.unwrap_or_else(|| panic!("{shown} is {kind}, told are {:?}", content.keys()));
        let mut schema = &media["schema"];
        if let Some(place) = schema["$ref"].as_str() {
            schema = self.document.pointer(place.trim_start_matches('#')).expect("a reference that leads somewhere");
        }
        if !schema.is_null() {
            assert_eq!(contract::faults(schema, &reply.json()), Vec::<String>::new(), "{shown}");
        }
    }

    fn answers_as_described(&self, operation: &Operation<'_>) {
        let mut address = with(&self.address(operation.path), &self.query(operation));
        let mut reply = self.ask(operation, &address, &[]);
        if reply.status == 307 {
            // The last ends are told: it is a clip, and so are these.
            address = reply.header("location").expect("where to").to_owned();
            reply = self.ask(operation, &address, &[]);
        }
        let is_unbuilt = address == "/assets/none.js";
        let expected: &[u16] = match operation.path {
            _ if is_unbuilt => &[404],
            // Its checks judge the machine this runs on.
            "/api/host/health" => &[200, 503],
            // Nobody is signed in here: what it does is in src/web/tests/access.
            "/api/auth/password" => &[403],
            // No original of anything is kept here, and nobody is told of it.
            "/api/transcode/rollback" | "/api/settings/notify/test" => &[404],
            // What is taken away: the end of maintenance is a state of the device.
            path if operation.method == "DELETE" && !path.contains("maintenance") => &[204],
            "/api/host/pins" | "/api/cameras" | "/api/areas" if operation.method == "POST" => &[201],
            _ => &[200],
        };
        assert!(expected.contains(&reply.status), "{} {address}: {} {}", operation.method, reply.status, reply.text());
        if operation.says["responses"].get("206").is_none() || operation.method == "HEAD" {
            return;
        }
        let status = |headers: &[(&str, &str)]| self.ask(operation, &address, headers).status;
        assert_eq!(status(&[("Range", "bytes=0-0")]), 206, "{address}");
        assert_eq!(status(&[("Range", "bytes=99999999999-")]), 416, "{address}");
        assert_eq!(status(&[("If-Match", "\"another\"")]), 412, "{address}");
        // Lists and pictures change while we ask; what is finished does not.
        // An encoded clip has none: made again it may have other bytes.
        if let (Some("video/mp4"), Some(etag)) = (reply.header("content-type"), reply.header("etag")) {
            assert_eq!(status(&[("If-None-Match", etag)]), 304, "{address}");
        }
    }

    /// Every choice that a parameter is said to have.
    fn takes_every_word(&self, operation: &Operation<'_>) {
        for it in &operation.parameters {
            for word in it["schema"]["enum"].as_array().into_iter().flatten() {
                let mut query = self.query(operation);
                query.push((it["name"].as_str().unwrap().to_owned(), word.as_str().unwrap().to_owned()));
                let address = with(&self.address(operation.path), &query);
                let mut reply = self.ask(operation, &address, &[]);
                if reply.status == 307 {
                    reply = self.ask(operation, reply.header("location").expect("where to"), &[]);
                }
                // Jobs take their time, and their queue is short.
                let later = it["name"] == "preset" && [202, 503].contains(&reply.status);
                assert!(
                    later || reply.status == 200,
                    "{} {address}: {} {}",
                    operation.method,
                    reply.status,
                    reply.text()
                );
            }
        }
        if operation.path == "/api/host/clip/{device}.mp4" {
            let query = [("start", "1"), ("end", self.chunk["end"].as_str().unwrap())];
            let query = query.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let long = self.ask(operation, &with(&self.address(operation.path), &query), &[]);
            assert_eq!(long.status, 413, "{}", long.text());
        }
    }

    fn refuses_bad_forms(&self, operation: &Operation<'_>) {
        for it in &operation.parameters {
            let name = it["name"].as_str().unwrap();
            let path = operation.path;
            if it["in"] == "query" {
                for bad in ["nonsense", "", "-1", "%FF", "1e400", "%00"] {
                    // Any word may have been the id of a camera.
                    if name == "device" && ["nonsense", "1e400"].contains(&bad) {
                        continue;
                    }
                    let mut query = self.query(operation);
                    query.retain(|(other, _)| other != name);
                    query.push((name.to_owned(), bad.to_owned()));
                    self.is_refused(operation, &with(&self.address(path), &query), &[400], Some(name));
                }
            } else if name == "hour" {
                for bad in ["24", "-1", "07", "x", "%FF"] {
                    let address = self.address(&path.replacen("{hour}", bad, 1));
                    self.is_refused(operation, &with(&address, &self.query(operation)), &[400], Some("hour"));
                }
            } else if name == "minute" {
                for bad in ["2460", "2360", "99", "-100", "x", "%FF"] {
                    let address = self.address(&path.replacen("{minute}", bad, 1));
                    self.is_refused(operation, &address, &[400], Some("minute"));
                }
            } else {
                for bad in ["no%00such", "..%2f..", "%FF", "-"] {
                    let address = self.address(&path.replacen(&format!("{{{name}}}"), bad, 1));
                    self.is_refused(operation, &with(&address, &self.query(operation)), &[404], None);
                }
            }
        }
        if !["GET", "HEAD"].contains(&operation.method.as_str()) {
            for bad in self.bodies(operation).1 {
                let address = self.address(operation.path);
                let any = [("If-Match", "*")];
                let reply = http::send_with(self.daemon.address(), &operation.method, &address, &any, &bad).unwrap();
                assert_eq!(reply.status, 400, "{address} {bad}");
                self.is_described(operation, &reply, operation.path);
            }
        }
    }

    fn is_refused(&self, operation: &Operation<'_>, address: &str, expected: &[u16], at: Option<&str>) {
        let reply = self.ask(operation, address, &[]);
        assert!(expected.contains(&reply.status), "{} {address}: {}", operation.method, reply.status);
        if operation.method != "HEAD" {
            let path = reply.json()["error"]["path"].clone();
            assert_eq!(path.as_str(), at, "{address}: {}", reply.text());
        }
    }

    fn knows_no_other_device(&self, operation: &Operation<'_>) {
        if operation.path.contains("{device}") {
            let address = self.address(&operation.path.replace("{device}", "other"));
            self.is_refused(operation, &with(&address, &self.query(operation)), &[404], None);
        }
    }

    /// No other method, and no address above or below those described.
    fn has_nothing_else(&self) {
        let error = &self.document["components"]["schemas"]["Error"];
        let paths = self.document["paths"].as_object().unwrap();
        let refused = |method: &str, address: &str, expected: u16| {
            let reply = http::request(self.daemon.address(), method, address, &[]).unwrap();
            assert_eq!(reply.status, expected, "{method} {address}: {}", reply.text());
            assert_eq!(contract::faults(error, &reply.json()), Vec::<String>::new(), "{method} {address}");
            reply
        };
        let known: BTreeSet<_> = paths.keys().map(|path| self.address(path)).collect();
        for (path, item) in paths {
            let address = self.address(path);
            for method in METHODS.iter().filter(|method| item.get(method.to_lowercase()).is_none()) {
                let reply = refused(method, &address, 405);
                let allowed: BTreeSet<_> = reply.header("allow").expect("what is allowed").split(", ").collect();
                let names = item.as_object().unwrap().keys().filter(|name| *name != "parameters");
                let told: Vec<_> = names.map(|name| name.to_uppercase()).collect();
                assert_eq!(allowed, told.iter().map(String::as_str).collect(), "{address}");
            }
            let (above, _) = address.rsplit_once('/').unwrap();
            let (slash, longer, below) = (format!("{above}/"), format!("{address}x"), format!("{address}/x"));
            // What ends with a name takes any name; that no other is known was asked before.
            let longer = (!path.ends_with('}')).then_some(&longer);
            for other in [above, &slash, &below].into_iter().chain(longer.map(String::as_str)) {
                if !other.is_empty() && !known.contains(other) {
                    refused("GET", other, 404);
                }
            }
        }
    }
}

#[test]
fn replies_are_held_against_schemas_in_both_directions() {
    let schema = json!({"type": "object", "required": ["n"], "properties": {
        "n": {"type": "integer", "minimum": 0},
        "at": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
        "all": {"type": "array", "items": {"type": "string", "enum": ["a"]}},
        "map": {"type": "object", "additionalProperties": {"type": "boolean"}},
        "open": {"type": "object", "additionalProperties": true},
    }});
    let check = |value: Value, faults: usize| assert_eq!(contract::faults(&schema, &value).len(), faults, "{value}");
    check(json!({"n": 1, "at": null, "all": ["a"], "map": {"x": true}, "open": {"x": 1}}), 0);
    check(json!({"n": 0, "at": "2026-11-20T03:50:00.125Z"}), 0);
    check(json!({"n": -1}), 1);
    check(json!({"n": 0.5}), 1);
    check(json!({}), 1);
    check(json!({"n": 1, "more": 1}), 1);
    check(json!({"n": 1, "at": "today"}), 1);
    check(json!({"n": 1, "at": 5}), 1);
    check(json!({"n": 1, "all": ["a", "b"], "map": {"x": 1}, "open": []}), 3);
    check(json!([]), 2);
}

fn soon() -> String {
    let seconds = capstan::clock::Clock::system().wall().as_seconds() + 600;
    jiff::Timestamp::from_second(seconds).unwrap().to_string()
}

fn with(address: &str, query: &[(String, String)]) -> String {
    let query: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if query.is_empty() { address.to_owned() } else { format!("{address}?{}", query.join("&")) }
}
