//! What the daemon itself costs with four devices whose segments and pictures arrive, FFmpeg apart: CPU and memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a bench reports on its output")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Duration;

use common::{Setup, TestDaemon, daemon::Usage, holds_within, media::prepare_replay, now, until};

const DEVICES: usize = 4;

fn main() {
    let seconds = std::env::var("CAPSTAN_BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(120);
    let setup = Setup::new()
        .set("archive.commit_seconds", 60)
        .set("archive.chunk_seconds", 600)
        .set("hot.device_bytes", "64MiB")
        .set("hot.captures", 300)
        .set("hot.thumbnails", 100);
    let prepared = setup.folder().join("prepared");
    prepare_replay(&prepared, 60, 5);
    let source = format!("source = {{ kind = \"replay\", dir = {prepared:?} }}");
    let setup = (0..DEVICES).fold(setup, |setup, n| setup.camera(&format!("device-{n}"), &source));
    let daemon = TestDaemon::start(setup);
    // Past the first commits, which every device makes in its own second of the minute.
    until("every device commits", 150, || (0..DEVICES).all(|n| daemon.committed_seconds(&format!("device-{n}")) > 0.0));
    let (before, start) = (Usage::of(daemon.pid()), now());
    holds_within(Duration::from_secs(seconds), || false);
    let (after, took) = (Usage::of(daemon.pid()), now().since(start).as_secs_f64());
    let percent = (after.cpu_seconds - before.cpu_seconds) / took * 100.0;
    let hot: f64 =
        (0..DEVICES).filter_map(|n| daemon.metric("capstan_hot_bytes", &[("device", &format!("device-{n}"))])).sum();
    println!("claim\tdaemon_cpu\t\t{percent:.2} % of a core over {took:.0} s");
    println!("claim\tdaemon_rss\t\t{:.1} MB", after.resident_bytes as f64 / 1e6);
    println!("claim\thot_bytes\t\t{:.0} MB", hot / 1e6);
}
