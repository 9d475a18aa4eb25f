//! Cameras, areas and settings in the database: revisions, who changed what, and what a lost file gives back.

use serde_json::{Value, json};

use super::*;
use crate::config::{Camera, DetectOverride, Settings};

fn camera(id: &str, more: Value) -> Camera {
    let mut body = json!({"id": id, "source": {"kind": "rtsp", "url": "rtsp://me:hidden@h/"}});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Camera::read(&body, &Settings::default()).unwrap()
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
    enter(vec![Change::Detect(DetectOverride { black_luma: Some(9), ..DetectOverride::default() })]);
    assert_eq!((rig.registry.roster().detect.black_luma, rig.registry.roster().detect_revision), (Some(9), 6));
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
    wait(rig.registry.enter(vec![put("a", json!({})), Change::AddArea("Roof".into())], "me")).unwrap();
    let log = folder.path().join("capstan.db-wal");
    until("it is at rest", || !log.exists());
    fs::remove_file(folder.path().join("capstan.db")).unwrap();
    let _ = fs::remove_file(folder.path().join("capstan.db.bak"));
    wait(rig.registry.enter(vec![put("b", json!({}))], "me")).unwrap();
    let roster = rig.registry.roster();
    assert_eq!(roster.cameras.iter().map(|it| it.camera.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(roster.areas, ["Roof"]);
    rig.end();
    let rig = Rig::on(folder.path().into());
    assert_eq!(rig.registry.roster().cameras.len(), 2);
    let mode = fs::metadata(folder.path().join("capstan.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    rig.end();
}
