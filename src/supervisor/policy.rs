//! When to restart an actor that failed: pure, so that the whole schedule is one table in a test.

use std::{collections::VecDeque, time::Duration};

use crate::clock::Mono;

/// The numbers of a [`RestartPolicy`].
#[derive(Clone, Debug)]
pub struct Limits {
    /// Delay of the second restart; the first is at once, each further one waits twice as long.
    pub first_delay: Duration,
    pub delay_max: Duration,
    /// More failures than this within `window` mark the actor, and so its device, as failed.
    pub failures_max: usize,
    pub window: Duration,
    /// Waits once failed: one after the other, the last again and again.
    pub slow: [Duration; 2],
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            first_delay: Duration::from_millis(100),
            // 2 s: as long as the source back-off; a restart is cheap, lost supervision is not.
            delay_max: Duration::from_secs(2),
            failures_max: 5,
            window: Duration::from_secs(60),
            slow: [Duration::from_secs(60), Duration::from_secs(300)],
        }
    }
}

/// What to do after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Restart {
        after: Duration,
    },
    /// Too many failures: alarm (`first` is true once per spell), then try rarely.
    Failed {
        retry_after: Duration,
        first: bool,
    },
}

/// Remembers the failures of one actor over its generations.
#[derive(Clone, Debug)]
pub struct RestartPolicy {
    limits: Limits,
    failures: VecDeque<Mono>,
    /// Slow retries made since the actor was marked failed.
    slow_step: Option<usize>,
}

impl RestartPolicy {
    pub fn new(limits: Limits) -> Self {
        Self { limits, failures: VecDeque::new(), slow_step: None }
    }

    /// The actor failed at `now` after running for `ran`. A run as long as the window clears its record.
    pub fn failed(&mut self, now: Mono, ran: Duration) -> Verdict {
        if ran >= self.limits.window {
            self.slow_step = None;
        }
        if let Some(step) = self.slow_step {
            self.slow_step = Some(step + 1);
            return Verdict::Failed { retry_after: self.slow(step + 1), first: false };
        }
        self.failures.retain(|at| now.since(*at) < self.limits.window);
        self.failures.push_back(now);
        if self.failures.len() > self.limits.failures_max {
            self.failures.clear();
            self.slow_step = Some(0);
            return Verdict::Failed { retry_after: self.slow(0), first: true };
        }
        let after = match self.failures.len() {
            0 | 1 => Duration::ZERO,
            n => {
                let doublings = u32::try_from(n - 2).unwrap_or(u32::MAX);
                self.limits.first_delay.saturating_mul(2u32.saturating_pow(doublings)).min(self.limits.delay_max)
            }
        };
        Verdict::Restart { after }
    }

    fn slow(&self, step: usize) -> Duration {
        self.limits.slow[step.min(1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: seconds since the start, seconds the generation ran, what follows.
    fn check(limits: Limits, rows: &[(f64, f64, Verdict)]) {
        let mut policy = RestartPolicy::new(limits);
        for (at, ran, expected) in rows {
            let now = Mono::ZERO + Duration::from_secs_f64(*at);
            assert_eq!(policy.failed(now, Duration::from_secs_f64(*ran)), *expected, "failure at {at} s");
        }
    }

    fn again(ms: u64) -> Verdict {
        Verdict::Restart { after: Duration::from_millis(ms) }
    }

    fn given_up(seconds: u64, first: bool) -> Verdict {
        Verdict::Failed { retry_after: Duration::from_secs(seconds), first }
    }

    #[test]
    fn a_crash_loop_backs_off_then_fails_then_retries_rarely() {
        check(
            Limits::default(),
            &[
                (0.0, 0.0, again(0)),
                (0.1, 0.0, again(100)),
                (0.3, 0.0, again(200)),
                (0.6, 0.0, again(400)),
                (1.1, 0.0, again(800)),
                (2.0, 0.0, given_up(60, true)),
                (62.0, 0.0, given_up(300, false)),
                (362.0, 0.0, given_up(300, false)),
                // A retry that lived for the window is healthy again: the next failure is a first one.
                (900.0, 538.0, again(0)),
            ],
        );
    }

    #[test]
    fn rare_failures_always_restart_at_once() {
        check(
            Limits::default(),
            &[(10.0, 10.0, again(0)), (80.0, 70.0, again(0)), (150.0, 70.0, again(0)), (209.0, 59.0, again(100))],
        );
    }

    #[test]
    fn the_delay_is_capped() {
        let limits = Limits { failures_max: 40, ..Limits::default() };
        let mut rows = vec![(0.0, 0.0, again(0))];
        rows.extend([100, 200, 400, 800, 1600].map(|ms| (1.0, 0.0, again(ms))));
        rows.extend([2000; 30].map(|ms| (2.0, 0.0, again(ms))));
        check(limits, &rows);
    }
}
