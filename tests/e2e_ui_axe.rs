//! Every page for everybody: axe-core finds nothing against any of them, in dark and light, on a desk and on a phone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

mod common;

use capstan::clock::Clock;
use common::{Setup, TestDaemon, Turn, browser::Browser, footage::Footage, skip, until};
use serde_json::json;

const CAMERA: &str = "area = \"Lab\"\nquality = \"low\"\nfps = 25\nsource = { kind = \"test\", pattern = \"testsrc2\", black = [[1, 300]], period = 600 }";
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
    let setup = Setup::new().camera("cam", CAMERA).camera("gone", GONE);
    let start = (Clock::system().wall().as_ms() / 10_000 - 6) * 10_000;
    Footage::numbered(20).keep(&setup, "cam", &[(start, 0..20)]);
    let daemon = TestDaemon::start(setup);
    // A wall, a list of incidents and a device that have something to show.
    until("an incident is open", 40, || {
        let open = daemon.get("/api/host/incidents?open=1&device=cam");
        open.status == 200 && open.json()["incidents"].as_array().is_some_and(|list| !list.is_empty())
    });
    let mut browser = Browser::start(&program, &format!("http://{}/", daemon.address()));
    // Whatever pages there are: all that the navigation leads to, and what those lead to in turn.
    let usual = "#content :is(h1, .empty)";
    let wish = |path: &str, wait: &str, keys: &[&str], (width, height): (u32, u32)| json!({"path": path, "wait": wait, "keys": keys, "width": width, "height": height});
    let wishes = [
        wish("/", usual, &[], DESK),
        wish("/device/cam", usual, &[], DESK),
        wish("/device/cam", ".timeline-canvas[data-span]", &["c"], DESK),
        wish("/device/nobody", usual, &[], DESK),
        wish("/", "#content h1", &[], PHONE),
        wish("/", ".tile-trouble", &["?"], DESK),
        wish("/?sort=trouble", ".tile-trouble", &["ArrowDown"], DESK),
        wish("/?filter=nothing", ".empty", &[], DESK),
        wish("/?kiosk=60", ".kiosk [data-tile]", &[], DESK),
        wish("/heatmap?hours=1", ".heat-picture [data-tile]", &[], DESK),
    ];
    let seen = browser.ask("axe", json!({"wishes": wishes, "follow": usual}));
    println!("pages: {}", seen["paths"]);
    assert!(seen["paths"].as_array().unwrap().len() >= 10, "{seen}");
    assert_eq!(seen["found"], json!([]), "{seen:#}");
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
    let seen = browser.ask("axe", json!({"wishes": [{"path": "/", "wait": ".door-open video"}]}));
    assert_eq!(seen["found"], json!([]), "{seen:#}");
}
