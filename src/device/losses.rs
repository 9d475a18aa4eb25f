//! What a device tells of the footage it loses: sums, and rarely, for a flood of events would tell less.

use std::time::Duration;

use crate::{clock::Mono, telemetry::LossReason};

/// A full hot loses a segment each second: told one by one, they would push everything else out of the listeners'
/// queues.
const PAUSE: Duration = Duration::from_secs(10);

const REASONS: usize = LossReason::ALL.len();

/// Remembers what was told. Outlives the actor, so that a restart tells nothing twice.
#[derive(Clone, Debug, Default)]
pub struct Losses {
    told: [f64; REASONS],
    at: Option<Mono>,
}

impl Losses {
    /// Seconds per reason since the last time, when there is something to tell and it is time to; `lost` are all
    /// seconds so far.
    pub fn next(&mut self, lost: [f64; REASONS], now: Mono) -> Option<[f64; REASONS]> {
        if lost == self.told || self.at.is_some_and(|at| now.since(at) < PAUSE) {
            return None;
        }
        self.at = Some(now);
        let told = std::mem::replace(&mut self.told, lost);
        let mut more = lost;
        more.iter_mut().zip(told).for_each(|(more, told)| *more -= told);
        Some(more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, Utc90k};

    #[test]
    fn losses_are_told_in_sums_at_most_each_ten_seconds() {
        let manual = ManualClock::at(Utc90k::from_seconds(1_700_000_000));
        let mut losses = Losses::default();
        let mut check = |after: u64, lost: [f64; REASONS], expected: Option<[f64; REASONS]>| {
            manual.advance(Duration::from_secs(after));
            assert_eq!(losses.next(lost, manual.clock().mono()), expected, "{lost:?}");
        };
        check(0, [0.0, 0.0, 0.0], None);
        check(1, [1.0, 0.0, 0.0], Some([1.0, 0.0, 0.0]));
        check(1, [2.0, 0.0, 0.0], None);
        check(8, [9.0, 0.0, 2.0], None);
        check(1, [10.0, 0.0, 2.0], Some([9.0, 0.0, 2.0]));
        check(60, [10.0, 0.0, 2.0], None);
        check(1, [10.0, 0.5, 2.0], Some([0.0, 0.5, 0.0]));
    }
}
