//! The wall in a real Chromium, on a daemon with real FFmpegs: where one looks it lives, what is wrong stands out, it turns
//! over a whole screen, and it gets over what happens to the daemon and the cameras.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

mod common;

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use common::{Setup, TestDaemon, Turn, browser::Browser, clip, skip, until};
use serde_json::{Value, json};

const TILES: &str = "wall.tiles.length";
/// Each would set `pwned`, were it ever taken for markup.
const EVIL_NAME: &str = "<img src=x onerror=\"window.pwned=1\"><b>Gate</b>";
const EVIL_AREA: &str = "\"><script>window.pwned=2</script>";

/// None: skipped, and told so.
fn program(test: &str) -> Option<PathBuf> {
    Browser::missing().map_err(|why| skip(test, &why)).ok()
}

fn copied() -> String {
    format!(
        "name = \"Bunny\"\narea = \"Cinema\"\nquality = \"copy\"\nsource = {{ kind = \"file\", path = {:?} }}",
        clip()
    )
}

fn pattern(area: &str, source: &str) -> String {
    format!("area = {area:?}\nquality = \"low\"\nfps = 25\nsource = {{ kind = \"test\", {source} }}")
}

fn slow(source: &str) -> String {
    format!(
        "area = \"Roof\"\nquality = \"low\"\nfps = 10\nsource = {{ kind = \"test\", pattern = \"testsrc2\", period = 600, {source} }}"
    )
}

fn open(program: &std::path::Path, daemon: &TestDaemon, path: &str) -> Browser {
    until("the host is healthy", 30, || daemon.get("/api/host/health").status == 200);
    let mut browser = Browser::start(program, &format!("http://{}/", daemon.address()));
    browser.ask("wall_open", json!({"path": path}));
    browser
}

#[track_caller]
fn wall_until(browser: &mut Browser, what: &str, is: &str) -> Value {
    browser.ask("wall_until", json!({"what": what, "is": is}))
}

fn press(browser: &mut Browser, keys: &[&str]) -> Value {
    browser.ask("wall_keys", json!({"keys": keys}))
}

fn ids(wall: &Value) -> Vec<&str> {
    wall["tiles"].as_array().unwrap().iter().map(|tile| tile["id"].as_str().unwrap()).collect()
}

/// Nothing on the console but what `allowed` knows: breaches of the policy would be there.
#[track_caller]
fn quiet(browser: &mut Browser, allowed: fn(&str) -> bool) {
    let report = browser.ask("report", json!({}));
    let problems = report["problems"].as_array().unwrap().iter().map(|it| it.as_str().unwrap());
    let others: Vec<_> = problems.filter(|problem| !allowed(problem)).collect();
    assert!(others.is_empty(), "{others:#?}");
}

#[test]
fn it_lives_where_one_looks_and_is_led_by_keys() {
    let Some(program) = program("it_lives_where_one_looks_and_is_led_by_keys") else { return };
    let _turn = Turn::wait();
    let evil = format!("name = {EVIL_NAME:?}\n{}", pattern(EVIL_AREA, "pattern = \"testsrc2\", tone = 440"));
    let daemon = TestDaemon::start(
        Setup::new()
            .camera("clip", &copied())
            .camera("evil", &evil)
            .camera("off", "enabled = false\narea = \"Cinema\"\nsource = { kind = \"test\" }"),
    );
    nothing_inline(&daemon);
    let mut browser = open(&program, &daemon, "");
    let wall = wall_until(&mut browser, "pictures of both", "wall.tiles.filter((one) => one.picture > 0).length === 2");
    assert_eq!(ids(&wall), ["clip", "off", "evil"], "by area: {wall:#}");
    assert_eq!(wall["headings"], json!(["Cinema", EVIL_AREA]));
    assert_eq!(
        (&wall["tiles"][2]["name"], &wall["pwned"], &wall["images"]),
        (&json!(EVIL_NAME), &Value::Null, &json!(0))
    );
    assert!(wall["head"].as_str().unwrap().contains("2 of 3 online"), "{wall:#}");

    // One at a time, with decoded pictures; over when it is left, and nothing is fetched any more.
    for id in ["clip", "evil", "clip"] {
        let live = browser.ask("wall_hover", json!({"id": id}));
        println!("{id}: live under the pointer, {} px wide, {} frames", live["width"], live["frames"]);
    }
    let after = browser.ask("wall_leave", json!({}));
    assert_eq!(after["playlists"], 0);

    // Arrows move; what has the focus lives as well.
    assert_eq!(press(&mut browser, &["ArrowRight"])["focused"], "clip");
    assert_eq!(press(&mut browser, &["ArrowDown"])["focused"], "evil");
    browser.ask("wall_lives", json!({"id": "evil"}));
    assert_eq!(press(&mut browser, &["ArrowUp"])["focused"], "clip");
    until("some seconds to play again", 30, || daemon.committed_seconds("clip") > 2.0);
    press(&mut browser, &["r"]);
    let again = browser.ask("wall_restarted", json!({}));
    println!("the last seconds: {again}");
    let path = press(&mut browser, &["Enter"])["path"].as_str().unwrap().to_owned();
    assert!(path.starts_with("/device/clip"), "{path}");
    wall_until(&mut browser, "the camera's page", &format!("{TILES} === 0"));
    press(&mut browser, &["g", "w"]);
    let back =
        wall_until(&mut browser, "the wall again, where it was", "wall.tiles.length === 3 && wall.focused === 'clip'");
    assert_eq!(back["path"], "/");

    // The filter, by its key; what fits nothing says so.
    press(&mut browser, &["/"]);
    browser.ask("wall_type", json!({"text": "gate"}));
    let found = wall_until(&mut browser, "one camera fits", &format!("{TILES} === 1"));
    assert_eq!((ids(&found), &found["path"]), (vec!["evil"], &json!("/?filter=gate")));
    browser.ask("wall_type", json!({"text": " nowhere"}));
    let none = wall_until(&mut browser, "none fits", "wall.empty !== null");
    assert!(none["empty"].as_str().unwrap().starts_with("No camera fits"), "{none:#}");
    browser.ask("wall_open", json!({"path": "/?filter=disabled"}));
    assert_eq!(ids(&wall_until(&mut browser, "the status is searched too", &format!("{TILES} === 1"))), ["off"]);
    browser.ask("wall_open", json!({"path": "/"}));
    browser.ask("wall_choose", json!({"label": "Area", "value": "Cinema"}));
    assert_eq!(ids(&wall_until(&mut browser, "one area", &format!("{TILES} === 2"))), ["clip", "off"]);
    browser.ask("wall_open", json!({"path": "/"}));

    // What was chosen is kept, on the phone as well as there is room.
    press(&mut browser, &["6"]);
    browser.ask("wall_open", json!({"path": "/", "width": 390, "height": 844}));
    wall_until(
        &mut browser,
        "what was chosen is kept, in the width there is",
        &format!("{TILES} === 3 && wall.width <= 390"),
    );
    quiet(&mut browser, |_| false);
}

/// The policy allows no inline script or style, and nothing of other hosts.
#[track_caller]
fn nothing_inline(daemon: &TestDaemon) {
    for path in ["/", "/device/clip", "/settings"] {
        let reply = daemon.get(path);
        let policy = reply.header("content-security-policy").unwrap_or_else(|| panic!("{path} has no policy"));
        for word in ["unsafe-inline", "unsafe-eval", "http:", "https:", "*"] {
            assert!(!policy.contains(word), "{path}: {policy}");
        }
        for rule in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(rule), "{path}: {rule}: {policy}");
        }
    }
}

#[test]
fn trouble_stands_out_and_a_restart_is_got_over() {
    let Some(program) = program("trouble_stands_out_and_a_restart_is_got_over") else { return };
    let _turn = Turn::wait();
    let Some(unplugged) = Rtsp::start() else {
        return skip("trouble_stands_out_and_a_restart_is_got_over", "needs python3-gi and gir1.2-gst-rtsp-server-1.0");
    };
    let mut daemon = TestDaemon::start(
        Setup::new()
            .camera("clip", &copied())
            .camera("dark", &pattern("Lab", "pattern = \"testsrc2\", black = [[12, 300]], period = 600"))
            .camera("stuck", &slow("freeze = [[12, 300]]"))
            .camera("mute", &slow("tone = 440, silence = [[12, 300]]"))
            .camera(
                "cable",
                &format!(
                    "area = \"Lab\"\nquality = \"copy\"\nsource = {{ kind = \"rtsp\", url = {:?} }}",
                    unplugged.url
                ),
            ),
    );
    let mut browser = open(&program, &daemon, "");
    // Another person, who looks at what is wrong first.
    let mut second = open(&program, &daemon, "/?sort=trouble");
    for browser in [&mut browser, &mut second] {
        wall_until(browser, "pictures of all", "wall.tiles.filter((one) => one.picture > 0).length === 5");
    }

    // By their timetables one goes black, one stands still, one is silent: told with its time, and first for who sorts by
    // trouble, the worst before the others. The clip is silent now and then.
    for browser in [&mut browser, &mut second] {
        for (id, word) in [("dark", "Black"), ("stuck", "Frozen"), ("mute", "Silent")] {
            let is = format!(
                "wall.tiles.some((one) => one.id === '{id}' && /^{word}\\s*since \\d\\d:/.test(one.trouble ?? ''))"
            );
            let wall = wall_until(browser, &format!("{id} says so"), &is);
            assert!(wall["head"].as_str().unwrap().contains(" in trouble"), "{wall:#}");
        }
    }
    let sorted =
        wall_until(&mut second, "trouble first", "wall.tiles[0].id === 'dark' && wall.tiles[1].id === 'stuck'");
    assert_eq!(sorted["headings"], json!(["In trouble", "Well"]));
    let known = ids(&sorted).into_iter().filter(|id| *id != "clip").collect::<Vec<_>>();
    assert_eq!(known, ["dark", "stuck", "mute", "cable"], "the worst first");
    let kept = browser.ask("wall", json!({}));
    assert_eq!(ids(&kept), ["clip", "dark", "cable", "stuck", "mute"], "who sorts by area keeps the order");
    // Found by the word for it, and by an area beside.
    browser.ask("wall_open", json!({"path": "/?filter=frozen"}));
    assert_eq!(ids(&wall_until(&mut browser, "one stands still", &format!("{TILES} === 1"))), ["stuck"]);
    browser.ask("wall_open", json!({"path": "/?area=Roof&filter=trouble"}));
    assert_eq!(ids(&wall_until(&mut browser, "two of the roof", &format!("{TILES} === 2"))), ["stuck", "mute"]);
    browser.ask("wall_open", json!({"path": "/"}));

    // Somebody pulls the plug: worse than black. Its last picture stays, and is shown to be old.
    drop(unplugged);
    let is = "wall.tiles[0].id === 'cable' && /^Offline/.test(wall.tiles[0].trouble ?? '') && wall.tiles[0].old && wall.tiles[1].id === 'dark'";
    wall_until(&mut second, "the unplugged one leads", is);
    press(&mut browser, &["t"]);
    let is = "wall.tiles.some((one) => one.id === 'cable') && wall.tiles.every((one) => one.trouble !== null)";
    let wrong = wall_until(&mut browser, "only those in trouble", is);
    let known = ids(&wrong).into_iter().filter(|id| *id != "clip").collect::<Vec<_>>();
    assert_eq!((known, &wrong["path"]), (vec!["dark", "cable", "stuck", "mute"], &json!("/?only=trouble")));
    press(&mut browser, &["t"]);

    // The daemon dies: what was known stays, dimmed, and both are told; then it goes on by itself.
    daemon.kill();
    for browser in [&mut browser, &mut second] {
        let is = format!("wall.away !== null && {TILES} === 5 && wall.opacity < 1");
        let wall = wall_until(browser, "the daemon is away", &is);
        assert!(wall["away"].as_str().unwrap().contains("does not answer"), "{wall:#}");
    }
    daemon.start_again();
    for browser in [&mut browser, &mut second] {
        let is = "wall.away === null && wall.opacity === 1 && wall.tiles.some((one) => one.id === 'clip' && one.status === 'Online')";
        wall_until(browser, "it is back", is);
        let live = browser.ask("wall_hover", json!({"id": "clip"}));
        println!("live after kill -9: {} frames", live["frames"]);
        // What asked while nobody listened, or of a host that just starts or lost a camera, was told so.
        quiet(browser, |problem| problem.contains("ERR_") || problem.contains("status of 50"));
    }
}

#[test]
fn it_turns_over_a_whole_screen() {
    let Some(program) = program("it_turns_over_a_whole_screen") else { return };
    let _turn = Turn::wait();
    let still = "enabled = false\nsource = { kind = \"test\" }";
    let hall = (1..=30).fold(Setup::new().camera("clip", &copied()), |setup, number| {
        setup.camera(&format!("hall-{number}"), &format!("area = \"Hall\"\n{still}"))
    });
    let daemon = TestDaemon::start(hall.camera("yard", &format!("area = \"Yard\"\n{still}")));
    // By a link, as a wall screen has it: one group after another, the large one in two parts.
    let mut browser = open(&program, &daemon, "/?kiosk=2");
    let turned = browser.ask("wall_rotation", json!({"count": 6}));
    assert_eq!(turned["titles"], json!(["Cinema", "Hall 1/2", "Hall 2/2", "Yard", "Cinema", "Hall 1/2"]));
    for gap in &turned["gaps"].as_array().unwrap()[1..] {
        assert!((1500..3500).contains(&gap.as_i64().unwrap()), "every 2 s: {turned}");
    }
    let shown = browser.ask("wall_kiosk", json!({}));
    assert_eq!(
        (shown["tiles"].as_array().unwrap().len(), &shown["fits"], &shown["inert"]),
        (15, &json!(true), &json!(true))
    );
    assert!(shown["wake"]["asked"].as_u64().unwrap() >= 1, "the screen is to stay awake: {shown}");

    // By hand: pause, back and forth, and out.
    press(&mut browser, &[" ", "ArrowLeft"]);
    assert_eq!(browser.ask("wall_kiosk", json!({}))["title"], "Cinema");
    browser.ask("wall_hover", json!({"id": "clip"}));
    press(&mut browser, &["ArrowLeft"]);
    assert_eq!(browser.ask("wall_kiosk", json!({}))["title"], "Yard");
    press(&mut browser, &["Escape"]);
    let wall = wall_until(&mut browser, "the wall", "wall.tiles.length > 0");
    assert_eq!(wall["path"], "/");
    let closed = browser.ask("wall_kiosk", json!({}));
    assert_eq!((&closed["open"], &closed["inert"]), (&json!(false), &json!(false)));

    // By its key, it takes the browser's own full screen. Of 32 cameras only those on screen are in the page.
    press(&mut browser, &["1"]);
    wall_until(&mut browser, "few of many are in the page", &format!("{TILES} > 0 && {TILES} < 8"));
    press(&mut browser, &["f"]);
    until("the full screen", 10, || browser.ask("wall_kiosk", json!({}))["full"] == true);
    press(&mut browser, &["f"]);
    until("none any more", 10, || browser.ask("wall_kiosk", json!({}))["full"] == false);

    // 1 to 6 beside each other.
    for columns in 1..=6 {
        press(&mut browser, &[&columns.to_string()]);
        let is = format!(
            "new Set(wall.tiles.filter((one) => one.id.startsWith('hall')).map((one) => one.left)).size === {columns}"
        );
        wall_until(&mut browser, &format!("{columns} columns"), &is);
    }
    // The last of many is reached by a key and brought on screen.
    press(
        &mut browser,
        &["3", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown"],
    );
    let far = wall_until(&mut browser, "the seventh row", "wall.focused === 'hall-16'");
    let tile = far["tiles"].as_array().unwrap().iter().find(|tile| tile["id"] == "hall-16").unwrap();
    assert!((0..900).contains(&tile["top"].as_i64().unwrap()), "{tile}");
    quiet(&mut browser, |_| false);
}

#[test]
fn a_host_without_cameras_says_what_to_do() {
    let Some(program) = program("a_host_without_cameras_says_what_to_do") else { return };
    let _turn = Turn::wait();
    let daemon = TestDaemon::start(Setup::new());
    let mut browser = open(&program, &daemon, "");
    // The very first questions get no answer: that is said, and once there is one it goes on by itself.
    for paths in ["**/api/auth/me", "**/api/host/state"] {
        let said = browser.ask("wall_deaf", json!({"paths": paths}));
        println!("without an answer of {paths}: {said}");
        assert!(said["text"].as_str().unwrap().contains("does not answer"), "{said}");
        browser.ask("wall_heard", json!({"paths": paths}));
        wall_until(&mut browser, "it goes on", "wall.empty !== null");
    }
    let wall = wall_until(&mut browser, "that there is none", "wall.empty !== null");
    assert_eq!(wall["links"], json!(["/settings/cameras"]), "{wall:#}");
    quiet(&mut browser, |problem| problem.contains("ERR_FAILED"));
}

/// tests/lab/rtsp_server.py; dropping it pulls the plug.
struct Rtsp {
    child: Child,
    url: String,
}

impl Rtsp {
    fn start() -> Option<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/rtsp_server.py");
        let mut command = Command::new("/usr/bin/python3");
        let mut child = command.arg(script).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take()?).read_line(&mut line).ok()?;
        let server =
            Self { child, url: format!("rtsp://127.0.0.1:{}/live", line.trim().strip_prefix("ready ").unwrap_or("0")) };
        line.starts_with("ready ").then_some(server)
    }
}

impl Drop for Rtsp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
