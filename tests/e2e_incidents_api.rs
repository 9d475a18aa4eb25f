//! Incidents and maintenance of a running daemon: what was answered is kept through kills, and damage is survived.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

mod common;

use std::fs;

use common::{Setup, TestDaemon, Turn, http, until};
use serde_json::json;

const COUNT: usize = 40;

fn id(number: usize) -> String {
    format!("cam-{}-freeze", 1_700_000_000_125 + number)
}

fn idle(setup: Setup) -> TestDaemon {
    TestDaemon::start(setup.camera("cam", "enabled = false\nsource = { kind = \"test\" }"))
}

/// Kills while people edit, again and again: what was answered with 200 is there after each, and the database is whole.
#[test]
fn what_was_answered_is_kept_through_kills() {
    let _turn = Turn::wait();
    let mut daemon = idle(Setup::new());
    (0..COUNT).for_each(|number| daemon.incident("cam", &id(number)));
    let mut said = vec![String::new(); COUNT];
    for round in 0..5 {
        let (address, pid) = (daemon.address(), daemon.pid());
        let killer = std::thread::spawn(move || {
            std::thread::park_timeout(std::time::Duration::from_millis(60 + 70 * round));
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        });
        let mut maybe = None;
        for number in (0..COUNT).cycle() {
            let comment = format!("round {round} {number}");
            let path = format!("/api/host/incidents/{}", id(number));
            match http::send(address, "PATCH", &path, &json!({"comment": comment, "acknowledged": true})) {
                Ok(reply) if reply.status == 200 => said[number] = comment,
                Ok(reply) => assert_eq!(reply.status, 503, "{}", reply.text()),
                Err(_) => {
                    maybe = Some((number, comment));
                    break;
                }
            }
        }
        killer.join().unwrap();
        daemon.kill();
        daemon.start_again();
        let check: String = daemon.database().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
        let list = daemon.json("/api/host/incidents?limit=1000");
        for incident in list["incidents"].as_array().unwrap() {
            let number = (0..COUNT).find(|number| incident["id"] == id(*number)).unwrap();
            let found = incident["comment"].as_str().unwrap();
            if maybe.as_ref() == Some(&(number, found.to_owned())) {
                // Done, but the answer never came.
                said[number] = found.to_owned();
            }
            assert_eq!(found, said[number], "{number} after round {round}");
        }
        assert_eq!(list["incidents"].as_array().unwrap().len(), COUNT);
    }
    println!("{} answered", said.iter().filter(|comment| !comment.is_empty()).count());
}

#[test]
fn maintenance_and_the_words_of_people_outlast_a_restart() {
    let _turn = Turn::wait();
    let mut daemon = idle(Setup::new().set("server.host_name", "hall-7"));
    assert_eq!(daemon.json("/api/host/state")["host"]["name"], "hall-7");
    daemon.incident("cam", &id(0));
    let path = format!("/api/host/incidents/{}", id(0));
    let reply = http::send(daemon.address(), "PATCH", &path, &json!({"discarded": true, "comment": "a test"})).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    let soon = daemon.json("/api/host/state")["host"]["time"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let soon = jiff::Timestamp::from_second(soon.as_second() + 600).unwrap().to_string();
    let maintenance = "/api/host/maintenance/cam";
    let reply = http::send(daemon.address(), "PUT", maintenance, &json!({"until": soon, "why": "a new lens"})).unwrap();
    assert_eq!((reply.status, &reply.json()["active"]), (200, &json!(true)));
    let (status, _) = daemon.stop();
    assert!(status.success());
    daemon.start_again();
    until("it is shown", 20, || daemon.json(maintenance)["why"] == "a new lens");
    let list = daemon.json("/api/host/incidents?discarded=1");
    assert_eq!(list["incidents"][0]["comment"], "a test");
    let picture = list["incidents"][0]["evidence"][0].as_str().unwrap();
    assert_eq!(daemon.get(picture).body, b"a picture");
    let timeline = daemon.json("/api/host/timeline/cam?from=1699999990&duration=60");
    assert_eq!(timeline["incidents"][0]["id"], id(0));
}

#[test]
fn a_damaged_database_holds_up_nothing() {
    let _turn = Turn::wait();
    let mut daemon = TestDaemon::start(Setup::new().camera("cam", "quality = \"low\"\nsource = { kind = \"test\" }"));
    daemon.incident("cam", &id(0));
    daemon.stop();
    let root = daemon.setup.root();
    assert!(!root.join("capstan.db-wal").exists(), "at rest it is one file");
    // No copy either: there is nothing left of it.
    let _ = fs::remove_file(root.join("capstan.db.bak"));
    fs::write(root.join("capstan.db"), b"SQLite format 3\0 and then nothing that makes sense".repeat(500)).unwrap();
    daemon.start_again();
    until("it records", 30, || daemon.committed_seconds("cam") > 0.0);
    until("the database is a new one", 20, || daemon.json("/api/host/state")["registry"]["state"] == "ready");
    assert_eq!(daemon.json("/api/host/incidents"), json!({"incidents": []}));
    assert_eq!(daemon.metric("capstan_db_set_aside_total", &[]), Some(1.0));
    assert_eq!(daemon.metric("capstan_db_ok", &[]), Some(1.0));
    let checks = daemon.json("/api/host/health")["checks"].clone();
    let check = checks.as_array().unwrap().iter().find(|check| check["name"] == "database").unwrap();
    assert_eq!(check["ok"], true, "{check}");
}
