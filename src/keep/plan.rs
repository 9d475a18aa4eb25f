//! Decides, purely, which chunks are deleted: by age, and oldest first when space is short. Never the current hour,
//! the open chunk or a device's newest; never early because a clock stepped.

use std::{cmp::Reverse, collections::HashMap, time::Duration};

use crate::{
    clock::{TICKS_PER_SECOND, Utc90k, ticks_90k},
    storage::{
        layout::ChunkKey,
        retention::{Moment, PLAUSIBLE},
    },
};

/// A chunk as the plan sees it.
#[derive(Clone, Copy, Debug)]
pub struct ChunkView {
    /// Number of the device in the caller's list.
    pub device: usize,
    pub key: ChunkKey,
    pub start: Utc90k,
    pub end: Utc90k,
    pub bytes: u64,
    /// Sealed and in the ring: nobody writes or renames it any more.
    pub settled: bool,
    /// Age that needs no wall clock: monotonic time since the cleaner saw it being recorded, or the age it had at
    /// the start of the daemon plus the time since.
    pub known_for: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// All of it is older than the window.
    Expired,
    /// The oldest there was when space was short.
    Space,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletion {
    pub device: usize,
    pub key: ChunkKey,
    pub bytes: u64,
    pub why: Why,
}

/// What is asked for in one round.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Delete what ended longer ago than this; None while the gate holds expiry back.
    pub window: Option<Duration>,
    /// Bytes that must become free, beyond what expiry frees.
    pub free_bytes: u64,
}

/// Deletions, oldest first.
pub fn plan(chunks: &[ChunkView], moment: Moment, wanted: Wanted) -> Vec<Deletion> {
    let newest = newest_starts(chunks);
    let mut candidates: Vec<(i64, &ChunkView)> = chunks
        .iter()
        .filter(|chunk| chunk.settled && newest.get(&chunk.device) != Some(&chunk.start))
        .filter(|chunk| !in_current_hour(chunk, moment.wall) && !in_current_hour(chunk, moment.retention))
        .map(|chunk| (age_90k(chunk, moment), chunk))
        .collect();
    candidates.sort_by_key(|(age, chunk)| (Reverse(*age), chunk.start, chunk.device));

    let mut deletions = Vec::new();
    let mut missing = wanted.free_bytes;
    for (age, chunk) in candidates {
        let expired = wanted.window.is_some_and(|window| age >= ticks_90k(window));
        if !expired && missing == 0 {
            // Sorted by age, so nothing later is expired either.
            break;
        }
        missing = missing.saturating_sub(chunk.bytes);
        let why = if expired { Why::Expired } else { Why::Space };
        deletions.push(Deletion { device: chunk.device, key: chunk.key, bytes: chunk.bytes, why });
    }
    deletions
}

fn newest_starts(chunks: &[ChunkView]) -> HashMap<usize, Utc90k> {
    let mut newest = HashMap::new();
    for chunk in chunks {
        let start = newest.entry(chunk.device).or_insert(chunk.start);
        *start = chunk.start.max(*start);
    }
    newest
}

/// The current hour by either clock: if they disagree, nobody can tell which is meant.
fn in_current_hour(chunk: &ChunkView, now: Utc90k) -> bool {
    const HOUR_90K: i64 = 3600 * TICKS_PER_SECOND;
    let hour = Utc90k(now.0 - now.0.rem_euclid(HOUR_90K));
    chunk.end > hour && chunk.start < hour + HOUR_90K
}

/// The least age that any clock vouches for. The label of footage from an unset clock says nothing.
pub(super) fn age_90k(chunk: &ChunkView, moment: Moment) -> i64 {
    let known = ticks_90k(chunk.known_for);
    if chunk.end >= PLAUSIBLE { known.min(moment.for_ages() - chunk.end) } else { known }
}

#[cfg(test)]
mod tests;
