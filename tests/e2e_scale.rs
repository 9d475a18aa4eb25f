//! Many devices on few cores, fed by `replay` so that the machine measures Capstan and not FFmpeg: nothing is lost.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod common;

use common::{Setup, TestDaemon, daemon::Usage, media, now, soaking, until};

#[test]
fn many_devices_lose_nothing() {
    // `make soak`: the figure of the issue. `make test`: the same road, shorter.
    let (devices, seconds) = if soaking() { (32, 600.0) } else { (8, 12.0) };
    let setup = Setup::new().set("hot.device_bytes", "8MiB");
    let setup = if soaking() {
        setup.set("archive.commit_seconds", 60).set("archive.chunk_seconds", 600)
    } else {
        setup.set("archive.commit_seconds", 3)
    };
    let prepared = setup.folder().join("prepared");
    media::prepare_replay(&prepared, 30, 0);
    let source = format!("source = {{ kind = \"replay\", dir = {prepared:?} }}");
    let names: Vec<_> = (0..devices).map(|n| format!("device-{n:02}")).collect();
    let setup = names.iter().fold(setup, |setup, name| setup.camera(name, &source));
    let mut daemon = TestDaemon::start(setup);

    let start = now();
    let everyone = |goal: f64| names.iter().all(|name| daemon.committed_seconds(name) >= goal);
    until("all devices commit", seconds as u64 + 180, || everyone(seconds));
    // All of it in about the time it took to play, and the commits wait no longer than their period.
    let took = now().since(start).as_secs_f64();
    assert!(took < seconds + 90.0, "{took} s for {seconds} s");
    for name in &names {
        assert_eq!(daemon.lost_seconds(name), 0.0, "{name}");
    }
    assert_eq!(daemon.children().len(), 0, "replay needs no FFmpeg");
    let used = Usage::of(daemon.pid());
    assert!(used.resident_bytes < 256 << 20, "{} bytes resident", used.resident_bytes);
    let (status, _) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    media::assert_decodes(&daemon.chunks(&names[devices - 1])[0]);
}

/// The resident set of the daemon stays where it is while pictures come and go (30 minutes in `make soak`).
#[test]
fn memory_stays_flat() {
    let seconds = if soaking() { 1800 } else { 10 };
    let setup = Setup::new().set("hot.segments", 5).set("hot.captures", 10).set("hot.thumbnails", 10);
    let prepared = setup.folder().join("prepared");
    media::prepare_replay(&prepared, 30, 5);
    let source = format!("source = {{ kind = \"replay\", dir = {prepared:?} }}");
    let setup = (0..4).fold(setup, |setup, n| setup.camera(&format!("device-{n}"), &source));
    let daemon = TestDaemon::start(setup);
    let frames = |daemon: &TestDaemon| daemon.metric("capstan_frames_total", &[("device", "device-3")]).unwrap_or(0.0);
    until("the budgets are full", 60, || frames(&daemon) > 60.0);
    let (settled, goal) = (Usage::of(daemon.pid()).resident_bytes, frames(&daemon) + f64::from(seconds) * 10.0);
    until("pictures come and go", seconds as u64 * 2 + 60, || frames(&daemon) >= goal);
    let grown = Usage::of(daemon.pid()).resident_bytes.saturating_sub(settled);
    assert!(grown < 8 << 20, "resident set grew by {grown} bytes in {seconds} s");
}
