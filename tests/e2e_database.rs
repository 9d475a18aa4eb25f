//! The database of a daemon that is killed while it is made, brought up to date or written, and of one that may not write.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

mod common;

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use common::{Dice, LoopDisk, Setup, TestDaemon, Turn, http, now, rounds, skip, until};
use rusqlite::Connection;
use serde_json::{Value, json};

const QUIET: &str = "enabled = false\nsource = { kind = \"test\" }";

fn is_complete(daemon: &TestDaemon) -> bool {
    daemon.json("/api/cameras")["complete"] == true
}

#[track_caller]
fn check(database: &Path) -> i64 {
    let connection = Connection::open(database).unwrap();
    let said: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(said, "ok");
    connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

/// As a daemon of the first schema left it: incidents and maintenance, nothing of what came later.
fn make_old(database: &Path) {
    let connection = Connection::open(database).unwrap();
    let mut tables = connection.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").unwrap();
    let names: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    drop(tables);
    let later = names.iter().filter(|name| !["incident", "maintenance"].contains(&name.as_str()));
    for name in later.filter(|name| !name.starts_with("sqlite_")) {
        connection.execute_batch(&format!("DROP TABLE {name}")).unwrap();
    }
    connection.execute_batch("PRAGMA user_version = 1; VACUUM").unwrap();
}

#[test]
fn a_kill_while_it_is_made_or_brought_up_to_date_costs_nothing() {
    let _turn = Turn::wait();
    let mut daemon = TestDaemon::start(Setup::new().camera("file", QUIET));
    until("the database is open", 20, || is_complete(&daemon));
    daemon.incident("file", "kept");
    daemon.stop();
    let database = daemon.setup.root().join("capstan.db");
    let newest = check(&database);
    let mut dice = Dice::new();
    let mut versions = Vec::new();
    for round in 0..rounds(10) {
        // In turn a database of long ago and none at all: of that, nothing is expected but that there is one again.
        let is_old = round % 2 == 0;
        let _ = std::fs::remove_file(daemon.setup.root().join("capstan.db.bak"));
        if is_old {
            make_old(&database);
        } else {
            std::fs::rename(&database, daemon.setup.folder().join("aside")).unwrap();
        }
        // At some moment after it was opened first: what SQLite writes first is its log.
        let log = daemon.setup.root().join("capstan.db-wal");
        let mut child = daemon.setup.command(&["serve"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let (began, wait) = (now(), Duration::from_micros(dice.between(0, 6_000)));
        let mut seen = None;
        while seen.is_none_or(|seen| now().since(seen) < wait) {
            assert!(now().since(began) < Duration::from_secs(20), "it opens its database");
            seen = seen.or_else(|| log.exists().then(now));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        versions.push(if database.exists() { check(&database) } else { 0 });

        daemon.start_again();
        until("the database is open", 20, || is_complete(&daemon));
        let told = daemon.json("/api/host/incidents?from=0").to_string();
        assert_eq!(told.contains("kept"), is_old, "{told}");
        assert!(!daemon.log().contains("set aside"), "{}", daemon.log());
        daemon.stop();
        assert_eq!(check(&database), newest);
        if !is_old {
            std::fs::rename(daemon.setup.folder().join("aside"), &database).unwrap();
        }
    }
    println!("versions after the kills: {versions:?}, the newest is {newest}");
}

#[test]
fn a_kill_while_much_is_entered_takes_nothing_that_was_answered() {
    let _turn = Turn::wait();
    let mut daemon = TestDaemon::start(Setup::new().camera("file", QUIET));
    let mut dice = Dice::new();
    let (mut answered, mut next): (Vec<(String, u64)>, u64) = (Vec::new(), 0);
    for _ in 0..rounds(4) {
        until("the database is open", 20, || is_complete(&daemon));
        let address = daemon.address();
        let (is_over, answers) = (AtomicBool::new(false), AtomicU64::new(0));
        let entered = thread::scope(|scope| {
            // Areas cost no actor: four write at once, as quickly as they are answered.
            let writers: Vec<_> = (0..4_u64)
                .map(|writer| {
                    let (is_over, answers) = (&is_over, &answers);
                    scope.spawn(move || {
                        let mut mine = Vec::new();
                        for number in (next..).take_while(|_| !is_over.load(Ordering::Relaxed)) {
                            let name = format!("area-{writer}-{number}");
                            match http::send(address, "POST", "/api/areas", &json!({"name": name})) {
                                Ok(reply) if [200, 201].contains(&reply.status) => {
                                    mine.push((name, number));
                                    answers.fetch_add(1, Ordering::Relaxed);
                                }
                                Ok(reply) => panic!("{}", reply.text()),
                                Err(_) => break,
                            }
                        }
                        mine
                    })
                })
                .collect();
            // In the middle of some answer or other.
            let enough = dice.between(10, 120);
            until("much is entered", 30, || answers.load(Ordering::Relaxed) >= enough);
            daemon.kill();
            is_over.store(true, Ordering::Relaxed);
            writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect::<Vec<_>>()
        });
        next = entered.iter().map(|(_, number)| number + 1).max().unwrap_or(next).max(next);
        answered.extend(entered);
        // Numbers that were under way when it died may be there or not, and are not used again.
        next += 1;
        check(&daemon.setup.root().join("capstan.db"));
        daemon.start_again();
    }
    until("the database is open", 20, || is_complete(&daemon));
    let areas = daemon.json("/api/areas");
    let there: Vec<&str> =
        areas["areas"].as_array().unwrap().iter().map(|area| area["name"].as_str().unwrap()).collect();
    println!("{} answered, {} there", answered.len(), there.len());
    assert!(answered.len() > 20, "{}", answered.len());
    for (name, _) in &answered {
        assert!(there.contains(&name.as_str()), "{name} was answered and is gone");
    }
    let audited = daemon.json("/api/audit?limit=1")["entries"][0]["subject"].clone();
    assert!(there.contains(&audited.as_str().unwrap()), "{audited}");
}

/// Also for root, whom file modes do not stop.
fn immutable(path: &Path, sign: &str) -> bool {
    let done = Command::new("chattr").arg(format!("{sign}i")).arg(path).stderr(Stdio::null()).status();
    done.is_ok_and(|status| status.success())
}

#[test]
fn a_database_that_may_not_be_written_stops_no_recording() {
    let Some(disk) = LoopDisk::new(256) else { return skip("e2e_database", "needs root and loop devices") };
    let _turn = Turn::wait();
    let camera = "quality = \"low\"\nfps = 10\nsource = { kind = \"test\" }";
    let mut daemon = TestDaemon::start(Setup::new().on(disk).camera("file", camera));
    until("the database is open", 20, || is_complete(&daemon));
    let stored = json!({"id": "door", "name": "Door", "enabled": false, "source": {"kind": "test"}});
    assert_eq!(send(&daemon, "POST", "/api/cameras", &stored).status, 201);
    daemon.stop();
    let database = daemon.setup.root().join("capstan.db");
    if !immutable(&database, "+") {
        return skip("e2e_database", "chattr +i is not possible here");
    }
    daemon.start_again();
    until("it records all the same", 30, || daemon.committed_seconds("file") > 2.0);
    let renamed = json!({"id": "door", "name": "Gate", "enabled": false, "source": {"kind": "test"}});
    let refused = send(&daemon, "PUT", "/api/cameras/door", &renamed);
    let said = &refused.json()["error"];
    assert_eq!(refused.status, 503, "{said}");
    assert!(said["message"].as_str().unwrap().contains("readonly"), "{said}");
    let health = daemon.get("/api/host/health");
    let checks = health.json()["checks"].clone();
    let said = checks.as_array().unwrap().iter().find(|check| check["name"] == "database").unwrap().clone();
    println!("{said}");
    assert_eq!((health.status, &said["ok"]), (503, &json!(false)), "{said}");

    assert!(immutable(&database, "-"));
    until("it takes changes again, by itself", 60, || {
        send(&daemon, "PUT", "/api/cameras/door", &renamed).status == 200
    });
    assert_eq!(daemon.json("/api/cameras/door")["name"], "Gate", "what was stored before is still there");
    assert_eq!(daemon.lost_seconds("file"), 0.0);
}

fn send(daemon: &TestDaemon, method: &str, path: &str, body: &Value) -> http::Response {
    http::send_with(daemon.address(), method, path, &[("If-Match", "*")], body).unwrap()
}
