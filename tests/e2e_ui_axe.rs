//! Every page for everybody: axe-core finds nothing against any of them, in dark and light, on a desk and on a phone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

mod common;

use std::collections::BTreeSet;

use common::{Setup, TestDaemon, Turn, browser::Browser, skip, until};
use serde_json::{Value, json};

const CAMERA: &str = "area = \"Lab\"\nquality = \"low\"\nfps = 25\nsource = { kind = \"test\", pattern = \"testsrc2\", black = [[4, 300]], period = 600 }";
const GONE: &str = "area = \"Yard\"\nsource = { kind = \"file\", path = \"/nowhere.mp4\" }";
const DESK: (u32, u32) = (1440, 900);
const PHONE: (u32, u32) = (390, 844);

#[test]
fn axe_finds_nothing_on_any_page() {
    let program = match Browser::missing() {
        Ok(program) => program,
        Err(why) => return skip("axe_finds_nothing_on_any_page", &why),
    };
    let _turn = Turn::wait();
    let daemon = TestDaemon::start(Setup::new().camera("cam", CAMERA).camera("gone", GONE));
    // A wall, a list of incidents and a device that have something to show.
    until("an incident is open", 40, || {
        let open = daemon.get("/api/host/incidents?open=1&device=cam");
        open.status == 200 && open.json()["incidents"].as_array().is_some_and(|list| !list.is_empty())
    });
    until("a chunk is sealed", 40, || !daemon.ring("cam").is_empty());
    let mut browser = Browser::start(&program, &format!("http://{}/", daemon.address()));
    // Whatever pages there are: all that the navigation leads to, and what those lead to in turn.
    let mut pages = BTreeSet::from(["/".to_owned(), "/device/cam".to_owned(), "/device/nobody".to_owned()]);
    let mut looked_at = BTreeSet::new();
    while let Some(path) = pages.difference(&looked_at).next().cloned() {
        let links = browser.ask("axe_links", json!({"path": path}));
        pages.extend(links.as_array().unwrap().iter().map(|link| link.as_str().unwrap().to_owned()));
        looked_at.insert(path);
    }
    println!("pages: {pages:?}");
    assert!(pages.len() >= 6, "{pages:?}");
    let mut found = Vec::new();
    for path in &pages {
        found.extend(looked_at_by_axe(&mut browser, path, "#content :is(h1, .empty)", &[], DESK));
    }
    found.extend(looked_at_by_axe(&mut browser, "/", "#content h1", &[], PHONE));
    found.extend(looked_at_by_axe(&mut browser, "/", ".tile-trouble", &["?"], DESK));
    found.extend(looked_at_by_axe(&mut browser, "/?sort=trouble", ".tile-trouble", &["ArrowDown"], DESK));
    found.extend(looked_at_by_axe(&mut browser, "/?filter=nothing", ".empty", &[], DESK));
    found.extend(looked_at_by_axe(&mut browser, "/?kiosk=60", ".kiosk [data-tile]", &[], DESK));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn axe_finds_nothing_on_the_form() {
    let program = match Browser::missing() {
        Ok(program) => program,
        Err(why) => return skip("axe_finds_nothing_on_the_form", &why),
    };
    let _turn = Turn::wait();
    let setup = Setup::new().set("auth.enabled", true).set("auth.public_view", true);
    let daemon = TestDaemon::start(setup.set("auth.public_areas", vec!["Lab"]).camera("cam", CAMERA));
    let mut browser = Browser::start(&program, &format!("http://{}/", daemon.address()));
    let found = looked_at_by_axe(&mut browser, "/", ".door-open video", &[], DESK);
    assert!(found.is_empty(), "{found:#?}");
}

fn looked_at_by_axe(
    browser: &mut Browser,
    path: &str,
    wait: &str,
    keys: &[&str],
    (width, height): (u32, u32),
) -> Vec<Value> {
    let mut found = Vec::new();
    for scheme in ["dark", "light"] {
        let options =
            json!({"path": path, "scheme": scheme, "wait": wait, "keys": keys, "width": width, "height": height});
        let seen = browser.ask("axe", options);
        assert_eq!(seen["theme"], scheme);
        let against = seen["violations"].as_array().unwrap().iter();
        found.extend(against.map(|it| json!({"path": path, "scheme": scheme, "width": width, "violation": it})));
    }
    found
}
