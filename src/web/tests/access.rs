//! Every operation of the description, asked by everybody there is: who must sign in, who may not, who may.

use serde_json::json;

use super::*;
use crate::{
    access::{Caller, NewToken, NewUser},
    registry::users::{Rights, Role},
    web::{need::Of, openapi::DOCUMENT},
};

mod people;

const PASSWORD: &str = "a-good-password";
/// What nobody has to sign in for; anything more is a mistake until it stands here.
const OPEN: [&str; 11] = [
    "GET /",
    "HEAD /",
    "GET /assets/{name}",
    "HEAD /assets/{name}",
    "GET /healthz",
    "HEAD /healthz",
    "GET /readyz",
    "HEAD /readyz",
    "POST /api/auth/login",
    "GET /api/auth/me",
    "HEAD /api/auth/me",
];
/// What viewers may do besides reading.
const HARMLESS: [&str; 7] = [
    "POST /api/host/restart-video/{device}",
    "DELETE /api/host/clip-jobs/{id}",
    "POST /api/auth/logout",
    "POST /api/auth/password",
    "POST /api/viewer/start",
    "POST /api/viewer/heartbeat",
    "POST /api/viewer/stop",
];

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
}

/// A host with `cam` in the hall and `yard` in the yard.
pub(super) fn guarded(change: impl FnOnce(&mut Settings)) -> Host {
    let host = Host::start_with(|settings, _| {
        settings.auth.enabled = true;
        settings.camera[0].area = "Hall".into();
        change(settings);
    });
    until_known(&host);
    let (cam, volume) = (host.device(), host.state.volume.clone());
    let mut camera = Camera::clone(&cam.camera);
    (camera.id, camera.name, camera.area) = ("yard".parse().unwrap(), "Yardcam".into(), "Yard".into());
    let camera = Arc::new(camera);
    let (metrics, clock) = (host.state.metrics.device(&camera.id), host.state.clock.clone());
    let (layout, limits) =
        (HotLayout::new(&host.state.settings.storage.hot), HotLimits::of(&host.state.settings, &camera));
    let hot = Arc::new(HotDevice::new(camera.id.clone(), layout, limits, clock.clone(), metrics.clone()));
    hot.prepare().unwrap();
    let index = Arc::new(DeviceIndex::new(camera.id.clone()));
    let log = slog::Logger::root(slog::Discard, slog::o!());
    let yard = WebDevice {
        id: camera.id.clone(),
        siblings: Siblings::new(volume, index.clone(), 10, metrics.clone(), log),
        camera,
        hot,
        index,
        metrics,
        latest: Arc::default(),
        status: cam.status.clone(),
        recorder: Arc::new(Map::new),
        tail: tail::Tail::new(clock, Arc::new(|| Box::pin(std::future::ready(Ok(()))))),
    };
    host.state.devices.store(Arc::new(vec![cam, Arc::new(yard)]));
    host
}

fn until_known(host: &Host) {
    let began = Clock::system().mono();
    while host.state.access.known().is_err() {
        assert!(Clock::system().mono().since(began) < Duration::from_secs(20), "users are not known");
        std::thread::yield_now();
    }
}

impl Host {
    pub(super) fn user(&self, name: &str, role: Role, areas: &[&str]) {
        let rights = Rights { areas: areas.iter().map(|&area| area.to_owned()).collect(), cameras: Vec::new() };
        let new = NewUser { name: name.into(), password: Some(PASSWORD.into()), role, rights };
        wait(self.state.access.add_user(&Caller::local(), new)).unwrap();
    }

    /// `Authorization: Bearer …` of a token for that user.
    pub(super) fn bearer(&self, user: &str, scope: Role) -> String {
        let expires = self.state.clock.wall() + 3600 * 90_000;
        let new = NewToken { user: user.into(), name: "test".into(), scope, expires };
        let told = wait(self.state.access.add_token(&Caller::local(), new)).unwrap();
        format!("Authorization: Bearer {}", told["token"].as_str().unwrap())
    }

    pub(super) fn call(&self, method: &str, path: &str, headers: &[&str], body: &Value) -> Reply {
        let body = body.to_string();
        let length = format!("Content-Length: {}", body.len());
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let head = "Host: localhost\r\nConnection: close\r\nContent-Type: application/json";
        write!(stream, "{method} {path} HTTP/1.1\r\n{head}\r\n{length}\r\n{lines}\r\n{body}").unwrap();
        read_reply(stream)
    }

    /// `Cookie: …`, `X-CSRF-Token: …`
    fn sign_in(&self, name: &str) -> [String; 2] {
        let reply = self.call("POST", "/api/auth/login", &[], &json!({"username": name, "password": PASSWORD}));
        assert_eq!(reply.status, 200, "{}", reply.text());
        let cookie = reply.header("set-cookie").unwrap().to_owned();
        for part in ["; httponly", "; samesite=strict", "; path=/"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        assert!(!cookie.contains("; secure"), "{cookie}");
        let csrf = reply.json()["csrf_token"].as_str().unwrap().to_owned();
        [format!("Cookie: {}", cookie.split(';').next().unwrap()), format!("X-CSRF-Token: {csrf}")]
    }
}

/// Of the description: `(METHOD, path, role)`.
fn operations() -> Vec<(String, &'static str, Option<&'static str>)> {
    let mut all = Vec::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, says) in item.as_object().unwrap().iter().filter(|(name, _)| *name != "parameters") {
            let role = says["x-role"].as_str();
            assert_eq!(role.is_none(), says["security"] == json!([]), "{path}");
            all.push((method.to_uppercase(), path.as_str(), role));
        }
    }
    all
}

fn address(path: &str, device: &str) -> String {
    let parts = [("{device}", device), ("{hour}", "22"), ("{again}", "22"), ("{minute}", "2213"), ("{piece}", "000")];
    let more =
        [("{index}", "0"), ("{key}", "7_000000000"), ("{date}", "2023-11-14"), ("{still}", "1"), ("{name}", "x")];
    let rest = [("{id}", "none"), ("{user}", "none"), ("{token}", "abc")];
    parts.iter().chain(&more).chain(&rest).fold(path.to_owned(), |path, (name, value)| path.replace(name, value))
}

#[test]
fn only_what_is_named_here_is_open() {
    let open: Vec<_> = operations().into_iter().filter(|(.., role)| role.is_none()).collect();
    for (method, path, _) in &open {
        assert!(OPEN.contains(&format!("{method} {path}").as_str()), "{method} {path} is open to everybody");
    }
    for (method, path, role) in operations() {
        let name = format!("{method} {path}");
        if !["GET", "HEAD"].contains(&method.as_str()) && role == Some("viewer") {
            assert!(HARMLESS.contains(&name.as_str()), "{name} changes something and asks for a viewer only");
        }
    }
}

#[test]
fn each_operation_by_each_role() {
    let host = guarded(|settings| settings.auth.metrics = crate::config::MetricsFor::Token);
    for (name, role) in [("viewer", Role::Viewer), ("operator", Role::Operator), ("root", Role::Admin)] {
        host.user(name, role, &[]);
    }
    host.user("hall-viewer", Role::Viewer, &["Hall"]);
    host.user("hall-operator", Role::Operator, &["Hall"]);
    // Who, how high, and whether the yard is theirs.
    let callers = [
        (host.bearer("viewer", Role::Viewer), Role::Viewer, true),
        (host.bearer("hall-viewer", Role::Viewer), Role::Viewer, false),
        (host.bearer("hall-operator", Role::Operator), Role::Operator, false),
        (host.bearer("operator", Role::Operator), Role::Operator, true),
        (host.bearer("root", Role::Admin), Role::Admin, true),
        (host.bearer("root", Role::Viewer), Role::Viewer, true),
        (host.bearer("root", Role::Operator), Role::Operator, true),
    ];
    let mut asked = 0;
    for (method, path, role) in operations() {
        // It has no end; HEAD says the same.
        if (method.as_str(), path) == ("GET", "/api/events") {
            continue;
        }
        for device in ["cam", "yard", "unknown"] {
            let address = address(path, device);
            if device != "cam" && !path.contains("{device}") {
                continue;
            }
            let status = |headers: &[&str]| match method.as_str() {
                "GET" | "HEAD" => host.ask(&method, &address, headers).status,
                _ => host.call(&method, &address, headers, &json!({})).status,
            };
            let unknown = status(&["Authorization: Bearer cap_none"]);
            let nobody = status(&[]);
            match role {
                None => assert!(![401, 403].contains(&nobody), "{method} {address}: {nobody}"),
                Some(_) => assert_eq!((nobody, unknown), (401, 401), "{method} {address}"),
            }
            for (bearer, has, sees_all) in &callers {
                let needs = match role {
                    Some("operator") => Role::Operator,
                    Some("admin") => Role::Admin,
                    _ => Role::Viewer,
                };
                let sees = *sees_all || !(path.contains("{device}") && device != "cam" || role == Some("metrics"));
                let may = role.is_none() || (*has >= needs && sees);
                let found = status(&[bearer]);
                assert_eq!(found != 403, may, "{method} {address} by {has:?}, {sees_all}: {found}");
                assert!(found != 401, "{method} {address} by {has:?}: {found}");
                asked += 1;
            }
        }
    }
    println!("{asked} questions");
    assert!(asked > 700);
}

#[test]
fn lists_leave_out_what_is_not_for_the_caller() {
    let host = guarded(|_| {});
    host.user("hall-operator", Role::Operator, &["Hall"]);
    host.user("root", Role::Admin, &[]);
    let one = host.incident("yard", crate::incident::IncidentKind::Freeze, 9, None);
    let (hall, root) = (host.bearer("hall-operator", Role::Operator), host.bearer("root", Role::Admin));
    let pin = json!({"device": "yard", "start": 1_699_999_000, "end": 1_699_999_060, "why": "theft"});
    assert_eq!(host.call("POST", "/api/host/pins", &[&hall], &pin).status, 403);
    let pinned = host.call("POST", "/api/host/pins", &[&root], &pin);
    assert_eq!(pinned.status, 201, "{}", pinned.text());
    let began = Clock::system().mono();
    while !host.ask("GET", "/api/host/incidents", &[&root]).text().contains("yard") {
        assert!(Clock::system().mono().since(began) < Duration::from_secs(10), "the incident is listed");
    }
    let listed = ROUTES.iter().filter(|entry| entry.need.devices() == Of::Listed && entry.path != "/api/events");
    let mut seen = 0;
    for entry in listed {
        let address = address(entry.path, "cam");
        let (all, some) = (host.ask("GET", &address, &[&root]), host.ask("GET", &address, &[&hall]));
        assert_eq!((all.status == 403, some.status == 403), (false, false), "{address}");
        let text = String::from_utf8_lossy(&some.body).into_owned();
        assert!(!text.contains("yard") && !text.contains("Yard"), "{address}: {text}");
        seen += usize::from(String::from_utf8_lossy(&all.body).contains("yard"));
        assert_eq!(host.ask("GET", &format!("{address}?device=yard"), &[&hall]).status, 403, "{address}");
    }
    assert!(seen >= 6, "{seen} lists tell of the yard");
    let path = format!("/api/host/incidents/{}", one.id);
    let edit = json!({"acknowledged": true});
    assert_eq!(host.ask("GET", &path, &[&root]).status, 200);
    assert_eq!(host.ask("GET", &path, &[&hall]).status, 404);
    assert_eq!(host.call("PATCH", &path, &[&hall], &edit).status, 404);
    let many = host.call("PATCH", "/api/host/incidents", &[&hall], &json!({"ids": [one.id], "acknowledged": true}));
    assert_eq!(many.json()["missing"][0], one.id.as_str());
    assert_eq!(host.call("PATCH", &path, &[&root], &edit).json()["acknowledged"], true);
    let pin = format!("/api/host/pins/{}", pinned.json()["id"]);
    let statuses = |who: &str| ["GET", "DELETE"].map(|method| host.call(method, &pin, &[who], &json!({})).status);
    assert_eq!((statuses(&hall), statuses(&root)), ([404, 404], [200, 204]));
    // However the name is spelt.
    for spelt in ["%79ard", "y%61rd", "%2579ard", "yard%2f", "cam%2f..%2fyard", "cam/../yard", "cam;yard", "yard%00"] {
        let reply = host.ask("GET", &format!("/api/host/timeline/{spelt}"), &[&hall]);
        assert!([400, 403, 404].contains(&reply.status), "{spelt}: {}", reply.status);
        assert!(!reply.text().contains("coverage"), "{spelt}");
    }
}

#[test]
fn a_session_needs_its_token_to_change_anything_and_ends() {
    let host = guarded(|settings| settings.auth.session_hours = 24);
    host.user("lena", Role::Operator, &["Hall"]);
    let [cookie, csrf] = host.sign_in("lena");
    let me = host.ask("GET", "/api/auth/me", &[&cookie]).json();
    assert_eq!((&me["user"]["name"], &me["user"]["role"]), (&json!("lena"), &json!("operator")));
    assert_eq!(format!("X-CSRF-Token: {}", me["csrf_token"].as_str().unwrap()), csrf);
    let put = |headers: &[&str]| {
        let body = json!({"until": 1_700_003_600});
        host.call("PUT", "/api/host/maintenance/cam", headers, &body).status
    };
    assert_eq!(put(&[&cookie]), 403);
    assert_eq!(put(&[&cookie, "X-CSRF-Token: 0"]), 403);
    assert_eq!(put(&[&cookie, &csrf, "Origin: http://evil.example"]), 403);
    assert_eq!(put(&[&csrf]), 401);
    assert_eq!(put(&[&cookie, &csrf]), 200);
    let [other, _] = host.sign_in("lena");
    assert_eq!(put(&[&other, &csrf]), 403, "of another session");
    assert_eq!(host.ask("GET", "/api/host/state", &["Cookie: a=b; capstan_session=x", &cookie]).status, 200);

    let mut stream = TcpStream::connect(host.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET /api/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{cookie}\r\n\r\n").unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    assert_eq!(host.call("POST", "/api/auth/logout", &[&cookie, &csrf], &json!({})).status, 200);
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "the stream ends with the session: {rest}");
    assert_eq!(host.ask("GET", "/api/host/state", &[&cookie]).status, 401, "replayed");

    assert_eq!(host.ask("GET", "/api/host/state", &[&other]).status, 200);
    host.manual.advance(Duration::from_secs(25 * 3600));
    assert_eq!(host.ask("GET", "/api/host/state", &[&other]).status, 401, "expired");
}

#[test]
fn the_public_sees_what_is_live_and_nothing_past() {
    let host = guarded(|settings| {
        settings.auth.public_view = true;
        settings.auth.public_areas = vec!["Hall".into()];
    });
    let playlist = "/host/stream/cam/segments/output.m3u8";
    let check = |path: &str, status: u16| assert_eq!(host.get(path).status, status, "{path}");
    check(playlist, 200);
    check("/host/stream/cam/segments/segment_7_000000000.ts", 200);
    check("/host/stream/yard/segments/output.m3u8", 401);
    let newest = host.get("/api/host/screenshot/cam").status;
    assert!(newest != 401 && newest != 403, "{newest}");
    for past in [
        "/api/host/screenshot/cam?at=1699999300",
        "/api/host/clip/cam.mp4?start=1699999200&duration=1",
        "/api/host/playlist/cam.m3u8",
        "/host/stream/cam/segments/archive_manifest.json",
        "/host/stream/cam/chunks/1699999200000-0.mp4",
        "/host/stream/cam/captures/latest.json",
        "/api/host/state",
        "/api/events",
    ] {
        check(past, 401);
    }
    let me = host.get("/api/auth/me").json();
    assert_eq!((&me["user"], &me["live"][0]["playlist_url"]), (&Value::Null, &json!(playlist)));
    assert_eq!(me["live"].as_array().unwrap().len(), 1);
}

#[test]
fn a_link_opens_its_range_and_nothing_else() {
    let host = guarded(|_| {});
    host.user("lena", Role::Operator, &["Hall"]);
    let lena = host.bearer("lena", Role::Operator);
    let ask = |device: &str, expires: i64| {
        let body = json!({"device": device, "start": 1_699_999_210, "end": 1_699_999_220, "expires": expires});
        host.call("POST", "/api/host/share", &[&lena], &body)
    };
    assert_eq!(ask("yard", 1_700_000_600).status, 403);
    assert_eq!(ask("cam", 1_699_999_999).status, 400);
    let told = ask("cam", 1_700_000_600).json();
    let share = told["share"].as_str().unwrap();
    for address in ["clip_url", "playlist_url", "still_url"] {
        let reply = host.get(told[address].as_str().unwrap());
        assert!(![401, 403].contains(&reply.status), "{address}: {}", reply.text());
    }
    let check = |path: &str, expected: u16| {
        let mark = if path.contains('?') { '&' } else { '?' };
        let reply = host.get(&format!("{path}{mark}share={share}"));
        let found = if [401, 403].contains(&reply.status) { reply.status } else { 200 };
        assert_eq!(found, expected, "{path}");
    };
    check("/api/host/clip/cam.mp4?start=1699999210&end=1699999220", 200);
    check("/api/host/clip/cam.mp4?start=1699999212&duration=2&gap=skip&tracks=audio", 200);
    check("/api/host/clip/cam.mp4?start=1699999209&end=1699999220", 403);
    check("/api/host/clip/cam.mp4?start=1699999210&end=1699999221", 403);
    check("/api/host/clip/cam.mp4?start=1699999210", 403);
    check("/api/host/clip/cam.mp4?start=1699999210&start=1&end=1699999220", 403);
    check("/api/host/clip/cam.mp4?start=1699999210&end=1699999220&preset=low", 403);
    check("/api/host/clip/yard.mp4?start=1699999210&end=1699999220", 403);
    check("/api/host/playlist/cam.m3u8", 403);
    check("/api/host/screenshot/cam?at=1699999215", 200);
    check("/api/host/screenshot/cam?at=1699999225", 403);
    check("/api/host/screenshot/cam", 403);
    check("/host/stream/cam/thumbnails/22/1699999215000.jpg", 200);
    check("/host/stream/cam/thumbnails/22/1699999225000.jpg", 403);
    // Whole, or with an end that grows: it holds ten minutes.
    check("/host/stream/cam/segments/output.m3u8", 401);
    check("/api/host/state", 401);
    check("/api/host/timeline/cam", 401);
    let clip = told["clip_url"].as_str().unwrap();
    let other = if share.starts_with("00000000000000") {
        clip.replacen("share=0", "share=1", 1)
    } else {
        clip.replacen("share=", "share=1", 1)
    };
    assert_eq!(host.get(&other).status, 401, "tampered with");
    host.manual.advance(Duration::from_secs(601));
    assert_eq!(host.get(clip).status, 401, "expired");
    let told = ask("cam", 1_700_009_000).json();
    let root = host.bearer("admin", Role::Admin);
    assert_eq!(host.ask("DELETE", "/api/host/share", &[&root]).status, 204);
    assert_eq!(host.get(told["clip_url"].as_str().unwrap()).status, 401, "all links ended");
}

#[test]
fn what_a_request_says_of_its_way_is_believed_from_trusted_proxies_alone() {
    let host = guarded(|_| {});
    let check =
        |headers: &[&str], status: u16| assert_eq!(host.ask("GET", "/metrics", headers).status, status, "{headers:?}");
    check(&[], 200);
    check(&["X-Forwarded-For: 127.0.0.1"], 401);
    check(&["X-Forwarded-For: 10.0.0.1"], 401);
    check(&["Forwarded: for=10.0.0.1"], 401);
    assert!(host.ask("GET", "/", &["X-Forwarded-Proto: https"]).header("strict-transport-security").is_none());
    let behind = guarded(|settings| settings.server.trusted_proxies = vec!["127.0.0.1".parse().unwrap()]);
    let reply = behind.ask("GET", "/", &["X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https"]);
    assert!(reply.header("strict-transport-security").is_some());
    assert_eq!(
        (reply.header("x-frame-options"), reply.header("x-content-type-options")),
        (Some("deny"), Some("nosniff"))
    );
    // Twenty wrong ones from one address behind the proxy do not keep out the next.
    behind.user("lena", Role::Viewer, &[]);
    let login = |from: &str, name: &str, password: &str| {
        let body = json!({"username": name, "password": password});
        behind.call("POST", "/api/auth/login", &[&format!("X-Forwarded-For: {from}")], &body)
    };
    let statuses: Vec<_> =
        (0..25).map(|n| login("192.0.2.1", &format!("guess-{n}"), "wrong-password").status).collect();
    assert!(statuses.contains(&401) && statuses.last() == Some(&429), "{statuses:?}");
    let reply = login("192.0.2.2", "lena", PASSWORD);
    assert_eq!(reply.status, 200);
    assert_eq!(login("192.0.2.1", "guess", "wrong-password").header("retry-after"), Some("6"));
}

#[test]
fn names_that_others_give_out_are_refused_where_nobody_signs_in() {
    let host = Host::start_with(|settings, _| settings.server.cors_origins = vec!["https://wall.example".into()]);
    let ask = |lines: &str| {
        let mut stream = TcpStream::connect(host.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(stream, "GET /api/host/state HTTP/1.1\r\nConnection: close\r\n{lines}\r\n").unwrap();
        read_reply(stream)
    };
    assert_eq!(ask("Host: evil.example:8080\r\n").status, 403);
    assert_eq!(ask("Host: localhost:8080\r\n").status, 200);
    let reply = ask("Host: 127.0.0.1\r\nOrigin: https://wall.example\r\n");
    assert_eq!(reply.header("access-control-allow-origin"), Some("https://wall.example"));
    assert!(reply.header("access-control-allow-credentials").is_none());
    assert!(ask("Host: 127.0.0.1\r\nOrigin: https://evil.example\r\n").header("access-control-allow-origin").is_none());
    let preflight = ["Origin: https://wall.example", "Access-Control-Request-Method: GET"];
    assert_eq!(host.ask("OPTIONS", "/api/host/state", &preflight).status, 204);
    let preflight = ["Origin: https://evil.example", "Access-Control-Request-Method: GET"];
    assert_eq!(host.ask("OPTIONS", "/api/host/state", &preflight).status, 405);
}
