//! `[archive] captures = "all"`: every capture reaches the disk, whole.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod common;

use std::{fs, path::PathBuf};

use common::{Setup, TestDaemon, Turn, until};

#[test]
fn every_capture_reaches_the_disk_where_that_is_asked_for() {
    let _turn = Turn::wait();
    let setup = Setup::new()
        .set("archive.captures", "all")
        .set("hot.captures", 300)
        .camera("cam", "quality = \"low\"\nsource = { kind = \"test\" }");
    let mut daemon = TestDaemon::start(setup);
    let folder = daemon.setup.root().join("cam/captures");
    let pictures = || -> Vec<PathBuf> {
        let hours = fs::read_dir(&folder).into_iter().flatten().flatten();
        hours.flat_map(|hour| fs::read_dir(hour.path()).unwrap().flatten().map(|file| file.path())).collect()
    };
    until("a round of copies", 40, || pictures().len() >= 20);
    // One of them may be on its way at this moment.
    for picture in pictures() {
        until("each picture is whole", 10, || {
            let jpeg = fs::read(&picture).unwrap();
            jpeg.starts_with(&[0xFF, 0xD8]) && jpeg.ends_with(&[0xFF, 0xD9])
        });
    }
    let copied = daemon.metric("capstan_disk_written_bytes_total", &[("device", "cam"), ("kind", "captures")]);
    assert!(copied.unwrap() > 0.0);
    assert!(daemon.stop().0.success());
}
