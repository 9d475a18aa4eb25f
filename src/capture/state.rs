//! What to do about one FFmpeg, decided purely: when to start it, when it hangs, when the device is offline and why.

use std::time::Duration;

use crate::{
    clock::{Mono, Utc90k},
    ids::Epoch,
};

use super::{
    command::Attempt,
    process::{ChildExit, Progress},
    source::{Reason, audio_is_missing, hearing_failed, reason, times_are_missing},
    status::{CaptureState, LastWords},
};

/// FFmpeg reports twice a second; 3 s without any change is a hang (design §9).
const HANG_AFTER: Duration = Duration::from_secs(3);
/// From start to the first segment: connecting, waiting for a key frame, one GOP of up to 10 s.
const START_GRACE: Duration = Duration::from_secs(15);
/// Segments end at key frames, and a copied stream may have one in 10 s only.
const SEGMENT_GRACE: Duration = Duration::from_secs(15);
/// Offline must be told within 5 s; a quick restart in between is not worth telling.
const OFFLINE_AFTER: Duration = Duration::from_millis(3500);
/// A run that lasted so long was a good one: the next start is not delayed.
const GOOD_RUN: Duration = Duration::from_secs(10);
const FIRST_BACK_OFF: Duration = Duration::from_millis(100);
/// Counted from start to start, so that slow failures wait no longer than they took. A source must be back within 5 s.
const BACK_OFF_CAP: Duration = Duration::from_secs(2);

/// What the actor sees at each tick.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Seen {
    /// The present run, if any was ever started.
    pub child: Option<Child>,
    /// Segments that ever arrived from this device.
    pub segments: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Child {
    pub epoch: Epoch,
    pub progress: Progress,
    pub exit: Option<ChildExit>,
}

/// What to do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Make a run ready; answered by [`State::started`] or [`State::refused`]. With `look`, ask the source again.
    Prepare {
        attempt: Attempt,
        look: bool,
    },
    /// `again`: it ended like the run before it, so there is nothing new to log.
    TellExit {
        exit: LastWords,
        again: bool,
    },
    Kill(&'static str),
    Quit,
    /// A run has its first segment: what the runs before it left half-written can go.
    Sweep,
    /// The device came into another state.
    TellState {
        from: CaptureState,
        to: CaptureState,
        reason: Option<Reason>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Until then nothing runs.
    Resting {
        until: Mono,
    },
    Preparing,
    Running(Run),
    /// Ordered to end; its exit is awaited.
    Ending(Run),
    /// Stopped on request, or come to the end of a file that is played once.
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Run {
    epoch: Epoch,
    /// Adopted from an actor that panicked.
    adopted: bool,
    started: Mono,
    progress: Progress,
    /// When it last got on.
    moved: Option<Mono>,
    segment: Option<Mono>,
}

/// Facts of the source that shape decisions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nature {
    /// For reading FFmpeg's words: `rtsp`, `file`, …
    pub kind: &'static str,
    /// A file played once: its end is not a failure.
    pub ends: bool,
}

pub(super) struct State {
    nature: Nature,
    phase: Phase,
    attempt: Attempt,
    look: bool,
    stopping: bool,
    failures: u32,
    /// When the present or last try began, for the back-off.
    tried: Mono,
    segments: u64,
    /// When the device last gave a sign of recording.
    alive: Option<Mono>,
    state: CaptureState,
    since: Utc90k,
    reason: Option<Reason>,
    last_exit: Option<LastWords>,
}

impl State {
    pub fn new(nature: Nature, now: Mono, wall: Utc90k) -> Self {
        Self {
            nature,
            phase: Phase::Resting { until: now },
            attempt: Attempt::default(),
            look: true,
            stopping: false,
            failures: 0,
            tried: now,
            segments: 0,
            alive: None,
            state: CaptureState::Starting,
            since: wall,
            reason: None,
            last_exit: None,
        }
    }

    /// Takes over a child that a predecessor left running.
    pub fn adopt(&mut self, child: &Child, segments: u64, now: Mono) {
        self.segments = segments;
        if child.exit.is_none() {
            let run = Run { adopted: true, ..self.run(child.epoch, child.progress, now) };
            self.phase = Phase::Running(run);
        }
    }

    /// A run was started.
    pub fn started(&mut self, epoch: Epoch, now: Mono) -> Vec<Effect> {
        self.look = false;
        self.phase = Phase::Running(self.run(epoch, Progress::default(), now));
        if self.stopping { self.stop() } else { Vec::new() }
    }

    /// A run could not be made ready.
    pub fn refused(&mut self, reason: Reason, words: Vec<String>, now: Mono, wall: Utc90k) -> Vec<Effect> {
        let exit = LastWords { at: wall.rfc3339(), words, ..LastWords::default() };
        let mut effects = vec![self.ended_with(exit, reason)];
        self.rest(now);
        effects.extend(self.judge(now, wall));
        effects
    }

    /// No further starts; what runs is asked to end.
    pub fn stop(&mut self) -> Vec<Effect> {
        self.stopping = true;
        match self.phase {
            Phase::Running(run) => {
                self.phase = Phase::Ending(run);
                vec![Effect::Quit]
            }
            // What is being made ready is dropped when it is.
            Phase::Resting { .. } | Phase::Preparing => {
                self.phase = Phase::Done;
                Vec::new()
            }
            Phase::Ending(_) | Phase::Done => Vec::new(),
        }
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Nothing runs and nothing will.
    pub fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    pub fn tick(&mut self, seen: &Seen, now: Mono, wall: Utc90k) -> Vec<Effect> {
        let mut effects = Vec::new();
        let arrived = seen.segments != self.segments;
        self.segments = seen.segments;
        match self.phase {
            Phase::Resting { until } if self.stopping || now >= until => {
                if self.stopping {
                    self.phase = Phase::Done;
                } else {
                    self.phase = Phase::Preparing;
                    self.tried = now;
                    effects.push(Effect::Prepare { attempt: self.attempt, look: self.look });
                }
            }
            Phase::Running(mut run) | Phase::Ending(mut run) => {
                let ending = matches!(self.phase, Phase::Ending(_));
                if arrived {
                    if run.segment.replace(now).is_none() {
                        effects.push(Effect::Sweep);
                    }
                    self.alive = Some(now);
                }
                match seen.child.as_ref().filter(|child| child.epoch == run.epoch) {
                    Some(Child { exit: Some(exit), .. }) => effects.extend(self.exited(run, exit, now, wall)),
                    Some(child) => {
                        if child.progress.moved_since(&run.progress) {
                            run.progress = child.progress;
                            run.moved = Some(now);
                            if run.segment.is_some() || run.adopted {
                                self.alive = Some(now);
                            }
                        }
                        self.phase = if ending { Phase::Ending(run) } else { Phase::Running(run) };
                        if !ending && let Some(why) = run.hangs(now) {
                            if run.segment.is_none() && !run.adopted {
                                // It may be waiting for a sound that never comes.
                                self.give_up_audio_or_look();
                                self.reason = Some(Reason::NoFrames);
                            }
                            self.phase = Phase::Ending(run);
                            effects.push(Effect::Kill(why));
                        }
                    }
                    // Replaced behind our back: cannot happen while one cell has one owner; start afresh.
                    None => self.rest(now),
                }
            }
            Phase::Resting { .. } | Phase::Preparing | Phase::Done => {
                if arrived {
                    self.alive = Some(now);
                }
            }
        }
        effects.extend(self.judge(now, wall));
        effects
    }

    fn run(&self, epoch: Epoch, progress: Progress, now: Mono) -> Run {
        Run { epoch, adopted: false, started: now, progress, moved: None, segment: None }
    }

    fn exited(&mut self, run: Run, exit: &ChildExit, now: Mono, wall: Utc90k) -> Vec<Effect> {
        let lasted = now.since(run.started);
        let delivered = run.segment.is_some() || run.adopted;
        let mut why = reason(&exit.words, self.nature.kind).unwrap_or(match exit.code {
            _ if exit.not_started => Reason::MissingFfmpeg,
            Some(0) => Reason::Ended,
            _ if !delivered && self.reason == Some(Reason::NoFrames) => Reason::NoFrames,
            _ => Reason::Lost,
        });
        if exit.not_started {
            why = Reason::MissingFfmpeg;
        }
        if !delivered {
            if times_are_missing(&exit.words) && !self.attempt.make_dts {
                self.attempt.make_dts = true;
            } else if hearing_failed(&exit.words) && self.attempt.hear {
                self.attempt.hear = false;
            } else if audio_is_missing(&exit.words) {
                self.attempt.audio = false;
            } else if matches!(why, Reason::Unsupported | Reason::NoFrames | Reason::Lost | Reason::Encoder) {
                // Perhaps the source is no longer what it was.
                self.look = true;
            }
        }
        if lasted >= GOOD_RUN && delivered {
            self.failures = 0;
        }
        let words = LastWords {
            at: wall.rfc3339(),
            epoch: run.epoch,
            code: exit.code,
            signal: exit.signal,
            words: exit.words.clone(),
        };
        let effect = self.ended_with(words, why);
        if self.stopping || (self.nature.ends && why == Reason::Ended) {
            self.phase = Phase::Done;
        } else {
            self.rest(now);
        }
        vec![effect]
    }

    fn ended_with(&mut self, exit: LastWords, why: Reason) -> Effect {
        let same = |last: &LastWords| (&last.words, last.code, last.signal) == (&exit.words, exit.code, exit.signal);
        let again = self.reason == Some(why) && self.last_exit.as_ref().is_some_and(same);
        self.reason = Some(why);
        self.last_exit = Some(exit.clone());
        Effect::TellExit { exit, again }
    }

    fn rest(&mut self, now: Mono) {
        if self.stopping {
            self.phase = Phase::Done;
            return;
        }
        let wait = match self.failures {
            0 => Duration::ZERO,
            n => BACK_OFF_CAP.min(FIRST_BACK_OFF * 2_u32.pow((n - 1).min(8))),
        };
        self.failures = self.failures.saturating_add(1);
        // At least the first step even after slow failures: a refused preparation must not spin.
        let from_start = self.tried + wait;
        let at_least = now + wait.min(FIRST_BACK_OFF);
        self.phase = Phase::Resting { until: from_start.max(at_least) };
    }

    fn give_up_audio_or_look(&mut self) {
        if self.attempt.audio {
            self.attempt.audio = false;
        } else {
            self.attempt = Attempt::default();
            self.look = true;
        }
    }

    /// The device's state by what was seen, not by what is planned.
    fn judge(&mut self, now: Mono, wall: Utc90k) -> Option<Effect> {
        let fresh = self.alive.is_some_and(|alive| now.since(alive) < OFFLINE_AFTER);
        let to = if fresh && !matches!(self.phase, Phase::Done) {
            CaptureState::Online
        } else if self.reason.is_some_and(Reason::is_ours) {
            CaptureState::Failed
        } else if self.alive.is_some() || self.reason.is_some() || self.stopping {
            CaptureState::Offline
        } else {
            CaptureState::Starting
        };
        if to == CaptureState::Online && matches!(self.phase, Phase::Running(_)) {
            self.reason = None;
        } else if to == CaptureState::Offline && self.reason.is_none() && !self.stopping {
            self.reason = Some(Reason::NoFrames);
        }
        if to == self.state {
            return None;
        }
        let from = std::mem::replace(&mut self.state, to);
        self.since = wall;
        Some(Effect::TellState { from, to, reason: self.reason })
    }

    /// What the state knows; the actor adds pid and restarts.
    pub fn status(&self, now: Mono) -> super::CaptureStatus {
        let run = match self.phase {
            Phase::Running(run) | Phase::Ending(run) => Some(run),
            _ => None,
        };
        super::CaptureStatus {
            state: self.state,
            since: self.since.rfc3339(),
            reason: if self.state == CaptureState::Online { None } else { self.reason },
            epoch: run.map(|run| run.epoch),
            pid: None,
            restarts: 0,
            audio: self.attempt.audio,
            fps: run.map_or(0.0, |run| run.progress.fps),
            progress_age_seconds: run.map(|run| now.since(run.moved.unwrap_or(run.started)).as_secs_f64()),
            last_exit: self.last_exit.clone(),
        }
    }
}

impl Run {
    fn hangs(&self, now: Mono) -> Option<&'static str> {
        let quiet = |since: Mono, limit| now.since(since) >= limit;
        match (self.moved, self.segment) {
            // Adopted: its progress was moving before, so silence counts at once.
            (None, _) if self.adopted && quiet(self.started, HANG_AFTER) => Some("its progress stands still"),
            (Some(moved), _) if quiet(moved, HANG_AFTER) => Some("its progress stands still"),
            (_, None) if quiet(self.started, START_GRACE) => Some("no segment came"),
            (_, Some(segment)) if quiet(segment, SEGMENT_GRACE) => Some("segments stopped coming"),
            _ => None,
        }
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
