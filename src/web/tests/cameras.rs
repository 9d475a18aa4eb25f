//! Cameras, areas and settings over HTTP: what is shown, what is refused and with what words. The fleet is of paper.

use std::sync::Mutex;

use serde_json::json;
use tokio::sync::oneshot;

use super::*;
use crate::{
    config::{DetectOverride, receivers},
    error::Error,
    keep::Outlook,
    web::{
        Look, TryWebhook,
        fleet::{Answer, Cameras, Fleet, Listed, Order, Origin, Report},
    },
};

/// Carries out orders on paper: no device is touched.
pub(super) struct Paper {
    cameras: ArcSwap<Cameras>,
    changes: AtomicU64,
    /// Who gave orders.
    asked: Mutex<Vec<String>>,
}

impl Paper {
    pub(super) fn of(settings: &Settings) -> Self {
        let file = settings.camera.iter().map(|camera| listed(camera.clone(), None));
        let cameras = Cameras {
            cameras: file.collect(),
            settings: Arc::new(settings.clone()),
            file: Arc::new(settings.clone()),
            receivers: receivers(&settings.notify.webhook, b"key"),
            is_known: true,
            ..Cameras::default()
        };
        Self { cameras: ArcSwap::from_pointee(cameras), changes: AtomicU64::new(0), asked: Mutex::default() }
    }
}

pub(super) fn try_webhook() -> TryWebhook {
    Arc::new(|id| match id {
        "good" => Ok(204),
        "bad" => Err(Error::new(Kind::Unavailable, "connection refused")),
        _ => Err(Error::new(Kind::NotFound, "there is no webhook of that id").at("id")),
    })
}

/// Ten days of footage, a chunk a day.
pub(super) fn outlook() -> Look {
    Arc::new(|limits| {
        let days = limits.keep.retention.as_secs() / 86_400;
        let chunks = usize::try_from(10_u64.saturating_sub(days)).unwrap();
        Ok(Outlook { chunks, bytes: 1000 * chunks as u64, oldest_kept: Some(NOW), ..Outlook::default() })
    })
}

fn listed(camera: Camera, revision: Option<u64>) -> Listed {
    Listed {
        camera: Arc::new(camera),
        origin: if revision.is_some() { Origin::Api } else { Origin::File },
        revision,
        created: revision.map(|_| NOW),
        changed: revision.map(|_| NOW),
        shadows: false,
        refused: None,
    }
}

impl Fleet for Paper {
    fn cameras(&self) -> Arc<Cameras> {
        self.cameras.load_full()
    }

    fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    fn order(&self, order: Order, by: &str) -> Result<Answer> {
        self.asked.lock().unwrap().push(by.to_owned());
        let mut now = Cameras::clone(&self.cameras.load());
        let at = |now: &Cameras, id: &DeviceId| now.cameras.iter().position(|it| it.camera.id == *id).unwrap();
        let mut report = None;
        match order {
            Order::Add(camera) => now.cameras.push(listed(*camera, Some(1))),
            Order::Change(camera, _) => {
                let at = at(&now, &camera.id);
                now.cameras[at] = listed(*camera, now.cameras[at].revision.map(|revision| revision + 1));
            }
            Order::Remove(id, _) => drop(now.cameras.remove(at(&now, &id))),
            Order::Settings(sections, _) => {
                sections.into_iter().for_each(|section| now.changes.set(section));
                now.settings = Arc::new(now.changes.over(&now.file));
                if let Some(of) = &now.changes.notify {
                    now.receivers.clone_from(&of.webhook);
                }
                now.settings_revision += 1;
            }
            Order::AddArea(name) => now.areas.push(name),
            Order::RenameArea(from, to) => {
                now.areas.iter_mut().filter(|it| **it == from).for_each(|it| *it = to.clone())
            }
            Order::RemoveArea(name) => now.areas.retain(|it| *it != name),
            Order::Enable(..) => {}
            Order::Reload => report = Some(Report::default()),
        }
        self.cameras.store(Arc::new(now));
        self.changes.fetch_add(1, Ordering::AcqRel);
        let (reply, answer) = oneshot::channel();
        reply.send(Ok(report)).unwrap();
        Ok(answer)
    }
}

const JSON: &str = "Content-Type: application/json";

fn rtsp(id: &str, url: &str) -> Value {
    json!({"id": id, "name": "Door", "source": {"kind": "rtsp", "url": url}})
}

#[test]
fn a_camera_is_made_changed_and_removed_and_its_password_is_never_told() {
    let host = Host::start();
    let made = host.change("POST", "/api/cameras", &rtsp("door", "rtsp://me:hidden@h/one?pwd=hidden"));
    assert_eq!(
        (made.status, made.header("location"), made.header("etag")),
        (201, Some("/api/cameras/door"), Some("\"1\""))
    );
    assert_eq!(made.json()["source"]["url"], "rtsp://***@h/one?pwd=***");
    let mut body = host.get("/api/cameras/door").json();
    body["name"] = json!("Back door");
    body["source"]["url"] = json!("rtsp://***@h/two?pwd=***");
    let put = |tag: &[&str], body: &Value| host.send("PUT", "/api/cameras/door", &[&[JSON], tag].concat(), body);
    assert_eq!(put(&[], &body).status, 428);
    assert_eq!(put(&["If-Match: \"7\""], &body).status, 412);
    let changed = put(&["If-Match: \"0\", \"1\""], &body);
    assert_eq!((changed.status, changed.header("etag")), (200, Some("\"2\"")), "{}", changed.text());
    let kept = host.state.fleet.cameras().get("door").unwrap().camera.clone();
    assert_eq!((kept.source.url(), kept.name.as_str()), (Some("rtsp://me:hidden@h/two?pwd=hidden"), "Back door"));
    let told = [host.get("/api/cameras"), host.get("/api/cameras/door"), host.get("/api/cameras/active"), changed];
    assert!(told.iter().all(|reply| reply.status == 200 && !reply.text().contains("hidden")));
    let delete = |tag: &[&str]| host.send("DELETE", "/api/cameras/door", tag, &Value::Null).status;
    assert_eq!((delete(&[]), delete(&["If-Match: \"1\""]), delete(&["If-Match: *"])), (428, 412, 204));
    assert_eq!(host.get("/api/cameras/door").status, 404);
}

#[test]
fn bad_forms_are_refused_by_the_path_of_the_field() {
    let host = Host::start();
    let check = |body: Value, path: Option<&str>| {
        let reply = host.change("POST", "/api/cameras", &body);
        assert_eq!((reply.status, reply.json()["error"]["path"].as_str()), (400, path), "{body}: {}", reply.text());
        assert!(!reply.text().contains("hidden"), "{}", reply.text());
    };
    let test = || json!({"id": "a", "source": {"kind": "test"}});
    let with = |field: &str, value: Value| {
        let mut body = test();
        body[field] = value;
        body
    };
    check(json!([]), None);
    check(json!({}), None);
    check(with("id", json!("../x")), Some("id"));
    check(with("id", json!(7)), Some("id"));
    check(with("name", json!("a\u{7}")), Some("name"));
    check(with("area", json!("x".repeat(129))), Some("area"));
    check(with("fps", json!(121)), Some("fps"));
    check(with("fps", json!("x")), Some("fps"));
    check(with("quality", json!("best")), Some("quality"));
    check(with("size", json!("1280x720")), Some("size"));
    check(with("colour", json!(1)), Some("colour"));
    check(with("live", json!({"segments": 1})), Some("live.segments"));
    check(with("detect", json!({"black_share": 2.0})), Some("detect.black_share"));
    check(with("source", json!({"kind": "rtsp"})), Some("source"));
    check(rtsp("a", "http://me:hidden@h/"), Some("source.url"));
    check(rtsp("a", "rtsp://***@h/"), Some("source.url"));
    check(rtsp("a", "rtsp://h/a|b"), Some("source.url"));
    check(with("source", json!({"kind": "file", "path": "/a/../b"})), Some("source.path"));
    check(with("source", json!({"kind": "test", "url": "rtsp://me:hidden@h/"})), Some("source.url"));
    assert_eq!(
        host.change("POST", "/api/cameras/probe", &json!({"source": {"kind": "file", "path": "x"}})).status,
        400
    );
    assert_eq!(host.change("POST", "/api/cameras/probe", &json!({"sauce": 1})).status, 400);
}

#[test]
fn cameras_of_the_file_are_read_only() {
    let host = Host::start();
    let one = host.get("/api/cameras/cam");
    assert_eq!((one.status, one.header("etag")), (200, None));
    assert_eq!((&one.json()["origin"], &one.json()["revision"]), (&json!("file"), &Value::Null));
    let body = json!({"id": "cam", "source": {"kind": "test"}});
    let refused = host.send("PUT", "/api/cameras/cam", &[JSON, "If-Match: *"], &body);
    assert_eq!((refused.status, &refused.json()["error"]["kind"]), (403, &json!("forbidden")));
    assert_eq!(host.send("DELETE", "/api/cameras/cam", &["If-Match: *"], &Value::Null).status, 403);
    for name in ["nobody", "..%2fx", "no%00such"] {
        assert_eq!(host.get(&format!("/api/cameras/{name}")).status, 404, "{name}");
    }
    let other = json!({"id": "elsewhere", "source": {"kind": "test"}});
    host.change("POST", "/api/cameras", &json!({"id": "door", "source": {"kind": "test"}}));
    let moved = host.send("PUT", "/api/cameras/door", &[JSON, "If-Match: *"], &other);
    assert_eq!((moved.status, &moved.json()["error"]["path"]), (400, &json!("id")));
}

#[test]
fn areas_are_those_of_cameras_and_those_that_were_made() {
    let host = Host::start();
    let mut door = rtsp("door", "rtsp://h/");
    door["area"] = json!("Ground");
    host.change("POST", "/api/cameras", &door);
    assert_eq!(host.change("POST", "/api/areas", &json!({"name": "Roof"})).status, 201);
    let areas = host.get("/api/areas").json();
    let expected = json!([{"name": "Ground", "cameras": ["door"]}, {"name": "Roof", "cameras": []}]);
    assert_eq!(areas["areas"], expected);
    assert_eq!(host.change("PUT", "/api/areas/Roof", &json!({"name": "Attic"})).json()["name"], "Attic");
    assert_eq!(host.change("DELETE", "/api/areas/Attic", &Value::Null).status, 204);
    assert_eq!(host.change("DELETE", "/api/areas/Attic", &Value::Null).status, 404);
    for bad in [json!({}), json!({"name": ""}), json!({"name": 5}), json!({"name": "a\nb"}), json!({"nam": "a"})] {
        assert_eq!(host.change("POST", "/api/areas", &bad).status, 400, "{bad}");
    }
}

#[test]
fn settings_hide_their_secrets_and_take_thresholds() {
    let host = Host::start_with(|settings, _| {
        settings.notify.webhook = vec![crate::config::Webhook {
            url: "https://u:hidden@h/hidden".into(),
            secret: "hidden".into(),
            kinds: Vec::new(),
        }];
    });
    let shown = host.get("/api/settings");
    assert_eq!((shown.status, shown.header("etag").is_some_and(|tag| tag.starts_with("\"0-"))), (200, true));
    assert!(!shown.text().contains("hidden"), "{}", shown.text());
    assert_eq!(shown.json()["settings"]["notify"]["webhook"][0]["url"], "https://***@h/***");
    let put = |tag: &[&str], body: Value| host.send("PUT", "/api/settings", &[&[JSON], tag].concat(), &body);
    assert_eq!(put(&[], json!({"detect": {"black_luma": 20}})).status, 428);
    assert_eq!(put(&["If-Match: \"9\""], json!({"detect": {"black_luma": 20}})).status, 412);
    let changed = put(&["If-Match: \"0\""], json!({"detect": {"black_luma": 20}}));
    assert_eq!((changed.status, &changed.json()["settings"]["detect"]["black_luma"]), (200, &json!(20)));
    let changed_here = changed.json()["changed_here"].clone();
    assert_eq!((&changed_here["detect"], &changed_here["archive"]), (&json!({"black_luma": 20}), &json!({})));
    for (bad, path) in [
        (json!({}), None),
        (json!({"detect": {"black_lumen": 1}}), Some("detect.black_lumen")),
        (json!({"detect": {"black_share": 2.0}}), Some("detect.black_share")),
        (json!({"server": {}}), Some("server")),
        (json!({"archive": {"retention_days": -1}}), Some("archive.retention_days")),
        (json!({"archive": {"retention_days": 3}, "transcode": {"codec": "x"}}), Some("transcode.codec")),
        (json!({"notify": {"webhook": [{}]}}), Some("notify.webhook[0].url")),
    ] {
        let reply = put(&["If-Match: *"], bad.clone());
        assert_eq!((reply.status, reply.json()["error"]["path"].as_str()), (400, path), "{bad}: {}", reply.text());
    }
    assert_eq!(
        host.state.fleet.cameras().changes.detect,
        DetectOverride { black_luma: Some(20), ..Default::default() }
    );
}

#[test]
fn each_section_is_changed_alone_and_taken_back_to_the_files() {
    let host = Host::start_with(|settings, _| settings.archive.retention_days = 7.0);
    let put = |body: Value| {
        let reply = host.send("PUT", "/api/settings", &[JSON, "If-Match: *"], &body);
        assert_eq!(reply.status, 200, "{body}: {}", reply.text());
        reply.json()
    };
    let changed = put(json!({"archive": {"retention_days": 0.5, "max_bytes": "200GB"}, "transcode": {"quality": 30}}));
    assert_eq!(changed["settings"]["archive"]["retention_days"], 0.5);
    assert_eq!(changed["file"]["archive"]["retention_days"], 7.0);
    assert_eq!(changed["settings"]["archive"]["commit_seconds"], 60, "what cannot be changed is shown as well");
    assert_eq!(changed["file"]["archive"]["commit_seconds"], Value::Null);
    assert_eq!(changed["changed_here"]["transcode"], json!({"quality": 30}));
    let warning = changed["warnings"][0].as_str().unwrap();
    assert!(warning.contains("min_age_days = 7 exceeds what is kept (1.5 days"), "{warning}");
    let changed = put(json!({"archive": {}}));
    let archive = [&changed["changed_here"]["archive"], &changed["settings"]["archive"]["retention_days"]];
    assert_eq!(archive, [&json!({}), &json!(7.0)]);
    assert_eq!(changed["changed_here"]["transcode"], json!({"quality": 30}), "left out, it stays");
    assert_eq!(changed["warnings"], json!([]));
    let changeable = changed["changeable"].as_array().unwrap();
    assert!(changeable.contains(&json!("archive.max_bytes")) && !changeable.contains(&json!("archive.chunk_seconds")));
    // What is told elsewhere goes by the same.
    put(json!({"archive": {"min_free_bytes": 7, "window_hours": 2}}));
    assert_eq!(host.get("/api/host/state").json()["archive"]["min_free_bytes"], 7);
    let manifest = host.get("/host/stream/cam/segments/archive_manifest.json").json();
    assert_eq!(manifest["total_duration_seconds"], 7200, "{manifest}");
}

#[test]
fn a_look_at_a_change_changes_nothing_and_is_judged_like_one() {
    let host = Host::start();
    let look = |tag: &str, body: Value| host.send("PUT", "/api/settings?dry_run=true", &[JSON, tag], &body);
    let told = look("If-Match: \"0\"", json!({"archive": {"retention_days": 3}}));
    assert_eq!(told.status, 200, "{}", told.text());
    let expected = json!({"chunks": 7, "bytes": 7000, "moved_chunks": 0, "moved_bytes": 0,
        "oldest_kept": "2023-11-14T22:13:20.000Z", "warnings": told.json()["warnings"]});
    assert_eq!(told.json(), expected);
    for (tag, body, status) in [
        ("If-Match: \"3\"", json!({"archive": {}}), 412),
        ("If-Match: *", json!({"archive": {"window_hours": 25}}), 400),
        ("If-Match: *", json!({}), 400),
    ] {
        assert_eq!(look(tag, body.clone()).status, status, "{body}");
    }
    let detect = json!({"detect": {}});
    assert_eq!(host.send("PUT", "/api/settings?dry_run=perhaps", &[JSON, "If-Match: *"], &detect).status, 400);
    assert_eq!(host.state.fleet.cameras().settings_revision, 0);
}

#[test]
fn a_webhook_is_tried_and_its_fault_told() {
    let host = Host::start();
    let check = |body: Value, status: u16, part: &str| {
        let reply = host.change("POST", "/api/settings/notify/test", &body);
        assert_eq!(reply.status, status, "{body}: {}", reply.text());
        assert!(reply.text().contains(part), "{body}: {}", reply.text());
    };
    check(json!({"id": "good"}), 200, "\"status\":204");
    check(json!({"id": "bad"}), 503, "connection refused");
    check(json!({"id": "other"}), 404, "no webhook");
    check(json!({}), 400, "is missing");
    check(json!({"id": 5}), 400, "must be text");
    check(json!({"id": "good", "url": "http://h/"}), 400, "url");
}

#[test]
fn how_cameras_do_is_told_from_snapshots() {
    let host = Host::start();
    let body = host.get("/api/cameras/active").json();
    assert_eq!((&body["online"], &body["total"]), (&json!(1), &json!(1)));
    let cam = &body["cameras"][0];
    assert_eq!((&cam["id"], &cam["name"], &cam["status"]), (&json!("cam"), &json!("Lobby"), &json!("online")));
    assert_eq!((&cam["reason"], &cam["last_seen"]), (&Value::Null, &json!("2023-11-14T22:13:20.000Z")));
    assert!(cam["availability_24h"].as_f64().is_some_and(|share| (0.0..=1.0).contains(&share)), "{cam}");
}

#[test]
fn a_source_shows_itself_before_it_is_saved() {
    let host = Host::start();
    let probe = |source: Value| host.change("POST", "/api/cameras/probe", &json!({"source": source}));
    let seen = probe(json!({"kind": "test"})).json();
    assert_eq!(
        (&seen["ok"], &seen["video"]["width"], &seen["video"]["fps"]),
        (&json!(true), &json!(640), &json!(25.0))
    );
    assert!(seen["still"].as_str().is_some_and(|still| still.starts_with("data:image/jpeg;base64,/9j/")), "{seen}");
    let missing = probe(json!({"kind": "file", "path": "/nowhere.mp4"})).json();
    assert_eq!(
        (&missing["ok"], &missing["reason"], &missing["still"]),
        (&json!(false), &json!("not_found"), &Value::Null)
    );
    // Nobody listens on port 1.
    let refused = probe(json!({"kind": "rtsp", "url": "rtsp://me:hidden@127.0.0.1:1/x?pwd=hidden"}));
    assert_eq!(refused.json()["reason"], "refused", "{}", refused.text());
    assert!(!refused.text().contains("hidden"), "{}", refused.text());
}
