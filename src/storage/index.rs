//! The chunk-level index of one device, in RAM: what exists, from when to when, and where. Rebuilt from files at start.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwap;

use crate::{
    clock::Utc90k,
    ids::DeviceId,
    storage::layout::{ChunkKey, ColdLayout, RingSlot},
};

/// Where a chunk's file lies now. Its stable address does not change with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// `segments/temp`: growing, or sealed and about to be renamed.
    Temp,
    Ring(RingSlot),
}

/// One chunk as readers may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkEntry {
    pub key: ChunkKey,
    pub place: Place,
    pub start: Utc90k,
    pub end: Utc90k,
    /// Published length: readers never see a byte beyond it.
    pub bytes: u64,
    /// RFC 6381, comma separated: `avc1.64001f,mp4a.40.2`.
    pub codecs: String,
    /// Gaps of more than 500 ms inside.
    pub gaps: u32,
    pub sealed: bool,
}

impl ChunkEntry {
    pub fn path(&self, layout: &ColdLayout, device: &DeviceId) -> PathBuf {
        match self.place {
            Place::Temp => layout.open_chunk(device, self.key),
            Place::Ring(slot) => layout.ring_chunk(device, slot),
        }
    }
}

type Snapshot = Arc<Vec<Arc<ChunkEntry>>>;

/// Readers take snapshots without waiting; writers replace the list one after another.
#[derive(Debug)]
pub struct DeviceIndex {
    device: DeviceId,
    chunks: ArcSwap<Vec<Arc<ChunkEntry>>>,
    /// Held while a successor list is made. A day has 144 entries: copying them once a minute is nothing.
    writing: Mutex<()>,
    ring: Mutex<()>,
}

/// Proof that nobody else renames into or deletes from the device's ring.
pub struct RingGuard<'a>(#[allow(dead_code)] MutexGuard<'a, ()>);

impl DeviceIndex {
    pub fn new(device: DeviceId) -> Self {
        Self { device, chunks: ArcSwap::default(), writing: Mutex::new(()), ring: Mutex::new(()) }
    }

    pub fn device(&self) -> &DeviceId {
        &self.device
    }

    /// All chunks, sorted by start.
    pub fn snapshot(&self) -> Snapshot {
        self.chunks.load_full()
    }

    /// Inserts, or replaces the entry of the same key.
    pub fn put(&self, entry: ChunkEntry) {
        self.change(|chunks| {
            chunks.retain(|chunk| chunk.key != entry.key);
            let at = chunks.partition_point(|chunk| order(chunk) < order(&entry));
            chunks.insert(at, Arc::new(entry));
        });
    }

    /// Inserts unless the key is known; whether it did.
    pub fn put_if_absent(&self, entry: ChunkEntry) -> bool {
        self.change(|chunks| {
            let absent = !chunks.iter().any(|chunk| chunk.key == entry.key);
            if absent {
                let at = chunks.partition_point(|chunk| order(chunk) < order(&entry));
                chunks.insert(at, Arc::new(entry));
            }
            absent
        })
    }

    /// Takes an entry out; readers that already hold it may finish.
    pub fn remove(&self, key: &ChunkKey) -> Option<Arc<ChunkEntry>> {
        self.change(|chunks| {
            let at = chunks.iter().position(|chunk| chunk.key == *key)?;
            Some(chunks.remove(at))
        })
    }

    pub fn get(&self, key: &ChunkKey) -> Option<Arc<ChunkEntry>> {
        self.chunks.load().iter().find(|chunk| chunk.key == *key).cloned()
    }

    pub fn at_slot(&self, slot: RingSlot) -> Option<Arc<ChunkEntry>> {
        self.chunks.load().iter().find(|chunk| chunk.place == Place::Ring(slot)).cloned()
    }

    /// Published bytes of all chunks.
    pub fn bytes(&self) -> u64 {
        self.chunks.load().iter().map(|chunk| chunk.bytes).sum()
    }

    /// Hold this over every rename into the ring and every delete from it: between taking an entry out and unlinking
    /// its path another chunk may otherwise move to that path, and be deleted in its stead. Waits as long as the disk.
    pub fn hold_ring(&self) -> RingGuard<'_> {
        RingGuard(self.ring.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(&self, edit: impl FnOnce(&mut Vec<Arc<ChunkEntry>>) -> T) -> T {
        let _one_writer = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut chunks = self.chunks.load().as_ref().clone();
        let made = edit(&mut chunks);
        self.chunks.store(Arc::new(chunks));
        made
    }
}

fn order(entry: &ChunkEntry) -> (Utc90k, ChunkKey) {
    (entry.start, entry.key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(start_s: i64, bytes: u64) -> ChunkEntry {
        ChunkEntry {
            key: ChunkKey { start_ms: start_s * 1000, generation: 0 },
            place: Place::Temp,
            start: Utc90k::from_seconds(start_s),
            end: Utc90k::from_seconds(start_s + 10),
            bytes,
            codecs: "avc1.64001f".into(),
            gaps: 0,
            sealed: false,
        }
    }

    #[test]
    fn snapshots_are_sorted_and_keys_are_unique() {
        let index = DeviceIndex::new("cam".parse().unwrap());
        let before = index.snapshot();
        for (start, bytes) in [(20, 1), (0, 2), (10, 3), (20, 4)] {
            index.put(entry(start, bytes));
        }
        assert!(!index.put_if_absent(entry(10, 9)) && index.put_if_absent(entry(5, 0)));
        index.remove(&ChunkKey { start_ms: 5000, generation: 0 });
        let list: Vec<_> = index.snapshot().iter().map(|chunk| (chunk.start.as_seconds(), chunk.bytes)).collect();
        assert_eq!(list, [(0, 2), (10, 3), (20, 4)]);
        assert!(before.is_empty(), "a snapshot does not change under its reader");
        assert_eq!(index.bytes(), 9);
    }

    #[test]
    fn a_chunk_moves_to_its_slot_and_goes() {
        let index = DeviceIndex::new("cam".parse().unwrap());
        let slot = RingSlot { hour: 0, index: 0, copy: 1 };
        index.put(entry(0, 1));
        assert_eq!(index.at_slot(slot), None);
        index.put(ChunkEntry { place: Place::Ring(slot), sealed: true, ..entry(0, 2) });
        let chunk = index.at_slot(slot).unwrap();
        let path = chunk.path(&ColdLayout::new(""), index.device());
        assert_eq!(path.to_str(), Some("cam/segments/0/chunk_10min_0.mp4"));
        assert_eq!(index.remove(&chunk.key), Some(chunk.clone()));
        assert_eq!((index.get(&chunk.key), index.remove(&chunk.key)), (None, None));
    }
}
