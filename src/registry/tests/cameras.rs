//! Cameras, areas and settings in the database: revisions, who changed what, and what a lost file gives back.

use serde_json::{Value, json};

use super::*;
use crate::config::{ArchiveOverride, Camera, DetectOverride, NotifyOverride, Receiver, Section, Settings};

fn camera(id: &str, more: Value) -> Camera {
    let mut body = json!({"id": id, "source": {"kind": "rtsp", "url": "rtsp://me:hidden@h/"}});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Camera::read(&body, &Settings::default()).unwrap()
}

fn setting(section: Section) -> Change {
    Change::Setting(Box::new(section))
}

fn thresholds(black_luma: u8) -> Change {
    setting(Section::Detect(DetectOverride { black_luma: Some(black_luma), ..DetectOverride::default() }))
}

fn kept(retention_days: f64) -> Change {
    setting(Section::Archive(ArchiveOverride { retention_days: Some(retention_days), ..ArchiveOverride::default() }))
}

fn put(id: &str, more: Value) -> Change {
    Change::Put(Box::new(camera(id, more)))
}

#[test]
fn each_change_has_its_revision_and_is_written_down_without_passwords() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::on(folder.path().into());
    let enter = |changes: Vec<Change>| wait(rig.registry.enter(changes, "me")).unwrap();
    assert!(rig.registry.roster().is_known && rig.registry.roster().cameras.is_empty());
    enter(vec![put("b", json!({}))]);
    enter(vec![put("a", json!({})), put("b", json!({"name": "B"}))]);
    let roster = rig.registry.roster();
    let told: Vec<_> =
        roster.cameras.iter().map(|it| (it.camera.id.as_str(), it.revision, it.camera.name.as_str())).collect();
    assert_eq!(told, [("a", 2, ""), ("b", 3, "B")], "those made at the same time by their names");
    assert_eq!(roster.cameras[0].camera.source.url(), Some("rtsp://me:hidden@h/"));
    let id = "b".parse().unwrap();
    enter(vec![Change::Delete(id)]);
    enter(vec![put("b", json!({}))]);
    assert_eq!(rig.registry.roster().cameras[1].revision, 5, "no number comes again");
    enter(vec![thresholds(9)]);
    let settings = &rig.registry.roster().settings;
    assert_eq!((settings.changes.detect.black_luma, settings.revision), (Some(9), 6));
    let entries = wait(rig.registry.audit(None, 3)).unwrap();
    let actions: Vec<_> = entries.iter().map(|it| (it.id, it.action.as_str(), it.subject.as_str())).collect();
    assert_eq!(actions, [(6, "settings_changed", "detect"), (5, "camera_added", "b"), (4, "camera_removed", "b")]);
    assert_eq!((&entries[2].after, &entries[2].before["name"]), (&Value::Null, &json!("B")));
    assert_eq!(wait(rig.registry.audit(Some(2), 100)).unwrap().len(), 1);
    assert!(!format!("{entries:?}").contains("hidden"));
    rig.end();
    let rig = Rig::on(folder.path().into());
    assert_eq!(rig.registry.roster().cameras.len(), 2);
    rig.end();
}

#[test]
fn a_change_is_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::on(folder.path().into());
    wait(rig.registry.enter(vec![Change::AddArea("Roof".into())], "me")).unwrap();
    let twice = vec![put("a", json!({})), Change::AddArea("Roof".into())];
    assert_eq!(wait(rig.registry.enter(twice, "me")).unwrap_err().kind, Kind::Conflict);
    assert_eq!((rig.registry.roster().cameras.len(), rig.registry.roster().newest), (0, 1));
    let before = Stored { camera: camera("a", json!({})), revision: 7, created: NOW, changed: NOW };
    wait(rig.registry.enter(vec![put("a", json!({"fps": 5}))], "me")).unwrap();
    wait(rig.registry.enter(vec![Change::Restore(Box::new(before.clone()))], "capstan")).unwrap();
    assert_eq!(rig.registry.roster().cameras, [before]);
    rig.end();
}

/// Deleted by somebody while the daemon runs.
#[test]
fn a_file_that_went_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::on(folder.path().into());
    wait(rig.registry.enter(vec![put("a", json!({})), Change::AddArea("Roof".into()), kept(3.0)], "me")).unwrap();
    let log = folder.path().join("capstan.db-wal");
    until("it is at rest", || !log.exists());
    fs::remove_file(folder.path().join("capstan.db")).unwrap();
    let _ = fs::remove_file(folder.path().join("capstan.db.bak"));
    wait(rig.registry.enter(vec![put("b", json!({}))], "me")).unwrap();
    let roster = rig.registry.roster();
    assert_eq!(roster.cameras.iter().map(|it| it.camera.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(roster.areas, ["Roof"]);
    assert_eq!(roster.settings.changes.archive.retention_days, Some(3.0));
    rig.end();
    let rig = Rig::on(folder.path().into());
    assert_eq!(rig.registry.roster().cameras.len(), 2);
    let mode = fs::metadata(folder.path().join("capstan.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    rig.end();
}

#[test]
fn settings_are_kept_by_section_and_what_cannot_be_read_hides_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::on(folder.path().into());
    let receiver =
        Receiver { id: "a".into(), url: "http://h/hidden".into(), secret: "hidden".into(), kinds: Vec::new() };
    let told = setting(Section::Notify(Some(NotifyOverride { webhook: vec![receiver.clone()] })));
    wait(rig.registry.enter(vec![thresholds(9), kept(3.0), told], "me")).unwrap();
    let known = rig.registry.roster().settings.clone();
    assert_eq!((known.revision, known.changes.archive.retention_days), (3, Some(3.0)));
    assert_eq!(known.changes.notify.as_ref().unwrap().webhook, [receiver]);
    let entries = wait(rig.registry.audit(None, 9)).unwrap();
    assert!(!format!("{entries:?}").contains("hidden"), "{entries:?}");
    assert_eq!(entries[0].after["webhook"][0]["url"], "http://h/***");
    wait(rig.registry.write(|connection| {
        let broken = "INSERT INTO setting (name, json, revision) VALUES ('transcode', '{\"of_tomorrow\": 1}', 9),
                      ('of_tomorrow', '{}', 10)";
        connection.execute_batch(broken).map_err(super::sqlite::failed("spoiling it"))
    }))
    .unwrap();
    rig.end();
    let rig = Rig::on(folder.path().into());
    let found = rig.registry.roster().settings.clone();
    assert_eq!((&found.changes, found.revision), (&known.changes, 10));
    let names: Vec<_> = found.unreadable.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["of_tomorrow", "transcode"]);
    wait(rig.registry.enter(vec![setting(Section::Archive(ArchiveOverride::default()))], "me")).unwrap();
    assert_eq!(rig.registry.roster().settings.changes.archive, ArchiveOverride::default(), "back to the file's");
    rig.end();
}
