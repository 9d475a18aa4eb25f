//! Damaged files, disks that are full, read-only or gone, and databases of another time.

use std::io::{Seek, SeekFrom, Write};

use super::*;
use crate::{registry::store, storage::test_disk::Disk};

fn database(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("capstan.db")
}

fn aside(folder: &tempfile::TempDir) -> usize {
    let names = fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.file_name());
    names.filter(|name| name.to_string_lossy().starts_with("capstan.db.corrupt-")).count()
}

/// A database of so many incidents, closed; with a copy of an earlier state that has one, if wanted.
fn filled(count: i64, copied: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::on(folder.path().into());
    rig.registry.save(&incident("first", IncidentKind::Freeze, 1, Some(1)));
    rig.settle();
    if copied {
        rig.registry.tidy();
        until("the copy is made", || folder.path().join("capstan.db.bak").exists());
    }
    for number in 0..count {
        rig.registry.save(&incident("cam", IncidentKind::Freeze, 10 * number, Some(1)));
        if number % 512 == 511 {
            rig.settle();
        }
    }
    rig.settle();
    rig.end();
    folder
}

/// Opens, and takes what it is told, whatever lay there.
fn works(folder: &tempfile::TempDir) -> usize {
    let rig = Rig::on(folder.path().into());
    until("it is ready", || rig.registry.status().state == State::Ready);
    let found = rig.list(Filter { limit: 5000, ..Filter::default() }).len();
    rig.registry.save(&incident("new", IncidentKind::Silence, 0, None));
    rig.settle();
    assert_eq!(rig.list(Filter { device: Some("new".parse().unwrap()), ..Filter::default() }).len(), 1);
    rig.end();
    found
}

#[test]
fn damage_is_set_aside_and_the_copy_restored() {
    let check = |name: &str, copied: bool, damage: fn(&mut Vec<u8>), expected: (usize, usize)| {
        let folder = filled(100, copied);
        let mut bytes = fs::read(database(&folder)).unwrap();
        damage(&mut bytes);
        fs::write(database(&folder), &bytes).unwrap();
        assert_eq!((works(&folder), aside(&folder)), expected, "{name}");
        // And then it is a database like any other.
        assert_eq!((works(&folder), aside(&folder)), (expected.0 + 1, expected.1), "{name}, again");
    };
    check("whole", true, |_| (), (101, 0));
    check(
        "no database",
        true,
        |bytes| *bytes = b"not a database at all, although it is long enough".repeat(90),
        (1, 1),
    );
    check("no database, no copy", false, |bytes| bytes[..16].fill(0xff), (0, 1));
    check("nothing left", true, Vec::clear, (1, 0));
    check("nothing left, no copy", false, Vec::clear, (0, 0));
    check("cut short", true, |bytes| bytes.truncate(bytes.len() / 2), (1, 1));
    check("cut to less than a page", false, |bytes| bytes.truncate(1000), (0, 1));
    check("a page of nothing", true, |bytes| bytes[8192..12_288].fill(0), (1, 1));
    check("the root of a table", true, |bytes| bytes[4096..4104].fill(0x55), (1, 1));
}

#[test]
fn a_damaged_copy_is_not_restored() {
    let folder = filled(100, true);
    for name in ["capstan.db", "capstan.db.bak"] {
        fs::OpenOptions::new().write(true).open(folder.path().join(name)).unwrap().set_len(9000).unwrap();
    }
    assert_eq!((works(&folder), aside(&folder)), (0, 1));
}

/// Whatever bits flip, nothing panics and it works again at the latest after a restart.
#[test]
fn flipped_bits_are_survived() {
    let folder = filled(1500, true);
    let whole = fs::read(database(&folder)).unwrap();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as usize
    };
    for _ in 0..25 {
        let mut bytes = whole.clone();
        for _ in 0..1 + random() % 40 {
            let at = random() % bytes.len();
            bytes[at] ^= 1 << (random() % 8);
        }
        fs::write(database(&folder), &bytes).unwrap();
        let rig = Rig::on(folder.path().into());
        rig.registry.save(&incident("new", IncidentKind::Silence, 0, None));
        rig.registry.retry();
        until("it decides", || rig.registry.status().state != State::Opening);
        // Damage that no check of SQLite finds may make a question fail, and no more.
        let _ = wait(rig.registry.incidents(Filter { limit: 5000, ..Filter::default() }));
        rig.end();
    }
    assert!(aside(&folder) <= 8, "they do not fill the card");
    fs::write(database(&folder), &whole).unwrap();
    assert_eq!(works(&folder), 1501);
}

#[test]
fn a_newer_database_is_left_alone() {
    let folder = filled(3, false);
    let set = |version: u32| {
        let mut file = fs::OpenOptions::new().write(true).open(database(&folder)).unwrap();
        // `user_version` of SQLite's header.
        file.seek(SeekFrom::Start(60)).unwrap();
        file.write_all(&version.to_be_bytes()).unwrap();
    };
    set(7);
    let before = fs::read(database(&folder)).unwrap();
    let rig = Rig::on(folder.path().into());
    assert_eq!(rig.registry.status().state, State::Newer);
    assert!(rig.registry.verdict().unwrap_err().contains("newer Capstan (schema 7"));
    rig.registry.save(&incident("new", IncidentKind::Silence, 0, None));
    let refused = wait(rig.registry.edit(vec!["x".into()], Edit::default(), "local")).unwrap_err();
    assert_eq!(refused.kind, Kind::Unavailable);
    assert_eq!(wait(rig.registry.incidents(Filter::default())).unwrap_err().kind, Kind::Unavailable);
    assert_eq!(rig.registry.status().queue, 1);
    rig.end();
    assert_eq!((fs::read(database(&folder)).unwrap() == before, aside(&folder)), (true, 0));
    assert!(store::inspect(&database(&folder)).unwrap().unwrap_err().contains("newer Capstan"));
    set(crate::registry::schema::VERSION);
    assert_eq!(works(&folder), 4);
}

#[test]
fn a_full_disk_keeps_incidents_in_ram_until_there_is_space() {
    let Some(disk) = Disk::new() else { return };
    let rig = Rig::on(disk.root());
    let filler = disk.root().join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    for bytes in [64 << 10, 4 << 10, 1 << 10] {
        while file.write_all(&vec![1; bytes]).is_ok() {}
    }
    let _ = file.sync_all();
    let many: Vec<_> = (0..400).map(|number| incident("cam", IncidentKind::Freeze, 10 * number, Some(1))).collect();
    many.iter().for_each(|it| rig.registry.save(it));
    until("it is told", || rig.registry.status().state == State::Failing);
    let status = rig.registry.status();
    assert!(status.queue > 0 && status.dropped == 0, "{status:?}");
    assert_eq!(rig.list(Filter { limit: 500, ..Filter::default() }).len(), 400, "they are shown all the same");
    let refused = wait(rig.registry.edit(vec![many[0].id.clone()], Edit::default(), "local")).unwrap_err();
    assert!(matches!(refused.kind, Kind::Full | Kind::Unavailable), "{refused}");
    assert!(rig.metrics.render().contains("capstan_db_ok 0"));
    drop(file);
    fs::remove_file(filler).unwrap();
    until("all is written", || {
        rig.registry.retry();
        rig.registry.status().queue == 0
    });
    assert_eq!(rig.registry.status().state, State::Ready);
    assert_eq!(rig.list(Filter { device: Some("cam".parse().unwrap()), limit: 500, ..Filter::default() }).len(), 400);
}

#[test]
fn a_read_only_disk_is_read_and_then_written() {
    let Some(disk) = Disk::new() else { return };
    let rig = Rig::on(disk.root());
    rig.registry.save(&incident("cam", IncidentKind::Freeze, 100, Some(1)));
    rig.settle();
    // Held files forbid it until it is at rest.
    until("the disk can be remounted", || {
        let done = std::process::Command::new("mount").args(["-o", "remount,ro"]).arg(disk.root()).output();
        done.unwrap().status.success()
    });
    rig.registry.save(&incident("cam", IncidentKind::Freeze, 10, None));
    until("it is told", || {
        rig.registry.retry();
        rig.registry.status().state == State::Failing
    });
    assert_eq!(rig.list(Filter::default()).len(), 2, "what was written, and what waits");
    disk.remount("rw");
    until("it is written", || {
        rig.registry.retry();
        rig.registry.status().queue == 0
    });
    assert_eq!(rig.list(Filter::default()).len(), 2);
}

#[test]
fn a_disk_that_is_pulled_is_let_go_of_and_found_again() {
    let Some(disk) = Disk::new() else { return };
    let rig = Rig::on(disk.root());
    rig.registry.save(&incident("cam", IncidentKind::Freeze, 100, Some(1)));
    rig.settle();
    disk.unmount();
    assert!(rig.volume.check().is_err());
    rig.registry.save(&incident("cam", IncidentKind::Freeze, 10, None));
    until("it is told", || {
        rig.registry.retry();
        rig.registry.status().state == State::Failing
    });
    assert_eq!(fs::read_dir(disk.root()).unwrap().count(), 0, "nothing is written beneath the mount point");
    disk.mount();
    rig.volume.check().unwrap();
    until("it is written", || {
        rig.registry.retry();
        rig.registry.status().queue == 0
    });
    assert_eq!(rig.list(Filter::default()).len(), 2);
}

#[test]
fn without_end_of_trouble_the_newest_are_kept() {
    let folder = filled(1, false);
    let mut bytes = fs::read(database(&folder)).unwrap();
    bytes[60..64].copy_from_slice(&9_u32.to_be_bytes());
    fs::write(database(&folder), bytes).unwrap();
    let rig = Rig::on(folder.path().into());
    for number in 0..3000 {
        rig.registry.save(&incident("cam", IncidentKind::Freeze, number, None));
    }
    let status = rig.registry.status();
    assert_eq!((status.queue, status.dropped), (1024, 3000 - 1024));
    let waiting = rig.registry.shared.inbox.incidents();
    assert!(waiting.iter().all(|it| it.start <= NOW + -1976 * 90_000), "those told last");
}
