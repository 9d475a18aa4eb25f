//! Turns evictions into what people must know: footage lost because hot was full, told once when a spell begins and
//! once when it ends.

use std::time::Duration;

use crate::{
    clock::{Mono, TICKS_PER_SECOND},
    storage::{Evicted, HotStatus},
};

/// A spell of shedding uncommitted footage.
#[derive(Debug, Default)]
pub struct Spell {
    running: Option<Running>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    since: Mono,
    shed_90k: i64,
    segments: usize,
}

/// What is to be logged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tidings {
    /// Hot is full and the archive does not take footage: the oldest segments are being dropped.
    Begins { waiting_bytes: u64, quota_bytes: u64 },
    /// Commits have caught up.
    Ends { lasted: Duration, shed_seconds: f64, segments: usize },
}

impl Spell {
    /// Takes in one eviction and the state after it.
    pub fn apply(&mut self, evicted: &Evicted, status: &HotStatus, now: Mono) -> Option<Tidings> {
        match &mut self.running {
            None if evicted.shed_90k > 0 || status.losing => {
                self.running = Some(Running { since: now, shed_90k: evicted.shed_90k, segments: evicted.shed });
                Some(Tidings::Begins { waiting_bytes: status.waiting_bytes, quota_bytes: status.quota_bytes })
            }
            Some(spell) if status.losing => {
                spell.shed_90k += evicted.shed_90k;
                spell.segments += evicted.shed;
                None
            }
            Some(spell) => {
                let ended = Tidings::Ends {
                    lasted: now.since(spell.since),
                    shed_seconds: spell.shed_90k as f64 / TICKS_PER_SECOND as f64,
                    segments: spell.segments,
                };
                self.running = None;
                Some(ended)
            }
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spell_is_told_when_it_begins_and_when_it_ends() {
        let mut spell = Spell::default();
        let mut told = Vec::new();
        let shed =
            |segments: usize| Evicted { shed: segments, shed_90k: segments as i64 * 90_000, ..Evicted::default() };
        let rows = [(0, false), (1, true), (1, true), (0, true), (2, true), (0, false), (0, false)];
        for (second, (segments, losing)) in rows.into_iter().enumerate() {
            let status = HotStatus { losing, waiting_bytes: 90, quota_bytes: 100, ..HotStatus::default() };
            let now = Mono::ZERO + Duration::from_secs(second as u64);
            if let Some(tidings) = spell.apply(&shed(segments), &status, now) {
                told.push((second, tidings));
            }
        }
        let lasted = Duration::from_secs(4);
        assert_eq!(
            told,
            [
                (1, Tidings::Begins { waiting_bytes: 90, quota_bytes: 100 }),
                (5, Tidings::Ends { lasted, shed_seconds: 4.0, segments: 4 }),
            ]
        );
    }
}
