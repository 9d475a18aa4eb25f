//! What recording notices of a transcoder that runs flat out: nothing lost, and how long commits take beside it.
//!
//! A real daemon with four live cameras and the settings people have, but for gates that never close. The transcoder is
//! switched off and on in turns, so that what others do to this machine meets both.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a bench reports on its output")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::{collections::HashMap, time::Duration};

use capstan::clock::Clock;
use common::{
    Setup, TestDaemon,
    daemon::{Usage, children_of},
    http, now, until,
};
use serde_json::{Value, json};

const DEVICES: usize = 4;
const ROUNDS: usize = 3;
/// 4 devices that commit each second: 180 commits.
const PHASE: Duration = Duration::from_secs(45);
/// Far more often than a device commits, so that each commit is read by itself.
const READ_EVERY: Duration = Duration::from_millis(200);

/// What one phase came to.
#[derive(Default)]
struct Phase {
    /// ms, ascending.
    commits: Vec<f64>,
    /// Share of the looks at which an encoder was at work and not stopped.
    encoding: f64,
    /// Of the whole machine, by what the encoders used.
    encoder_cpu_percent: f64,
    /// What others took of it meanwhile: with much, the figures are theirs.
    foreign_cpu_percent: f64,
}

fn main() {
    let ids: Vec<_> = (0..DEVICES).map(|number| format!("device-{number}")).collect();
    let camera = format!("quality = \"copy\"\nsource = {{ kind = \"file\", path = {:?} }}", common::clip());
    let setup = Setup::new()
        .set("archive.commit_seconds", 1)
        // Short, so that there is an archive of them soon; each is a job with its verification and swap.
        .set("archive.chunk_seconds", 20)
        .set("transcode.min_age_days", 0.0)
        .set("transcode.run_schedule", "always")
        .set("transcode.max_cpu_percent", 100.0)
        .set("transcode.max_io_wait", 100.0)
        .set("transcode.min_free_space_gb", 0.0)
        // The demo clip is squeezed already; what counts here is the work.
        .set("transcode.min_savings_percent", 0.0)
        .set("transcode.pause_between_seconds", 0)
        .set("transcode.error_pause_seconds", 0)
        .set("transcode.idle_seconds", 1);
    let setup = ids.iter().fold(setup, |setup, id| setup.camera(id, &camera));
    let mut daemon = TestDaemon::start(setup);
    until("the books are read", 60, || daemon.get("/api/transcode").status == 200);
    switch(&daemon, false);
    until("there is an archive", 120, || ids.iter().all(|id| daemon.ring(id).len() >= 2));
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // Which goes first changes, so that a growing archive favours neither.
        for on in if round % 2 == 0 { [false, true] } else { [true, false] } {
            switch(&daemon, on);
            let phase = measure(&daemon);
            println!(
                "round {round}, transcoder {}: {} commits, {}; encoding {:.0} % of the time, {:.0} % of the machine, others {:.0} %",
                if on { "on" } else { "off" },
                phase.commits.len(),
                told(&phase.commits),
                phase.encoding * 100.0,
                phase.encoder_cpu_percent,
                phase.foreign_cpu_percent,
            );
            if on { beside.push(phase) } else { alone.push(phase) }
        }
    }
    let transcoded = daemon.json("/api/transcode")["files_transcoded"].clone();
    let lost: f64 = ids.iter().map(|id| daemon.lost_seconds(id)).sum();
    let of = |name: &str| ids.iter().map(|id| daemon.metric(name, &[("device", id)]).unwrap_or(0.0)).sum::<f64>();
    let (segments, faults) = (of("capstan_segments_total"), of("capstan_segment_faults_total"));
    let restarts = of("capstan_ffmpeg_restarts_total");
    let holes: Vec<String> = ids.iter().flat_map(|id| holes(&daemon, id)).collect();
    assert!(holes.is_empty(), "{holes:#?}");
    daemon.stop();
    let [alone_p99, beside_p99] = [&alone, &beside].map(|phases| {
        let mut each: Vec<f64> = phases.iter().map(|phase| at(&phase.commits, 99)).collect();
        each.sort_by(f64::total_cmp);
        each[each.len() / 2]
    });
    let all = |phases: Vec<Phase>| {
        let mut all: Vec<f64> = phases.into_iter().flat_map(|phase| phase.commits).collect();
        all.sort_by(f64::total_cmp);
        told(&all)
    };
    println!("all commits without it: {}", all(alone));
    println!("all commits beside it: {}", all(beside));
    println!(
        "claim\ttranscode_impact\tp99 {alone_p99:.1} ms without it\t{lost:.0} s lost, {faults:.0} of {segments:.0} \
         segments dropped, {restarts:.0} restarts, no hole; {transcoded} files; commit p99 {beside_p99:.1} ms: {:.2} ×",
        beside_p99 / alone_p99
    );
}

/// On, and at work; or off, and the file in work given up by nobody.
fn switch(daemon: &TestDaemon, on: bool) {
    let path = if on { "/api/transcode/enable" } else { "/api/transcode/disable" };
    let reply = http::post(daemon.address(), path, &json!({})).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    let goal = if on { "running" } else { "disabled" };
    until(goal, 120, || daemon.json("/api/transcode")["status"]["state"] == goal);
}

fn measure(daemon: &TestDaemon) -> Phase {
    let mut phase = Phase::default();
    let (mut seen, mut looks, mut encoding) = (HashMap::<String, (f64, f64)>::new(), 0_u32, 0_u32);
    let mut used = HashMap::new();
    let began = now();
    while now().since(began) < PHASE {
        std::thread::sleep(READ_EVERY);
        let text = daemon.get("/metrics").text();
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        looks += 1;
        let [runs, rests] =
            ["capstan_transcode_running ", "capstan_transcode_paused "].map(|name| value(name) == Some(1.0));
        encoding += u32::from(runs && !rests);
        phase.foreign_cpu_percent += value("capstan_foreign_cpu_percent ").unwrap_or(0.0);
        for (pid, line) in children_of(daemon.pid()) {
            if line.contains("x265") {
                used.insert(pid, Usage::of(pid).cpu_seconds);
            }
        }
        for (device, count, sum) in commits(&text) {
            if let Some((before, total)) = seen.insert(device, (count, sum)) {
                // Two between two looks are told as two of the same length.
                let (fresh, took) = (count - before, sum - total);
                (0..fresh as usize).for_each(|_| phase.commits.push(took / fresh * 1e3));
            }
        }
    }
    let seconds = now().since(began).as_secs_f64();
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    phase.commits.sort_by(f64::total_cmp);
    phase.foreign_cpu_percent /= f64::from(looks);
    phase.encoding = f64::from(encoding) / f64::from(looks);
    let cpu_seconds = used.values().fold(0.0, |all, seconds| all + seconds);
    phase.encoder_cpu_percent = cpu_seconds / seconds / cores as f64 * 100.0;
    phase
}

/// Of each device, from its histogram: how many there were, and how many seconds they took together.
fn commits(metrics: &str) -> Vec<(String, f64, f64)> {
    let of = |name: &str| -> HashMap<String, f64> {
        let lines = metrics.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix("{device=\""));
        lines
            .filter_map(|rest| Some((rest.split_once("\"}")?.0.to_owned(), rest.rsplit(' ').next()?.parse().ok()?)))
            .collect()
    };
    let sums = of("capstan_commit_seconds_sum");
    let counts = of("capstan_commit_seconds_count");
    counts.into_iter().filter_map(|(device, count)| Some((device.clone(), count, *sums.get(&device)?))).collect()
}

/// What comes last may still be on its way.
const YOUNG_90K: i64 = 10 * 90_000;

/// What lies between a device's first footage and its last and is not there.
fn holes(daemon: &TestDaemon, id: &str) -> Vec<String> {
    let to = (Clock::system().wall() + -YOUNG_90K).rfc3339();
    let told = daemon.json(&format!("/api/host/timeline/{id}?to={to}&duration=3000"));
    assert_eq!(told["exact"], true, "{told}");
    let empty = Vec::new();
    let gaps = told["gaps"].as_array().unwrap_or(&empty).iter();
    let is_hole = |gap: &&Value| !["not_kept", "not_committed"].contains(&gap["reason"].as_str().unwrap_or(""));
    gaps.filter(is_hole).map(|gap| format!("{id}: {gap}")).collect()
}

fn at(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() - 1) * percent / 100]
}

fn told(sorted: &[f64]) -> String {
    format!("p50 {:.1} ms, p99 {:.1} ms, slowest {:.1} ms", at(sorted, 50), at(sorted, 99), at(sorted, 100))
}
