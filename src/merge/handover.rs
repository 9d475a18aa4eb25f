//! Gives a sealed chunk its place in the ring, the only owner of that step (design §4).
//!
//! A file is linked into its place, published there, and only then unlinked from `temp`: readers find it at every
//! moment, and unlike a rename a link never overwrites. A crash in between leaves two names of one file, which the
//! next start recognises.

use std::time::Duration;

use crate::{
    clock::{Utc90k, ticks_90k},
    error::{Kind, Result},
    ids::DeviceId,
    media::mp4::ChunkMeta,
    merge::chunk::SealedChunk,
    storage::{
        ChunkEntry, DeviceIndex, Place, Retention, Volume,
        index::RingGuard,
        inventory,
        layout::{ChunkKey, RingSlot},
        library,
    },
};

/// A chunk file found in the ring.
#[derive(Clone, Debug)]
pub struct Occupant {
    pub slot: RingSlot,
    /// None for a file that does not say what it is: left alone.
    pub meta: Option<ChunkMeta>,
    pub bytes: u64,
}

impl Occupant {
    pub fn key(&self) -> Option<ChunkKey> {
        self.meta.as_ref().map(key_of)
    }
}

pub fn key_of(meta: &ChunkMeta) -> ChunkKey {
    ChunkKey { start_ms: meta.start.as_ms(), generation: meta.generation }
}

/// Where a newcomer goes and who leaves for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    pub copy: u16,
    /// Copies whose files are to be deleted, or moved to the library, first.
    pub leave: Vec<u16>,
}

/// Plans room among the `copies` of a slot, each with its start where known. One that is a window older, by label and
/// by the retention clock (`expired`), leaves; a younger one stays and the newcomer becomes `-2`, `-3`…
pub fn make_room(
    start: Utc90k,
    chunk_seconds: u32,
    window: Duration,
    copies: &[(u16, Option<Utc90k>)],
    expired: &dyn Fn(Utc90k) -> bool,
) -> Room {
    let slot_start = |time: Utc90k| time.as_seconds().div_euclid(i64::from(chunk_seconds.max(1)));
    let window_slots = ticks_90k(window) / (i64::from(chunk_seconds.max(1)) * 90_000);
    let old = |occupant: Utc90k| slot_start(start) - slot_start(occupant) >= window_slots && expired(occupant);
    let (mut leave, mut stay) = (Vec::new(), Vec::new());
    for (copy, occupant) in copies {
        if occupant.is_some_and(old) {
            leave.push(*copy);
        } else {
            stay.push(*copy);
        }
    }
    Room { copy: free_copy(&stay), leave }
}

fn free_copy(taken: &[u16]) -> u16 {
    (1..=u16::MAX).find(|copy| !taken.contains(copy)).unwrap_or(u16::MAX)
}

/// The ring's rules and books.
pub struct Ring<'a> {
    pub device: &'a DeviceId,
    pub volume: &'a Volume,
    pub index: &'a DeviceIndex,
    pub retention: &'a Retention,
    pub chunk_seconds: u32,
    pub window: Duration,
    /// Whether footage from there to there must not be deleted although it left the ring.
    pub stays: &'a (dyn Fn(Utc90k, Utc90k) -> bool + Send + Sync),
}

impl Ring<'_> {
    /// Moves a sealed chunk from `temp` into the ring; how many old chunks left for it. On an error it is still in
    /// `temp`, published there, and can be handed over again.
    pub fn hand_over(&self, sealed: &SealedChunk) -> Result<usize> {
        let layout = self.volume.layout();
        let slot = RingSlot::of(sealed.meta.start, self.chunk_seconds);
        let ring = self.index.hold_ring();
        self.index.note_arrival();
        self.volume.mkdir_all(&layout.ring_hour(self.device, slot.hour))?;
        let here: Vec<Occupant> =
            self.hour(slot.hour)?.into_iter().filter(|occupant| occupant.slot.index == slot.index).collect();
        if let Some(same) = here.iter().find(|occupant| occupant.key() == Some(sealed.key())) {
            return self.arrived(sealed, same.slot).map(|()| 0);
        }
        let copies: Vec<_> =
            here.iter().map(|occupant| (occupant.slot.copy, occupant.meta.as_ref().map(|meta| meta.start))).collect();
        let expired = |start| self.retention.expired(start, self.window);
        let room = make_room(sealed.meta.start, self.chunk_seconds, self.window, &copies, &expired);
        let mut stay: Vec<u16> = copies.iter().map(|(copy, _)| *copy).collect();
        for occupant in here.iter().filter(|occupant| room.leave.contains(&occupant.slot.copy)) {
            // What the disk does not let go stays, and the newcomer gets another name: it must not wait in temp.
            if self.let_go(occupant, &ring).is_ok() {
                stay.retain(|copy| *copy != occupant.slot.copy);
            }
        }
        // The last of a folder may have taken it along.
        self.volume.mkdir_all(&layout.ring_hour(self.device, slot.hour))?;
        let left = copies.len() - stay.len();
        let slot = slot.with_copy(free_copy(&stay));
        let path = layout.ring_chunk(self.device, slot);
        match self.volume.link(&sealed.path, &path) {
            // File systems without hard links (exFAT): readers may miss the file for a moment.
            Err(error) if error.kind != Kind::Conflict && error.kind != Kind::Full => {
                self.volume.rename_new(&sealed.path, &path)?;
            }
            linked => linked?,
        }
        self.arrived(sealed, slot).map(|()| left)
    }

    /// An old chunk leaves its place: for the library when it is kept longer, else for good.
    fn let_go(&self, occupant: &Occupant, ring: &RingGuard<'_>) -> Result<()> {
        let place = Place::Ring(occupant.slot);
        let Some(meta) = &occupant.meta else { return Ok(()) };
        let found = entry(meta, place, occupant.bytes);
        let listed = self.index.get(&found.key);
        if listed.as_ref().is_some_and(|listed| listed.place != place) {
            // In the library already, and in the ring by a second name: a move that was cut short.
            return library::remove(self.volume, self.device, &found);
        }
        if (self.stays)(found.start, found.end) {
            if listed.is_none() {
                self.index.put(found.clone());
            }
            return library::shelve(self.volume, self.index, found.key, ring).map(drop);
        }
        self.index.forget(&found.key);
        library::remove(self.volume, self.device, &found)
    }

    fn arrived(&self, sealed: &SealedChunk, slot: RingSlot) -> Result<()> {
        self.volume.fsync_dir(&self.volume.layout().ring_hour(self.device, slot.hour))?;
        self.index.put(sealed.entry(Place::Ring(slot)));
        // Its folder need not be synced: a name that comes back after a power cut is recognised by its twin.
        match self.volume.unlink(&sealed.path) {
            Err(error) if error.kind != Kind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Every chunk file of an hour folder.
    pub fn hour(&self, hour: u8) -> Result<Vec<Occupant>> {
        let folder = self.volume.layout().ring_hour(self.device, hour);
        let mut found = Vec::new();
        for name in self.volume.read_dir(&folder)? {
            let slot = name.name.to_str().and_then(|name| RingSlot::parse(&hour.to_string(), name));
            if let Some(slot) = slot {
                let path = self.volume.layout().ring_chunk(self.device, slot);
                let (meta, bytes) = inventory::look(self.volume, &path).unwrap_or_default();
                let meta = meta.filter(|meta| meta.device == *self.device);
                found.push(Occupant { slot, meta, bytes });
            }
        }
        Ok(found)
    }
}

/// A chunk as the index lists it.
pub fn entry(meta: &ChunkMeta, place: Place, bytes: u64) -> ChunkEntry {
    ChunkEntry {
        key: key_of(meta),
        place,
        start: meta.start,
        end: meta.sealed.as_ref().map_or(meta.start, |sealed| sealed.end),
        bytes,
        codecs: meta.codecs.as_str().into(),
        gaps: meta.sealed.as_ref().map_or(0, |sealed| sealed.gaps),
        holes: None,
        sealed: meta.sealed.is_some(),
        original: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    #[test]
    fn old_copies_leave_and_young_ones_stay() {
        let now = Utc90k::from_seconds(1_790_000_000);
        let check = |hours: u64, copies: &[(u16, Option<i64>)], expired_s: i64, copy, leave: &[u16]| {
            let copies: Vec<_> =
                copies.iter().map(|(copy, ago_s)| (*copy, ago_s.map(|ago| now + -ago * 90_000))).collect();
            let expired = |start: Utc90k| now - start >= expired_s * 90_000;
            let room = make_room(now, 600, Duration::from_secs(hours * 3600), &copies, &expired);
            assert_eq!(room, Room { copy, leave: leave.to_vec() }, "{copies:?}");
        };
        check(24, &[], DAY, 1, &[]);
        check(24, &[(1, Some(DAY))], DAY, 1, &[1]);
        check(24, &[(1, Some(DAY - 2)), (2, Some(2 * DAY))], DAY - 600, 1, &[1, 2]);
        // The clock was set back an hour: what was recorded a minute ago is not overwritten.
        check(24, &[(1, Some(60))], DAY, 2, &[]);
        check(24, &[(1, Some(-3600)), (2, Some(0))], DAY, 3, &[]);
        // Nor when it jumped ahead by a day: the retention clock knows better than the labels.
        check(24, &[(1, Some(DAY))], 2 * DAY, 2, &[]);
        check(24, &[(1, None)], DAY, 2, &[]);
        check(1, &[(1, Some(DAY)), (2, Some(3000))], 3600, 1, &[1]);
    }
}
