//! Trouble from the picture to whoever is told of it, with real FFmpeg: incidents follow the timetable of the footage,
//! are proved, told in time and survive what happens to the daemon.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod common;

use std::{fs, net::TcpListener, process::Command, sync::mpsc};

use capstan::clock::Clock;
use common::{
    Setup, TestDaemon, Turn, daemon,
    faketime::WallClock,
    http,
    receiver::{Heard, receive},
    skip, until,
};
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

/// Each must be told so long after its first bad frame.
const TOLD_WITHIN_S: f64 = 5.0;

fn camera(source: &str) -> String {
    format!("quality = \"low\"\nfps = 25\nsource = {{ kind = \"test\", {source} }}")
}

fn started(setup: Setup) -> TestDaemon {
    let daemon = TestDaemon::start(setup);
    until_listed(&daemon);
    daemon
}

fn until_listed(daemon: &TestDaemon) {
    until("the database is open", 20, || daemon.get("/api/host/incidents").status == 200);
}

/// Newest first, as `/api/host/incidents` lists them.
fn incidents(daemon: &TestDaemon, query: &str) -> Vec<Value> {
    daemon.json(&format!("/api/host/incidents?limit=1000&{query}"))["incidents"].as_array().unwrap().clone()
}

fn kinds(incidents: &[Value]) -> Vec<&str> {
    incidents.iter().rev().map(|it| it["kind"].as_str().unwrap()).collect()
}

fn is_open(daemon: &TestDaemon, device: &str, kind: &str) -> bool {
    !incidents(daemon, &format!("open=1&device={device}&kind={kind}")).is_empty()
}

/// Seconds since 1970.
fn time(told: &Value) -> f64 {
    told.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond() as f64 / 1000.0
}

/// When the run of this device began, on the time of its footage.
fn run_start(daemon: &TestDaemon, device: &str) -> f64 {
    let told = daemon.json(&format!("/host/stream/{device}/captures/latest.json"));
    let frame = told["frame"].as_str().unwrap().split_once('_').unwrap().1.parse::<f64>().unwrap();
    told["t"].as_f64().unwrap() - frame / 100.0
}

/// What is told to who listens, with the time of its arrival. Commits keep the line from falling silent.
fn listen(daemon: &TestDaemon) -> mpsc::Receiver<Heard> {
    let mut stream = http::Stream::open(daemon.address(), "/api/events?topics=incident,commit", &[]).unwrap();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let clock = Clock::system();
        while let Some(body) = stream.next_event() {
            if tell.send(Heard { at: clock.wall(), body }).is_err() {
                return;
            }
        }
    });
    told
}

/// From the first bad frame to the word of it; prints and checks it.
fn told_in_time(what: &str, heard: &[Heard]) -> usize {
    let opened = heard.iter().filter(|it| it.body["kind"] == "incident_opened" && it.body["reopened"].is_null());
    let took: Vec<_> = opened
        .map(|it| {
            let incident = &it.body["incident"];
            (it.at.as_ms() as f64 / 1000.0 - time(&incident["start"]), incident["id"].as_str().unwrap())
        })
        .collect();
    println!("{what}: {took:.2?}");
    assert!(took.iter().all(|(seconds, _)| *seconds <= TOLD_WITHIN_S), "{what}: {took:?}");
    took.len()
}

/// Mean brightness of a JPEG, 0 to 255.
fn brightness(daemon: &TestDaemon, jpeg: &[u8]) -> u8 {
    let file = daemon.setup.folder().join("evidence.jpg");
    fs::write(&file, jpeg).unwrap();
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-i"]).arg(file);
    command.args(["-vf", "scale=1:1:flags=area,format=gray", "-f", "rawvideo", "-"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout[0]
}

/// The gauge of the metrics is the list of what is open.
fn gauge_is_the_list(daemon: &TestDaemon) {
    until("the gauge is what is listed", 10, || {
        let open = incidents(daemon, "open=1");
        ["blackscreen", "freeze", "silence", "signal_lost"].into_iter().all(|kind| {
            let listed = open.iter().filter(|it| it["kind"] == kind).count();
            daemon.metric("capstan_incidents_open", &[("kind", kind)]) == Some(listed as f64)
        })
    });
}

/// Stops every FFmpeg of this device: for the daemon its source hangs.
fn hang(daemon: &TestDaemon, device: &str) {
    for (pid, line) in daemon.children() {
        if line.contains(&format!("/{device}/")) && line.contains("ffmpeg") {
            let _ = kill_process(pid, Signal::STOP);
        }
    }
}

#[test]
fn incidents_follow_the_timetable_are_proved_and_told_in_time() {
    let _turn = Turn::wait();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let webhook: toml::Table = format!("webhook = [{{ url = \"{url}\", secret = \"key\" }}]").parse().unwrap();
    let setup = Setup::new()
        .set("notify.webhook", webhook["webhook"].clone())
        .camera("show", &camera("black = [[6, 11]], freeze = [[13, 18]], silence = [[20, 25]]"))
        .camera("still", &camera("black = [[6, 12]], freeze = [[6, 12]]"))
        .camera("mute", &camera("tone = 0"))
        .camera("hung", &camera("tone = 440"));
    let daemon = started(setup);
    let (hooked, streamed) = (receive(listener), listen(&daemon));

    until("all are looked at", 20, || {
        ["show", "still", "mute", "hung"]
            .iter()
            .all(|device| daemon.get(&format!("/host/stream/{device}/captures/latest.json")).status == 200)
    });
    until("the source that hangs is an incident", 15, || {
        hang(&daemon, "hung");
        is_open(&daemon, "hung", "signal_lost")
    });
    gauge_is_the_list(&daemon);
    until("it is back", 30, || !is_open(&daemon, "hung", "signal_lost"));
    until("the timetable is through", 60, || {
        let show = incidents(&daemon, "device=show&open=0");
        show.len() == 3 && show.iter().all(|it| it["evidence"].as_array().unwrap().len() == 3)
    });

    let show = incidents(&daemon, "device=show");
    let began = run_start(&daemon, "show");
    let table = [("blackscreen", 6.0), ("freeze", 13.0), ("silence", 20.0)];
    for (incident, (kind, from)) in show.iter().rev().zip(table) {
        let start = time(&incident["start"]) - began;
        let end = time(&incident["end"]) - began;
        println!("{kind}: {start:.2}..{end:.2} s for {from}..{}", from + 5.0);
        assert_eq!(incident["kind"], kind);
        assert!((start - from).abs() <= 1.0 && (end - from - 5.0).abs() <= 1.0, "{incident}");
        let shots: Vec<_> = ["first", "worst", "last"]
            .iter()
            .map(|shot| {
                let urls = incident["evidence"].as_array().unwrap();
                let url = urls.iter().find_map(|url| url.as_str().filter(|url| url.contains(shot))).unwrap();
                let reply = daemon.get(url);
                assert_eq!((reply.status, reply.header("content-type")), (200, Some("image/jpeg")), "{url}");
                reply.body
            })
            .collect();
        let dark = shots.iter().map(|jpeg| brightness(&daemon, jpeg)).filter(|mean| *mean < 10).count();
        assert_eq!(dark, if kind == "blackscreen" { 3 } else { 0 }, "pictures of {incident}");
        // The clock in the picture stands still, or runs.
        assert_eq!(shots[0] == shots[2], kind != "silence", "pictures of {incident}");
    }
    assert_eq!(kinds(&incidents(&daemon, "device=still")), ["blackscreen"], "what is black is not also frozen");
    assert_eq!(kinds(&incidents(&daemon, "device=hung")), ["signal_lost"]);
    assert_eq!(incidents(&daemon, "device=mute"), Vec::<Value>::new(), "without sound there is no silence");

    let order = |heard: &[Heard]| {
        let of = heard.iter().map(|it| (it.body["kind"].clone(), it.body["incident"]["id"].clone()));
        of.filter(|(kind, _)| kind == "incident_opened" || kind == "incident_closed").collect::<Vec<_>>()
    };
    // The last end is on its way when the list has it.
    let heard_out = |what: &str, told: &mpsc::Receiver<Heard>| {
        let mut heard = Vec::new();
        until(what, 20, || {
            heard.extend(told.try_iter());
            order(&heard).len() >= 10
        });
        heard
    };
    let (hooked, streamed) = (heard_out("webhooks hear all", &hooked), heard_out("listeners hear all", &streamed));
    assert_eq!(told_in_time("to webhooks", &hooked), 5);
    assert_eq!(told_in_time("to listeners", &streamed), 5);
    assert_eq!(order(&hooked), order(&streamed));
    gauge_is_the_list(&daemon);
}

#[test]
fn an_incident_outlasts_the_daemon_or_ends_where_it_was_seen() {
    let _turn = Turn::wait();
    let black = camera("black = [[0, 600]]");
    let setup = Setup::new().camera("on", &black).camera("heals", &black).camera("leaves", &black);
    let mut daemon = started(setup);
    let open = |daemon: &TestDaemon, device: &str| -> Option<Value> {
        incidents(daemon, &format!("open=1&device={device}")).pop().filter(|it| it["kind"] == "blackscreen")
    };
    until("all are black", 30, || ["on", "heals", "leaves"].iter().all(|device| open(&daemon, device).is_some()));
    let (on, heals) = (open(&daemon, "on").unwrap(), open(&daemon, "heals").unwrap());
    let (status, _) = daemon.stop();
    assert!(status.success());
    let stopped = Clock::system().wall().as_ms() as f64 / 1000.0;
    daemon.setup.change_camera("heals", &camera("black = []"));
    daemon.setup.change_camera("leaves", &format!("enabled = false\n{black}"));
    daemon.start_again();
    until_listed(&daemon);
    until("what is no longer black, or no longer watched, has ended", 30, || incidents(&daemon, "open=0").len() == 2);
    assert_eq!(incidents(&daemon, "device=heals")[0]["id"], heals["id"]);
    for over in incidents(&daemon, "open=0") {
        let seen = time(&heals["start"]) - 2.0..=stopped;
        assert!(seen.contains(&time(&over["end"])), "it ends where it was last seen: {over}");
    }

    let lasts = |daemon: &TestDaemon| {
        let seen = daemon.get("/host/stream/on/captures/latest.json");
        until("it is black still", 20, || {
            let again = daemon.get("/host/stream/on/captures/latest.json");
            again.status == 200 && again.body != seen.body && again.json()["blackscreen"] == true
        });
        until("one open incident", 10, || open(daemon, "on").is_some_and(|it| it["id"] == on["id"]));
        assert_eq!(incidents(daemon, "device=on").len(), 1);
        gauge_is_the_list(daemon);
    };
    lasts(&daemon);
    daemon.kill();
    daemon.start_again();
    until_listed(&daemon);
    lasts(&daemon);
    assert_eq!(incidents(&daemon, "").len(), 3);
}

#[test]
fn maintenance_hides_and_a_receiver_that_was_down_hears_all_in_order() {
    let _turn = Turn::wait();
    let address = daemon::free_address();
    let webhook =
        format!("webhook = [{{ url = \"http://{address}/\", kinds = [\"incident_opened\", \"incident_closed\"] }}]");
    let webhook: toml::Table = webhook.parse().unwrap();
    let setup = Setup::new()
        .set("notify.webhook", webhook["webhook"].clone())
        .set("archive.captures", "none")
        .camera("cam", &camera("black = [[3, 600]]"));
    let daemon = started(setup);
    until("it is black", 30, || is_open(&daemon, "cam", "blackscreen"));
    let path = "/api/host/maintenance/cam";
    let until_when = jiff::Timestamp::from_second(Clock::system().wall().as_seconds() + 600).unwrap().to_string();
    let reply = http::send(daemon.address(), "PUT", path, &json!({"until": until_when})).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    until("nobody is told of it", 10, || incidents(&daemon, "open=1").is_empty());
    let committed = daemon.committed_seconds("cam");
    until("it records on", 20, || daemon.committed_seconds("cam") >= committed + 4.0);
    assert_eq!(incidents(&daemon, "").len(), 1, "black all the time, and hidden");
    assert_eq!(http::request(daemon.address(), "DELETE", path, &[]).unwrap().status, 200);
    until("it is told again", 20, || is_open(&daemon, "cam", "blackscreen"));
    let all = incidents(&daemon, "");
    assert_eq!(kinds(&all), ["blackscreen"; 2]);
    assert!(all.iter().all(|it| it["evidence"] == json!([])), "none are kept");
    let evidence = daemon.setup.root().join("cam/evidence");
    assert!(!evidence.exists());

    let waiting = daemon.json("/api/host/state")["webhooks"][0].clone();
    assert!(waiting["waiting"].as_u64() >= Some(2) && waiting["sent"] == 0, "{waiting}");
    let hooked = receive(TcpListener::bind(address).unwrap());
    let mut heard = Vec::new();
    until("all is heard", 90, || {
        heard.extend(hooked.try_iter().map(|it| (it.body["kind"].clone(), it.body["incident"]["id"].clone())));
        heard.len() >= 3
    });
    let expected = [("incident_opened", 1), ("incident_closed", 1), ("incident_opened", 0)];
    let expected: Vec<_> = expected.iter().map(|(kind, place)| (json!(kind), all[*place]["id"].clone())).collect();
    assert_eq!(heard, expected);
    assert_eq!(daemon.lost_seconds("cam"), 0.0);
}

#[test]
fn without_analysis_only_a_lost_signal_is_told() {
    let _turn = Turn::wait();
    let setup =
        Setup::new().set("analysis.enabled", false).camera("cam", &camera("black = [[0, 600]], silence = [[0, 600]]"));
    let daemon = started(setup);
    until("it records", 30, || daemon.committed_seconds("cam") >= 4.0);
    assert_eq!(incidents(&daemon, ""), Vec::<Value>::new());
    until("the source that hangs is an incident", 15, || {
        hang(&daemon, "cam");
        is_open(&daemon, "cam", "signal_lost")
    });
    until("it is back", 30, || incidents(&daemon, "open=1").is_empty());
    assert_eq!(kinds(&incidents(&daemon, "")), ["signal_lost"]);
}

#[test]
fn a_clock_that_is_set_makes_no_incident_longer() {
    let _turn = Turn::wait();
    let Some((setup, clock)) = WallClock::of(Setup::new(), 0) else {
        skip("a_clock_that_is_set_makes_no_incident_longer", "faketime is not installed");
        return;
    };
    let setup = setup.camera("cam", &camera("black = [[4, 12], [18, 26]]"));
    let daemon = started(setup);
    for ahead in [7200, 0] {
        until("it is black", 40, || is_open(&daemon, "cam", "blackscreen"));
        clock.set(ahead);
        until("it is over", 40, || {
            let seen = daemon.get("/host/stream/cam/captures/latest.json");
            let is_black = seen.status != 200 || seen.json()["blackscreen"] != false;
            !is_black && incidents(&daemon, "open=1").is_empty()
        });
    }
    let all = incidents(&daemon, "");
    println!("{:?}", all.iter().map(|it| (&it["start"], &it["duration_seconds"])).collect::<Vec<_>>());
    assert!(all.iter().all(|it| it["kind"] == "blackscreen"), "{all:?}");
    let seconds: Vec<_> = all.iter().map(|it| it["duration_seconds"].as_f64().unwrap()).collect();
    assert!(seconds.iter().all(|it| *it <= 9.0), "{all:?}");
    // Of 16 s, what may be missing is what came too shortly before or after the clock was set to be trouble.
    assert!((10.0..=16.5).contains(&seconds.iter().sum::<f64>()), "{all:?}");
    assert!((2..=4).contains(&all.len()), "two spells of black, each cut in two at most");
    gauge_is_the_list(&daemon);
}
