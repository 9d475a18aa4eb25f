//! What is kept, when old footage is encoded anew and who is told, changed in a real browser while all runs: the daemon's
//! fault at the field, what a change costs asked first, kept over a restart.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::net::TcpListener;

use common::{
    TestDaemon, Turn, chunks,
    people::{at, begin, clean, guarded, told},
    receiver::receive,
};
use serde_json::{Value, json};

#[test]
fn what_is_kept_and_when_and_who_is_told_is_changed_in_the_page() {
    let _turn = Turn::wait();
    let setup = guarded().set("archive.retention_days", 30.0).set("cleaner.max_cpu_percent", 100.0);
    chunks::in_ring(&setup.root(), "old", &[70, 50]);
    let Some((mut daemon, password, mut browser)) = begin("e2e_ui_knobs", setup) else { return };
    let mut anna = at(&mut browser, "anna");
    anna.enters("/settings/storage", "admin", &password);
    anna.fills(json!({"archive.retention_days": "-1"}));
    anna.saves();
    assert!(anna.fault("archive.retention_days").contains("36500"));
    anna.fills(json!({"archive.retention_days": "1.5", "archive.max_bytes": "much"}));
    anna.saves();
    assert!(anna.fault("archive.max_bytes").contains("much"));

    // The library has them in a moment; what it would cost is asked before.
    anna.fills(json!({"archive.max_bytes": "200 gb"}));
    anna.saves();
    let said = anna.sees("dialog [data-outlook=deleted]", "1 chunk");
    assert!(said.contains("will be deleted"), "{said}");
    assert_eq!(settings(&daemon, &password)["changed_here"]["archive"], json!({}), "nothing is saved yet");
    anna.clicks("dialog [data-act=confirm]");
    anna.sees(".toast", "Saved");
    let now = settings(&daemon, &password);
    assert_eq!(now["changed_here"]["archive"], json!({"retention_days": 1.5, "max_bytes": "195312500KiB"}));
    assert_eq!(anna.ask("values", json!({"names": ["archive.max_bytes"]})), json!({"archive.max_bytes": "200 GB"}));
    anna.sees(".hint", "The file says 30");

    anna.goes("/settings/transcoder");
    anna.fills(json!({"transcode.run_schedule": "noon"}));
    anna.saves();
    assert!(anna.fault("transcode.run_schedule").contains("02:00-06:00"));
    anna.fills(json!({"transcode.run_schedule": "always", "transcode.min_age_days": "0,5"}));
    anna.saves();
    anna.sees(".toast", "The transcoder goes by it");
    assert_eq!(settings(&daemon, &password)["settings"]["transcode"]["min_age_days"], 0.5);

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let heard = receive(listener);
    anna.goes("/settings/notifications");
    anna.clicks("[data-act=add-webhook]");
    anna.fills(json!({"notify.webhook[0].url": "file:///etc/passwd"}));
    anna.saves();
    assert!(anna.fault("notify.webhook[0].url").contains("http://"));
    let url = format!("http://{address}/very-secret");
    anna.fills(
        json!({"notify.webhook[0].url": url, "notify.webhook[0].secret": "very-secret", "kind:device_down": true}),
    );
    anna.saves();
    anna.sees("[data-webhook]", "Camera is gone");
    anna.clicks("[data-act=test]");
    anna.sees("[data-tested=\"200\"]", "Taken: 200");
    assert_eq!(heard.recv().unwrap().body["kind"], "test");
    // Its kinds alone: address and secret stay.
    anna.clicks("[data-webhook] a");
    anna.fills(json!({"kind:device_up": true}));
    anna.saves();
    anna.sees("[data-webhook]", "Camera is back");
    let now = settings(&daemon, &password).to_string();
    assert!(now.contains(&format!("http://{address}/***")) && !now.contains("very-secret"), "{now}");

    daemon.stop();
    daemon.start_again();
    anna.goes("/settings/storage");
    anna.ask("see", json!({"what": "input[name=\"archive.retention_days\"]"}));
    let kept = json!({"archive.retention_days": "1.5"});
    assert_eq!(anna.ask("values", json!({"names": ["archive.retention_days"]})), kept);
    anna.clicks("[data-act=file]");
    anna.saves();
    anna.sees(".toast", "Saved");
    assert_eq!(settings(&daemon, &password)["changed_here"]["archive"], json!({}));
    anna.goes("/settings/notifications");
    anna.clicks("[data-act=test]");
    anna.sees("[data-tested=\"200\"]", "Taken");
    clean(&mut browser, &["400", "503", "502"]);
}

#[track_caller]
fn settings(daemon: &TestDaemon, password: &str) -> Value {
    told(daemon, "admin", password, "/api/settings").json()
}
