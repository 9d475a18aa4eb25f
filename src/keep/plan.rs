//! Decides, purely, what becomes of chunks: which leave the ring for the library, which move on to its own volume, which
//! are deleted, by age, by bytes and for space, oldest first. Never the current hour, the open chunk, a device's newest
//! or what is pinned; never early because a clock stepped.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, HashSet},
    sync::Arc,
    time::Duration,
};

use super::ages::{Ages, Now};
use crate::{
    clock::{TICKS_PER_SECOND, Utc90k, ticks_90k},
    ids::DeviceId,
    storage::{
        Pins,
        index::{ChunkEntry, Chunks, Place},
        layout::{ChunkKey, Shelf},
        retention::PLAUSIBLE,
    },
};

/// All that is kept of one device.
#[derive(Clone, Copy)]
pub struct Footage<'a> {
    pub device: &'a DeviceId,
    pub chunks: &'a Chunks,
    /// Kept originals of chunks that were encoded anew.
    pub originals: &'a Chunks,
    pub ages: &'a Ages,
}

/// How long and how much, by the settings. A limit of 0 is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Age at which footage leaves the ring.
    pub window: Duration,
    /// How much longer the library keeps it.
    pub retention: Duration,
    pub max_bytes: u64,
    pub device_max_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// All of it is older than window and retention.
    Expired,
    /// The oldest of a device that has more than its bytes.
    DeviceBytes,
    /// The oldest there was when all together had more than theirs.
    TotalBytes,
    /// The oldest there was when space was short.
    Space,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deed {
    Delete(Why),
    /// The as-recorded original of a chunk that was encoded anew.
    DropOriginal(Why),
    /// From the ring into the library, by another name.
    Shelve,
    /// From the library at home to its own volume, by a copy.
    MoveAway,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    /// Number of the device in the caller's list.
    pub device: usize,
    pub key: ChunkKey,
    pub bytes: u64,
    pub deed: Deed,
}

/// What is asked for in one round.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Which volume the caller looks after; what is to be done on the other is the other's.
    pub on: Shelf,
    /// By age and bytes; None while the gate holds that back.
    pub limits: Option<Limits>,
    /// Bytes that must become free on that volume, beyond what the limits free.
    pub free_bytes: u64,
    /// The library's own volume takes chunks.
    pub takes_away: bool,
    /// Footage on it can be reached: else it is neither counted nor deleted.
    pub away_is_there: bool,
    /// Actions of one round.
    pub most: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which they are to be done.
    pub actions: Vec<Action>,
    /// More is due than one round takes.
    pub more: bool,
    /// Something would be deleted if it were known that nobody pinned it.
    pub waits_for_pins: bool,
}

/// `pins` is None while nobody knows them: then nothing is deleted at all.
pub fn plan(footage: &[Footage<'_>], pins: Option<&Pins>, now: Now, wanted: Wanted) -> Plan {
    let mut planner = Planner { footage, pins, now, wanted, plan: Plan::default(), gone: HashSet::new() };
    let leave = wanted.limits.map(|limits| planner.by_age(&limits)).unwrap_or_default();
    planner.by_bytes();
    // After what frees space; and what is deleted need not be moved first.
    planner.shelve(leave);
    if wanted.takes_away {
        planner.move_away();
    }
    planner.plan
}

/// Whether a chunk may leave its place at all: it is finished, not the device's newest, and of no hour that is current by
/// either clock; if they disagree, nobody can tell which is meant.
fn may_leave(chunk: &ChunkEntry, chunks: &Chunks, now: Now) -> bool {
    chunk.sealed
        && chunk.place.is_settled()
        && chunks.last().is_none_or(|newest| newest.start != chunk.start)
        && !in_hour_of(chunk, now.moment.wall)
        && !in_hour_of(chunk, now.moment.retention)
}

fn in_hour_of(chunk: &ChunkEntry, now: Utc90k) -> bool {
    const HOUR_90K: i64 = 3600 * TICKS_PER_SECOND;
    let hour = Utc90k(now.0 - now.0.rem_euclid(HOUR_90K));
    chunk.end > hour && chunk.start < hour + HOUR_90K
}

/// Age of the oldest footage that nobody pinned, from its start: what must not exceed window and retention. By the age
/// that deletion goes by, so a label from 1970 or a clock that was set ahead is no backlog.
pub fn oldest_90k(footage: &Footage<'_>, pins: Option<&Pins>, now: Now, away_is_there: bool) -> i64 {
    let mut oldest = 0;
    for chunk in footage.chunks.iter() {
        // No later one can be older than its label.
        if chunk.start >= PLAUSIBLE && now.moment.for_ages() - chunk.start <= oldest {
            break;
        }
        let held = pins.is_some_and(|pins| pins.hold(footage.device, chunk.start, chunk.end, now.moment.for_ages()));
        if !held && (away_is_there || shelf_of(chunk) == Shelf::Home) {
            oldest = oldest.max(footage.ages.age_90k(chunk, now).max(0) + (chunk.end - chunk.start));
        }
    }
    oldest
}

fn shelf_of(chunk: &ChunkEntry) -> Shelf {
    match chunk.place {
        Place::Library(_, shelf) => shelf,
        Place::Temp | Place::Ring(_) => Shelf::Home,
    }
}

/// Whose pins are respected.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hold {
    Free,
    Pinned,
    Unknown,
}

struct Planner<'a> {
    footage: &'a [Footage<'a>],
    pins: Option<&'a Pins>,
    now: Now,
    wanted: Wanted,
    plan: Plan,
    /// Planned to go already.
    gone: HashSet<(usize, ChunkKey)>,
}

impl<'a> Planner<'a> {
    fn hold(&self, device: usize, chunk: &ChunkEntry, original: bool) -> Hold {
        let (Some(pins), Some(footage)) = (self.pins, self.footage.get(device)) else { return Hold::Unknown };
        let (id, now) = (footage.device, self.now.moment.for_ages());
        let held = match original {
            true => pins.hold_original(id, chunk.start, chunk.end, now),
            false => pins.hold(id, chunk.start, chunk.end, now),
        };
        if held { Hold::Pinned } else { Hold::Free }
    }

    /// Takes an action down when it is the caller's and there is room; the plan counts it either way.
    fn act(&mut self, device: usize, chunk: &ChunkEntry, deed: Deed) {
        if deed != Deed::MoveAway && shelf_of(chunk) != self.wanted.on {
            return;
        }
        if self.is_full() {
            self.plan.more = true;
            return;
        }
        self.plan.actions.push(Action { device, key: chunk.key, bytes: chunk.bytes, deed });
    }

    fn is_full(&self) -> bool {
        self.plan.actions.len() >= self.wanted.most
    }

    /// What left window and library goes for good. Returns what leaves the ring for the library.
    ///
    /// Of each device no more is looked at than one round takes: after a setting was changed a whole archive may be due.
    fn by_age(&mut self, limits: &Limits) -> Vec<Candidate<'a>> {
        let (window, whole) = (ticks_90k(limits.window), ticks_90k(limits.window + limits.retention));
        let (mut due, mut leave): (Vec<Candidate<'a>>, Vec<Candidate<'a>>) = (Vec::new(), Vec::new());
        let footage = self.footage;
        for (device, of) in footage.iter().enumerate() {
            let mut of_device = 0;
            for (chunk, age) in self.older_than(of, of.chunks, whole) {
                match self.hold(device, chunk, false) {
                    Hold::Free if of_device == self.wanted.most => {
                        self.plan.more = true;
                        break;
                    }
                    Hold::Free => {
                        of_device += usize::from(shelf_of(chunk) == self.wanted.on);
                        due.push((age, device, chunk));
                    }
                    Hold::Pinned if matches!(chunk.place, Place::Ring(_)) => leave.push((age, device, chunk)),
                    Hold::Pinned => {}
                    Hold::Unknown => {
                        self.plan.waits_for_pins = true;
                        break;
                    }
                }
            }
            if whole > window && self.wanted.on == Shelf::Home {
                let old = self.older_than(of, of.chunks.from_ring(), window);
                let old = old.filter(|(chunk, age)| *age < whole && matches!(chunk.place, Place::Ring(_)));
                // One more than a round takes tells that there is more.
                leave.extend(old.take(self.wanted.most.saturating_add(1)).map(|(chunk, age)| (age, device, chunk)));
            }
        }
        due.sort_by(older);
        for (_, device, chunk) in due {
            self.gone.insert((device, chunk.key));
            self.act(device, chunk, Deed::Delete(Why::Expired));
        }
        leave
    }

    fn shelve(&mut self, mut leave: Vec<Candidate<'a>>) {
        leave.sort_by(older);
        for (_, device, chunk) in leave {
            if !self.gone.contains(&(device, chunk.key)) {
                self.act(device, chunk, Deed::Shelve);
            }
        }
    }

    /// Those of the list that may leave and are so old, by a walk that ends where labels say that no more can be.
    fn older_than(
        &self,
        of: &'a Footage<'a>,
        list: &'a [Arc<ChunkEntry>],
        age_90k: i64,
    ) -> impl Iterator<Item = (&'a Arc<ChunkEntry>, i64)> + use<'a> {
        let (now, away) = (self.now, self.wanted.away_is_there);
        let old =
            move |chunk: &&Arc<ChunkEntry>| chunk.start < PLAUSIBLE || now.moment.for_ages() - chunk.start >= age_90k;
        list.iter()
            .take_while(old)
            .map(move |chunk| (chunk, of.ages.age_90k(chunk, now)))
            .filter(move |(chunk, age)| *age >= age_90k && may_leave(chunk, of.chunks, now))
            .filter(move |(chunk, _)| away || shelf_of(chunk) == Shelf::Home)
    }

    /// Bytes that a device has and that can be reached, without what is planned to go.
    fn bytes_of(&self, device: usize) -> u64 {
        let Some(of) = self.footage.get(device) else { return 0 };
        let all = of.chunks.bytes().saturating_add(of.originals.bytes());
        if self.wanted.away_is_there { all } else { all.saturating_sub(of.chunks.library_bytes(Shelf::Away)) }
    }

    /// Bytes of limits and of free space.
    fn by_bytes(&mut self) {
        let mut have: Vec<u64> = (0..self.footage.len()).map(|device| self.bytes_of(device)).collect();
        let mut freed_here = 0_u64;
        for (device, key) in &self.gone {
            let Some(chunk) = self.footage.get(*device).and_then(|of| of.chunks.get(key)) else { continue };
            if let Some(have) = have.get_mut(*device) {
                *have = have.saturating_sub(chunk.bytes);
            }
            freed_here += if shelf_of(chunk) == self.wanted.on { chunk.bytes } else { 0 };
        }
        let (most_each, most_all) =
            self.wanted.limits.map_or((0, 0), |limits| (limits.device_max_bytes, limits.max_bytes));
        let over = |have: u64, most: u64| if most == 0 { 0 } else { have.saturating_sub(most) };
        let mut over_each: Vec<u64> = have.iter().map(|have| over(*have, most_each)).collect();
        let mut over_all = over(have.iter().sum(), most_all);
        let mut missing = self.wanted.free_bytes.saturating_sub(freed_here);
        if over_all == 0 && missing == 0 && over_each.iter().all(|over| *over == 0) {
            return;
        }
        let mut devices_over = over_each.iter().filter(|over| **over > 0).count();
        let only_devices = over_all == 0 && missing == 0;
        let wanted: Vec<bool> = over_each.iter().map(|over| !only_devices || *over > 0).collect();
        for (device, chunk, original) in self.oldest_first(&wanted) {
            if (over_all == 0 && missing == 0 && devices_over == 0) || self.plan.more {
                break;
            }
            let Some(over_each) = over_each.get_mut(device) else { continue };
            let here = shelf_of(chunk) == self.wanted.on;
            let why = match (*over_each > 0, over_all > 0, missing > 0 && here) {
                (true, _, _) => Why::DeviceBytes,
                (_, true, _) => Why::TotalBytes,
                (_, _, true) => Why::Space,
                _ => continue,
            };
            match self.hold(device, chunk, original) {
                Hold::Free => {}
                Hold::Pinned => continue,
                Hold::Unknown => {
                    self.plan.waits_for_pins = true;
                    break;
                }
            }
            let was_over = *over_each > 0;
            *over_each = over_each.saturating_sub(chunk.bytes);
            devices_over -= usize::from(was_over && *over_each == 0);
            over_all = over_all.saturating_sub(chunk.bytes);
            missing = missing.saturating_sub(if here { chunk.bytes } else { 0 });
            if !original {
                self.gone.insert((device, chunk.key));
            }
            self.act(device, chunk, if original { Deed::DropOriginal(why) } else { Deed::Delete(why) });
        }
    }

    /// Everything that may go, lazily: kept originals, then chunks, each oldest first.
    fn oldest_first(&self, wanted: &[bool]) -> impl Iterator<Item = (usize, &'a Arc<ChunkEntry>, bool)> + use<'a> {
        let (now, away) = (self.now, self.wanted.away_is_there);
        let footage = self.footage;
        let of_wanted = footage.iter().enumerate().filter(|(device, _)| wanted.get(*device) == Some(&true));
        let mut originals = Vec::new();
        for (device, of) in of_wanted.clone() {
            let there = of.originals.iter().filter(|it| away || shelf_of(it) == Shelf::Home);
            originals.extend(there.map(|original| (of.ages.age_90k(original, now), device, original)));
        }
        originals.sort_by(older);
        let gone = self.gone.clone();
        let chunks = OldestFirst::new(of_wanted, now, move |device, of: &Footage<'_>, chunk: &ChunkEntry| {
            may_leave(chunk, of.chunks, now)
                && (away || shelf_of(chunk) == Shelf::Home)
                && !gone.contains(&(device, chunk.key))
        });
        let originals = originals.into_iter().map(|(_, device, chunk)| (device, chunk, true));
        originals.chain(chunks.map(|(device, chunk)| (device, chunk, false)))
    }

    /// Oldest first. One with an original stays until that has gone: it would be copied for a few days only.
    fn move_away(&mut self) {
        let mut first = Vec::new();
        for (device, of) in self.footage.iter().enumerate() {
            let at_home = |chunk: &&Arc<ChunkEntry>| matches!(chunk.place, Place::Library(_, Shelf::Home));
            let alone = |chunk: &&Arc<ChunkEntry>| {
                of.originals.iter().all(|original| original.key.start_ms != chunk.key.start_ms)
            };
            let kept = |chunk: &&Arc<ChunkEntry>| !self.gone.contains(&(device, chunk.key));
            let of_device = of.chunks.from_home().iter().filter(at_home).filter(kept).filter(alone);
            first.extend(of_device.take(self.wanted.most).map(|chunk| (chunk.start, device, chunk)));
        }
        first.sort_by_key(|(start, device, _)| (*start, *device));
        for (_, device, chunk) in first {
            self.act(device, chunk, Deed::MoveAway);
            if self.is_full() {
                break;
            }
        }
    }
}

type Candidate<'a> = (i64, usize, &'a Arc<ChunkEntry>);

fn older(a: &Candidate<'_>, b: &Candidate<'_>) -> Ordering {
    b.0.cmp(&a.0).then_with(|| (a.2.start, a.1).cmp(&(b.2.start, b.1)))
}

/// Labels that are so much older than their chunk is known to be were set by a clock that was wrong.
const ODD_90K: i64 = 600 * TICKS_PER_SECOND;

/// Age, start, device, the list it is the next of, and the chunk.
type Waiting<'a> = (i64, Reverse<Utc90k>, Reverse<usize>, Option<usize>, ByKey<'a>);

/// Chunks of several devices by age, oldest first, without a look at more than are asked for: each device's list is in
/// order but for chunks with wrong labels, and those wait aside for their turn.
struct OldestFirst<'a, F> {
    lists: Vec<(usize, &'a Footage<'a>, std::slice::Iter<'a, Arc<ChunkEntry>>)>,
    /// The next of each list, and the odd ones met so far.
    next: BinaryHeap<Waiting<'a>>,
    now: Now,
    may_go: F,
}

/// Compared by its key, which tells apart what is of one age.
struct ByKey<'a>(&'a Arc<ChunkEntry>);

impl Ord for ByKey<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.key.cmp(&self.0.key)
    }
}

impl PartialOrd for ByKey<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByKey<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for ByKey<'_> {}

impl<'a, F: Fn(usize, &Footage<'_>, &ChunkEntry) -> bool> OldestFirst<'a, F> {
    fn new(of: impl Iterator<Item = (usize, &'a Footage<'a>)>, now: Now, may_go: F) -> Self {
        let lists = of.map(|(device, of)| (device, of, of.chunks.iter())).collect();
        let mut all = Self { lists, next: BinaryHeap::new(), now, may_go };
        (0..all.lists.len()).for_each(|list| all.advance(list));
        all
    }

    fn advance(&mut self, list: usize) {
        let Some((device, of, rest)) = self.lists.get_mut(list) else { return };
        for chunk in rest.by_ref().filter(|chunk| (self.may_go)(*device, of, chunk)) {
            let age = of.ages.age_90k(chunk, self.now);
            let odd = chunk.end < PLAUSIBLE || self.now.moment.for_ages() - chunk.end > age + ODD_90K;
            let of_list = (!odd).then_some(list);
            self.next.push((age, Reverse(chunk.start), Reverse(*device), of_list, ByKey(chunk)));
            if !odd {
                break;
            }
        }
    }
}

impl<'a, F: Fn(usize, &Footage<'_>, &ChunkEntry) -> bool> Iterator for OldestFirst<'a, F> {
    type Item = (usize, &'a Arc<ChunkEntry>);

    fn next(&mut self) -> Option<Self::Item> {
        let (_, _, Reverse(device), list, ByKey(chunk)) = self.next.pop()?;
        if let Some(list) = list {
            self.advance(list);
        }
        Some((device, chunk))
    }
}

#[cfg(test)]
mod tests;
