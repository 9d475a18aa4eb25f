//! A sign of life that an actor gives and its supervisor reads, without a message in between.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::clock::{Clock, Mono};

/// Shared between one actor generation and its supervisor. An actor beats at least once a second from its own
/// context, so a beat proves that its mailbox is being served.
#[derive(Clone)]
pub struct Heartbeat {
    clock: Clock,
    born: Mono,
    /// Milliseconds from `born` to the last beat.
    last_ms: Arc<AtomicU64>,
}

impl Heartbeat {
    /// Counts as one beat.
    pub fn new(clock: Clock) -> Self {
        Self { born: clock.mono(), clock, last_ms: Arc::default() }
    }

    pub fn beat(&self) {
        let now = self.clock.mono().since(self.born);
        self.last_ms.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// When it last beat, to the millisecond.
    pub fn last(&self) -> Mono {
        self.born + Duration::from_millis(self.last_ms.load(Ordering::Relaxed))
    }

    /// Time since the last beat.
    pub fn age(&self) -> Duration {
        self.clock.mono().since(self.last())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, Utc90k};

    #[test]
    fn age_counts_from_the_last_beat() {
        let manual = ManualClock::at(Utc90k::default());
        let heart = Heartbeat::new(manual.clock());
        manual.advance(Duration::from_secs(3));
        assert_eq!(heart.age(), Duration::from_secs(3));
        heart.clone().beat();
        manual.advance(Duration::from_secs(1));
        assert_eq!(heart.age(), Duration::from_secs(1));
    }
}
