//! Events that wait for one receiver, in order; and, purely, what an answer means and when to try again.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::clock::{Clock, Mono};

/// Events that wait; then the oldest go. An hour of a host in bad shape.
pub const WAITING_MAX: usize = 1000;
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
/// A receiver that is back must not wait long for what it missed.
const BACK_OFF_MAX: Duration = Duration::from_secs(60);
/// How often a pause looks at the clock, which tests move.
const LOOK: Duration = Duration::from_millis(100);

/// One event, ready to be sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Letter {
    pub id: u64,
    pub kind: &'static str,
    /// JSON.
    pub body: Vec<u8>,
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Taken,
    /// It will be the same next time.
    Refused,
    Again,
}

impl Verdict {
    pub fn of(status: u16) -> Self {
        match status {
            200..=299 => Self::Taken,
            // Asked to wait; a server in trouble.
            408 | 429 | 500.. => Self::Again,
            // We follow no redirect: what is signed for one host is for no other.
            _ => Self::Refused,
        }
    }
}

/// The pause after so many failures in a row.
pub fn back_off(failures: u32) -> Duration {
    let doubled = FIRST_BACK_OFF.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(BACK_OFF_MAX)
}

/// The queue of one receiver.
#[derive(Default)]
pub struct Outbox {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    letters: VecDeque<Arc<Letter>>,
    ended: bool,
    /// Counts what makes it worth trying at once.
    woken: u64,
}

impl Outbox {
    /// False when the oldest had to go for it.
    pub fn push(&self, letter: Arc<Letter>) -> bool {
        let mut waiting = self.lock();
        let full = waiting.letters.len() == WAITING_MAX;
        if full {
            waiting.letters.pop_front();
        }
        waiting.letters.push_back(letter);
        self.changed.notify_all();
        !full
    }

    /// Waits for the oldest, which stays until it is [`Self::done`]. None at its end.
    pub fn next(&self) -> Option<Arc<Letter>> {
        let idle = |waiting: &mut Waiting| waiting.letters.is_empty() && !waiting.ended;
        let waiting = self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        waiting.letters.front().filter(|_| !waiting.ended).cloned()
    }

    /// It need not be sent any more. It may have gone by itself meanwhile.
    pub fn done(&self, id: u64) {
        let mut waiting = self.lock();
        if waiting.letters.front().is_some_and(|letter| letter.id == id) {
            waiting.letters.pop_front();
        }
    }

    /// Waits until then, or until it is woken or ends.
    pub fn rest(&self, clock: &Clock, until: Mono) {
        let mut waiting = self.lock();
        let woken = waiting.woken;
        while !waiting.ended && waiting.woken == woken && clock.mono() < until {
            waiting = self.changed.wait_timeout(waiting, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Its settings changed: whoever rests tries again.
    pub fn wake(&self) {
        self.lock().woken += 1;
        self.changed.notify_all();
    }

    pub fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    pub fn waiting(&self) -> usize {
        self.lock().letters.len()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(id: u64) -> Arc<Letter> {
        Arc::new(Letter { id, kind: "device_up", body: Vec::new() })
    }

    #[test]
    fn answers_mean() {
        for (status, verdict) in [
            (200, Verdict::Taken),
            (204, Verdict::Taken),
            (301, Verdict::Refused),
            (307, Verdict::Refused),
            (400, Verdict::Refused),
            (404, Verdict::Refused),
            (408, Verdict::Again),
            (429, Verdict::Again),
            (500, Verdict::Again),
            (503, Verdict::Again),
        ] {
            assert_eq!(Verdict::of(status), verdict, "{status}");
        }
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let seconds: Vec<_> = (1..=9).map(|failures| back_off(failures).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(back_off(u32::MAX), BACK_OFF_MAX);
    }

    #[test]
    fn the_oldest_go_first_in_both_senses() {
        let outbox = Outbox::default();
        for id in 0..WAITING_MAX as u64 {
            assert!(outbox.push(letter(id)));
        }
        assert_eq!(outbox.next().unwrap().id, 0);
        assert!(!outbox.push(letter(5000)), "the oldest goes, also while it is being sent");
        outbox.done(0);
        assert_eq!((outbox.next().unwrap().id, outbox.waiting()), (1, WAITING_MAX));
        outbox.done(1);
        assert_eq!(outbox.next().unwrap().id, 2);
        outbox.end();
        assert_eq!(outbox.next(), None);
    }
}
