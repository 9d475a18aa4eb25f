//! Pins in the database: what is pinned stays, over restarts, copies and damage; what has ended is forgotten.

use std::time::Duration;

use super::*;
use crate::registry::pins::{PINS_MAX, Wish, add};

fn wish(device: &str, until: Option<i64>) -> Wish {
    Wish {
        device: device.parse().unwrap(),
        start: NOW + -600 * 90_000,
        end: NOW + -300 * 90_000,
        until: until.map(|seconds| NOW + seconds * 90_000),
        original: until.is_some(),
        why: "it's \"theft\"".into(),
    }
}

fn known(rig: &Rig) -> Vec<Pin> {
    rig.registry.pins().expect("the database is open").list().to_vec()
}

#[test]
fn pins_outlive_the_daemon_and_numbers_are_not_given_again() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::on(folder.path().into());
    assert_eq!(known(&rig), []);
    let first = wait(rig.registry.pin(wish("cam", None), "local")).unwrap();
    let second = wait(rig.registry.pin(wish("attic", Some(60)), "local")).unwrap();
    assert_eq!(known(&rig), [second.clone(), first.clone()], "by device");
    assert_eq!((second.until, second.created, second.original), (Some(NOW + 60 * 90_000), NOW, true));
    assert!(wait(rig.registry.unpin(second.id, "local")).unwrap());
    assert!(!wait(rig.registry.unpin(second.id, "local")).unwrap());
    rig.end();
    let rig = Rig::on(folder.path().into());
    assert_eq!(known(&rig), [first]);
    assert_eq!(wait(rig.registry.pin(wish("cam", None), "local")).unwrap().id, second.id + 1);
}

#[test]
fn there_is_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::on(folder.path().into());
    wait(rig.registry.write(|connection| {
        (0..PINS_MAX).try_for_each(|_| add(connection, wish("cam", None), "local", NOW).map(drop))
    }))
    .unwrap();
    let refused = wait(rig.registry.pin(wish("cam", None), "local")).unwrap_err();
    assert_eq!(refused.kind, Kind::Conflict, "{refused}");
    assert_eq!(known(&rig).len(), PINS_MAX);
}

#[test]
fn what_ended_a_week_ago_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::on(folder.path().into());
    for until in [None, Some(3600), Some(8 * 86_400)] {
        wait(rig.registry.pin(wish("cam", until), "local")).unwrap();
    }
    let after = |hours: u64, left: usize| {
        rig.manual.advance(Duration::from_secs(hours * 3600));
        rig.registry.tidy();
        until("old ones are forgotten", || known(&rig).len() == left);
    };
    after(2, 3);
    after(7 * 24, 2);
    after(8 * 24, 1);
}

/// Another file in its place: a connection that is open keeps the old one.
fn damage(root: &std::path::Path) {
    fs::write(root.join("damaged"), b"no database at all, although it is long enough".repeat(90)).unwrap();
    fs::rename(root.join("damaged"), root.join("capstan.db")).unwrap();
    // It holds every page, and would heal the file.
    for log in ["capstan.db-wal", "capstan.db-shm"] {
        let _ = fs::remove_file(root.join(log));
    }
}

/// The copy is a day old at most, what is known in RAM is not.
#[test]
fn damage_loses_no_pin_that_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::on(folder.path().into());
    let first = wait(rig.registry.pin(wish("cam", None), "local")).unwrap();
    rig.registry.tidy();
    until("the copy is made", || folder.path().join("capstan.db.bak").exists());
    let second = wait(rig.registry.pin(wish("cam", Some(600)), "local")).unwrap();
    wait(rig.registry.unpin(first.id, "local")).unwrap();
    damage(folder.path());
    rig.registry.shared.suspect();
    rig.registry.save(&incident("cam", IncidentKind::Freeze, 1, Some(1)));
    until("another file took its place", || rig.metrics.db_set_aside.get() == 1);
    until("it is ready", || rig.registry.status().state == State::Ready);
    assert_eq!(known(&rig), std::slice::from_ref(&second));
    rig.end();
    let rig = Rig::on(folder.path().into());
    assert_eq!(known(&rig), [second], "written down, too");
    rig.end();
    // Without a daemon that knew better it is the copy that counts.
    damage(folder.path());
    let rig = Rig::on(folder.path().into());
    assert_eq!(known(&rig), [first]);
}
