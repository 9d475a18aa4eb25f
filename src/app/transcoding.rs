//! The transcoder's wiring: its settings, who tells it of the recorders, what encodes for it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use jiff::tz::TimeZone;

use super::{Start, yard::Lists};
use crate::{
    capture::Spawner,
    clock::{Clock, TICKS_PER_SECOND},
    config,
    device::{Device, DeviceState},
    error::Result,
    events::Events,
    keep::PinsNow,
    registry::Registry,
    storage::{Retention, Volume},
    supervisor::{Load, LoadWatch},
    transcode::{Codec, Options, Runner, RunnerParts, Transcoder},
};

/// A camera that has been away for longer is away for good, and not because its FFmpeg was starved.
const GONE_90K: i64 = 600 * TICKS_PER_SECOND;
/// As the health check: a commit may wait for its turn and for a slow card.
const COMMIT_SLACK: Duration = Duration::from_secs(30);

pub(super) struct Shared<'a> {
    pub volume: &'a Arc<Volume>,
    pub retention: Arc<Retention>,
    pub registry: Arc<Registry>,
    /// What is pinned; None while nobody knows, or what the settings are.
    pub pins: PinsNow,
    pub spawner: Spawner,
    /// Who records and whose footage is kept, as they come and go.
    pub lists: Arc<Lists>,
    pub load: Arc<ArcSwap<Load>>,
    pub watch: LoadWatch,
    pub events: Events,
}

pub(super) fn runner(start: &Start, shared: Shared<'_>) -> Result<(Arc<Runner>, Arc<Transcoder>)> {
    let settings = start.settings.transcode.clone();
    let Shared { volume, retention, registry, pins, spawner, lists, load, watch, events } = shared;
    let kept = lists.kept.clone();
    let encoder = encoder(start, spawner);
    let (clock, late) = (start.clock.clone(), commit_limit(&start.settings.archive));
    let runner = Runner::start(RunnerParts {
        volume: volume.clone(),
        retention,
        registry,
        encode: encoder.clone(),
        devices: Arc::new(move || kept.load().iter().map(|device| device.index.clone()).collect()),
        pins,
        recorders: Arc::new(move || lists.running.load().iter().find_map(|device| suffers(device, &clock, late))),
        load,
        watch,
        settings,
        recorder_bytes: start.settings.archive.min_free_bytes.0,
        zone: TimeZone::system(),
        sys: PathBuf::from("/sys"),
        cores: std::thread::available_parallelism().map_or(1, |cores| cores.get()),
        clock: start.clock.clone(),
        events,
        metrics: start.metrics.clone(),
        log: start.log.clone(),
    })?;
    Ok((runner, encoder))
}

fn encoder(start: &Start, spawner: Spawner) -> Arc<Transcoder> {
    let options = options(&start.settings.transcode, &start.settings.ffmpeg);
    Arc::new(Transcoder::new(spawner, start.clock.clone(), options, &start.log))
}

/// What the settings mean to the encoding itself. Validation has made sure of the words.
pub(super) fn options(settings: &config::Transcode, ffmpeg: &config::Ffmpeg) -> Options {
    let defaults = Options::default();
    Options {
        ffmpeg: settings.ffmpeg_path.clone().unwrap_or_else(|| ffmpeg.path.clone()),
        codec: Codec::parse(&settings.codec).unwrap_or_default(),
        preset: crate::capture::command::Effort::parse(&settings.preset).unwrap_or(defaults.preset),
        quality: u8::try_from(settings.quality).unwrap_or(defaults.quality),
        target_savings_percent: settings.target_space_savings,
        min_savings_percent: settings.min_savings_percent,
        verify_quality: settings.verify_quality,
        ..defaults
    }
}

fn commit_limit(archive: &config::Archive) -> Duration {
    2 * Duration::from_secs(archive.commit_seconds.into()) + COMMIT_SLACK
}

/// Why the transcoder must not take anything from this device now.
fn suffers(device: &Device, clock: &Clock, late: Duration) -> Option<String> {
    let status = device.status.load();
    let lasts = clock.wall() - status.since;
    let sick = match status.state {
        DeviceState::Online | DeviceState::Disabled => false,
        DeviceState::Degraded => true,
        DeviceState::Starting | DeviceState::Offline | DeviceState::Failed => lasts < GONE_90K,
    };
    if sick {
        return Some(format!("{} is {}", device.id, status.state.name()));
    }
    let waits = device.hot.status().oldest_waiting_age_seconds?;
    (waits > late.as_secs_f64()).then(|| format!("{} has not committed for {waits:.0} s", device.id))
}
