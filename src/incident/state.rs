//! Decides when trouble of a device is an incident: pure, in the time of the media.
//!
//! Each kind has a [`Lane`] of its own; here is what they have to do with each other. Loss of signal hides every other
//! kind, black hides freeze: one trouble is told once, by its cause. Why times and limits are what they are:
//! `docs/decisions/0015-when-an-incident-begins.md`.

use std::collections::VecDeque;

use super::{
    lane::{Change, Lane, Mark, Owner, Proof, Times, What},
    model::{Incident, IncidentKind},
};
use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    config::Detect,
    frames::Observation,
};

/// Media time that falls by more was set back; less is the estimate of the run's start getting better.
const BACK_90K: i64 = TICKS_PER_SECOND;
/// Nobody can say what happened in a hole this long.
const FORWARD_90K: i64 = 60 * TICKS_PER_SECOND;
/// Without a picture for so long there is no signal.
const LOST_90K: i64 = 3 * TICKS_PER_SECOND;
/// While the recorder says that the source delivers, a picture may be this late when they come rarely: key frames of a
/// copied stream are up to 10 s apart, and not evenly.
const RARE_LOST_90K: i64 = 15 * TICKS_PER_SECOND;
/// Pictures further apart come from key frames.
const RARE_90K: i64 = TICKS_PER_SECOND;
/// A recorder that starts has so long to show its first picture, as FFmpeg has for its first segment.
const START_90K: i64 = 15 * TICKS_PER_SECOND;
/// One that fails from the start is told earlier, but not before it could have tried twice.
const START_GONE_90K: i64 = 5 * TICKS_PER_SECOND;
/// Pictures that a still one looks like are no older than this, or but the one before.
const STILL_90K: i64 = TICKS_PER_SECOND;
/// Distances between pictures that are remembered.
const STEPS: usize = 8;

/// What the recorder says of its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// It has not delivered yet, and nothing is known to be wrong.
    Starting,
    There,
    Gone,
}

/// What is known of one device.
pub struct State {
    owner: Owner,
    signal: Lane,
    black: Lane,
    freeze: Lane,
    silence: Lane,
    /// The loss of signal that is open was told by no picture coming, not by a slate: any picture ends it.
    absent: bool,
    /// The last frame looked at.
    last: Option<Mark>,
    /// Silence up to here is explained, or nobody wanted to know of it.
    unheard_until: Option<Utc90k>,
    run: Option<crate::ids::Epoch>,
    steps_90k: VecDeque<i64>,
    began: Option<Utc90k>,
    ticked: Option<Utc90k>,
    /// Nothing starts before: the clock was set then.
    floor: Utc90k,
}

impl State {
    pub fn new(owner: Owner) -> Self {
        Self {
            owner,
            signal: Lane::new(IncidentKind::SignalLost),
            black: Lane::new(IncidentKind::Blackscreen),
            freeze: Lane::new(IncidentKind::Freeze),
            silence: Lane::new(IncidentKind::Silence),
            absent: false,
            last: None,
            unheard_until: None,
            run: None,
            steps_90k: VecDeque::new(),
            began: None,
            ticked: None,
            floor: Utc90k(i64::MIN),
        }
    }

    /// Incidents that were open when the daemon ended. They go on when trouble is the first thing that is seen, and end
    /// where they were last seen otherwise.
    pub fn restore(&mut self, open: Vec<Incident>) {
        for incident in open.into_iter().filter(Incident::is_open) {
            self.absent |= incident.kind == IncidentKind::SignalLost;
            let lane = self.lanes_mut().into_iter().find(|lane| lane.kind() == incident.kind);
            if let Some(lane) = lane.filter(|lane| lane.open().is_none()) {
                lane.restore(incident);
            }
        }
    }

    /// Open incidents, at most one of each kind.
    pub fn open(&self) -> impl Iterator<Item = &Incident> {
        self.lanes().into_iter().filter_map(Lane::open)
    }

    /// The frames that prove what is suspected or open, by kind: worth keeping.
    pub fn proofs(&self) -> impl Iterator<Item = (IncidentKind, Proof)> {
        self.lanes().into_iter().filter_map(|lane| Some((lane.kind(), lane.proof()?)))
    }

    /// One frame, in the order of recording.
    pub fn observe(&mut self, seen: &Observation, detect: &Detect) -> Vec<Change> {
        let mut out = Vec::new();
        let at = self.arrive(seen, &mut out);
        let times = self.times(detect);
        if seen.skipped > 0 {
            let from = seen.skipped_from.unwrap_or(at).min(at);
            for lane in [&mut self.signal, &mut self.black, &mut self.freeze, &mut self.silence] {
                lane.unknown(from, at, &times, &mut out);
            }
        }
        let mark = |badness: Option<f32>| Mark { key: seen.key, at, since: at, badness: badness.unwrap_or(0.0) };
        let owner = &self.owner;

        // From before a loss that is told already: the analysis is behind, and the picture is no sign of life.
        let late = self.signal.open().map(|lost| lost.start).filter(|lost| self.absent && at < *lost);
        if late.is_none() {
            let told = if self.absent { seen.no_signal.or(Some(false)) } else { seen.no_signal };
            self.signal.see(told, mark(None), &times, owner, &mut out);
            self.absent &= told == Some(false) && self.signal.open().is_some();
        }
        let no_signal = seen.no_signal == Some(true);
        let shown = |verdict: Option<bool>| verdict.filter(|_| !no_signal);

        self.black.see(shown(seen.black), mark(seen.black_percent), &times, owner, &mut out);
        let dark = seen.black == Some(true) || (seen.black.is_none() && self.black.open().is_some());
        let freeze = shown(seen.freeze).filter(|_| !dark);
        let still = Mark { since: self.still_since(seen, at), ..mark(seen.freeze_diff.map(|diff| -diff)) };
        self.freeze.see(freeze, still, &times, owner, &mut out);
        let volume = seen.sound.mean_volume_db.map(|db| -db);
        if no_signal {
            self.unheard_until = Some(at);
        }
        let since = at + -seen.sound.before_90k;
        // What is ahead of the picture is from before the clock was set.
        let heard = self.unheard_until.filter(|until| *until <= at).map_or(since, |until| until.max(since));
        self.silence.see(
            shown(seen.sound.silent),
            Mark { at: heard, since: heard, ..mark(volume) },
            &times,
            owner,
            &mut out,
        );

        self.last = Some(mark(None));
        self.hide_what_is_explained(&mut out);
        if let Some(lost) = late
            && [&self.black, &self.freeze, &self.silence].iter().any(|lane| lane.open().is_some())
        {
            self.hide_all_behind_signal(lost, &mut out);
        }
        out
    }

    /// Once a second. `newest`: when the newest picture came, by the clock that `now` is read from.
    pub fn tick(&mut self, now: Utc90k, newest: Option<Utc90k>, signal: Signal, detect: &Detect) -> Vec<Change> {
        let mut out = Vec::new();
        if self.ticked.is_some_and(|before| before - now > BACK_90K || now - before > FORWARD_90K) {
            if self.absent {
                out.extend(self.signal.interrupt());
            }
            (self.floor, self.began) = (now, Some(now));
        }
        self.ticked = Some(now);
        let watched_90k = now - *self.began.get_or_insert(now);
        let times = self.times(detect);
        // Of these a picture tells, if one ever comes.
        out.extend(
            [&mut self.black, &mut self.freeze, &mut self.silence].into_iter().filter_map(|lane| lane.give_up(now)),
        );
        match self.lost_since(now, newest, signal, watched_90k) {
            Some(since) => {
                let start = since.min(now).max(self.floor);
                self.signal.absent(start, now, self.last, &times, &self.owner, &mut out);
                self.absent = true;
                self.hide_what_is_explained(&mut out);
            }
            // Also where nothing is analysed: pictures that come are a signal, unless one of them is a slate.
            None if self.absent && self.signal.open().is_some() => {
                if let Some(newest) = newest.filter(|newest| now - *newest <= LOST_90K) {
                    self.signal.clear(newest, &times, &mut out);
                    self.absent = self.signal.open().is_some();
                }
            }
            None => {}
        }
        out
    }

    /// Nobody wants to know of trouble from `at` on: what is open ends there.
    pub fn mute(&mut self, at: Utc90k) -> Vec<Change> {
        self.absent = false;
        (self.last, self.began, self.ticked, self.unheard_until) = (None, None, None, Some(at));
        self.lanes_mut().into_iter().filter_map(|lane| lane.hide(at)).collect()
    }

    /// Takes in that a frame came; returns its time, which never falls but where it jumps.
    fn arrive(&mut self, seen: &Observation, out: &mut Vec<Change>) -> Utc90k {
        let run = self.run.replace(seen.key.epoch);
        let Some(last) = self.last.map(|last| last.at) else { return seen.at };
        let step_90k = seen.at - last;
        if step_90k < -BACK_90K || step_90k > FORWARD_90K.max(3 * self.picture_90k()) {
            out.extend([&mut self.black, &mut self.freeze, &mut self.silence].into_iter().filter_map(Lane::interrupt));
            // A loss that no picture told of ends with this one, whatever its time.
            if !self.absent {
                out.extend(self.signal.interrupt());
            }
            self.last = None;
            return seen.at;
        }
        if run == Some(seen.key.epoch) && seen.skipped == 0 && step_90k > 0 {
            if self.steps_90k.len() == STEPS {
                self.steps_90k.pop_front();
            }
            self.steps_90k.push_back(step_90k);
        }
        seen.at.max(last)
    }

    /// A frozen picture is told by the ones that look like it, the first of which was frozen already. Not before what
    /// else was seen.
    fn still_since(&self, seen: &Observation, at: Utc90k) -> Utc90k {
        let least = self.last.map_or(at, |last| last.at + -STILL_90K);
        seen.still_since.map_or(at, |since| since.max(least).min(at))
    }

    /// When the signal was lost, if it is.
    fn lost_since(&self, now: Utc90k, newest: Option<Utc90k>, signal: Signal, watched_90k: i64) -> Option<Utc90k> {
        // Whoever has shown a picture since is no longer starting, only starting again.
        let has_shown = self.last.is_some() || newest.is_some_and(|newest| newest > now + -watched_90k);
        let is_given_time = match signal {
            Signal::There => false,
            Signal::Gone | Signal::Starting if has_shown => false,
            Signal::Gone => watched_90k < START_GONE_90K,
            Signal::Starting => watched_90k < START_90K,
        };
        if is_given_time {
            return None;
        }
        let Some(newest) = newest else {
            // Pictures are not asked for when there are none of a source that is there.
            return (signal != Signal::There).then(|| now + -watched_90k);
        };
        let limit_90k = if signal == Signal::There { self.patience_90k() } else { LOST_90K };
        (now - newest > limit_90k).then(|| newest + self.picture_90k())
    }

    fn patience_90k(&self) -> i64 {
        let longest = self.steps_90k.iter().copied().max().unwrap_or(0);
        let rare = self.steps_90k.is_empty() || self.picture_90k() > RARE_90K;
        (2 * longest).max(if rare { RARE_LOST_90K } else { LOST_90K })
    }

    /// The usual distance of pictures: the median, so that one hiccup does not count.
    fn picture_90k(&self) -> i64 {
        let mut steps: Vec<_> = self.steps_90k.iter().copied().collect();
        steps.sort_unstable();
        steps.get(steps.len() / 2).copied().unwrap_or(0)
    }

    /// Trouble that has just been explained by other trouble ends where that began.
    fn hide_what_is_explained(&mut self, out: &mut Vec<Change>) {
        let begun = |lane: &Lane, out: &[Change]| {
            let begins = |change: &&Change| matches!(change.what, What::Opened | What::Reopened);
            let change = out.iter().filter(begins).find(|change| change.incident.kind == lane.kind());
            change.map(|change| change.since)
        };
        if let Some(at) = begun(&self.signal, out) {
            self.hide_all_behind_signal(at, out);
        }
        if let Some(at) = begun(&self.black, out) {
            out.extend(self.freeze.hide(at));
        }
    }

    fn hide_all_behind_signal(&mut self, at: Utc90k, out: &mut Vec<Change>) {
        let hidden = [&mut self.black, &mut self.freeze, &mut self.silence];
        out.extend(hidden.into_iter().filter_map(|lane| lane.hide(at)));
    }

    fn times(&self, detect: &Detect) -> Times {
        let ticks = |seconds: f32| (f64::from(seconds) * TICKS_PER_SECOND as f64).round() as i64;
        Times {
            open_after_90k: ticks(detect.open_after_seconds),
            close_after_90k: ticks(detect.close_after_seconds),
            join_gap_90k: ticks(detect.join_gap_seconds),
            picture_90k: self.picture_90k(),
        }
    }

    fn lanes(&self) -> [&Lane; 4] {
        [&self.signal, &self.black, &self.freeze, &self.silence]
    }

    fn lanes_mut(&mut self) -> [&mut Lane; 4] {
        [&mut self.signal, &mut self.black, &mut self.freeze, &mut self.silence]
    }
}

#[cfg(test)]
mod tests;
