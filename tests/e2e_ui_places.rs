//! The heatmap, the incidents and the system in a real Chromium, with real FFmpeg behind them: what went wrong is seen, led
//! to and judged, and what the page says of the host is so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

mod common;

use std::collections::HashSet;

use common::{Setup, TestDaemon, Turn, browser::Browser, http, skip, until};
use serde_json::{Value, json};

/// Each half minute black, then frozen, then silent.
const SHOW: &str =
    "source = { kind = \"test\", black = [[4, 9]], freeze = [[13, 18]], silence = [[22, 27]], period = 30 }";
const WELL: &str = "quality = \"low\"\nfps = 10\nsource = { kind = \"test\", pattern = \"testsrc2\", tone = 440 }";
/// Tries to run in whoever's page shows it.
const SCRIPT: &str = "<img src=x onerror=alert(1)>";

struct Rig {
    daemon: TestDaemon,
    browser: Browser,
    _turn: Turn,
}

impl Rig {
    /// None: said loudly what is missing here.
    fn start(test: &str, setup: Setup) -> Option<Self> {
        let program = match Browser::missing() {
            Ok(program) => program,
            Err(why) => {
                skip(test, &why);
                return None;
            }
        };
        let turn = Turn::wait();
        let daemon = TestDaemon::start(setup);
        if !daemon.get("/").text().contains("/assets/") {
            skip(test, "the binary was built without its page; run `make ui` and build again");
            return None;
        }
        until("the host is healthy", 30, || daemon.get("/healthz").status == 200);
        let browser = Browser::driven_by("places.mjs", &program, &format!("http://{}/", daemon.address()));
        Some(Self { daemon, browser, _turn: turn })
    }

    #[track_caller]
    fn ask(&mut self, action: &str, options: Value) -> Value {
        self.browser.ask(action, options)
    }

    #[track_caller]
    fn go(&mut self, path: &str, wait: &str) -> Value {
        self.ask("go", json!({"path": path, "wait": wait}))
    }

    #[track_caller]
    fn press(&mut self, keys: &[&str]) -> Value {
        self.ask("press", json!({"keys": keys}))
    }

    #[track_caller]
    fn click(&mut self, selector: &str) -> Value {
        self.ask("click", json!({"selector": selector}))
    }

    #[track_caller]
    fn count(&mut self, selector: &str) -> u64 {
        self.ask("count", json!({"selector": selector}))["count"].as_u64().unwrap()
    }

    #[track_caller]
    fn until_text(&mut self, selector: &str, text: &str) -> String {
        self.ask("until_text", json!({"selector": selector, "text": text}))["text"].as_str().unwrap().to_owned()
    }

    /// All of them, over all pages.
    fn incidents(&self, query: &str) -> Vec<Value> {
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.daemon.json(&format!("/api/host/incidents?limit=1000&{query}{after}"));
            found.extend(page["incidents"].as_array().unwrap().clone());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return found,
            }
        }
    }

    /// A console without a word, and nothing that a script could have done.
    #[track_caller]
    fn is_clean(&mut self) {
        let problems = self.ask("report", json!({}))["problems"].clone();
        let told: Vec<_> = problems.as_array().unwrap().iter().filter(|problem| !is_of_health(problem)).collect();
        assert!(told.is_empty(), "{told:#?}");
    }
}

/// A host whose disk or processor is short says so by its status, which a browser's console calls an error.
fn is_of_health(problem: &Value) -> bool {
    problem.as_str().is_some_and(|told| told.contains("status of 503") && told.contains("/api/host/health"))
}

fn moment(told: &Value) -> jiff::Timestamp {
    told.as_str().unwrap().parse().unwrap()
}

/// `t` of an address.
fn moment_of(place: &Value) -> jiff::Timestamp {
    let search = place["search"].as_str().unwrap();
    let (_, rest) = search.split_once("t=").unwrap_or_else(|| panic!("{place}"));
    rest.split('&').next().unwrap().replace("%3A", ":").parse().unwrap()
}

#[test]
fn the_heatmap_shows_trouble_as_it_comes_and_leads_to_its_moment() {
    let setup = Setup::new()
        .camera("show", &format!("quality = \"low\"\nfps = 10\nname = {SCRIPT:?}\n{SHOW}"))
        .camera("well", WELL);
    let Some(mut rig) = Rig::start("e2e_ui_places", setup) else { return };
    rig.go("/heatmap?hours=1", ".heat-plot");
    // Nothing was asked again: it came as an event.
    rig.until_text(".heat-readout", "Black");
    let names = rig.ask("text", json!({"selector": ".heat-names a"}));
    assert_eq!(names["all"][0], SCRIPT, "a name is text");
    let strip = rig.ask("strip", json!({}));
    assert!(strip["colours"].as_u64() >= Some(3), "{strip}");
    let mosaic = rig.ask("mosaic", json!({}));
    assert!(mosaic["width"].as_u64() >= Some(320) && mosaic["colours"].as_u64() > Some(8), "{mosaic}");

    // Scrubbing: a minute that was shown before is there at once.
    rig.ask("scrub", json!({"share": 0.4}));
    rig.ask("scrub", json!({"share": 0.6}));
    let again = rig.ask("scrub", json!({"share": 0.4}));
    println!("scrub to a minute that is kept: {} ms with the way through the driver", again["took"]);
    assert!(again["readout"].as_str().unwrap().contains("No footage"), "{again}");

    until("black is over and its chunk finished", 40, || {
        let black = rig.incidents("kind=blackscreen&open=0&device=show");
        let end = rig.daemon.json("/host/stream/show/segments/archive_manifest.json")["manifests"]
            .as_array()
            .and_then(|chunks| chunks.iter().map(|chunk| moment(&chunk["end"])).max());
        black.last().is_some_and(|it| end.is_some_and(|end| moment(&it["end"]) < end))
    });
    // By keys, to the newest trouble of the first camera; then by a click on the same cell.
    rig.go("/heatmap?hours=1", ".heat-plot");
    rig.until_text(".heat-readout", "Open");
    rig.press(&["End", "ArrowRight", "p"]);
    let when = rig.ask("text", json!({"selector": ".heat-when"}));
    let kept = rig.ask("until_path", json!({"starts": "/heatmap?hours=1&t="}));
    assert!(kept["search"].as_str().unwrap().ends_with("device=show"), "{kept}");
    assert_eq!(rig.ask("reload", json!({"wait": ".heat-plot"})), kept, "the address leads back");
    rig.until_text(".heat-readout", "Open");
    assert_eq!(rig.ask("text", json!({"selector": ".heat-when"})), when);
    rig.press(&["Enter"]);
    let by_key = rig.ask("until_path", json!({"starts": "/device/show?t="}));
    let starts: HashSet<_> = rig.incidents("device=show").iter().map(|it| moment(&it["start"])).collect();
    let is_begin = |at: jiff::Timestamp| starts.contains(&at) || at.as_second() % 60 == 0;
    assert!(is_begin(moment_of(&by_key)), "{by_key} {starts:?}");

    let black = rig.incidents("device=show&kind=blackscreen").last().unwrap()["start"].clone();
    let begin = moment(&black).as_second() / 60 * 60;
    let minute = jiff::Timestamp::from_second(begin).unwrap();
    // What began first in that minute.
    let first = starts.iter().filter(|at| (begin..begin + 60).contains(&at.as_second())).min().copied().unwrap();
    rig.go(&format!("/heatmap?hours=1&device=show&t={minute}"), ".heat-plot");
    rig.until_text(".heat-readout", "Black");
    let mosaic = rig.ask("mosaic", json!({"minute": format!("{minute:.3}")}));
    assert!(mosaic["colours"].as_u64() > Some(8), "{mosaic}");
    rig.ask("click_cell", json!({}));
    let clicked = rig.ask("until_path", json!({"starts": "/device/show?t="}));
    // The device's page plays from there and may say its own moment by now.
    let off = moment_of(&clicked).duration_since(first).as_secs_f64().abs();
    assert!(off < 15.0, "{clicked} {first}");
    let picture = rig.ask("picture", json!({}));
    println!("the cell of {first} leads to {}, which plays: {picture}", clicked["search"]);

    the_tiles_of_a_mosaic_lead_to_their_cameras(&mut rig, minute);

    rig.go("/heatmap?hours=1", ".heat-plot");
    rig.click("[data-show=ko]");
    assert_eq!(rig.ask("until_path", json!({"starts": "/heatmap?hours=1&show=ko"}))["path"], "/heatmap");
    let troubled: HashSet<_> = rig.incidents("").iter().map(|it| it["device"].clone()).collect();
    assert_eq!(rig.count(".heat-names a"), troubled.len() as u64, "only who was in trouble: {troubled:?}");
    rig.ask("mosaic", json!({}));
    rig.press(&["PageUp", "Home", "ArrowLeft"]);
    assert_eq!(rig.ask("strip", json!({}))["cell"], "0/0");
    rig.is_clean();
}

/// Each tile of the picture is a link to what it shows, where it shows it: by a click, by keys, and of a part of the cameras.
fn the_tiles_of_a_mosaic_lead_to_their_cameras(rig: &mut Rig, minute: jiff::Timestamp) {
    let address = format!("/heatmap?hours=1&device=show&t={minute}");
    let within = |place: &Value| (0.0..75.0).contains(&moment_of(place).duration_since(minute).as_secs_f64());
    for (query, expected) in [("", &["show", "well"][..]), ("&show=ok", &["well"]), ("&show=ko", &["show"])] {
        rig.go(&format!("{address}{query}"), ".heat-picture [data-tile]");
        let tiles = rig.ask("tiles", json!({}));
        let named: Vec<_> =
            tiles["tiles"].as_array().unwrap().iter().map(|tile| tile["id"].as_str().unwrap()).collect();
        assert_eq!(named, expected, "{query}: {tiles}");
        // Each lies over its own part of the picture: its border says how it did.
        for tile in tiles["tiles"].as_array().unwrap() {
            let [red, green, _] = [0, 1, 2].map(|at| tile["border"][at].as_u64().unwrap());
            let is_ko = tile["status"] == "ko";
            assert!(if is_ko { red > green + 60 } else { green > red + 60 }, "{tile}");
        }
    }
    rig.go(&address, ".heat-picture [data-tile=well]");
    rig.click(".heat-picture [data-tile=well]");
    let there = rig.ask("until_path", json!({"starts": "/device/well?t="}));
    assert!(within(&there), "{there} of {minute}");
    rig.go(&address, ".heat-picture [data-tile=show]");
    rig.ask("press", json!({"keys": ["Tab", "Tab", "Enter"], "on": ".heat-plot"}));
    let there = rig.ask("until_path", json!({"starts": "/device/"}));
    assert!(there["path"].as_str().unwrap().starts_with("/device/") && within(&there), "{there} of {minute}");
}

#[test]
fn incidents_come_by_themselves_are_judged_and_leave_as_a_table() {
    let setup = Setup::new()
        .camera("show", &format!("quality = \"low\"\nfps = 10\nname = {SCRIPT:?}\n{SHOW}"))
        .camera("old", "enabled = false\nsource = { kind = \"test\" }");
    let Some(mut rig) = Rig::start("e2e_ui_places", setup) else { return };
    until("the database is open", 20, || rig.daemon.get("/api/host/incidents").status == 200);
    rig.go("/incidents", ".page-head h1");
    assert_eq!(rig.count(".incident"), 0);
    rig.ask("until_count", json!({"selector": ".incident", "atLeast": 1}));
    rig.ask("until_count", json!({"selector": ".incident[data-state=closed]", "atLeast": 1}));
    rig.ask("pictures", json!({"selector": ".incident .evidence-small img", "atLeast": 2}));
    assert!(rig.until_text(".incident-device", "<img").contains(SCRIPT));

    // Acknowledged by keys, with a comment that tries to be more.
    let comment = format!("=1+1 {SCRIPT}");
    rig.press(&["j", "a"]);
    rig.ask("fill", json!({"selector": "dialog textarea", "text": comment}));
    rig.press(&["Enter"]);
    rig.until_text(".incident .mark", "Acknowledged");
    let judged = rig.incidents("acknowledged=1");
    assert_eq!((judged.len(), &judged[0]["comment"]), (1, &json!(comment)));
    rig.ask("reload", json!({"wait": ".incident"}));
    rig.until_text(".incident-comment", &comment);

    // Its pictures, enlarged, and back.
    rig.press(&["e"]);
    rig.ask("pictures", json!({"selector": ".evidence-large img", "atLeast": 1}));
    rig.press(&["Escape"]);
    rig.ask("until_count", json!({"selector": "dialog", "count": 0}));

    // Filters are in the address.
    rig.go("/incidents?review=acknowledged", ".incident");
    assert_eq!(rig.count(".incident"), 1);
    let csv = rig.ask("download", json!({"selector": "a[download]"}));
    let text = csv["text"].as_str().unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.contains("\"'=1+1 <img"), "a spreadsheet would run it: {text}");
    let kind = judged[0]["kind"].as_str().unwrap();
    let other = if kind == "silence" { "freeze" } else { "silence" };
    let place = rig.ask("choose", json!({"selector": "select[name=kind]", "value": other}));
    assert_eq!(place["search"], format!("?review=acknowledged&kind={other}"));
    rig.until_text(".empty", "No incident fits");

    // More than a page, and more than the list has asked for: old ones, and those that come meanwhile.
    (0..230).for_each(|number| rig.daemon.incident("old", &format!("old-{}-freeze", 1_700_000_000_000_u64 + number)));
    rig.go("/incidents?device=old&review=new", ".incident");
    rig.click(".incident:nth-child(2) input");
    rig.ask("click", json!({"selector": ".incident:nth-child(5) input", "modifiers": ["Shift"]}));
    rig.until_text(".incidents-bulk", "4 incidents selected");
    rig.press(&["Escape", "X"]);
    rig.until_text(".incidents-bulk", "230 incidents selected");
    rig.press(&["d"]);
    rig.ask("fill", json!({"selector": "dialog textarea", "text": "A test of the cables"}));
    rig.press(&["Enter"]);
    rig.until_text(".empty", "No incident fits");
    let discarded = rig.incidents("discarded=1");
    assert_eq!(discarded.len(), 230);
    assert!(discarded.iter().all(|it| it["comment"] == "A test of the cables"));
    rig.go("/incidents?device=old", ".incident");
    let csv = rig.ask("download", json!({"selector": "a[download]"}));
    assert_eq!(csv["text"].as_str().unwrap().lines().count(), 231, "all of the filter, not the page");

    // Whoever reads further down stays where they are while others come in above.
    rig.go("/incidents", ".incident");
    rig.press(&["j", "x"]);
    rig.until_text(".incidents-bulk", "1 incident selected");
    rig.ask("scroll", json!({"by": 2400}));
    let shown = "old-1700000000190-freeze";
    let row = format!("[data-incident=\"{shown}\"]");
    rig.ask("until_count", json!({"selector": row, "count": 1}));
    let before = rig.ask("top", json!({"selector": row}));
    let known = rig.incidents("device=show").len();
    until("another one", 40, || rig.incidents("device=show").len() > known);
    let held = common::holds_within(std::time::Duration::from_secs(5), || {
        let now = rig.ask("top", json!({"selector": row}));
        let moved = now["scroll"].as_f64().unwrap() - before["scroll"].as_f64().unwrap();
        moved > 50.0 && (now["top"].as_f64().unwrap() - before["top"].as_f64().unwrap()).abs() < 2.0
    });
    assert!(held, "{before} → {}", rig.ask("top", json!({"selector": row})));
    rig.until_text(".incidents-bulk", "1 incident selected");

    // To the moment.
    rig.go("/incidents?device=show", ".incident");
    rig.press(&["j", "Enter"]);
    rig.ask("until_path", json!({"starts": "/device/show?t="}));
    rig.is_clean();
}

#[test]
fn the_system_says_who_works_and_admins_alone_switch() {
    let setup = Setup::new().set("auth.enabled", true).camera("cam", WELL);
    let Some(mut rig) = Rig::start("e2e_ui_places", setup) else { return };
    let log = rig.daemon.log();
    let told = log.split("admin password: ").nth(1).expect("the first start prints a password");
    let password: String = told.chars().take_while(|it| it.is_ascii_alphanumeric() || *it == '_').collect();
    let session = |name: &str, password: &str| {
        let body = json!({"username": name, "password": password});
        let reply = http::send(rig.daemon.address(), "POST", "/api/auth/login", &body).unwrap();
        let cookie = reply.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        (cookie, reply.json()["csrf_token"].as_str().unwrap().to_owned())
    };
    let (cookie, csrf) = session("admin", &password);
    let headers = [("Cookie", &*cookie), ("X-CSRF-Token", &*csrf)];
    let viewer = json!({"name": "vera", "role": "viewer", "password": "look-and-see"});
    let made = http::send_with(rig.daemon.address(), "POST", "/api/users", &headers, &viewer).unwrap();
    assert!(matches!(made.status, 200 | 201), "{}", made.text());
    let ask = |rig: &Rig, path: &str| rig.daemon.get_with(path, &headers).json();

    rig.go("/system", "form.door");
    rig.ask("login", json!({"username": "admin", "password": password, "wait": ".system-actors"}));
    rig.until_text(".system-actors", "Watches all others");
    let all = ask(&rig, "/api/host/state")["actors"].as_array().unwrap().len() as u64;
    rig.ask("until_count", json!({"selector": ".system-actors [data-actor]", "count": all}));
    rig.until_text("section[aria-label=Storage]", "of 32.0 MiB");
    rig.until_text("section[aria-label=Database]", "Ready");
    rig.until_text(".table", "cam");
    rig.until_text("section[aria-label=Viewers]", "Nobody watches.");
    rig.until_text("section[aria-label=\"Replies given again\"]", "Made anew");

    rig.click("[data-transcoder] [data-act=switch]");
    rig.ask("until_count", json!({"selector": "[data-transcoder=disabled]", "count": 1}));
    assert_eq!(ask(&rig, "/api/transcode")["status"]["enabled"], false);
    rig.ask("reload", json!({"wait": "[data-transcoder=disabled]"}));
    rig.until_text("[data-transcoder]", "It is switched off");
    rig.click("[data-transcoder] [data-act=switch]");
    rig.until_text(".toasts", "Switched on.");
    assert_eq!(ask(&rig, "/api/transcode")["status"]["enabled"], true);

    // By itself, and before the first minute is over.
    rig.ask("until_count", json!({"selector": ".system-plot canvas", "count": 5}));
    rig.until_text(".system-chart figcaption", "Written");
    let history = ask(&rig, "/api/host/history");
    assert!(history["written_bytes"][0].as_u64() > Some(0) && history["writes"][0].as_u64() > Some(0), "{history}");

    // Who only looks sees the same without a switch.
    rig.ask("sign_out", json!({}));
    rig.go("/system", "form.door");
    rig.ask("login", json!({"username": "vera", "password": "look-and-see", "wait": "[data-transcoder]"}));
    assert_eq!(rig.count("[data-act=switch], [data-transcoder] button, [data-act=clear-cache], [data-viewers]"), 0);
    rig.go("/incidents", ".page-head h1");
    assert_eq!(rig.count(".incidents input, .incident-acts"), 0);
    rig.is_clean();
}
