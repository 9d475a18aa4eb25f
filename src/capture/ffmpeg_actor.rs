//! Keeps one FFmpeg recording: carries out what [`State`] decides and publishes the [`CaptureStatus`].

use std::{sync::Arc, time::Duration};

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, ResponseFuture, WrapFuture};
use arc_swap::ArcSwap;
use slog::{Logger, info, warn};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{Clock, Mono},
    config::{Camera, Settings, Source},
    ids::{DeviceId, Epoch},
    storage::{HotDevice, layout::HotLayout},
    supervisor::{Finish, Token},
    telemetry::DeviceMetrics,
};

use super::{
    command::Attempt,
    encoder::Capabilities,
    probing::{Preparation, Prepared, Refusal},
    process::ProcessCell,
    replay,
    source::{Reason, SourceProbe},
    state::{Child, Effect, Nature, Seen, State},
    status::{CaptureState, CaptureStatus, LastWords},
};

/// A hang is told by 3 s; a quarter of a second more is what looking rarely costs.
const TICK: Duration = Duration::from_millis(250);
/// The status is published when it changes, and this often for its ages.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);

pub struct CaptureParts {
    pub device: DeviceId,
    pub camera: Arc<Camera>,
    pub settings: Arc<Settings>,
    pub clock: Clock,
    pub log: Logger,
    pub hot_layout: HotLayout,
    pub hot: Arc<HotDevice>,
    pub cell: Arc<ProcessCell>,
    pub capabilities: Arc<Capabilities>,
    /// A number above every run of this device before.
    pub next_epoch: Arc<dyn Fn() -> Epoch + Send + Sync>,
    pub metrics: DeviceMetrics,
    pub status: Arc<ArcSwap<CaptureStatus>>,
}

pub struct FfmpegActor {
    parts: Arc<CaptureParts>,
    /// This generation's right to act: an abandoned one must neither start nor kill anything.
    token: Token,
    state: State,
    /// What the source was when last looked at.
    probe: Option<Arc<SourceProbe>>,
    published: Mono,
    /// Resolves requests to finish.
    done: CancellationToken,
}

impl FfmpegActor {
    pub fn new(parts: Arc<CaptureParts>, token: Token) -> Self {
        let source = &parts.camera.source;
        let nature = Nature { kind: source.kind(), ends: matches!(source, Source::File(file) if !file.looped) };
        let now = parts.clock.mono();
        let state = State::new(nature, now, parts.clock.wall());
        Self { parts, token, state, probe: None, published: now, done: CancellationToken::new() }
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        if !self.token.is_current() {
            return;
        }
        let seen = self.see();
        let effects = self.state.tick(&seen, self.parts.clock.mono(), self.parts.clock.wall());
        self.run(effects, ctx);
    }

    fn see(&self) -> Seen {
        let child = self.parts.cell.current().map(|running| Child {
            epoch: running.epoch,
            progress: running.progress(),
            exit: running.exit(),
        });
        Seen { child, segments: self.parts.metrics.segments.get() }
    }

    fn run(&mut self, effects: Vec<Effect>, ctx: &mut Context<Self>) {
        let changed = !effects.is_empty();
        for effect in effects {
            match effect {
                Effect::Prepare { attempt, look } => self.prepare(attempt, look, ctx),
                Effect::TellExit { exit, again } => self.tell_exit(&exit, again),
                Effect::Kill(why) => {
                    warn!(self.parts.log, "ffmpeg is killed"; "why" => why);
                    if let Some(running) = self.parts.cell.current() {
                        running.kill();
                    }
                }
                Effect::Quit => {
                    if let Some(running) = self.parts.cell.current() {
                        running.quit();
                    }
                }
                Effect::Sweep => {
                    self.parts.hot.sweep_leftovers();
                }
                Effect::TellState { from, to, reason } => self.tell_state(from, to, reason),
            }
        }
        if self.state.is_done() {
            self.done.cancel();
        }
        let now = self.parts.clock.mono();
        if changed || now.since(self.published) >= PUBLISH_EVERY {
            self.publish(now);
        }
    }

    fn prepare(&mut self, attempt: Attempt, look: bool, ctx: &mut Context<Self>) {
        let parts = &self.parts;
        if matches!(parts.camera.source, Source::Replay(_)) {
            let effects = self.start_replay();
            return self.run(effects, ctx);
        }
        let preparation = Preparation {
            camera: Arc::clone(&parts.camera),
            settings: Arc::clone(&parts.settings),
            caps: Arc::clone(&parts.capabilities),
            spawner: parts.cell.spawner().clone(),
            hot: parts.hot_layout.clone(),
            attempt,
            known: self.probe.clone().filter(|_| !look),
            next_epoch: Arc::clone(&parts.next_epoch),
        };
        let ready = preparation.run().into_actor(self).map(|outcome, actor, ctx| {
            let effects = actor.start(outcome);
            actor.run(effects, ctx);
            actor.publish(actor.parts.clock.mono());
        });
        ctx.spawn(ready);
    }

    fn start(&mut self, outcome: Result<Prepared, Refusal>) -> Vec<Effect> {
        let Prepared { command, epoch, probe } = match outcome {
            Ok(prepared) => prepared,
            Err(Refusal { reason, words }) => return self.refused(reason, words),
        };
        self.probe = Some(probe);
        if !self.token.is_current() || self.state.is_stopping() {
            return self.refused(Reason::Ended, Vec::new());
        }
        // They may be gone with a tmpfs that was mounted anew; FFmpeg would end at its first file.
        let folders =
            crate::storage::layout::HotKind::ALL.map(|kind| self.parts.hot_layout.folder(&self.parts.device, kind));
        for folder in folders {
            if let Err(error) = std::fs::create_dir_all(&folder) {
                return self.refused(Reason::Lost, vec![format!("{}: {error}", folder.display())]);
            }
        }
        let again = self.parts.cell.current().is_some();
        match self.parts.cell.start(command, epoch) {
            Ok(running) => self.started(running.epoch, again),
            Err(error) => self.refused(Reason::Lost, vec![error.to_string()]),
        }
    }

    fn start_replay(&mut self) -> Vec<Effect> {
        let parts = &self.parts;
        let Source::Replay(source) = &parts.camera.source else { return Vec::new() };
        let (again, epoch) = (parts.cell.current().is_some(), (parts.next_epoch)());
        match replay::start(source, &parts.device, &parts.hot_layout, &parts.clock, &parts.cell, epoch) {
            Ok(running) => self.started(running.epoch, again),
            Err(error) => self.refused(Reason::NotFound, vec![error.to_string()]),
        }
    }

    fn started(&mut self, epoch: Epoch, again: bool) -> Vec<Effect> {
        if again {
            self.parts.metrics.ffmpeg_restarts.inc();
        }
        self.state.started(epoch, self.parts.clock.mono())
    }

    fn refused(&mut self, reason: Reason, words: Vec<String>) -> Vec<Effect> {
        self.state.refused(reason, words, self.parts.clock.mono(), self.parts.clock.wall())
    }

    fn tell_exit(&self, exit: &LastWords, again: bool) {
        // Bounded by what is kept of a run; in RAM, for a person who looks for more than the log line.
        let log = self.parts.hot_layout.ffmpeg_log(&self.parts.device);
        let _ = std::fs::write(log, exit.words.join("\n") + "\n");
        if again {
            return;
        }
        let tail = exit.words.len().saturating_sub(3);
        let words = exit.words.get(tail..).unwrap_or_default().join(" | ");
        info!(self.parts.log, "ffmpeg ended"; "run" => %exit.epoch, "code" => exit.code, "signal" => exit.signal,
            "last_words" => words);
    }

    fn tell_state(&self, from: CaptureState, to: CaptureState, reason: Option<Reason>) {
        let (log, change) = (&self.parts.log, format!("{from:?} to {to:?}").to_lowercase());
        match (to, reason) {
            (CaptureState::Online | CaptureState::Starting, _) | (_, None) => info!(log, "capture"; "state" => change),
            (_, Some(reason)) => warn!(log, "capture"; "state" => change, "reason" => %reason),
        }
    }

    fn publish(&mut self, now: Mono) {
        self.published = now;
        let pid = self.parts.cell.current().and_then(|running| running.pid());
        let restarts = self.parts.metrics.ffmpeg_restarts.get();
        self.parts.status.store(Arc::new(CaptureStatus { pid, restarts, ..self.state.status(now) }));
    }
}

impl Actor for FfmpegActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let seen = self.see();
        if let Some(child) = &seen.child {
            // A child that outlived my predecessor goes on under me; its exit, if it had one, was the predecessor's.
            self.state.adopt(child, seen.segments, self.parts.clock.mono());
        }
        ctx.run_interval(TICK, Self::tick);
        self.tick(ctx);
    }
}

/// Answers when the child is gone and none will follow.
impl Handler<Finish> for FfmpegActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Finish, ctx: &mut Self::Context) -> Self::Result {
        let effects = self.state.stop();
        self.run(effects, ctx);
        let (done, running) = (self.done.clone(), self.parts.cell.current());
        Box::pin(async move {
            match running {
                // The exit itself, not my next look at it: an order to stop has no time to lose.
                Some(running) if running.exit().is_none() => running.ended().await,
                _ => done.cancelled().await,
            }
        })
    }
}
