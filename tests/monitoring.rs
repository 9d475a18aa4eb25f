//! What is shipped for Prometheus and Grafana names our metrics as they are, and alerts ring when they must.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod common;

use std::{collections::BTreeSet, fs, process::Command};

use capstan::telemetry::{ActorLabel, GateLabel, Metrics, ReceiverLabel, RequestLabel};

const ALERTS: &str = "conf/prometheus/alerts.yml";
const BOARD: &str = "conf/grafana/capstan.json";

/// Every name that `/metrics` can show.
fn exported() -> BTreeSet<String> {
    let metrics = Metrics::new();
    metrics.device(&"cam".parse().unwrap());
    metrics.webhook(&ReceiverLabel { receiver: "host".into() });
    metrics.actor_restarts.get_or_create_owned(&ActorLabel { actor: "root".into() });
    metrics.http_requests.get_or_create_owned(&RequestLabel { route: "/", status: 200 });
    metrics.transcode.gate.get_or_create_owned(&GateLabel { gate: "open" });
    let text = metrics.render();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.filter_map(|line| line.split(['{', ' ']).next()).map(str::to_owned).collect()
}

/// Names of ours in a text.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("capstan_")).map(str::to_owned).collect()
}

#[test]
fn alerts_and_board_name_metrics_that_exist() {
    let exported = exported();
    for file in [ALERTS, BOARD, "tests/fixtures/prometheus/alerts_test.yml"] {
        let named = named(&fs::read_to_string(file).unwrap());
        assert!(named.len() > 10, "{file}");
        let unknown: Vec<_> = named.difference(&exported).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}");
    }
}

#[test]
fn the_board_is_whole() {
    let board: serde_json::Value = serde_json::from_str(&fs::read_to_string(BOARD).unwrap()).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert!(panels.len() >= 15 && ids.len() == panels.len());
    for panel in panels {
        assert!(panel["targets"].as_array().is_some_and(|targets| !targets.is_empty()), "{panel}");
        let at = &panel["gridPos"];
        assert!(at["x"].as_u64().unwrap() + at["w"].as_u64().unwrap() <= 24, "{panel}");
    }
}

#[test]
fn alerts_ring_when_they_must() {
    if Command::new("promtool").arg("--version").output().is_err() {
        common::skip("alerts_ring_when_they_must", "promtool is not installed");
        return;
    }
    for arguments in [
        ["check", "rules", ALERTS],
        ["check", "config", "conf/prometheus/scrape.yml"],
        ["test", "rules", "tests/fixtures/prometheus/alerts_test.yml"],
    ] {
        let output = Command::new("promtool").args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
    }
    let proved = fs::read_to_string("tests/fixtures/prometheus/alerts_test.yml").unwrap();
    for line in fs::read_to_string(ALERTS).unwrap().lines() {
        if let Some(name) = line.trim().strip_prefix("- alert: ") {
            assert!(proved.contains(&format!("- name: {name}\n")), "{name} is not proved");
        }
    }
}
