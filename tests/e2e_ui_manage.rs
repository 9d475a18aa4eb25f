//! Keeping order in real browsers: areas renamed and taken away, cameras switched off and on, how far the audit log goes back;
//! and what somebody sees who has not signed in, where a part is open to all.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

mod common;

use common::{
    Setup, TestDaemon, Turn,
    browser::Browser,
    http::{Response, send_with},
    people::{at, begin, clean, login},
    until,
};
use serde_json::{Value, json};

const OPEN: &str =
    "name = \"Gate\"\narea = \"Lab\"\nquality = \"low\"\nfps = 10\nsource = { kind = \"test\", tone = 440 }";
const CLOSED: &str = "name = \"Vault\"\narea = \"Cellar\"\nenabled = false\nsource = { kind = \"test\" }";

/// An admin's own way to the API.
struct Admin<'a> {
    daemon: &'a TestDaemon,
    cookie: String,
    csrf: String,
}

impl<'a> Admin<'a> {
    #[track_caller]
    fn enters(daemon: &'a TestDaemon, password: &str) -> Self {
        let reply = login(daemon, "admin", password);
        assert_eq!(reply.status, 200, "{}", reply.text());
        let cookie = reply.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        Self { daemon, cookie, csrf: reply.json()["csrf_token"].as_str().unwrap().to_owned() }
    }

    fn asks(&self, method: &str, path: &str, body: &Value) -> Response {
        let headers = [("Cookie", &*self.cookie), ("X-CSRF-Token", &*self.csrf)];
        send_with(self.daemon.address(), method, path, &headers, body).unwrap()
    }

    fn json(&self, path: &str) -> Value {
        self.daemon.get_with(path, &[("Cookie", &self.cookie)]).json()
    }

    fn status(&self, camera: &str) -> String {
        let state = self.json("/api/host/state");
        let devices = state["devices"].as_array().unwrap().iter();
        devices.filter(|one| one["id"] == camera).map(|one| one["status"].as_str().unwrap().to_owned()).collect()
    }

    /// How many entries the audit log has, over all pages.
    fn audited(&self) -> usize {
        let (mut count, mut before) = (0, String::new());
        loop {
            let page = self.json(&format!("/api/audit?limit=100{before}"));
            let entries = page["entries"].as_array().unwrap();
            count += entries.len();
            match entries.last() {
                Some(last) if entries.len() == 100 => before = format!("&before={}", last["id"]),
                _ => return count,
            }
        }
    }
}

#[test]
fn order_is_kept_and_what_is_open_to_all_is_seen_by_all() {
    let _turn = Turn::wait();
    let setup = Setup::new().set("auth.enabled", true).set("auth.public_view", true);
    let setup = setup.set("auth.public_areas", vec!["Lab"]).camera("gate", OPEN).camera("vault", CLOSED);
    let Some((daemon, password, mut browser)) = begin("e2e_ui_manage", setup) else { return };
    let admin = Admin::enters(&daemon, &password);
    let hall = json!({"id": "hall-1", "area": "Hall", "quality": "low", "fps": 10, "source": {"kind": "test"}});
    assert_eq!(admin.asks("POST", "/api/cameras", &hall).status, 201);
    everybody_sees_what_is_live_in_the_open_areas(&daemon, &password, &mut browser);
    a_camera_is_switched_off_and_on(&admin, &mut browser);
    areas_are_renamed_and_taken_away(&admin, &mut browser);
    the_audit_log_goes_back_to_its_begin(&admin, &mut browser);
    clean(&mut browser, &["400", "401", "409", "503"]);
}

fn everybody_sees_what_is_live_in_the_open_areas(daemon: &TestDaemon, password: &str, browser: &mut Browser) {
    until("it is live", 30, || daemon.get("/host/stream/gate/segments/output.m3u8").status == 200);
    let mut guest = at(browser, "anna");
    guest.goes("/heatmap?hours=6");
    guest.sees(".door-open", "Gate");
    let video = guest.ask("video", json!({}));
    println!("without signing in: {video}");
    assert_eq!(video["width"], 320, "{video}");
    assert_eq!(guest.count(".door-open :text(\"Vault\")"), 0);
    assert_eq!(guest.count(".nav, [data-tile], .timeline"), 0, "nothing else is there");
    // Not the past, and not the others.
    for path in [
        "/api/host/timeline/gate",
        "/api/host/clip/gate.mp4?duration=5",
        "/api/host/state",
        "/api/host/playlist/gate.m3u8",
        "/host/stream/vault/segments/output.m3u8",
        "/api/host/heatmap",
    ] {
        assert_eq!(daemon.get(path).status, 401, "{path}");
    }
    let report = guest.browser.ask("report", json!({}));
    let asked = |one: &&Value| one["status"].as_u64() == Some(401);
    let refused: Vec<_> = report["requests"].as_array().unwrap().iter().filter(asked).collect();
    assert!(refused.is_empty(), "the page asks for nothing that is not open: {refused:?}");
    // Whoever signs in goes on to where the address leads.
    let mut anna = at(browser, "anna");
    anna.signs_in("admin", password);
    anna.sees(".heat-plot", "");
    assert_eq!(anna.ask("path", json!({})), "/heatmap");
}

fn a_camera_is_switched_off_and_on(admin: &Admin, browser: &mut Browser) {
    let switch = "[data-camera=hall-1] input[role=switch]";
    let mut anna = at(browser, "anna");
    anna.goes("/settings/cameras");
    anna.sees("[data-camera=hall-1]", "Hall");
    until("it records", 30, || admin.status("hall-1") == "online");
    for (status, checked) in [("disabled", 0), ("online", 1)] {
        anna.clicks(switch);
        until(status, 30, || admin.status("hall-1") == status);
        anna.ask(
            "see",
            json!({"what": format!("{switch}:{}", if checked == 1 { "checked" } else { "not(:checked)" })}),
        );
        anna.sees("[data-camera=hall-1]", if checked == 1 { "Online" } else { "Disabled" });
        assert_eq!(admin.json("/api/cameras/hall-1")["enabled"], checked == 1);
    }
}

fn areas_are_renamed_and_taken_away(admin: &Admin, browser: &mut Browser) {
    let mut anna = at(browser, "anna");
    anna.goes("/settings/areas");
    anna.clicks("[data-area=Hall] [aria-label=\"Rename Hall\"]");
    anna.fills(json!({"rename": "x".repeat(300)}));
    anna.clicks("dialog button[type=submit]");
    assert!(!anna.fault("rename").is_empty());
    anna.fills(json!({"rename": "Great hall"}));
    anna.clicks("dialog button[type=submit]");
    anna.sees("[data-area=\"Great hall\"]", "hall-1");
    assert_eq!(anna.count("[data-area=Hall]"), 0);
    assert_eq!(admin.json("/api/cameras/hall-1")["area"], "Great hall", "its cameras go along");
    // With cameras in it, it stays, and says why; empty, it goes.
    anna.clicks("[data-area=\"Great hall\"] [aria-label^=Remove]");
    anna.clicks("[data-act=confirm]");
    let why = anna.sees("dialog .notice", "");
    println!("an area with cameras: {why}");
    anna.ask("press", json!({"key": "Escape"}));
    anna.fills(json!({"area": "Shed"}));
    anna.clicks(".line-form button");
    anna.sees("[data-area=Shed]", "No cameras");
    anna.clicks("[data-area=Shed] [aria-label^=Remove]");
    anna.clicks("[data-act=confirm]");
    anna.ask("gone", json!({"what": "[data-area=Shed]"}));
    let areas = admin.json("/api/areas");
    assert!(!areas["areas"].as_array().unwrap().iter().any(|area| area["name"] == "Shed"), "{areas}");
}

fn the_audit_log_goes_back_to_its_begin(admin: &Admin, browser: &mut Browser) {
    for number in 0..55 {
        assert_eq!(admin.asks("POST", "/api/areas", &json!({"name": format!("area {number}")})).status, 201);
        let gone = admin.asks("DELETE", &format!("/api/areas/area%20{number}"), &json!({}));
        assert!(gone.status < 300, "{}", gone.text());
    }
    let all = admin.audited() as u64;
    assert!((110..200).contains(&all), "{all}");
    let mut anna = at(browser, "anna");
    anna.goes("/settings/audit");
    anna.sees(".audit-row", "area 54");
    assert_eq!(anna.count(".audit-row"), 100);
    anna.clicks("button:text(\"Older entries\")");
    anna.ask("see", json!({"what": format!(".audit-row:nth-child({all})")}));
    assert_eq!(anna.count(".audit-row"), all);
    assert_eq!(anna.count("button:text(\"Older entries\")"), 0, "that was all");
    anna.ask("type", json!({"what": ".section-filter", "text": "camera"}));
    let added = anna.sees(".audit-row", "Camera added");
    assert!(added.contains("hall-1"), "{added}");
    // What the renaming of its area did to it, before and after.
    let changed = anna.sees(".audit-row", "Great hall");
    assert!(changed.contains("Camera changed") && changed.contains("Hall Great hall"), "{changed}");
    assert!(anna.count(".audit-row") < 10);
}
