//! The player of one device under hands and keys, in a real Chromium: days of the library by calendar, the picture before and
//! after, speeds, sound, a saved picture, and the time line under mouse, wheel and fingers.
//!
//! Each picture shows its own number, so that what is seen is compared with what should be, not with what the page says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

mod common;

use std::path::PathBuf;

use capstan::clock::{Clock, Utc90k};
use common::{
    Setup, TestDaemon, Turn,
    browser::Browser,
    footage::{FPS, Footage, number_in},
    now, skip, until,
};
use serde_json::{Value, json};

const CAM: &str = "cam";
const HOUR: i64 = 3_600_000;
/// The footage of today: one chunk of 20 s and one of 80 s behind it.
const SECONDS: u32 = 100;
/// Rows of the time line: where it is dragged along, and where clips have their handles.
const RULER: i64 = 10;
const TRACK: i64 = 30;

struct Rig {
    daemon: TestDaemon,
    browser: Browser,
    /// Where the footage of today begins, and those of days before; milliseconds since 1970.
    start: i64,
    before: Vec<i64>,
    _turn: Turn,
}

impl Rig {
    fn start() -> Option<Self> {
        let test = "e2e_ui_player";
        let program: PathBuf = Browser::missing().map_err(|why| skip(test, &why)).ok()?;
        let turn = Turn::wait();
        let setup = Setup::new()
            .set("archive.retention_days", 90.0)
            .set("cleaner.interval_seconds", 1)
            .set("transcode.enabled", false)
            .set("cleaner.max_cpu_percent", 100.0)
            .set("cleaner.max_io_wait", 100.0)
            .camera(CAM, "enabled = false\nsource = { kind = \"test\" }");
        let time = Clock::system().wall().as_ms() / 10_000 * 10_000;
        let start = time - 600_000;
        // In hours of their own, as the ring has it: yesterday, days ago, and in another month.
        let before = vec![time - 26 * HOUR, time - 75 * HOUR, time - (45 * 24 + 5) * HOUR];
        let footage = Footage::numbered(SECONDS);
        let mut chunks = vec![(start, 0..20), (start + 20_000, 20..SECONDS)];
        chunks.extend(before.iter().map(|at| (*at, 0..20)));
        chunks.sort_by_key(|(at, _)| *at);
        footage.keep(&setup, CAM, &chunks);
        let daemon = TestDaemon::start(setup);
        if !daemon.get("/").text().contains("/assets/") {
            skip(test, "the binary was built without its page; run `make ui` and build again");
            return None;
        }
        let browser = Browser::start(&program, &format!("http://{}/", daemon.address()));
        Some(Self { daemon, browser, start, before, _turn: turn })
    }

    #[track_caller]
    fn ask(&mut self, action: &str, mut options: Value) -> Value {
        options["id"] = json!(CAM);
        self.browser.ask(action, options)
    }

    #[track_caller]
    fn press(&mut self, keys: &[&str]) -> Value {
        self.ask("device.key", json!({"keys": keys}))
    }

    /// Opens at that moment of today's footage, held there.
    #[track_caller]
    fn open(&mut self, ms: i64, zoom: u32) {
        let at = self.start + ms;
        let query = format!("?t={}&zoom={zoom}", Utc90k::from_ms(at).rfc3339());
        self.ask("device.open", json!({"query": query}));
        self.ask("device.plays", json!({"at": at}));
        self.press(&[" "]);
    }

    /// The number that the picture shows; the page must say the moment that it is of.
    #[track_caller]
    fn picture(&mut self) -> i64 {
        self.stands(false)
    }

    /// The same after these keys, which step.
    #[track_caller]
    fn stepped(&mut self, keys: &[&str]) -> i64 {
        self.press(keys);
        self.stands(true)
    }

    #[track_caller]
    fn stands(&mut self, is_stepped: bool) -> i64 {
        let shown = self.ask("player.steady", json!({"isStepped": is_stepped}));
        let (number, at) = (shown["number"].as_i64().unwrap(), shown["at"].as_i64().unwrap());
        let told = (at - self.start) as f64 * f64::from(FPS) / 1000.0;
        assert!((told - number as f64).abs() < 0.6, "picture {number} is said to be {told}: {shown}");
        number
    }

    #[track_caller]
    fn view(&mut self) -> (i64, i64) {
        parts(&self.ask("player.view", json!({})))
    }
}

/// Where the time line begins, and how long it is.
#[track_caller]
fn parts(view: &Value) -> (i64, i64) {
    (view["from"].as_i64().unwrap(), view["span"].as_i64().unwrap())
}

#[test]
fn hands_and_keys_lead_through_the_past() {
    let Some(mut rig) = Rig::start() else { return };
    pictures_one_by_one(&mut rig);
    speeds(&mut rig);
    a_picture_is_saved(&mut rig);
    sound_is_kept(&mut rig);
    picture_in_picture(&mut rig);
    the_time_line_by_mouse(&mut rig);
    the_time_line_by_fingers(&mut rig);
    a_clip_by_its_handles(&mut rig);
    whoever_looks_is_counted(&mut rig);
    days_of_the_library(&mut rig);
    assert_eq!(rig.browser.ask("report", json!({}))["problems"], json!([]));
}

fn pictures_one_by_one(rig: &mut Rig) {
    rig.open(15_000, 120);
    let first = rig.picture();
    for (keys, expected) in [(&["."][..], 1), (&[".", "."], 3), (&[","], 2), (&[",", ",", ","], -1)] {
        assert_eq!(rig.stepped(keys) - first, expected, "{keys:?}");
    }
    // Over the seam of two chunks, either way.
    rig.ask("device.click", json!({"at": rig.start + 19_900, "isHeld": true, "within": 500}));
    let before = rig.picture();
    assert!((490..500).contains(&before), "{before}");
    assert_eq!(rig.stepped(&["."; 12]), before + 12);
    assert_eq!(rig.stepped(&[","; 12]), before);
}

fn speeds(rig: &mut Rig) {
    for (keys, rate, least, most) in [(["<"; 2].as_slice(), 0.25, 0.15, 0.35), (&[">"; 7], 16.0, 6.0, 18.0)] {
        rig.open(1000, 120);
        let now_at = rig.press(keys);
        assert_eq!(now_at["rate"].as_f64(), Some(rate), "{now_at}");
        rig.press(&[" "]);
        let begin =
            rig.ask("player.until", json!({"what": "it plays", "is": format!("state.at > {}", rig.start + 1100)}));
        let began = now();
        let goal = begin["at"].as_i64().unwrap() + (rate * 2000.0) as i64;
        let end = rig.ask("player.until", json!({"what": "two seconds of it", "is": format!("state.at >= {goal}")}));
        let passed = (end["at"].as_f64().unwrap() - begin["at"].as_f64().unwrap()) / 1000.0;
        let pace = passed / now().since(began).as_secs_f64();
        println!("at {rate} ×, it plays {pace:.2} s in a second");
        assert!((least..most).contains(&pace), "{pace} at {rate}");
        rig.press(&[" "]);
    }
}

/// The very picture that stands there, as large as it is, under the name of its moment.
fn a_picture_is_saved(rig: &mut Rig) {
    rig.open(42_000, 120);
    let shown = rig.picture();
    let file = rig.daemon.setup.folder().join("shot.jpg");
    let saved = rig.ask("device.download", json!({"selector": "[data-act=shot]", "path": file}));
    assert_eq!(number_in(&file), (u32::try_from(shown).unwrap(), [320, 180]));
    let moment = Utc90k::from_ms(rig.start + shown * 1000 / i64::from(FPS)).rfc3339();
    assert_eq!(saved["name"], format!("cam-{}.jpg", moment.replace([':', '.'], "-")));
}

fn sound_is_kept(rig: &mut Rig) {
    rig.open(5000, 120);
    let sound = |rig: &mut Rig| rig.ask("player.sound", json!({}));
    // As text: 1 and 1.0 are the same.
    let is = |volume: f64, muted: bool, slider: f64, button: &str| -> Value {
        let told = format!("{{\"volume\":[{volume}],\"muted\":[{muted}],\"slider\":{slider},\"button\":\"{button}\"}}");
        serde_json::from_str(&told).unwrap()
    };
    assert_eq!(sound(rig), is(1.0, true, 0.0, "Sound on"), "silent at first, as browsers want it");
    rig.press(&["m", "ArrowDown", "ArrowDown", "ArrowDown"]);
    assert_eq!(sound(rig), is(0.7, false, 0.7, "Sound off"));
    rig.ask("device.fill", json!({"selector": ".controls-volume", "value": "0.4"}));
    assert_eq!(sound(rig), is(0.4, false, 0.4, "Sound off"));
    // After a reload it is as loud; the browser may want to be touched first.
    rig.ask("player.reload", json!({}));
    rig.ask("device.clickOn", json!({"selector": "h1"}));
    assert_eq!(sound(rig), is(0.4, false, 0.4, "Sound off"));
    rig.ask("device.clickOn", json!({"selector": "[data-act=mute]"}));
    assert_eq!(sound(rig), is(0.4, true, 0.0, "Sound on"));
    rig.ask("player.reload", json!({}));
    assert_eq!(sound(rig), is(0.4, true, 0.0, "Sound on"));
    rig.press(&["m"]);
    assert_eq!(sound(rig), is(0.4, false, 0.4, "Sound off"));
}

fn picture_in_picture(rig: &mut Rig) {
    rig.open(5000, 120);
    let inset = rig.ask("player.inset", json!({}));
    println!("picture in picture: {inset}");
    if inset["is"] == true {
        rig.press(&["w"]);
    } else {
        assert!(inset["said"].as_str().unwrap().contains("no picture in picture"), "{inset}");
    }
}

fn the_time_line_by_mouse(rig: &mut Rig) {
    rig.open(30_000, 120);
    let (at, near) = (rig.start + 40_000, 200);
    let share = |(from, span): (i64, i64)| (at - from) as f64 / span as f64;
    let before = rig.view();
    // The wheel: what lies under the pointer stays there.
    let closer = parts(&rig.ask("player.wheel", json!({"at": at, "by": -300})));
    assert!(closer.1 < before.1 * 7 / 10, "{before:?} {closer:?}");
    assert!((share(closer) - share(before)).abs() < 0.01, "{before:?} {closer:?}");
    // With Shift it goes along; so does a drag of the ruler, by as much as the hand moved.
    let along = parts(&rig.ask("player.wheel", json!({"at": at, "by": -200, "isShift": true})));
    assert!(along.1 == closer.1 && along.0 < closer.0 - 1000, "{closer:?} {along:?}");
    let panned = parts(&rig.ask("player.drag", json!({"from": along.0 + 10_000, "to": along.0 + 25_000, "y": RULER})));
    assert!(panned.1 == along.1 && (along.0 - 15_000 - panned.0).abs() < near, "{along:?} {panned:?}");
    // From 10 s to a day, and no further.
    rig.ask("player.wheel", json!({"at": panned.0 + 1000, "by": -100_000}));
    assert_eq!(rig.view().1, 10_000);
    rig.ask("player.wheel", json!({"at": panned.0 + 1000, "by": 100_000}));
    assert_eq!(rig.view().1, 24 * HOUR);
    rig.press(&["+", "+"]);
    assert_eq!(rig.view().1, 6 * HOUR);
    rig.press(&["-"; 4]);
    assert_eq!(rig.view().1, 24 * HOUR);
    assert_eq!(rig.ask("device.count", json!({"selector": "[aria-label='Further away']:disabled"}))["count"], 1);
}

fn the_time_line_by_fingers(rig: &mut Rig) {
    rig.open(50_000, 120);
    let before = rig.view();
    // Two apart: closer, the moment between them stays there. Together: further away.
    let apart = parts(&rig.ask("player.touch", json!({"fingers": [[0.45, 0.3], [0.55, 0.7]]})));
    assert!((apart.1 - before.1 / 4).abs() < before.1 / 50, "{before:?} {apart:?}");
    let middle = |(from, span): (i64, i64)| from + span / 2;
    assert!((middle(apart) - middle(before)).abs() < before.1 / 100, "{before:?} {apart:?}");
    let together = parts(&rig.ask("player.touch", json!({"fingers": [[0.3, 0.4], [0.7, 0.6]]})));
    assert!((together.1 - apart.1 * 2).abs() < apart.1 / 20, "{apart:?} {together:?}");
    // Both along: it goes with them.
    let swiped = parts(&rig.ask("player.touch", json!({"fingers": [[0.3, 0.5], [0.5, 0.7]]})));
    assert!(
        swiped.1 == together.1 && (together.0 - together.1 / 5 - swiped.0).abs() < together.1 / 50,
        "{together:?} {swiped:?}"
    );
    // One taps: there it plays. One drags: it shows what it passes, and where it ends.
    let at = swiped.0 + swiped.1 / 2;
    rig.ask("player.touch", json!({"fingers": [[0.5, 0.5]]}));
    rig.ask("device.plays", json!({"at": at, "isHeld": true, "within": 400}));
    let (from, span) = rig.view();
    rig.ask("player.touch", json!({"fingers": [[0.5, 0.6]]}));
    rig.ask("device.plays", json!({"at": from + span * 6 / 10, "isHeld": true, "within": 400}));
    rig.picture();
}

/// The ends of a clip follow the pointer, change places when one passes the other, and the clip is what they say.
fn a_clip_by_its_handles(rig: &mut Rig) {
    rig.open(10_000, 60);
    rig.press(&["i"]);
    rig.press(&["ArrowRight"]);
    rig.ask("device.plays", json!({"at": rig.start + 15_000, "isHeld": true, "within": 300}));
    rig.press(&["o"]);
    let ends = rig.start + 10_000;
    let length = |rig: &mut Rig| {
        let text =
            rig.ask("device.look", json!({"selector": "[data-clip=length]"}))["text"].as_str().unwrap().to_owned();
        let (minutes, seconds) = text.split_once(':').unwrap();
        minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
    };
    // It was held a little after the moment that it was opened at.
    let is = |found: f64, wanted: f64| assert!((found - wanted).abs() < 0.7, "{found} of {wanted}");
    is(length(rig), 5.0);
    rig.ask("player.drag", json!({"from": ends + 5000, "to": ends + 15_000, "y": TRACK}));
    is(length(rig), 15.0);
    rig.ask("player.drag", json!({"from": ends, "to": ends + 18_000, "y": TRACK}));
    is(length(rig), 3.0);
    let file = rig.daemon.setup.folder().join("clip.mp4");
    rig.ask("device.download", json!({"selector": "[data-act=download]", "path": file}));
    let told = length(rig);
    let is_so = (common::media::duration_seconds(&file) - told).abs() < 0.15;
    assert!(is_so, "{told}");
    rig.press(&["x"]);
}

/// Who looks at what was recorded is a viewer as well, until they are gone.
fn whoever_looks_is_counted(rig: &mut Rig) {
    let viewers = |rig: &Rig| rig.daemon.json("/api/viewer/active")["viewers"].as_u64();
    rig.open(10_000, 60);
    until("somebody looks", 10, || viewers(rig) == Some(1));
    rig.ask("device.close", json!({}));
    until("nobody looks any more", 20, || viewers(rig) == Some(0));
}

fn days_of_the_library(rig: &mut Rig) {
    until("they lie in the library", 60, || {
        rig.daemon.json("/api/host/state")["cleaner"]["shelved"] == rig.before.len()
    });
    rig.open(10_000, 60);
    let day = |rig: &mut Rig, at: i64| rig.ask("player.dayOf", json!({"at": at})).as_str().unwrap().to_owned();
    let (chosen, today) = (day(rig, rig.start), day(rig, Clock::system().wall().as_ms()));
    rig.press(&["c"]);
    let shown = rig.ask("player.calendar", json!({}));
    assert_eq!((&shown["focused"], &shown["chosen"], &shown["tabs"]), (&json!(chosen), &json!(chosen), &json!(1)));

    // By arrows to each day, into the months before where that is the way.
    let before = rig.before.clone();
    let mut focused = chosen;
    for at in &before[..2] {
        let wanted = day(rig, *at);
        while focused != wanted {
            let steps = rig.ask("player.calendar", json!({"keys": ["ArrowLeft"]}));
            let next = steps["focused"].as_str().unwrap().to_owned();
            assert!(next < focused && next >= wanted, "{wanted}: {focused} {next}");
            focused = next;
        }
        let month = rig.ask("player.calendar", json!({"month": &wanted[..7]}));
        until("the day is told", 10, || {
            let shown = rig.ask("player.calendar", json!({}));
            shown["recorded"].as_array().unwrap().contains(&json!(wanted))
        });
        assert_eq!(month["focused"], json!(wanted));
    }
    // Into the future it does not go, nor is an empty day opened.
    rig.ask("player.calendar", json!({"keys": ["PageDown", "PageDown", "ArrowDown"]}));
    assert_eq!(rig.ask("player.calendar", json!({}))["focused"], json!(today));
    // The month before last by its key, the day by a click: it plays from where that day begins, all of the day in view.
    let wanted = day(rig, before[2]);
    while rig.ask("player.calendar", json!({}))["month"].as_str().unwrap() > &wanted[..7] {
        rig.ask("player.calendar", json!({"keys": ["PageUp"]}));
    }
    let selector = format!("[data-date=\"{wanted}\"][aria-disabled=false]");
    rig.ask("device.clickOn", json!({"selector": selector}));
    let there = rig.ask("device.plays", json!({"at": before[2]}));
    assert!((23 * HOUR..=25 * HOUR).contains(&there["span"].as_i64().unwrap()), "{there}");
    // Enter does the same, from the day that the calendar now begins with.
    rig.press(&["c"]);
    assert_eq!(rig.ask("player.calendar", json!({}))["focused"], json!(wanted));
    rig.press(&["Escape"]);
    rig.press(&["c"]);
    until("the day is told", 10, || !rig.ask("player.calendar", json!({}))["recorded"].as_array().unwrap().is_empty());
    rig.press(&["Enter"]);
    rig.ask("device.plays", json!({"at": before[2]}));
}
