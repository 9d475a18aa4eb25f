//! Gathers what [`super::checks`] judges: from a running daemon's state, or from the bare host when none runs.

use std::{
    io::Read,
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use serde_json::json;

use super::{
    DeviceStatus, WebDevice, WebState,
    checks::{
        ActorFacts, ArchiveFacts, DeviceFacts, HostFacts, HotSide, KeepingFacts, TranscoderFacts, Verdict, bytes,
    },
};
use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    config::{Camera, Settings},
    keep::{Gate, KeepLimits},
    storage::{HotLimits, HotStatus, tmpfs::hot_facts},
    supervisor::NodeState,
    telemetry::DeviceMetrics,
};

/// Everything about a running daemon. Asks file systems for their space: may block as long as they do.
pub fn gather(state: &WebState) -> HostFacts {
    let nodes = state.board.snapshot();
    HostFacts {
        hot: HotSide { quota_bytes: quotas_of(&state.devices.load(), &state.settings), ..hot(&state.settings) },
        archive: ArchiveFacts {
            root: state.volume.root().to_owned(),
            volume: if state.volume.is_ok() {
                Ok(())
            } else {
                let told = (state.cleaner)().volume_error.clone();
                Err(told.unwrap_or_else(|| "refuses writes, or is not the volume it was".into()))
            },
            free_bytes: state.volume.free_bytes(),
            min_free_bytes: state.in_force().archive.min_free_bytes.0,
            keeping: Some(keeping(state)),
        },
        ffmpeg: (state.ffmpeg)(),
        database: state.registry.verdict(),
        transcoder: Some(TranscoderFacts { work: state.transcoder.verdict(), files: state.transcoder.file_verdict() }),
        actors: nodes
            .iter()
            .map(|node| ActorFacts { name: node.name.clone(), failed: node.state == NodeState::Failed })
            .collect(),
        devices: state.devices.load().iter().map(|device| device_facts(state, device)).collect(),
    }
}

fn keeping(state: &WebState) -> KeepingFacts {
    let cleaner = (state.cleaner)();
    let held = (cleaner.gate != Gate::Open).then(|| json!(cleaner.gate).as_str().unwrap_or_default().to_owned());
    let library = cleaner.library.as_ref().map(|library| match library.ok {
        true => Ok(format!("{} can be reached, {} free", library.root, bytes(library.free_bytes))),
        false => Err(format!("{}: {}", library.root, library.error.as_deref().unwrap_or("was not seen yet"))),
    });
    KeepingFacts {
        forecast: cleaner.forecast,
        interval: Duration::from_secs(state.settings.cleaner.interval_seconds.into()),
        success_age: cleaner.succeeded.map(|at| state.clock.mono().since(at)),
        held_by: cleaner.error.clone().or(held),
        library,
    }
}

/// The RAM side of a host with these settings, whether or not a daemon runs.
pub fn hot(settings: &Settings) -> HotSide {
    HotSide {
        path: settings.storage.hot.clone(),
        space: hot_facts(&settings.storage.hot).ok(),
        quota_bytes: quota_bytes(settings),
    }
}

/// Sum of the byte quotas of the enabled devices of the settings file.
pub fn quota_bytes(settings: &Settings) -> u64 {
    quota_bytes_of(settings.camera.iter(), settings)
}

fn quotas_of(devices: &[Arc<WebDevice>], settings: &Settings) -> u64 {
    quota_bytes_of(devices.iter().map(|device| &*device.camera), settings)
}

/// The same of any cameras.
pub fn quota_bytes_of<'a>(cameras: impl Iterator<Item = &'a Camera>, settings: &Settings) -> u64 {
    let enabled = cameras.filter(|camera| camera.enabled);
    enabled.map(|camera| HotLimits::of(settings, camera).device_bytes).fold(0, u64::saturating_add)
}

/// The device's own word, unless its actors have failed too often to run at all.
pub fn status(state: &WebState, device: &WebDevice) -> DeviceStatus {
    let told = (device.status)();
    if told.status != "disabled" && state.board.has_failed(&format!("device/{}", device.id)) {
        let reason = told.reason.clone().or_else(|| Some("its actors fail again and again".into()));
        return DeviceStatus { status: "failed", kind: told.kind.or(Some("actors")), reason, ..told };
    }
    told
}

fn device_facts(state: &WebState, device: &WebDevice) -> DeviceFacts {
    let now = state.clock.wall();
    let status = status(state, device);
    let hot = device.hot.status();
    let limits = HotLimits::of(&state.settings, &device.camera);
    let chunks = device.index.snapshot();
    let keep = KeepLimits::from(state.in_force().as_ref()).keep;
    DeviceFacts {
        id: device.id.to_string(),
        status: status.status.to_owned(),
        reason: status.reason,
        since: status.since.map(|since| age(now, since)),
        segment_age: hot.newest_segment_age_seconds.and_then(|age| Duration::try_from_secs_f64(age).ok()),
        // By what waits, not by labels: after the clock was set back, those of an hour lie in the future.
        committed_age: (!chunks.is_empty())
            .then(|| Duration::try_from_secs_f64(hot.oldest_waiting_age_seconds.unwrap_or(0.0)).unwrap_or_default()),
        oldest_chunk_age: (!chunks.is_empty())
            .then(|| Duration::try_from_secs_f64(device.metrics.oldest_chunk_age_seconds.get()).unwrap_or_default()),
        hot_bytes: hot.bytes,
        live_window_bytes: bytes_per_second(&hot, &device.metrics).saturating_mul(limits.segments as u64),
        quota_bytes: limits.device_bytes,
        commit: Duration::from_secs(state.settings.archive.commit_seconds.into()),
        window: keep.window + keep.retention,
    }
}

/// The bit rate: of the segments that wait when there are enough to tell, else of all that was committed since the
/// start, to whose bytes TS adds about a tenth.
fn bytes_per_second(hot: &HotStatus, metrics: &DeviceMetrics) -> u64 {
    if hot.waiting >= 5 {
        return hot.waiting_bytes / hot.waiting as u64;
    }
    let seconds = metrics.committed_seconds.get();
    if seconds < 5.0 { 0 } else { (metrics.media_bytes() as f64 * 1.1 / seconds) as u64 }
}

/// Zero for what lies in the future, as after the clock was set back.
fn age(now: Utc90k, then: Utc90k) -> Duration {
    Duration::from_secs(u64::try_from((now - then) / TICKS_PER_SECOND).unwrap_or(0))
}

/// The oldest FFmpeg that is known to do everything we ask of it.
const FFMPEG_MIN: (u32, u32) = (5, 1);
const FFMPEG_LIMIT: Duration = Duration::from_secs(10);

/// Runs `ffmpeg -version`, for at most ten seconds.
pub fn ffmpeg_version(program: &Path) -> Verdict {
    let shown = program.display();
    let mut child = Command::new(program)
        .arg("-version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{shown} cannot be started: {error}"))?;
    let (tell, told) = mpsc::channel();
    if let Some(out) = child.stdout.take() {
        thread::spawn(move || {
            let mut text = String::new();
            let read = out.take(64 << 10).read_to_string(&mut text);
            let _ = tell.send(read.map(|_| text));
        });
    }
    let text = told.recv_timeout(FFMPEG_LIMIT);
    // Dead or not, it is reaped here: an unwaited child is a zombie.
    let _ = child.kill();
    let _ = child.wait();
    match text {
        Ok(Ok(text)) => judge_version(text.lines().next().unwrap_or_default()),
        Ok(Err(error)) => Err(format!("{shown} -version cannot be read: {error}")),
        Err(_) => Err(format!("{shown} -version does not answer")),
    }
}

/// `ffmpeg version 5.1.6-0+deb12u1 Copyright …`. Builds from git (`N-118…`) have no number and are taken on trust.
fn judge_version(line: &str) -> Verdict {
    let told = line.split(" Copyright").next().unwrap_or_default();
    let Some(version) = told.strip_prefix("ffmpeg version ") else {
        return Err(format!("is not FFmpeg: it says {told:?}"));
    };
    let mut numbers = version.trim_start_matches('n').split(['.', '-', '+', ' ']).map(str::parse::<u32>);
    let (major, minor) = (numbers.next().and_then(Result::ok), numbers.next().and_then(Result::ok));
    match major {
        Some(major) if (major, minor.unwrap_or(0)) < FFMPEG_MIN => {
            Err(format!("{told} is older than {}.{}", FFMPEG_MIN.0, FFMPEG_MIN.1))
        }
        _ => Ok(told.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        let check = |line: &str, expected: Verdict| assert_eq!(judge_version(line), expected, "{line}");
        check("ffmpeg version 5.1.6-0+deb12u1 Copyright (c) 2000", Ok("ffmpeg version 5.1.6-0+deb12u1".into()));
        check("ffmpeg version n7.0 Copyright (c)", Ok("ffmpeg version n7.0".into()));
        check("ffmpeg version N-118-gabc Copyright (c)", Ok("ffmpeg version N-118-gabc".into()));
        check("ffmpeg version 4.4.2 Copyright (c)", Err("ffmpeg version 4.4.2 is older than 5.1".into()));
        check("busybox", Err("is not FFmpeg: it says \"busybox\"".into()));
    }

    #[test]
    fn real_programs_are_asked() {
        assert!(ffmpeg_version(Path::new("ffmpeg")).is_ok());
        let missing = ffmpeg_version(Path::new("/nonexistent/ffmpeg")).unwrap_err();
        assert!(missing.contains("/nonexistent/ffmpeg cannot be started"), "{missing}");
        assert!(ffmpeg_version(Path::new("true")).unwrap_err().contains("is not FFmpeg"));
    }
}
