//! Access on a running daemon: the first password, people and programs, the command line, TLS, a browser, a kill.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

mod common;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use common::{
    Setup, TestDaemon, Turn,
    browser::Browser,
    daemon::{finished, free_address},
    http::{Response, request, send_with},
    skip, until,
};
use rustix::process::Signal;
use serde_json::{Value, json};

const CAMERA: &str = "area = \"Hall\"\nquality = \"low\"\nfps = 10\nsource = { kind = \"test\", tone = 440 }";
const YARD: &str = "area = \"Yard\"\nenabled = false\nsource = { kind = \"test\" }";

fn guarded() -> Setup {
    Setup::new().set("auth.enabled", true).camera("cam", CAMERA).camera("yard", YARD)
}

/// What the log says of the first user.
fn first_password(log: &str) -> Option<String> {
    let rest = log.split("admin password: ").nth(1)?;
    Some(rest.chars().take_while(|it| it.is_ascii_alphanumeric() || *it == '_').collect())
}

/// `Cookie` and `X-CSRF-Token` of a session.
struct Session([(&'static str, String); 2]);

impl Session {
    fn headers(&self) -> [(&str, &str); 2] {
        [(self.0[0].0, &self.0[0].1), (self.0[1].0, &self.0[1].1)]
    }
}

fn try_login(daemon: &TestDaemon, username: &str, password: &str) -> Response {
    let body = json!({"username": username, "password": password});
    send_with(daemon.address(), "POST", "/api/auth/login", &[], &body).unwrap()
}

#[track_caller]
fn login(daemon: &TestDaemon, username: &str, password: &str) -> Session {
    let reply = try_login(daemon, username, password);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let cookie = reply.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let csrf = reply.json()["csrf_token"].as_str().unwrap().to_owned();
    Session([("Cookie", cookie), ("X-CSRF-Token", csrf)])
}

fn change(daemon: &TestDaemon, session: &Session, method: &str, path: &str, body: &Value) -> Response {
    send_with(daemon.address(), method, path, &session.headers(), body).unwrap()
}

#[test]
fn people_come_and_go_and_a_kill_takes_none_of_them() {
    let _turn = Turn::wait();
    let mut daemon = TestDaemon::start(guarded());
    let password = first_password(&daemon.log()).expect("the first start tells a password before it is ready");
    for (path, status) in
        [("/", 200), ("/healthz", 200), ("/metrics", 200), ("/api/host/state", 401), ("/api/docs", 401)]
    {
        assert_eq!(daemon.get(path).status, status, "{path}");
    }
    assert_eq!(try_login(&daemon, "admin", "not-the-password").status, 401);
    let admin = login(&daemon, "admin", &password);
    let state = daemon.get_with("/api/host/state", &admin.headers()).json();
    assert_eq!(state["devices"].as_array().unwrap().len(), 2);

    // What was answered is on the disk.
    let user = json!({"name": "lena", "role": "operator", "password": "lenas-password", "areas": ["Hall"]});
    assert_eq!(change(&daemon, &admin, "POST", "/api/users", &user).status, 200);
    daemon.kill();
    daemon.start_again();
    assert!(first_password(&daemon.log()).is_none(), "told once");
    let lena = login(&daemon, "lena", "lenas-password");
    let state = daemon.get_with("/api/host/state", &lena.headers()).text();
    assert!(state.contains("\"cam\"") && !state.contains("yard"), "{state}");
    assert_eq!(daemon.get_with("/api/host/timeline/yard", &lena.headers()).status, 403);
    assert_eq!(change(&daemon, &lena, "POST", "/api/users", &user).status, 403);
    assert_eq!(daemon.get_with("/api/host/state", &admin.headers()).status, 200, "sessions outlive a kill");

    the_command_line_is_trusted(&daemon);
    let token = said(&daemon.setup, &["user", "token", "lena", "--scope", "read"], "");
    let bearer = format!("Bearer {}", token.trim());
    assert_eq!(daemon.get_with("/api/host/state", &[("Authorization", &bearer)]).status, 200);
    let incidents = send_with(
        daemon.address(),
        "PATCH",
        "/api/host/incidents",
        &[("Authorization", &bearer)],
        &json!({"ids": ["x"], "acknowledged": true}),
    );
    assert_eq!(incidents.unwrap().status, 403, "it may read only");

    assert_eq!(change(&daemon, &lena, "POST", "/api/auth/logout", &json!({})).status, 200);
    assert_eq!(daemon.get_with("/api/host/state", &lena.headers()).status, 401);
    let log = daemon.log();
    for secret in ["lenas-password", "not-the-password", "made-by-hand-1", token.trim()] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    assert!(log.contains("signed in") && log.contains("signed out") && log.contains("token added"), "{log}");

    // Without a daemon, under the lock of the root.
    daemon.stop();
    assert!(said(&daemon.setup, &["user", "passwd", "lena"], "another-password\n").contains("another password"));
    let listed = said(&daemon.setup, &["user", "list"], "");
    assert!(listed.contains("lena") && listed.contains("areas Hall") && listed.contains("admin"), "{listed}");
    daemon.start_again();
    assert_eq!(try_login(&daemon, "lena", "lenas-password").status, 401);
    login(&daemon, "lena", "another-password");
}

/// By its uid alone: it adds users, and saves clips from a daemon that asks everybody else who they are.
#[track_caller]
fn the_command_line_is_trusted(daemon: &TestDaemon) {
    assert!(said(&daemon.setup, &["user", "add", "hand"], "made-by-hand-1\n").contains("hand may sign in"));
    login(daemon, "hand", "made-by-hand-1");
    let made = said(&daemon.setup, &["user", "add", "made"], "");
    let password = made.lines().find_map(|line| line.strip_prefix("password: ")).unwrap();
    login(daemon, "made", password);
    assert_eq!(run(&daemon.setup, &["user", "add", "made"], "").0, 1, "there is one already");
    until("something is recorded", 30, || daemon.committed_seconds("cam") > 4.0);
    let file = daemon.setup.folder().join("clip.mp4");
    let end = capstan::clock::Clock::system().wall().as_seconds();
    let (start, end) = ((end - 60).to_string(), end.to_string());
    said(&daemon.setup, &["clip", "cam", "--start", &start, "--end", &end, "-o", file.to_str().unwrap()], "");
    assert!(fs::metadata(file).unwrap().len() > 10_000);
}

#[track_caller]
fn said(setup: &Setup, arguments: &[&str], input: &str) -> String {
    let (code, said) = run(setup, arguments, input);
    assert_eq!(code, 0, "{arguments:?}: {said}");
    said
}

fn run(setup: &Setup, arguments: &[&str], input: &str) -> (i32, String) {
    let file = setup.folder().join("input");
    fs::write(&file, input).unwrap();
    let mut command = setup.command(arguments);
    command.stdin(Stdio::from(fs::File::open(file).unwrap()));
    finished(command)
}

#[test]
fn whoever_has_a_link_plays_its_range_of_real_footage_and_nothing_else() {
    let _turn = Turn::wait();
    let daemon = TestDaemon::start(guarded());
    let admin = login(&daemon, "admin", &first_password(&daemon.log()).unwrap());
    until("more than a chunk is recorded", 60, || daemon.committed_seconds("cam") > 14.0);
    let timeline = daemon.get_with("/api/host/timeline/cam", &admin.headers()).json();
    let start: jiff::Timestamp = timeline["coverage"][0]["start"].as_str().unwrap().parse().unwrap();
    let start = capstan::clock::Utc90k::from_ms(start.as_millisecond());
    // Over the end of the first chunk.
    let (start, end) = (start + 2 * 90_000, start + 12 * 90_000);
    let expires = (end + 3600 * 90_000).rfc3339();
    let asked = json!({"device": "cam", "start": start.rfc3339(), "end": end.rfc3339(), "expires": expires});
    let told = change(&daemon, &admin, "POST", "/api/host/share", &asked);
    assert!([200, 201].contains(&told.status), "{}", told.text());
    let told = told.json();
    let address = |name: &str| told[name].as_str().unwrap().to_owned();

    let file = daemon.setup.folder().join("shared.mp4");
    let clip = daemon.get(&address("clip_url"));
    assert_eq!(clip.status, 200, "{}", clip.text());
    fs::write(&file, &clip.body).unwrap();
    common::media::assert_decodes(&file);
    let seconds = common::media::duration_seconds(&file);
    assert!((9.5..=10.5).contains(&seconds), "{seconds}");

    // FFmpeg knows nothing of links but what the playlist says.
    let played = daemon.setup.folder().join("played.mp4");
    let mut command = std::process::Command::new("ffmpeg");
    let playlist = format!("http://{}{}", daemon.address(), address("playlist_url"));
    command.args(["-v", "error", "-xerror", "-i", &playlist, "-c", "copy"]).arg(&played);
    let (code, said) = finished(command);
    assert_eq!(code, 0, "{said}");
    common::media::assert_decodes(&played);
    let seconds = common::media::duration_seconds(&played);
    assert!((9.5..=13.0).contains(&seconds), "whole GOPs: {seconds}");
    let still = daemon.get(&address("still_url"));
    assert_eq!((still.status, &still.body[..2]), (200, &[0xFF, 0xD8][..]));

    let share = told["share"].as_str().unwrap();
    let beyond =
        format!("/api/host/clip/cam.mp4?start={}&end={}&share={share}", start.rfc3339(), (end + 90_000).rfc3339());
    for (path, status) in [
        (beyond.as_str(), 403),
        (&*format!("/api/host/screenshot/cam?share={share}"), 403),
        (&*format!("/host/stream/cam/segments/output.m3u8?share={share}"), 401),
        (&*format!("/api/host/state?share={share}"), 401),
        ("/api/host/timeline/cam", 401),
    ] {
        assert_eq!(daemon.get(path).status, status, "{path}");
    }
    // A job of footage is for those who may see the footage.
    let user = json!({"name": "gardener", "role": "operator", "password": "the-gardeners", "areas": ["Yard"]});
    assert_eq!(change(&daemon, &admin, "POST", "/api/users", &user).status, 200);
    let gardener = login(&daemon, "gardener", "the-gardeners");
    let wish = format!("/api/host/clip/cam.mp4?start={}&duration=1&preset=low", start.rfc3339());
    let begun = daemon.get_with(&wish, &admin.headers());
    assert_eq!(begun.status, 202, "{}", begun.text());
    let job = begun.json()["job_url"].as_str().unwrap().to_owned();
    assert_eq!(daemon.get_with(&job, &gardener.headers()).status, 404);
    assert_eq!(change(&daemon, &gardener, "DELETE", &job, &json!({})).status, 404);
    until("it is encoded", 60, || daemon.get_with(&job, &admin.headers()).status == 200);
    assert_eq!(daemon.get_with(&format!("{job}.mp4"), &gardener.headers()).status, 404);
    assert_eq!(daemon.get_with(&format!("{job}.mp4"), &admin.headers()).status, 200);

    assert_eq!(change(&daemon, &admin, "DELETE", "/api/host/share", &json!({})).status, 204);
    assert_eq!(daemon.get(&address("clip_url")).status, 401);
    assert!(!daemon.log().contains(share), "a link in the log opens what it opens");
}

#[test]
fn tls_of_its_own_and_a_renewed_certificate() {
    let _turn = Turn::wait();
    let address = free_address();
    let setup = guarded().set("server.listen", address.to_string());
    let (cert, key) = (setup.folder().join("cert.pem"), setup.folder().join("key.pem"));
    let renew = || {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        fs::write(&cert, made.cert.pem()).unwrap();
        made.cert.der().clone()
    };
    let first = renew();
    let setup = setup.set("server.tls_cert", cert.to_str().unwrap()).set("server.tls_key", key.to_str().unwrap());
    let log = fs::File::create(setup.folder().join("tls.log")).unwrap();
    let mut command = setup.command(&["serve"]);
    let mut child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
    until("it answers over TLS", 20, || secure_get(address, "/readyz", &first).is_some_and(|it| it.contains(" 200 ")));
    let page = secure_get(address, "/", &first).unwrap().to_lowercase();
    assert!(page.contains("strict-transport-security: max-age="), "{page:.800}");
    assert!(request(address, "GET", "/healthz", &[]).is_err(), "no plain HTTP beside it");
    let renewed = renew();
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::HUP).unwrap();
    until("new connections get the new certificate", 10, || secure_get(address, "/healthz", &renewed).is_some());
    assert!(secure_get(address, "/healthz", &first).is_none());
    child.kill().unwrap();
    child.wait().unwrap();
}

/// None when there is no connection, or not with this certificate.
fn secure_get(
    address: std::net::SocketAddr,
    path: &str,
    trusted: &rustls::pki_types::CertificateDer<'static>,
) -> Option<String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect(address).ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut stream = rustls::StreamOwned::new(connection, socket);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut reply = Vec::new();
    // It may close without saying so first; what came is told.
    let _ = stream.read_to_end(&mut reply);
    (!reply.is_empty()).then(|| String::from_utf8_lossy(&reply).into_owned())
}

#[test]
fn a_person_signs_in_watches_and_signs_out() {
    let program = match Browser::missing() {
        Ok(program) => program,
        Err(why) => return skip("e2e_access", &why),
    };
    let _turn = Turn::wait();
    let daemon = TestDaemon::start(guarded());
    if !daemon.get("/").text().contains("/assets/") {
        return skip("e2e_access", "the binary was built without its page; run `make ui` and build again");
    }
    let admin = login(&daemon, "admin", &first_password(&daemon.log()).unwrap());
    let user = json!({"name": "lena", "role": "viewer", "password": "lenas-password", "areas": ["Hall"]});
    assert_eq!(change(&daemon, &admin, "POST", "/api/users", &user).status, 200);
    until("it records", 30, || {
        let state = daemon.get_with("/api/host/state", &admin.headers()).json();
        state["devices"][0]["status"] == "online"
    });
    let mut browser = Browser::start(&program, &format!("http://{}/", daemon.address()));
    browser.ask("open", json!({}));
    let wrong = browser.ask("login", json!({"username": "lena", "password": "not-the-password"}));
    assert!(wrong["inside"] == false && wrong["said"].as_str().unwrap().contains("wrong"), "{wrong}");
    let right = browser.ask("login", json!({"username": "lena", "password": "lenas-password"}));
    assert_eq!(right["inside"], true, "{right}");
    let live = browser.ask("live", json!({"id": "cam"}));
    println!("live {} s behind, {} px wide, {} frames", live["delay"], live["width"], live["frames"]);
    if let Some(path) = std::env::var_os("CAPSTAN_SCREENSHOT") {
        browser.ask("screenshot", json!({"path": path.to_str().unwrap()}));
    }
    let out = browser.ask("logout", json!({}));
    assert_eq!(out, json!({"user": null, "devices": 0}));
    assert_eq!(daemon.get("/host/stream/cam/segments/output.m3u8").status, 401);
    let report = browser.ask("report", json!({}));
    // The refused password, which the browser's console calls an error, and nothing else.
    let is_known = |problem: &&Value| !problem.as_str().unwrap().contains("/api/auth/login");
    let others: Vec<_> = report["problems"].as_array().unwrap().iter().filter(is_known).collect();
    assert!(others.is_empty(), "{others:#?}");
}
