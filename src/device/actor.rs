//! Runs one device: builds its stages, restarts what fails, publishes its status, stops it in the order of the data.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use actix::{Actor, AsyncContext, Context, Handler, ResponseFuture};
use serde_json::{Map, json};
use slog::{info, warn};

use super::{Device, DeviceState, Reading, Status};
use crate::{
    archive::ArchiverActor,
    capture::{CaptureState, FfmpegActor},
    events::Topic,
    frames::{FrameQueue, FrameQueueActor},
    incident::Signal,
    merge::merger_actor::{CommitNow, MergerActor},
    supervisor::{Birth, ChildSpec, Finish, Keeper, Scope, Slot},
    telemetry::LossReason,
};

const TICK: Duration = Duration::from_secs(1);
/// FFmpeg gets `q`, then SIGINT, then SIGKILL within this.
const FFMPEG_STOP_LIMIT: Duration = Duration::from_millis(3_500);
/// The final commit: reading what waits in hot, one append, one fdatasync. What is late is merged at the next start.
const COMMIT_STOP_LIMIT: Duration = Duration::from_millis(4_000);
/// Both, in turn. An orderly stop of the daemon has 10 s.
const STOP_LIMIT: Duration = Duration::from_millis(8_000);

/// Key frames of some cameras come each ten seconds; their verdicts do too.
const VERDICT_AGE_MAX: Duration = Duration::from_secs(20);

/// The root of one device's tree, on an arbiter of its own.
pub struct DeviceActor {
    device: Arc<Device>,
    scope: Scope,
    /// In the order of the data; empty when the device is disabled.
    stages: Option<Stages>,
}

struct Stages {
    ffmpeg: Keeper,
    frames: Option<Keeper>,
    archiver: Keeper,
    merger: Keeper,
}

/// How the supervisor makes and keeps the device.
pub fn spec(device: &Arc<Device>) -> ChildSpec<DeviceActor> {
    let name = tree_name(device);
    let device = device.clone();
    ChildSpec::new(&name, &Slot::new(), move |birth| DeviceActor::new(device.clone(), birth)).finish_within(STOP_LIMIT)
}

fn tree_name(device: &Device) -> String {
    format!("device/{}", device.id)
}

impl DeviceActor {
    fn new(device: Arc<Device>, birth: Birth) -> Self {
        Self { device, scope: birth.scope, stages: None }
    }

    fn start_stages(&self) -> Stages {
        let device = &self.device;
        Stages {
            ffmpeg: self.scope.start(ffmpeg_spec(device)),
            frames: device.watching.clone().map(|watching| self.scope.start(frames_spec(device, watching))),
            archiver: self.scope.start(archiver_spec(device)),
            merger: self.scope.start(merger_spec(device)),
        }
    }

    fn publish_status(&self) {
        let device = &self.device;
        let before = device.status.load();
        let now = before.next(&self.read(), device.clock.wall());
        if now.state != before.state {
            let (from, to) = (before.state.name(), now.state.name());
            let reason = now.reason.as_deref().unwrap_or("");
            match now.state {
                DeviceState::Online | DeviceState::Starting | DeviceState::Disabled => {
                    info!(device.log, "device status"; "from" => from, "to" => to);
                }
                _ => warn!(device.log, "device status"; "from" => from, "to" => to, "reason" => reason),
            }
            self.tell_status(&before, &now);
        }
        device.metrics.up.set(i64::from(is_up(now.state)));
        device.status.store(Arc::new(now));
    }

    fn tell_status(&self, before: &Status, now: &Status) {
        let kind = match (is_up(before.state), is_up(now.state)) {
            (false, true) => "device_up",
            (true, false) => "device_down",
            _ => "device_status",
        };
        let data = json!({"status": now.state, "was": before.state, "reason": now.reason});
        self.device.events.publish(Topic::Device, kind, Some(&self.device.id), data);
    }

    fn tell_losses(&self) {
        let device = &self.device;
        let lost = LossReason::ALL.map(|reason| device.metrics.lost(reason).get());
        let mut losses = device.losses.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(more) = losses.next(lost, device.clock.mono()) else { return };
        let reasons: Map<_, _> = LossReason::ALL
            .iter()
            .zip(more)
            .filter(|(_, seconds)| *seconds > 0.0)
            .map(|(reason, seconds)| (format!("{reason:?}"), json!(seconds)))
            .collect();
        let data = json!({"seconds": more.iter().sum::<f64>(), "reasons": reasons});
        device.events.publish(Topic::Lost, "recording_lost", Some(&device.id), data);
    }

    /// Whether pictures should come, for who judges that they do not. A device that is off has no trouble.
    fn tell_signal(&self) {
        if self.device.camera.enabled {
            self.device.tracker.tick(match self.device.capture_status.load().state {
                CaptureState::Starting => Signal::Starting,
                CaptureState::Online => Signal::There,
                CaptureState::Offline | CaptureState::Failed => Signal::Gone,
            });
        }
    }

    fn read(&self) -> Reading {
        let device = &self.device;
        let (capture, merge) = (device.capture_status.load(), device.merge.cell.status());
        Reading {
            enabled: device.camera.enabled,
            capture: match capture.state {
                CaptureState::Starting => DeviceState::Starting,
                CaptureState::Online => DeviceState::Online,
                CaptureState::Offline => DeviceState::Offline,
                CaptureState::Failed => DeviceState::Failed,
            },
            capture_reason: capture.reason,
            no_signal: self.shows_no_signal(),
            actors_failed: self.scope.ground().board.has_failed(&tree_name(device)),
            losing: device.hot.status().losing,
            commit_failures: merge.failures,
            commit_error: merge.error.clone(),
            volume_ok: device.volume.is_ok(),
        }
    }
}

impl DeviceActor {
    /// By a verdict that is not old.
    fn shows_no_signal(&self) -> bool {
        let now = self.device.clock.mono();
        let told = self.device.latest.newest().filter(|told| now.since(told.seen) <= VERDICT_AGE_MAX);
        told.is_some_and(|told| told.observation.no_signal == Some(true))
    }
}

/// Pictures arrive.
fn is_up(state: DeviceState) -> bool {
    matches!(state, DeviceState::Online | DeviceState::Degraded)
}

impl Actor for DeviceActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if self.device.camera.enabled {
            self.stages = Some(self.start_stages());
        }
        self.publish_status();
        ctx.run_interval(TICK, |actor, _| {
            actor.publish_status();
            actor.tell_losses();
            actor.tell_signal();
        });
    }
}

/// First the source runs dry, then what it left is committed.
impl Handler<Finish> for DeviceActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Finish, _: &mut Self::Context) -> Self::Result {
        let Some(stages) = self.stages.take() else { return Box::pin(std::future::ready(())) };
        let device = self.device.clone();
        Box::pin(async move {
            stages.ffmpeg.stop().await;
            // FFmpeg's last segment may be in place before its event was read.
            let hot = device.hot.clone();
            if let Ok(Err(error)) = actix_rt::task::spawn_blocking(move || hot.rescan()).await {
                warn!(device.log, "hot cannot be scanned"; "error" => %error);
            }
            match device.merger.send(CommitNow, COMMIT_STOP_LIMIT).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => warn!(device.log, "no final commit, footage waits in hot"; "error" => %error),
                Err(error) => warn!(device.log, "no final commit, footage waits in hot"; "error" => %error),
            }
            if let Some(frames) = stages.frames {
                frames.stop().await;
            }
            stages.merger.stop().await;
            stages.archiver.stop().await;
        })
    }
}

fn ffmpeg_spec(device: &Arc<Device>) -> ChildSpec<FfmpegActor> {
    let device = device.clone();
    ChildSpec::new("ffmpeg", &device.ffmpeg.clone(), move |birth| FfmpegActor::new(device.capture.clone(), birth.token))
        .finish_within(FFMPEG_STOP_LIMIT)
}

/// Its mailbox is as long as the ring: a notice that finds no place says nothing new.
fn frames_spec(device: &Arc<Device>, watching: Arc<FrameQueue>) -> ChildSpec<FrameQueueActor> {
    let queue = device.capture.settings.analysis.queue;
    ChildSpec::new("frames", &device.frames.clone(), move |_| FrameQueueActor::new(watching.clone())).mailbox(queue)
}

fn archiver_spec(device: &Arc<Device>) -> ChildSpec<ArchiverActor> {
    let device = device.clone();
    ChildSpec::new("archiver", &device.archiver.clone(), move |_| {
        ArchiverActor::new(device.hot.clone(), device.clock.clone(), device.log.clone())
    })
}

fn merger_spec(device: &Arc<Device>) -> ChildSpec<MergerActor> {
    let device = device.clone();
    ChildSpec::new("merger", &device.merger.clone(), move |_| MergerActor::new(device.merge.clone()))
}
