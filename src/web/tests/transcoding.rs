//! The transcoder over HTTP: what it tells, what it is asked, whom it refuses.

use serde_json::json;

use super::*;
use crate::{
    storage::layout::Companion,
    supervisor::LoadWatch,
    transcode::{Encode, Failure, Job, Made, Reason, RunnerParts, Steer},
};

/// Never asked: nobody takes the runner's turns here.
struct Nothing;

impl Encode for Nothing {
    fn ready(&self) -> std::result::Result<(), String> {
        Ok(())
    }

    fn run(&self, _: &Job, _: &dyn Steer) -> std::result::Result<Made, Failure> {
        Err(Failure { reason: Reason::Encoder, message: "not here".into() })
    }
}

/// For the host of all tests.
pub(super) fn runner(
    settings: &Arc<Settings>,
    volume: &Arc<Volume>,
    registry: &Arc<Registry>,
    index: &Arc<DeviceIndex>,
    clock: &Clock,
    metrics: &Arc<Metrics>,
    events: Events,
) -> Arc<Runner> {
    let (index, pins) = (index.clone(), registry.clone());
    Runner::start(RunnerParts {
        volume: volume.clone(),
        retention: Arc::new(Retention::at(NOW, clock.clone())),
        registry: registry.clone(),
        encode: Arc::new(Nothing),
        devices: Arc::new(move || vec![index.clone()]),
        pins: Arc::new(move || pins.pins()),
        recorders: Arc::new(|| None),
        load: Arc::default(),
        watch: LoadWatch::default(),
        settings: settings.transcode.clone(),
        recorder_bytes: 0,
        zone: jiff::tz::TimeZone::UTC,
        sys: "/nonexistent".into(),
        cores: 2,
        clock: clock.clone(),
        events,
        metrics: metrics.clone(),
        log: slog::Logger::root(slog::Discard, slog::o!()),
    })
    .unwrap()
}

impl Host {
    /// Once the database is open and the runner has read it.
    fn transcoding(&self) -> Value {
        for _ in 0..2000 {
            self.state.transcoder.turn();
            let reply = self.get("/api/transcode");
            if reply.status == 200 {
                return reply.json();
            }
            assert_eq!(reply.status, 503, "{}", reply.text());
            std::thread::park_timeout(Duration::from_millis(5));
        }
        panic!("the database is not opened");
    }
}

/// Where [`OLD`] lies.
const FILE: &str = "cam/segments/22/chunk_10min_0.mp4";

#[test]
fn statistics_tell_what_holds_it_and_when_it_looks_again() {
    let host = Host::start();
    let told = host.transcoding();
    assert_eq!((&told["files_transcoded"], &told["errors"]), (&json!(0), &json!({})));
    assert_eq!((&told["average_savings_percent"], &told["warning"]), (&json!(null), &json!(null)));
    // 22:13 UTC: the night has not come.
    host.state.transcoder.steer();
    host.state.transcoder.turn();
    let status = &host.get("/api/transcode").json()["status"];
    assert_eq!((&status["state"], &status["gate"]), (&json!("waiting"), &json!("schedule")));
    assert_eq!(status["next_run"], "2023-11-15T02:00:00.000Z");
    assert_eq!(host.get("/api/host/state").json()["transcoder"]["gate"], "schedule");
    let checks = host.get("/api/host/health").json();
    let named =
        |name: &str| checks["checks"].as_array().unwrap().iter().any(|it| it["name"] == name && it["ok"] == true);
    assert!(named("transcoder") && named("transcoded"), "{checks}");
    assert!(host.get("/metrics").text().contains("capstan_transcode_gate{gate=\"schedule\"} 1"));
}

#[test]
fn it_is_switched_off_and_on_and_says_so() {
    let host = Host::start();
    host.transcoding();
    let post = |path: &str, body: &Value| host.change("POST", &format!("/api/transcode/{path}"), body);
    let off = post("disable", &json!({}));
    assert_eq!((off.status, &off.json()["status"]["enabled"]), (200, &json!(false)));
    assert_eq!(host.get("/api/transcode").json()["status"]["state"], "disabled");
    let refused = post("run", &json!({"all": true}));
    assert_eq!((refused.status, &refused.json()["error"]["kind"]), (409, &json!("conflict")));
    assert_eq!(post("enable", &json!({})).json()["status"]["enabled"], true);
    let taken = post("run", &json!({"all": true, "force": true}));
    assert_eq!((taken.status, &taken.json()["success"]), (200, &json!(true)));
    assert_eq!(host.get("/api/transcode").json()["status"]["forced"], true);

    let host = Host::start_with(|settings, _| settings.transcode.enabled = false);
    host.transcoding();
    assert_eq!(host.change("POST", "/api/transcode/enable", &json!({})).status, 409, "the settings say no");
}

#[test]
fn files_are_named_as_they_lie_and_no_other_way() {
    let host = Host::start();
    host.transcoding();
    let entry = host.device().index.get(&OLD).unwrap();
    host.device().index.put(ChunkEntry { codecs: "avc1.64001f".into(), ..entry.as_ref().clone() });
    let run = |file: &str| host.change("POST", "/api/transcode/run", &json!({"file": file}));
    let check = |file: &str, status: u16| {
        let reply = run(file);
        assert_eq!(reply.status, status, "{file}: {}", reply.text());
    };
    check(FILE, 200);
    check(&host.root().join(FILE).display().to_string(), 200);
    assert_eq!(host.get("/api/transcode").json()["status"]["queued"], 1, "named twice, queued once");
    check("cam/segments/22/chunk_10min_1.mp4", 404);
    check("other/segments/22/chunk_10min_0.mp4", 404);
    check("/etc/passwd", 400);
    check("cam/../cam/segments/22/chunk_10min_0.mp4", 400);
    check("", 400);
    let temp = format!("cam/segments/temp/{}", OPEN.file_name());
    check(&temp, 409);
    host.device().index.put(ChunkEntry { codecs: "hvc1.1".into(), ..entry.as_ref().clone() });
    check(FILE, 409);
    for bad in [json!({}), json!([]), json!({"all": 1}), json!({"file": FILE, "all": true}), json!({"nonsense": 1})] {
        assert_eq!(host.change("POST", "/api/transcode/run", &bad).status, 400, "{bad}");
    }
    for bad in [json!({}), json!({"all": true}), json!({"file": "../x"}), json!({"file": 7})] {
        assert_eq!(host.change("POST", "/api/transcode/rollback", &bad).status, 400, "{bad}");
    }
    assert_eq!(host.change("POST", "/api/transcode/rollback", &json!({"file": FILE})).status, 404);
    assert!(!host.state.volume.exists(&Companion::Original.beside(Path::new(FILE))));
}

#[test]
fn another_site_may_change_nothing() {
    let host = Host::start();
    host.transcoding();
    for path in ["enable", "disable", "run", "rollback"] {
        let path = format!("/api/transcode/{path}");
        let headers = ["Content-Type: application/json", "Origin: http://elsewhere.example"];
        assert_eq!(host.send("POST", &path, &headers, &json!({"all": true})).status, 403, "{path}");
        assert_eq!(host.get(&path).status, 405, "{path}");
    }
}
