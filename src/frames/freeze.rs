//! Does a picture still move? Compared with the last frames, and with an older one so that slow motion adds up.

use std::{collections::VecDeque, sync::Arc};

use super::{
    change::{self, Limits},
    floor::NoiseFloor,
    luma::Picture,
};
use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    config::Detect,
};

/// Frames that a picture is compared with.
const RECENT: usize = 3;
/// And no older than this, so that at one picture per second the verdict is not three seconds late. The newest always.
const RECENT_90K: i64 = TICKS_PER_SECOND * 7 / 10;
/// With less history than this a still picture is not yet called frozen.
const HISTORY_90K: i64 = TICKS_PER_SECOND * 35 / 100;
/// Slow motion must show within this time, and what a codec drifts in more than this must not.
const ANCHOR_90K: i64 = 10 * TICKS_PER_SECOND;
/// A still picture that changes in one place, like a clock that shows seconds, lives until its next tick. Below
/// `close_after_seconds` (1 s), so that one key frame that looks different does not end an incident.
const TICK_90K: i64 = TICKS_PER_SECOND * 9 / 10;
/// What of a picture may change for it to be such a tick, percent: more is a cut or a camera that moves.
const TICK_PERCENT: f32 = 1.5;
/// A drift that took so long to show goes on for as long, within these bounds: below `join_gap_seconds` (3 s), so that
/// a frozen picture that a codec refines once stays one incident.
const DRIFT_90K: [i64; 2] = [TICKS_PER_SECOND * 9 / 10, TICKS_PER_SECOND * 5 / 2];

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stillness {
    pub freeze: Option<bool>,
    /// When it is frozen: the first picture that looked like this one.
    pub since: Option<Utc90k>,
    /// Pixels that moved more than noise does, 0 to 100, against the oldest of the last frames.
    pub percent: Option<f32>,
}

/// The memory of one device: at most five pictures.
#[derive(Default)]
pub struct Watch {
    recent: VecDeque<Arc<Picture>>,
    /// The picture that a still stretch began with.
    anchor: Option<Arc<Picture>>,
    /// Until then it moves, whatever the next pictures say.
    alive_until: Option<Utc90k>,
    still_since: Option<Utc90k>,
    floor: NoiseFloor,
    scratch: change::Scratch,
}

impl Watch {
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// `picture` becomes part of the memory; the return is one that is no longer needed, for its buffers.
    pub fn look(&mut self, picture: Picture, detect: &Detect) -> (Stillness, Picture) {
        if self.recent.back().is_some_and(|last| !last.is_like(&picture) || last.at >= picture.at) {
            self.reset();
        }
        let seen = self.judge(&picture, detect);
        let mut spare = None;
        self.recent.push_back(Arc::new(picture));
        while self.recent.len() > RECENT {
            spare = self.recent.pop_front().and_then(Arc::into_inner).or(spare);
        }
        (seen, spare.unwrap_or_default())
    }

    fn judge(&mut self, picture: &Picture, detect: &Detect) -> Stillness {
        while self.recent.len() > 1 && self.recent.front().is_some_and(|old| picture.at - old.at > RECENT_90K) {
            self.recent.pop_front();
        }
        let (Some(oldest), Some(last)) = (self.recent.front().cloned(), self.recent.back()) else {
            return Stillness::default();
        };
        self.floor.learn(picture, last);
        let limits = Limits { floor: &self.floor, detect };
        let percent = limits.percent(picture, &oldest);
        let moves = self.recent.iter().any(|before| limits.moved(picture, before, &mut self.scratch));
        let was_still = self.anchor.is_some();
        if moves {
            (self.anchor, self.still_since) = (None, None);
            if was_still && percent < TICK_PERCENT {
                self.alive_until = Some(picture.at + TICK_90K);
            }
        } else {
            let anchor = self.anchor.get_or_insert_with(|| oldest.clone());
            let apart = picture.at - anchor.at;
            self.still_since = self.still_since.or(Some(oldest.at));
            if limits.moved(picture, anchor, &mut self.scratch) {
                self.alive_until = Some(picture.at + apart.clamp(DRIFT_90K[0], DRIFT_90K[1]));
                *anchor = oldest.clone();
                self.still_since = Some(picture.at);
            } else if apart > ANCHOR_90K {
                *anchor = oldest.clone();
            }
        }
        let alive = moves || self.alive_until.is_some_and(|until| picture.at < until);
        let known = alive || picture.at - oldest.at >= HISTORY_90K;
        let since = self.still_since.filter(|_| known && !alive);
        Stillness { freeze: known.then_some(!alive), since, percent: Some(percent) }
    }
}
