//! Ties a run's 90 kHz time to the wall clock, and tells a stepped clock from a late segment.
//!
//! A segment's file appears some time after its last picture was taken: encoding, muxing, a busy machine. That delay
//! is never negative, so the least one seen (the lower envelope of arrival − end PTS) is the best estimate of
//! "wall = run time + offset". Seams inside a chunk follow PTS; the estimate is used where a chunk starts.

use std::{collections::VecDeque, time::Duration};

use super::{Clock, Mono, TICKS_PER_SECOND, Utc90k, ticks_90k};
use crate::ids::SegmentKey;

/// An offset this wrong is replaced within a chunk as well; less is left to the next chunk's start.
pub const REANCHOR_90K: i64 = TICKS_PER_SECOND / 2;

/// A change of the wall clock, measured against the monotonic one, that starts a part.
pub const STEP_90K: i64 = TICKS_PER_SECOND;

/// Segments in the envelope: long enough that one with little delay is among them, short enough to follow a source
/// that lost time within a quarter of a minute.
const WINDOW: usize = 16;

/// Before 2020 no Capstan ran: a wall clock that says so was never set.
const CLOCK_SET: Utc90k = Utc90k::from_seconds(1_577_836_800);

/// True when the wall clock was never set since boot (a board without a battery starts in 1970).
pub fn is_unset(wall: Utc90k) -> bool {
    wall < CLOCK_SET
}

/// One run's relation to the wall clock.
#[derive(Clone, Debug)]
pub struct Anchor {
    offset_90k: i64,
    recent: VecDeque<i64>,
}

impl Anchor {
    /// `offset_90k`: wall − run time, from the first segments or from the last commit mark.
    pub fn new(offset_90k: i64) -> Self {
        Self { offset_90k, recent: VecDeque::from([offset_90k]) }
    }

    /// The offset in use: wall = run time + offset.
    pub fn offset_90k(&self) -> i64 {
        self.offset_90k
    }

    /// Best estimate now: the least delay of the last [`WINDOW`] segments.
    pub fn estimate_90k(&self) -> i64 {
        self.recent.iter().copied().min().unwrap_or(self.offset_90k)
    }

    /// Takes a segment's arrival − end. True when the offset in use is now more than [`REANCHOR_90K`] off: at once when
    /// media claims to end after it arrived, and only after a whole window of late ones otherwise, for a late segment
    /// proves nothing.
    pub fn observe(&mut self, arrival_minus_end_90k: i64) -> bool {
        if self.recent.len() == WINDOW {
            self.recent.pop_front();
        }
        self.recent.push_back(arrival_minus_end_90k);
        let off = self.estimate_90k().saturating_sub(self.offset_90k);
        off < -REANCHOR_90K || (off > REANCHOR_90K && self.recent.len() == WINDOW)
    }

    /// Uses another offset from now on.
    pub fn adopt(&mut self, offset_90k: i64) {
        self.offset_90k = offset_90k;
    }

    /// The clock or the run's time base jumped: what was observed before means nothing.
    pub fn restart(&mut self, offset_90k: i64) {
        *self = Self::new(offset_90k);
    }
}

/// A step of the wall clock, placed among the segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub delta_90k: i64,
    /// Segments up to this one arrived before it.
    pub before: SegmentKey,
    /// Segments behind this one arrived after it. Those between may be either: their times tell.
    pub after: SegmentKey,
}

/// Notices steps: the wall clock should advance as the monotonic one does.
#[derive(Clone, Debug, Default)]
pub struct StepWatch {
    last: Option<(Utc90k, Mono, SegmentKey)>,
}

impl StepWatch {
    /// Call about once a second with the newest segment that has arrived.
    pub fn look(&mut self, clock: &Clock, newest: SegmentKey) -> Option<Step> {
        let (wall, mono) = (clock.wall(), clock.mono());
        let (last_wall, last_mono, before) = self.last.replace((wall, mono, newest))?;
        let passed: Duration = mono.since(last_mono);
        let delta_90k = (wall - last_wall).saturating_sub(ticks_90k(passed));
        (delta_90k.abs() > STEP_90K).then_some(Step { delta_90k, before, after: newest })
    }
}

/// Steps that some waiting segments lie before and some behind.
#[derive(Clone, Debug, Default)]
pub struct Steps {
    list: Vec<Step>,
    /// How many of them the run's offset already includes.
    applied: usize,
}

impl Steps {
    pub fn push(&mut self, step: Step) {
        self.list.push(step);
    }

    /// The arrival as it would have been told, had the clock been set: footage from before the first setting gets
    /// its true time as long as it still waits in hot.
    pub fn relabel(&self, key: SegmentKey, arrived: Utc90k) -> Utc90k {
        if !is_unset(arrived) {
            return arrived;
        }
        let sum = self.list.iter().filter(|step| key <= step.after).map(|step| step.delta_90k).sum::<i64>();
        let relabelled = arrived + sum;
        if is_unset(relabelled) { arrived } else { relabelled }
    }

    /// The change of offset that explains why `key` is `off_90k` away from where the offset in use puts it; 0 for none.
    /// A source stamped by the wall clock jumps along with it and needs none, so the nearest explanation wins.
    pub fn explain(&mut self, key: SegmentKey, relabelled: bool, off_90k: i64) -> i64 {
        let possible = self.list.iter().take_while(|step| relabelled || key > step.before).count();
        let (mut sum, mut best, mut delta, mut applied) = (0_i64, off_90k.saturating_abs(), 0, self.applied);
        for (i, step) in self.list.iter().enumerate().take(possible).skip(self.applied) {
            sum = sum.saturating_add(step.delta_90k);
            let miss = off_90k.saturating_sub(sum).saturating_abs();
            if miss < best {
                (best, delta, applied) = (miss, sum, i + 1);
            }
        }
        self.applied = applied;
        self.forget(key);
        delta
    }

    /// A new run was anchored to `arrived` itself, so every step it may have seen is in its offset already.
    pub fn start_run(&mut self, key: SegmentKey, relabelled: bool) {
        self.applied = self.list.iter().take_while(|step| relabelled || key > step.after).count();
        self.forget(key);
    }

    /// Steps that every later segment lies behind have said what they had to say.
    fn forget(&mut self, key: SegmentKey) {
        let done = self.list.iter().take_while(|step| key > step.after).count();
        self.list.drain(..done);
        self.applied = self.applied.saturating_sub(done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::ManualClock, ids::Epoch};

    const S: i64 = TICKS_PER_SECOND;

    fn key(number: u64) -> SegmentKey {
        SegmentKey { epoch: Epoch(1), number }
    }

    #[test]
    fn the_least_delay_is_the_estimate() {
        let mut anchor = Anchor::new(1000);
        assert!(!anchor.observe(900));
        assert!(!anchor.observe(5000));
        assert_eq!((anchor.offset_90k(), anchor.estimate_90k()), (1000, 900));
    }

    #[test]
    fn only_a_whole_window_of_late_segments_moves_the_offset() {
        let mut anchor = Anchor::new(0);
        let late = (1..=WINDOW).find(|_| anchor.observe(S)).unwrap();
        assert_eq!(late, WINDOW);
        anchor.restart(0);
        assert!(anchor.observe(-S), "media from the future: the offset is wrong at once");
    }

    #[test]
    fn steps_are_noticed_and_pauses_are_not() {
        let manual = ManualClock::at(Utc90k::from_seconds(1_700_000_000));
        let (clock, mut watch) = (manual.clock(), StepWatch::default());
        let mut check = |advance_ms: u64, jump_ms: i64, newest, expected: Option<i64>| {
            manual.advance(Duration::from_millis(advance_ms));
            manual.step_wall(clock.wall() + jump_ms * 90);
            assert_eq!(watch.look(&clock, key(newest)).map(|step| step.delta_90k), expected, "{advance_ms} {jump_ms}");
        };
        check(1000, 0, 1, None);
        check(30_000, 0, 2, None);
        check(1000, 900, 3, None);
        check(1000, 3_600_000, 4, Some(3600 * S));
        check(1000, -86_400_000, 5, Some(-86_400 * S));
        check(1000, 0, 6, None);
    }

    #[test]
    fn a_step_applies_from_the_segment_that_shows_it() {
        let mut steps = Steps::default();
        steps.push(Step { delta_90k: 3600 * S, before: key(3), after: key(5) });
        assert_eq!(steps.explain(key(3), false, 20 * S), 0, "late, but it arrived before the step");
        assert_eq!(steps.explain(key(4), false, 2 * S), 0, "between, and its time says before");
        assert_eq!(steps.explain(key(5), false, 3601 * S), 3600 * S);
        assert_eq!(steps.explain(key(6), false, S), 0, "applied once");
        assert!(steps.list.is_empty());
    }

    #[test]
    fn a_source_that_jumps_with_the_clock_needs_no_step() {
        let mut steps = Steps::default();
        steps.push(Step { delta_90k: -3600 * S, before: key(3), after: key(4) });
        assert_eq!(steps.explain(key(5), false, 0), 0);
        assert!(steps.list.is_empty());
    }

    #[test]
    fn waiting_footage_of_an_unset_clock_gets_its_true_time() {
        let mut steps = Steps::default();
        let delta_90k = Utc90k::from_seconds(1_790_000_000).0;
        steps.push(Step { delta_90k, before: key(8), after: key(9) });
        let arrived = Utc90k::from_seconds(100);
        assert_eq!(steps.relabel(key(2), arrived), arrived + delta_90k);
        steps.start_run(key(2), true);
        assert_eq!(steps.explain(key(3), true, 10), 0, "its offset is the true one already");
        assert_eq!(steps.explain(key(10), false, 10), 0);
        let set = Utc90k::from_seconds(1_790_000_200);
        assert_eq!(steps.relabel(key(11), set), set);
    }
}
