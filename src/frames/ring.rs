//! Where a device's frames wait to be looked at: bounded in number and bytes, and the oldest go when it is full.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::Frame;
use crate::{
    clock::{Mono, Utc90k},
    ids::SegmentKey,
};

/// 16 of the largest thumbnails taken, or a thousand usual ones: 64 devices that are all behind take a gigabyte.
const BYTES_MAX: usize = 16 << 20;
/// Whoever is this late looks at the newest only: a verdict on the past helps nobody.
const BEHIND: Duration = Duration::from_secs(2);

/// Shared by the watcher, which puts frames in, and the pool, which takes them.
pub struct Ring {
    frames_max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<(Waiting, Missed)>,
    bytes: usize,
    /// Passed over since the last frame that was taken: before all that wait.
    passed: Missed,
    /// Behind all that wait: they go with the next that comes.
    missed: Missed,
    last: Option<SegmentKey>,
}

/// A frame, and how old its file was when it was seen.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub frame: Frame,
    pub age_then: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missed {
    pub count: u32,
    /// When the first of them was taken.
    pub from: Option<Utc90k>,
}

/// The next frame to look at.
pub struct Taken {
    pub waiting: Waiting,
    /// Of what came before it: never looked at.
    pub missed: Missed,
    /// How many of those were passed over just now.
    pub skipped: u64,
}

impl Ring {
    pub fn new(frames_max: usize) -> Self {
        Self { frames_max: frames_max.max(1), state: Mutex::default() }
    }

    /// How many older ones had to go for it. None: it is not newer than the last one, and was left out.
    pub fn push(&self, waiting: Waiting) -> Option<u64> {
        let mut state = self.state();
        let key = waiting.frame.key;
        if state.last.is_some_and(|last| key <= last) {
            return None;
        }
        state.last = Some(key);
        state.bytes += waiting.frame.jpeg.len();
        let missed = std::mem::take(&mut state.missed);
        state.waiting.push_back((waiting, missed));
        let mut dropped = 0;
        while state.waiting.len() > self.frames_max || (state.bytes > BYTES_MAX && state.waiting.len() > 1) {
            state.pass_over();
            dropped += 1;
        }
        Some(dropped)
    }

    /// The newest frame that ever came.
    pub fn last(&self) -> Option<SegmentKey> {
        self.state().last
    }

    /// A frame that is known of and will not come.
    pub fn miss(&self, key: SegmentKey, at: Utc90k) {
        let mut state = self.state();
        state.last = state.last.max(Some(key));
        state.missed.add(Missed::one(at));
    }

    /// The oldest; when all wait too long or half the places are taken, the newest, and the others are passed over.
    pub fn take(&self, now: Mono) -> Option<Taken> {
        let mut state = self.state();
        let late = |(waiting, _): &(Waiting, Missed)| now.since(waiting.frame.seen) + waiting.age_then > BEHIND;
        let behind = state.waiting.len() > self.frames_max / 2 || state.waiting.front().is_some_and(late);
        let mut skipped = 0;
        while behind && state.waiting.len() > 1 {
            state.pass_over();
            skipped += 1;
        }
        let (waiting, before) = state.waiting.pop_front()?;
        state.bytes -= waiting.frame.jpeg.len();
        let mut missed = std::mem::take(&mut state.passed);
        missed.add(before);
        Some(Taken { waiting, missed, skipped })
    }

    pub fn depth(&self) -> usize {
        self.state().waiting.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn pass_over(&mut self) {
        let Some((gone, before)) = self.waiting.pop_front() else { return };
        self.bytes -= gone.frame.jpeg.len();
        self.passed.add(before);
        self.passed.add(Missed::one(gone.frame.at));
    }
}

impl Missed {
    fn one(at: Utc90k) -> Self {
        Self { count: 1, from: Some(at) }
    }

    /// What came behind.
    fn add(&mut self, more: Self) {
        self.count = self.count.saturating_add(more.count);
        self.from = self.from.or(more.from);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::ids::Epoch;

    fn frame(number: u64, bytes: usize) -> Waiting {
        let at = Utc90k::from_ms(200 * number as i64);
        let key = SegmentKey { epoch: Epoch(1), number };
        let seen = Mono::ZERO + Duration::from_millis(200 * number);
        Waiting { frame: Frame { key, at, seen, jpeg: Bytes::from(vec![0; bytes]) }, age_then: Duration::ZERO }
    }

    /// What is taken at `now_ms`: number, missed before it, from when in ms, passed over.
    fn take(ring: &Ring, now_ms: u64) -> Option<(u64, u32, Option<i64>, u64)> {
        let taken = ring.take(Mono::ZERO + Duration::from_millis(now_ms))?;
        let from = taken.missed.from.map(Utc90k::as_ms);
        Some((taken.waiting.frame.key.number, taken.missed.count, from, taken.skipped))
    }

    #[test]
    fn in_order_while_in_time() {
        let ring = Ring::new(1000);
        (0..10).for_each(|n| assert_eq!(ring.push(frame(n, 10)), Some(0)));
        assert_eq!(ring.push(frame(9, 10)), None, "it came before");
        for n in 0..10 {
            assert_eq!(take(&ring, 2000), Some((n, 0, None, 0)));
        }
        assert_eq!(take(&ring, 2000), None);
    }

    #[test]
    fn who_is_late_sees_the_newest_and_says_what_was_not_seen() {
        let ring = Ring::new(1000);
        (0..10).for_each(|n| assert_eq!(ring.push(frame(n, 10)), Some(0)));
        assert_eq!(take(&ring, 2001), Some((9, 9, Some(0), 9)));
        ring.push(frame(10, 10));
        assert_eq!(take(&ring, 9000), Some((10, 0, None, 0)), "alone, however late");
    }

    #[test]
    fn the_oldest_go_and_are_counted_once() {
        let ring = Ring::new(8);
        let dropped: u64 = (0..20).filter_map(|n| ring.push(frame(n, 10))).sum();
        assert_eq!((dropped, ring.depth()), (12, 8));
        // More than half the places are taken: the newest is what counts.
        assert_eq!(take(&ring, 3800), Some((19, 19, Some(0), 7)));
    }

    #[test]
    fn bytes_are_bounded_too_but_the_newest_stays() {
        let ring = Ring::new(1000);
        let dropped: u64 = (0..10).filter_map(|n| ring.push(frame(n, 2 << 20))).sum();
        assert_eq!((dropped, ring.depth()), (2, 8));
        let ring = Ring::new(1000);
        assert_eq!(ring.push(frame(0, 17 << 20)), Some(0));
        assert_eq!(ring.depth(), 1);
    }

    #[test]
    fn what_will_not_come_is_told_with_the_next() {
        let ring = Ring::new(1000);
        ring.miss(SegmentKey { epoch: Epoch(1), number: 3 }, Utc90k::from_ms(7));
        assert_eq!(ring.push(frame(3, 1)), None);
        ring.push(frame(4, 1));
        assert_eq!(take(&ring, 900), Some((4, 1, Some(7), 0)));
    }
}
