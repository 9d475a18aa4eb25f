//! Who lives in a tree, and which of them gave no sign of life for too long.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

use super::heartbeat::Heartbeat;
use crate::clock::Mono;

/// One living generation of a tree.
#[derive(Clone)]
pub(super) struct Member {
    /// Unique within the tree.
    pub id: u64,
    /// Full name, e.g. `device/cam1/merger`.
    pub name: String,
    pub generation: u64,
    pub heartbeat: Heartbeat,
}

#[derive(Default)]
struct Living {
    next_id: u64,
    members: Vec<Member>,
}

/// The generations alive on one arbiter; outlives them all.
#[derive(Clone)]
pub(super) struct Members(Arc<Shared>);

struct Shared {
    living: Mutex<Living>,
    count: watch::Sender<usize>,
    /// The member whose code runs on the thread just now; 0 = none.
    on_turn: AtomicU64,
}

impl Members {
    pub fn new() -> Self {
        Self(Arc::new(Shared { living: Mutex::default(), count: watch::Sender::new(0), on_turn: AtomicU64::new(0) }))
    }

    /// Counts the generation as alive until the witness is dropped.
    pub fn join(&self, name: String, generation: u64, heartbeat: Heartbeat) -> Witness {
        let mut living = self.0.living.lock().unwrap_or_else(PoisonError::into_inner);
        living.next_id += 1;
        let id = living.next_id;
        living.members.push(Member { id, name, generation, heartbeat });
        self.0.count.send_replace(living.members.len());
        Witness { members: self.clone(), id }
    }

    pub fn list(&self) -> Vec<Member> {
        self.0.living.lock().unwrap_or_else(PoisonError::into_inner).members.clone()
    }

    /// The member that holds the thread. A blocked thread silences the whole tree; this one is why.
    pub fn on_turn(&self) -> Option<u64> {
        Some(self.0.on_turn.load(Ordering::Relaxed)).filter(|id| *id != 0)
    }

    /// Resolves when nobody is left.
    pub async fn gone(&self) {
        // The sender lives in self, so this can not fail.
        let _ = self.0.count.subscribe().wait_for(|count| *count == 0).await;
    }
}

/// Tells the tree about one generation: whose turn it is, and by being dropped, that it has ended.
pub struct Witness {
    members: Members,
    id: u64,
}

impl Witness {
    /// Runs one turn of the member.
    pub(super) fn turn<T>(&self, turn: impl FnOnce() -> T) -> T {
        self.members.0.on_turn.store(self.id, Ordering::Relaxed);
        let result = turn();
        self.members.0.on_turn.store(0, Ordering::Relaxed);
        result
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let shared = &self.members.0;
        let mut living = shared.living.lock().unwrap_or_else(PoisonError::into_inner);
        living.members.retain(|member| member.id != self.id);
        shared.count.send_replace(living.members.len());
    }
}

/// Finds the member that hangs. Pure.
///
/// It does not compare the age of a beat with the limit: after the whole process was frozen (SIGSTOP, a suspended
/// machine, starvation) every beat is old although nobody hangs. It adds up the time between its own looks during
/// which a beat stood still, and counts no pause between two looks for more than twice the usual one.
pub(super) struct HangWatch {
    limit: Duration,
    look_every: Duration,
    looked: Option<Mono>,
    /// Last beat seen of a member, and for how long it has been the last.
    still: HashMap<u64, (Mono, Duration)>,
}

impl HangWatch {
    pub fn new(limit: Duration, look_every: Duration) -> Self {
        Self { limit, look_every, looked: None, still: HashMap::new() }
    }

    /// Looks at (member, its last beat); names the first that has been still for the limit.
    pub fn look(&mut self, beats: &[(u64, Mono)], now: Mono) -> Option<u64> {
        let step = self.looked.map_or(Duration::ZERO, |before| now.since(before)).min(self.look_every * 2);
        self.looked = Some(now);
        let before = std::mem::take(&mut self.still);
        let mut hung = None;
        for (id, beat) in beats {
            let still = match before.get(id) {
                Some((last, still)) if last == beat => *still + step,
                _ => Duration::ZERO,
            };
            if still >= self.limit && hung.is_none() {
                hung = Some(*id);
            }
            self.still.insert(*id, (*beat, still));
        }
        hung
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono::ZERO + Duration::from_secs(seconds)
    }

    /// Rows of (now, last beat of member 1, last beat of member 2, who hangs).
    fn check(rows: &[(u64, u64, u64, Option<u64>)]) {
        let mut watch = HangWatch::new(Duration::from_secs(5), Duration::from_secs(1));
        for (now, one, two, expected) in rows {
            assert_eq!(watch.look(&[(1, at(*one)), (2, at(*two))], at(*now)), *expected, "at {now} s");
        }
    }

    #[test]
    fn a_member_is_named_when_its_beat_stood_still_for_five_seconds() {
        let mut rows: Vec<_> = (0..5).map(|now| (now, now, 0, None)).collect();
        rows.push((5, 5, 0, Some(2)));
        check(&rows);
    }

    #[test]
    fn one_beat_in_time_clears_the_doubt() {
        check(&[
            (0, 0, 0, None),
            (4, 4, 0, None),
            (5, 5, 0, None),
            (6, 6, 6, None),
            (8, 8, 6, None),
            (10, 10, 6, None),
        ]);
    }

    #[test]
    fn a_frozen_process_is_not_a_hang() {
        check(&[(0, 0, 0, None), (1, 1, 1, None), (3600, 1, 1, None), (3601, 3601, 1, None), (3602, 3602, 3602, None)]);
    }

    #[test]
    fn witnesses_count_who_is_alive() {
        let clock = crate::clock::ManualClock::at(Default::default()).clock();
        let members = Members::new();
        let one = members.join("one".into(), 1, Heartbeat::new(clock.clone()));
        let two = members.join("two".into(), 1, Heartbeat::new(clock));
        drop(one);
        assert_eq!(members.list().iter().map(|member| member.name.as_str()).collect::<Vec<_>>(), ["two"]);
        drop(two);
        assert!(members.list().is_empty());
    }
}
