//! One chunk of the index: what it is, and where its file lies.

use std::{path::PathBuf, sync::Arc};

use crate::{
    clock::Utc90k,
    ids::DeviceId,
    storage::layout::{ChunkKey, ColdLayout, Companion, RingSlot, Shelf},
};

/// Where a chunk's file lies now. Its stable address does not change with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// `segments/temp`: growing, or sealed and about to be renamed.
    Temp,
    Ring(RingSlot),
    /// Filed by the day and hour of its start.
    Library(RingSlot, Shelf),
}

impl Place {
    /// Whether nobody writes the file any more; it may still move from here to an older place.
    pub fn is_settled(self) -> bool {
        !matches!(self, Self::Temp)
    }
}

/// Footage missing inside a chunk: more than 500 ms of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    pub start: Utc90k,
    pub end: Utc90k,
}

/// One chunk as readers may see it. A month of a device has 4,320: every byte here counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkEntry {
    /// Its `start_ms` is that of `start`: chunks are looked up by it.
    pub key: ChunkKey,
    pub place: Place,
    pub start: Utc90k,
    pub end: Utc90k,
    /// Published length: readers never see a byte beyond it.
    pub bytes: u64,
    /// RFC 6381, comma separated: `avc1.64001f,mp4a.40.2`. Neighbours in the index share it.
    pub codecs: Arc<str>,
    /// Gaps of more than 500 ms inside.
    pub gaps: u32,
    /// Where they are, once somebody found out; see [`Self::holes`].
    pub holes: Option<Arc<[Hole]>>,
    pub sealed: bool,
    /// It was encoded anew and is kept as `X.mp4.original` beside its successor: found by its key, in no list.
    pub original: bool,
}

impl ChunkEntry {
    pub fn path(&self, layout: &ColdLayout, device: &DeviceId) -> PathBuf {
        let path = match self.place {
            Place::Temp => layout.open_chunk(device, self.key),
            Place::Ring(slot) => layout.ring_chunk(device, slot),
            Place::Library(slot, _) => layout.library_chunk(device, self.start, slot),
        };
        if self.original { Companion::Original.beside(&path) } else { path }
    }

    /// Its gaps, in order; None while nobody has read where they are.
    pub fn holes(&self) -> Option<&[Hole]> {
        if self.gaps == 0 { Some(&[]) } else { self.holes.as_deref() }
    }
}
