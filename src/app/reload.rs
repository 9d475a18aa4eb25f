//! Reads the settings again while everything runs: cameras, and what can be changed, take effect at once, all else is named
//! as waiting for a restart. Settings with a fault change nothing.

use std::path::Path;

use serde_json::Value;
use slog::{Logger, error, info, warn};

use crate::{
    config::{self, Settings},
    error::Result,
    web::{
        Tls,
        fleet::{Report, invalid},
    },
};

/// What has a report of its own.
const APART: [&str; 2] = ["camera", "detect"];

/// The settings as the file has them now. May block as long as its disk does.
pub fn read(file: Option<&Path>, log: &Logger) -> Result<Settings> {
    config::load(file).map_err(|problems| {
        for problem in &problems {
            error!(log, "settings are refused, those in force stay"; "path" => &problem.path,
                "value" => &problem.value, "rule" => &problem.rule);
        }
        invalid(&problems)
    })
}

/// The certificate may have been renewed in place. One that cannot be read changes nothing.
pub fn certificate(tls: Option<&Tls>, running: &Settings, log: &Logger) {
    match tls.map(|tls| tls.reload(&running.server)) {
        None => {}
        Some(Ok(())) => info!(log, "certificate is read"),
        Some(Err(error)) => error!(log, "certificate is refused, the one in force stays"; "error" => %error),
    }
}

/// Into the log, what came of them.
pub fn tell(report: &Report, log: &Logger) {
    for device in &report.thresholds {
        info!(log, "thresholds changed"; "device" => %device);
    }
    if !report.settings.is_empty() {
        info!(log, "settings of the file changed"; "settings" => report.settings.join(", "));
    }
    if !report.needs_restart.is_empty() {
        warn!(log, "settings changed that need a restart"; "settings" => report.needs_restart.join(", "));
    }
    info!(log, "settings are read"; "changed" => report.thresholds.len(), "waiting" => report.needs_restart.len(),
        "cameras_added" => report.added.len(), "cameras_changed" => report.changed.len(),
        "cameras_removed" => report.removed.len(), "cameras_refused" => report.refused.len());
}

/// Paths of what differs and cannot change without a restart, cameras apart.
pub fn differences(old: &Settings, new: &Settings) -> Vec<String> {
    differences_live(&old.with_live_of(new), new)
}

/// Paths of what differs, cameras and thresholds apart. Without values, which may be secrets.
pub fn differences_live(old: &Settings, new: &Settings) -> Vec<String> {
    let tree = |settings: &Settings| serde_json::to_value(settings).unwrap_or_default();
    let (mut old, mut new) = (tree(old), tree(new));
    for tree in [&mut old, &mut new] {
        without_apart(tree);
    }
    let mut found = Vec::new();
    compare("", &old, &new, &mut found);
    found
}

fn without_apart(tree: &mut Value) {
    if let Some(fields) = tree.as_object_mut() {
        APART.iter().for_each(|section| drop(fields.remove(*section)));
    }
}

fn compare(path: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(before), Value::Object(after)) => {
            let keys = before.keys().chain(after.keys().filter(|key| !before.contains_key(*key)));
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let value = |of: &serde_json::Map<String, Value>| of.get(key).cloned().unwrap_or_default();
                compare(&path, &value(before), &value(after), found);
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (i, (before, after)) in before.iter().zip(after).enumerate() {
                compare(&format!("{path}[{i}]"), before, after, found);
            }
        }
        _ if old != new => found.push(path.to_owned()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_at_once_is_named_too() {
        let (old, new) = ("[archive]\nwindow_hours = 5", "[notify]\nwebhook = [{ url = \"http://h/hidden\" }]");
        let (old, new) = (config::parse(old).unwrap(), config::parse(new).unwrap());
        assert_eq!(differences_live(&old, &new), ["archive.window_hours", "notify.webhook"]);
    }

    #[test]
    fn what_needs_a_restart_is_named_without_its_value() {
        let check = |before: &str, after: &str, expected: &[&str]| {
            let settings = |text: &str| config::parse(text).unwrap();
            assert_eq!(differences(&settings(before), &settings(after)), expected, "{before} to {after}");
        };
        check("", "[detect]\nsilence_db = -60.0", &[]);
        check("", "[archive]\ncommit_seconds = 30", &["archive.commit_seconds"]);
        check("", "[storage]\nvolume_id = \"x\"", &["storage.volume_id"]);
        check("[storage]\nvolume_id = \"x\"", "", &["storage.volume_id"]);
        check("", "[[camera]]\nid = \"a\"\nsource = { kind = \"test\" }", &[]);
        check("", "[transcode]\nenabled = false", &["transcode.enabled"]);
        check("", "[transcode]\nquality = 9\n[archive]\nretention_days = 3.0", &[]);
        check("", "[notify]\nwebhook = [{ url = \"http://h/\", secret = \"s\" }]", &[]);
    }
}
