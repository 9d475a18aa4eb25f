//! What other limits would come to: the cleaner's plan over what there is now, of which nothing is done.

use std::collections::{HashMap, HashSet};

use super::{
    ages::Now,
    ledger::Ledger,
    limits::KeepLimits,
    plan::{Action, Deed, Footage, Wanted, plan},
};
use crate::{
    clock::Utc90k,
    error::{Error, Kind, Result},
    storage::{
        Pins,
        index::{ChunkEntry, Place},
        layout::{ChunkKey, Shelf},
    },
};

/// In consequence of the change alone: what goes in any case is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// Deleted, and their bytes with those of kept originals.
    pub chunks: usize,
    pub bytes: u64,
    /// From the ring into the library.
    pub moved_chunks: usize,
    pub moved_bytes: u64,
    /// Where the footage of all begins afterwards; None when nothing is left.
    pub oldest_kept: Option<Utc90k>,
}

/// Free space of the archive's file system, and of the library's own where that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Free {
    pub home_bytes: u64,
    pub away_bytes: Option<u64>,
}

impl Ledger {
    /// As if `limits` held. [`Kind::Unavailable`] while nobody knows what is pinned.
    pub fn outlook(&self, limits: &KeepLimits, free: Free) -> Result<Outlook> {
        let unknown = || Error::new(Kind::Unavailable, "it is not known yet what is pinned");
        let pins = self.pins().ok_or_else(unknown)?;
        let now_limits = self.limits();
        Ok(self.look(|footage, now| outlook(footage, &pins, now, [&now_limits, limits], free)))
    }
}

fn outlook(footage: &[Footage<'_>], pins: &Pins, now: Now, [before, after]: [&KeepLimits; 2], free: Free) -> Outlook {
    let plans = |limits: &KeepLimits| {
        let side = |on, free_bytes: u64| Wanted {
            on,
            limits: Some(limits.keep),
            free_bytes: limits.min_free_bytes.saturating_sub(free_bytes),
            takes_away: false,
            away_is_there: free.away_bytes.is_some(),
            most: usize::MAX,
        };
        let mut actions = plan(footage, Some(pins), now, side(Shelf::Home, free.home_bytes)).actions;
        if let Some(bytes) = free.away_bytes {
            actions.extend(plan(footage, Some(pins), now, side(Shelf::Away, bytes)).actions);
        }
        actions
    };
    let anyway: HashSet<_> = plans(before).iter().map(id_of).collect();
    let planned = plans(after);
    let gone: HashSet<_> = planned.iter().filter(|it| matches!(it.deed, Deed::Delete(_))).map(chunk_of).collect();
    let mut told = Outlook { oldest_kept: oldest(footage, &gone, free.away_bytes.is_some()), ..Outlook::default() };
    let dropped: HashSet<_> = planned.iter().filter(|it| is_original(it)).map(chunk_of).collect();
    let originals = originals(footage, &dropped);
    for action in planned.iter().filter(|action| !anyway.contains(&id_of(action))) {
        match action.deed {
            Deed::Delete(_) => {
                told.chunks += 1;
                told.bytes += action.bytes + originals.get(&(action.device, action.key.start_ms)).unwrap_or(&0);
            }
            Deed::DropOriginal(_) => told.bytes += action.bytes,
            Deed::Shelve => {
                told.moved_chunks += 1;
                told.moved_bytes += action.bytes;
            }
            Deed::MoveAway => {}
        }
    }
    told
}

/// Whatever the reason.
fn id_of(action: &Action) -> (usize, ChunkKey, bool, bool) {
    (action.device, action.key, is_original(action), action.deed == Deed::Shelve)
}

fn chunk_of(action: &Action) -> (usize, ChunkKey) {
    (action.device, action.key)
}

fn is_original(action: &Action) -> bool {
    matches!(action.deed, Deed::DropOriginal(_))
}

/// Bytes of the kept originals that go with their chunks.
fn originals(footage: &[Footage<'_>], dropped: &HashSet<(usize, ChunkKey)>) -> HashMap<(usize, i64), u64> {
    let mut bytes = HashMap::new();
    for (device, of) in footage.iter().enumerate() {
        for original in of.originals.iter().filter(|it| !dropped.contains(&(device, it.key))) {
            *bytes.entry((device, original.key.start_ms)).or_default() += original.bytes;
        }
    }
    bytes
}

fn oldest(footage: &[Footage<'_>], gone: &HashSet<(usize, ChunkKey)>, with_away: bool) -> Option<Utc90k> {
    let is_there = |chunk: &ChunkEntry| with_away || !matches!(chunk.place, Place::Library(_, Shelf::Away));
    let of_device = |(device, of): (usize, &Footage<'_>)| {
        let left = of.chunks.iter().filter(|chunk| is_there(chunk) && !gone.contains(&(device, chunk.key)));
        left.map(|chunk| chunk.start).min()
    };
    footage.iter().enumerate().filter_map(of_device).min()
}
