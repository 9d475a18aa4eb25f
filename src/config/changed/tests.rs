//! What may be changed, what is refused and where, and what comes of it over the file.

use super::*;
use crate::config::{parse, receivers};

const FILE: &str = "[archive]\nwindow_hours = 12\nretention_days = 7.0\n[transcode]\nquality = 30\n[notify]\nwebhook = \
                    [{ url = \"http://a/hidden\", secret = \"hidden\" }, { url = \"http://b/\", kinds = [\"device_up\"] }]";

fn file() -> Settings {
    parse(FILE).unwrap()
}

fn known() -> Vec<Receiver> {
    receivers(&file().notify.webhook, b"key")
}

fn read(name: &str, sent: Value) -> Result<Section, Problem> {
    let mut count = 0;
    let mut fresh = || {
        count += 1;
        format!("new{count}")
    };
    Section::read(name, &sent, &known(), &mut fresh)
}

fn changes(sections: &[(&str, Value)]) -> Changes {
    let mut changes = Changes::default();
    sections.iter().for_each(|(name, sent)| changes.set(read(name, sent.clone()).unwrap()));
    changes
}

#[test]
fn what_is_changed_lies_over_the_file_and_the_rest_is_the_files() {
    let file = file();
    let check = |name: &str, sent: Value, expected: fn(&mut Settings)| {
        let mut wanted = file.clone();
        expected(&mut wanted);
        assert_eq!(changes(&[(name, sent.clone())]).over(&file), wanted, "{name} {sent}");
    };
    check("archive", json!({}), |_| {});
    check("archive", Value::Null, |_| {});
    check("notify", json!({}), |_| {});
    check("archive", json!({"window_hours": null}), |_| {});
    check("archive", json!({"retention_days": 0.5}), |settings| settings.archive.retention_days = 0.5);
    check("archive", json!({"max_bytes": "200GB", "min_free_bytes": 5}), |settings| {
        settings.archive.max_bytes = Bytes(200_000_000_000);
        settings.archive.min_free_bytes = Bytes(5);
    });
    check("transcode", json!({"run_schedule": "always", "max_cpu_percent": 50}), |settings| {
        settings.transcode.run_schedule = "always".into();
        settings.transcode.max_cpu_percent = 50.0;
    });
    check("detect", json!({"black_luma": 20}), |settings| settings.detect.black_luma = 20);
    check("notify", json!({"webhook": []}), |settings| settings.notify.webhook.clear());
}

#[test]
fn faults_are_told_at_the_field() {
    let check = |name: &str, sent: Value, path: &str, part: &str| {
        let problem = match read(name, sent.clone()) {
            Err(problem) => problem,
            Ok(section) => {
                let mut changes = Changes::default();
                changes.set(section);
                changes.problems(&file()).into_iter().next().unwrap_or_else(|| panic!("{name} {sent} is taken"))
            }
        };
        assert_eq!(problem.path, path, "{name} {sent}: {problem}");
        assert!(problem.to_string().contains(part), "{name} {sent}: {problem}");
        assert!(!problem.to_string().contains("hidden"), "{problem}");
    };
    check("archive", json!([24]), "archive", "object");
    check("archive", json!("all"), "archive", "object");
    check("archive", json!({"window_hours": 25}), "archive.window_hours", "1 to 24");
    check("archive", json!({"window_hours": 0}), "archive.window_hours", "1 to 24");
    check("archive", json!({"window_hours": 1.5}), "archive.window_hours", "1.5");
    check("archive", json!({"window_hours": -1}), "archive.window_hours", "-1");
    check("archive", json!({"retention_days": -0.1}), "archive.retention_days", "0 (no library)");
    check("archive", json!({"retention_days": "long"}), "archive.retention_days", "long");
    check("archive", json!({"retention_days": 1e300}), "archive.retention_days", "36500");
    check("archive", json!({"max_bytes": "much"}), "archive.max_bytes", "much");
    check("archive", json!({"max_bytes": -5}), "archive.max_bytes", "negative");
    check("archive", json!({"min_free_bytes": [1]}), "archive.min_free_bytes", "");
    check("archive", json!({"commit_seconds": 5}), "archive.commit_seconds", "unknown field");
    check("transcode", json!({"enabled": true}), "transcode.enabled", "unknown field");
    check("transcode", json!({"ffmpeg_path": "/bin/sh"}), "transcode.ffmpeg_path", "unknown field");
    check("transcode", json!({"run_schedule": "25:00-06:00"}), "transcode.run_schedule", "02:00-06:00");
    check("transcode", json!({"run_schedule": 5}), "transcode.run_schedule", "5");
    check("transcode", json!({"codec": "h264"}), "transcode.codec", "libx265");
    check("transcode", json!({"quality": 52}), "transcode.quality", "51");
    check("transcode", json!({"max_cpu_percent": 101}), "transcode.max_cpu_percent", "100");
    check("transcode", json!({"keep_original_days": 1e9}), "transcode.keep_original_days", "36500");
    check("transcode", json!({"max_write_bytes_per_day": -1}), "transcode.max_write_bytes_per_day", "-1");
    check("server", json!({}), "server", "cannot be changed");
    check("notify", json!({"hook": []}), "notify.hook", "unknown field");
    check("notify", json!({"webhook": {}}), "notify.webhook", "");
    check("notify", json!({"webhook": [{}]}), "notify.webhook[0].url", "missing");
    check("notify", json!({"webhook": [{"url": 5}]}), "notify.webhook[0].url", "5");
    check("notify", json!({"webhook": [{"url": "ftp://h/"}]}), "notify.webhook[0].url", "http://");
    check("notify", json!({"webhook": [{"url": "http://h/", "kinds": ["x"]}]}), "notify.webhook[0].kinds", "device_up");
    check("notify", json!({"webhook": [{"url": "http://h/", "id": "x"}]}), "notify.webhook[0].id", "no webhook");
    check("notify", json!({"webhook": [{"url": "http://h/***"}]}), "notify.webhook[0].url", "in full");
    check("notify", json!({"webhook": vec![json!({"url": "http://h/"}); 17]}), "notify.webhook", "at most 16");
    let id = known()[0].id.clone();
    check("notify", json!({"webhook": [{"id": id}, {"id": id}]}), "notify.webhook[1].id", "twice");
    let moved = json!({"webhook": [{"id": id, "url": "http://other/"}]});
    check("notify", moved, "notify.webhook[0].secret", "another host");
}

#[test]
fn a_webhook_keeps_what_is_left_out_and_what_is_sent_back_as_it_was_shown() {
    let (known, file) = (known(), file());
    let id = &known[0].id;
    let check = |sent: Value, url: &str, secret: &str| {
        let changed = changes(&[("notify", json!({"webhook": [sent.clone()]}))]).over(&file).notify.webhook;
        assert_eq!((changed[0].url.as_str(), changed[0].secret.as_str()), (url, secret), "{sent}");
    };
    check(json!({"id": id}), "http://a/hidden", "hidden");
    check(known[0].shown(), "http://a/hidden", "hidden");
    check(json!({"id": id, "url": "http://a/other"}), "http://a/other", "hidden");
    check(json!({"id": id, "secret": "new"}), "http://a/hidden", "new");
    check(json!({"id": id, "secret": ""}), "http://a/hidden", "");
    check(json!({"id": id, "url": "http://c/", "secret": "new"}), "http://c/", "new");
    check(json!({"id": known[1].id, "url": "http://c/"}), "http://c/", "");
    check(json!({"url": "http://d/", "secret": "***"}), "http://d/", "***");
    let Section::Notify(Some(of)) = read("notify", json!({"webhook": [{"url": "http://d/"}, {"id": id}]})).unwrap()
    else {
        panic!("a list")
    };
    assert_eq!([&of.webhook[0].id, &of.webhook[1].id], ["new1", id.as_str()]);
    let shown = format!("{} {:?}", Section::Notify(Some(of.clone())).shown(), of);
    assert!(!shown.contains("hidden") && shown.contains("http://a/***"), "{shown}");
}

#[test]
fn ids_of_the_file_stay_and_tell_nothing() {
    let ids = |text: &str, key: &[u8]| -> Vec<String> {
        receivers(&parse(text).unwrap().notify.webhook, key).into_iter().map(|it| it.id).collect()
    };
    let one = "[notify]\nwebhook = [{ url = \"http://a/\" }]";
    let more = "[notify]\nwebhook = [{ url = \"http://b/\" }, { url = \"http://a/\" }, { url = \"http://a/\" }]";
    let (first, then) = (ids(one, b"key"), ids(more, b"key"));
    assert_eq!(first[0], then[1], "whatever comes before it");
    assert_ne!(then[1], then[2]);
    assert_ne!(first, ids(one, b"another"));
}

#[test]
fn what_is_stored_comes_back_and_what_makes_no_sense_is_told() {
    let all = changes(&[
        ("detect", json!({"silence_db": -40.0})),
        ("archive", json!({"retention_days": 3.0, "max_bytes": "1GB"})),
        ("transcode", json!({"run_schedule": "always"})),
        ("notify", json!({"webhook": [{"id": known()[0].id}]})),
    ]);
    let mut back = Changes::default();
    for section in all.sections() {
        back.set(Section::restored(section.name(), &section.stored().to_string()).unwrap().unwrap());
    }
    assert_eq!(back, all);
    assert_eq!(Section::restored("notify", "null"), Some(Ok(Section::Notify(None))));
    assert!(Section::restored("archive", "{\"of_tomorrow\": 1}").unwrap().is_err());
    assert!(Section::restored("archive", "not JSON").unwrap().is_err());
    assert_eq!(Section::restored("of_tomorrow", "{}"), None);
}

#[test]
fn a_section_that_no_longer_fits_goes_and_leaves_the_others() {
    let mut all = changes(&[("transcode", json!({"quality": 20}))]);
    all.archive.retention_days = Some(-5.0);
    let (fitting, refused) = all.fitting(&file());
    assert_eq!(fitting, changes(&[("transcode", json!({"quality": 20}))]));
    assert_eq!(refused[0].path, "archive.retention_days");
}

#[test]
fn a_file_read_again_changes_what_may_change_and_no_more() {
    let text = "[archive]\nretention_days = 2.0\ncommit_seconds = 5\n[transcode]\nenabled = false\nquality = 9\n\
                ffmpeg_path = \"/x\"\n[detect]\nblack_luma = 7\n[server]\nworkers = 3";
    let (running, fresh) = (file(), parse(text).unwrap());
    let now = running.with_live_of(&fresh);
    assert_eq!((now.archive.retention_days, now.archive.commit_seconds), (2.0, running.archive.commit_seconds));
    assert_eq!((now.transcode.quality, now.transcode.enabled, now.transcode.ffmpeg_path), (9, true, None));
    assert_eq!((now.detect.black_luma, now.notify.webhook.len(), now.server.workers), (7, 0, 0));
    let changeable = Settings::changeable();
    for (path, may) in [
        ("archive.retention_days", true),
        ("archive.commit_seconds", false),
        ("notify", true),
        ("transcode.enabled", false),
    ] {
        assert_eq!(changeable.iter().any(|it| it == path), may, "{path}");
    }
}
