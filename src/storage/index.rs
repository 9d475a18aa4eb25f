//! The chunk-level index of one device, in RAM: what exists, from when to when, and where. Rebuilt from files at start.

mod entry;

use std::{
    collections::HashSet,
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;

pub use self::entry::{ChunkEntry, Hole, Place};
use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    ids::DeviceId,
    storage::{
        inventory::Loaded,
        layout::{ChunkKey, LibraryHour, RingSlot, Shelf},
    },
};

/// Holes kept in RAM for one device, 1 MiB: a month in which every chunk has fifteen. Beyond it those of the oldest
/// chunks go, and are read from the disk by whoever asks.
pub const HOLES_MAX: usize = 1 << 16;

/// All chunks of a device at one moment, sorted by start.
#[derive(Debug, Default)]
pub struct Chunks {
    list: Vec<Arc<ChunkEntry>>,
    /// Place of the chunk that ends last.
    newest: usize,
    longest_90k: i64,
    bytes: u64,
    holes: usize,
    /// Places of the first in the ring and of the first in the library at home; the length without.
    first_in_ring: usize,
    first_at_home: usize,
    home_bytes: u64,
    away_bytes: u64,
    /// Places of those that are still written.
    open: Vec<usize>,
}

impl Deref for Chunks {
    type Target = [Arc<ChunkEntry>];

    fn deref(&self) -> &Self::Target {
        &self.list
    }
}

impl Chunks {
    fn of(mut list: Vec<Arc<ChunkEntry>>) -> Self {
        list.shrink_to_fit();
        let mut out = Self { first_in_ring: list.len(), first_at_home: list.len(), ..Self::default() };
        let mut latest = None;
        for (place, chunk) in list.iter().enumerate() {
            match chunk.place {
                Place::Temp => out.open.push(place),
                Place::Ring(_) => out.first_in_ring = out.first_in_ring.min(place),
                Place::Library(_, Shelf::Home) => {
                    out.first_at_home = out.first_at_home.min(place);
                    out.home_bytes = out.home_bytes.saturating_add(chunk.bytes);
                }
                Place::Library(_, Shelf::Away) => out.away_bytes = out.away_bytes.saturating_add(chunk.bytes),
            }
            out.longest_90k = out.longest_90k.max(chunk.end - chunk.start);
            out.bytes = out.bytes.saturating_add(chunk.bytes);
            out.holes += known_holes(chunk);
            if latest.is_none_or(|latest| chunk.end >= latest) {
                (latest, out.newest) = (Some(chunk.end), place);
            }
        }
        for chunk in &mut list {
            if out.holes <= HOLES_MAX {
                break;
            }
            let known = known_holes(chunk);
            if known > 0 {
                out.holes -= known;
                *chunk = Arc::new(ChunkEntry { holes: None, ..chunk.as_ref().clone() });
            }
        }
        Self { list, ..out }
    }

    /// The chunk that ends last.
    pub fn newest(&self) -> Option<&Arc<ChunkEntry>> {
        self.list.get(self.newest)
    }

    /// Every chunk of which something lies in `from..to`, and maybe some around, without a look at the rest of a long
    /// history. No chunk before the first of these reaches into the span, because none is longer than the longest.
    pub fn around(&self, from: Utc90k, to: Utc90k) -> &[Arc<ChunkEntry>] {
        let first = self.list.partition_point(|chunk| chunk.start + self.longest_90k <= from);
        let behind = self.list.partition_point(|chunk| chunk.start < to);
        self.list.get(first..behind).unwrap_or_default()
    }

    pub fn get(&self, key: &ChunkKey) -> Option<&Arc<ChunkEntry>> {
        self.list.get(place_of(&self.list, key)?)
    }

    /// Published bytes of all chunks.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The same of those in the library, on that volume.
    pub fn library_bytes(&self, shelf: Shelf) -> u64 {
        match shelf {
            Shelf::Home => self.home_bytes,
            Shelf::Away => self.away_bytes,
        }
    }

    /// Those still written.
    pub fn open(&self) -> impl Iterator<Item = &Arc<ChunkEntry>> {
        self.open.iter().filter_map(|at| self.list.get(*at))
    }

    /// From the oldest in the ring on; younger ones lie elsewhere too.
    pub fn from_ring(&self) -> &[Arc<ChunkEntry>] {
        self.list.get(self.first_in_ring..).unwrap_or_default()
    }

    /// From the oldest in the library at home on.
    pub fn from_home(&self) -> &[Arc<ChunkEntry>] {
        self.list.get(self.first_at_home..).unwrap_or_default()
    }

    /// Whether more holes would be kept.
    pub fn has_room_for_holes(&self) -> bool {
        self.holes < HOLES_MAX
    }
}

/// Where the gaps of a chunk are, found by reading it while it had so many bytes.
#[derive(Clone, Debug)]
pub struct Learned {
    pub key: ChunkKey,
    pub bytes: u64,
    pub holes: Arc<[Hole]>,
}

/// Readers take snapshots without waiting; writers replace the list one after another.
#[derive(Debug)]
pub struct DeviceIndex {
    device: DeviceId,
    chunks: ArcSwap<Chunks>,
    /// Kept originals of chunks that were encoded anew.
    originals: ArcSwap<Chunks>,
    /// Held while a successor list is made: a commit copies the pointers of a month, next to its `fdatasync` nothing.
    writing: Mutex<()>,
    ring: Mutex<()>,
    away: Mutex<()>,
    /// What looking through the ring told; held while somebody looks.
    loaded: Mutex<Option<Loaded>>,
    arrivals: AtomicU64,
    /// Rises after each change of what snapshots tell.
    changes: AtomicU64,
}

/// Proof that nobody else renames into or deletes from the device's ring.
pub struct RingGuard<'a>(#[allow(dead_code)] MutexGuard<'a, ()>);

/// Proof that nobody else renames or deletes where a chunk lies.
pub struct PlaceGuard<'a>(#[allow(dead_code)] MutexGuard<'a, ()>);

impl DeviceIndex {
    pub fn new(device: DeviceId) -> Self {
        Self {
            device,
            chunks: ArcSwap::default(),
            originals: ArcSwap::default(),
            writing: Mutex::default(),
            ring: Mutex::default(),
            away: Mutex::default(),
            loaded: Mutex::default(),
            arrivals: AtomicU64::default(),
            changes: AtomicU64::default(),
        }
    }

    pub fn device(&self) -> &DeviceId {
        &self.device
    }

    /// All chunks, sorted by start.
    pub fn snapshot(&self) -> Arc<Chunks> {
        self.chunks.load_full()
    }

    /// While this stays, snapshots tell the same.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Inserts, or replaces the entry of the same key.
    pub fn put(&self, entry: ChunkEntry) {
        self.change(|chunks| {
            if let Some(at) = place_of(chunks, &entry.key) {
                chunks.remove(at);
            }
            insert(chunks, entry);
        });
    }

    /// Inserts unless the key is known; whether it did.
    pub fn put_if_absent(&self, entry: ChunkEntry) -> bool {
        self.put_absent(vec![entry]) == 1
    }

    /// Inserts those whose keys are not known, all at once; how many. What a commit published meanwhile is newer and
    /// stays.
    pub fn put_absent(&self, entries: Vec<ChunkEntry>) -> usize {
        self.change(|chunks| {
            let known = chunks.len();
            for entry in entries {
                // Found by halving among those known before; those of the batch are compared once all are in order.
                if place_of(chunks.get(..known).unwrap_or_default(), &entry.key).is_none() {
                    chunks.push(Arc::new(entry));
                }
            }
            // Stable, and quick with stretches that are in order already. Of equal keys the first one stays.
            chunks.sort_by_key(|chunk| order(chunk));
            chunks.dedup_by_key(|chunk| chunk.key);
            share_codecs(chunks);
            chunks.len() - known
        })
    }

    /// Notes where gaps are, unless a chunk has changed or gone since it was read.
    pub fn learn(&self, learned: Vec<Learned>) {
        if learned.is_empty() {
            return;
        }
        self.change(|chunks| {
            for Learned { key, bytes, holes } in learned {
                let chunk = place_of(chunks, &key).and_then(|at| chunks.get_mut(at));
                if let Some(chunk) = chunk.filter(|chunk| chunk.bytes == bytes && chunk.gaps > 0) {
                    *chunk = Arc::new(ChunkEntry { holes: Some(holes), ..chunk.as_ref().clone() });
                }
            }
        });
    }

    /// Takes an entry out; readers that already hold it may finish.
    pub fn remove(&self, key: &ChunkKey) -> Option<Arc<ChunkEntry>> {
        self.change(|chunks| place_of(chunks, key).map(|at| chunks.remove(at)))
    }

    /// A kept original is found too.
    pub fn get(&self, key: &ChunkKey) -> Option<Arc<ChunkEntry>> {
        let listed = self.chunks.load().get(key).cloned();
        listed.or_else(|| self.originals.load().get(key).cloned())
    }

    /// Kept originals, sorted by start.
    pub fn originals(&self) -> Arc<Chunks> {
        self.originals.load_full()
    }

    /// The kept originals beside a chunk.
    pub fn originals_of(&self, chunk: &ChunkEntry) -> Vec<Arc<ChunkEntry>> {
        let originals = self.originals.load();
        let beside = |entry: &&Arc<ChunkEntry>| entry.place == chunk.place && entry.key.start_ms == chunk.key.start_ms;
        originals.iter().filter(beside).cloned().collect()
    }

    /// Puts a successor in the place of the chunk it was made of, which stays as an original or goes.
    pub fn replace(&self, old: &ChunkKey, new: ChunkEntry, keep: bool) {
        self.change(|chunks| {
            let replaced = place_of(chunks, old).map(|at| chunks.remove(at));
            insert(chunks, new);
            if let Some(replaced) = replaced.filter(|_| keep) {
                let original = ChunkEntry { original: true, ..replaced.as_ref().clone() };
                self.change_originals(|originals| insert(originals, original));
            }
        });
    }

    /// Found at start.
    pub fn put_original(&self, original: ChunkEntry) {
        let _one_writer = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.change_originals(|originals| {
            if place_of(originals, &original.key).is_none() {
                insert(originals, ChunkEntry { original: true, ..original });
            }
        });
    }

    /// Takes a chunk out together with the originals beside it.
    pub fn forget(&self, key: &ChunkKey) -> Option<Arc<ChunkEntry>> {
        self.change(|chunks| {
            let gone = place_of(chunks, key).map(|at| chunks.remove(at))?;
            let beside = |entry: &Arc<ChunkEntry>| entry.place == gone.place && entry.key.start_ms == gone.key.start_ms;
            if self.originals.load().iter().any(beside) {
                self.change_originals(|originals| originals.retain(|original| !beside(original)));
            }
            Some(gone)
        })
    }

    /// A chunk lies elsewhere now, and with it the originals beside it. Whether it is still listed.
    pub fn move_to(&self, key: &ChunkKey, place: Place) -> bool {
        self.change(|chunks| {
            let Some(chunk) = place_of(chunks, key).and_then(|at| chunks.get_mut(at)) else { return false };
            let before = chunk.place;
            *chunk = Arc::new(ChunkEntry { place, ..chunk.as_ref().clone() });
            let beside = |entry: &Arc<ChunkEntry>| entry.place == before && entry.key.start_ms == key.start_ms;
            if self.originals.load().iter().any(beside) {
                self.change_originals(|originals| {
                    for original in originals.iter_mut().filter(|original| beside(original)) {
                        *original = Arc::new(ChunkEntry { place, ..original.as_ref().clone() });
                    }
                });
            }
            true
        })
    }

    /// Takes out all of these at once.
    pub fn remove_all(&self, gone: &HashSet<ChunkKey>) {
        if !gone.is_empty() {
            self.change(|chunks| chunks.retain(|chunk| !gone.contains(&chunk.key)));
        }
    }

    /// Takes a kept original out.
    pub fn remove_original(&self, key: &ChunkKey) -> Option<Arc<ChunkEntry>> {
        let _one_writer = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.change_originals(|originals| place_of(originals, key).map(|at| originals.remove(at)))
    }

    pub fn at_slot(&self, slot: RingSlot) -> Option<Arc<ChunkEntry>> {
        self.chunks.load().iter().find(|chunk| chunk.place == Place::Ring(slot)).cloned()
    }

    /// The chunk of that name which began in that hour, wherever it lies now.
    pub fn in_hour(&self, hour: LibraryHour, slot: RingSlot) -> Option<Arc<ChunkEntry>> {
        let chunks = self.chunks.load();
        let near = chunks.around(hour.start(), hour.start() + 3600 * TICKS_PER_SECOND).iter();
        let named = |chunk: &&Arc<ChunkEntry>| match chunk.place {
            Place::Ring(at) | Place::Library(at, _) => at == slot && LibraryHour::of(chunk.start) == hour,
            Place::Temp => false,
        };
        near.into_iter().find(named).cloned()
    }

    /// Published bytes of all chunks.
    pub fn bytes(&self) -> u64 {
        self.chunks.load().bytes()
    }

    /// Hold this over every rename into the ring and every delete from it: between taking an entry out and unlinking
    /// its path another chunk may otherwise move to that path, and be deleted in its stead. Waits as long as the disk.
    pub fn hold_ring(&self) -> RingGuard<'_> {
        RingGuard(self.ring.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Hold this over every rename and delete beside a chunk in that place. At home that is the ring's lock. On the
    /// library's own volume, which may not answer for hours, it is one that no recorder ever waits for.
    pub fn hold_at(&self, place: Place) -> PlaceGuard<'_> {
        self.hold_on(if let Place::Library(_, shelf) = place { shelf } else { Shelf::Home })
    }

    /// The same for all that lies on one volume.
    pub fn hold_on(&self, shelf: Shelf) -> PlaceGuard<'_> {
        let lock = if shelf == Shelf::Away { &self.away } else { &self.ring };
        PlaceGuard(lock.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A chunk is about to move into the ring: whoever looks through it from now on finds more than before.
    pub fn note_arrival(&self) {
        self.arrivals.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn arrivals(&self) -> u64 {
        self.arrivals.load(Ordering::Acquire)
    }

    pub(super) fn hold_loaded(&self) -> MutexGuard<'_, Option<Loaded>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, edit: impl FnOnce(&mut Vec<Arc<ChunkEntry>>) -> T) -> T {
        let _one_writer = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut chunks = self.chunks.load().list.clone();
        let made = edit(&mut chunks);
        self.chunks.store(Arc::new(Chunks::of(chunks)));
        self.changes.fetch_add(1, Ordering::AcqRel);
        made
    }

    /// Hold `writing`.
    fn change_originals<T>(&self, edit: impl FnOnce(&mut Vec<Arc<ChunkEntry>>) -> T) -> T {
        let mut originals = self.originals.load().list.clone();
        let made = edit(&mut originals);
        self.originals.store(Arc::new(Chunks::of(originals)));
        made
    }
}

fn order(entry: &ChunkEntry) -> (Utc90k, ChunkKey) {
    (entry.start, entry.key)
}

fn known_holes(chunk: &ChunkEntry) -> usize {
    chunk.holes.as_deref().map_or(0, <[Hole]>::len)
}

/// By halving: the order by start is an order by the milliseconds in the keys too.
fn place_of(chunks: &[Arc<ChunkEntry>], key: &ChunkKey) -> Option<usize> {
    let first = chunks.partition_point(|chunk| chunk.key.start_ms < key.start_ms);
    let same = chunks.iter().skip(first).take_while(|chunk| chunk.key.start_ms == key.start_ms);
    same.zip(first..).find(|(chunk, _)| chunk.key == *key).map(|(_, at)| at)
}

fn insert(chunks: &mut Vec<Arc<ChunkEntry>>, mut entry: ChunkEntry) {
    let at = chunks.partition_point(|chunk| order(chunk) < order(&entry));
    let beside = chunks.get(at.saturating_sub(1)).filter(|beside| beside.codecs == entry.codecs);
    if let Some(beside) = beside {
        entry.codecs = Arc::clone(&beside.codecs);
    }
    chunks.insert(at, Arc::new(entry));
}

/// A camera rarely changes: its chunks need one text between them.
fn share_codecs(chunks: &mut [Arc<ChunkEntry>]) {
    let mut before: Option<Arc<str>> = None;
    for chunk in chunks {
        let shared = before.filter(|codecs| *codecs == chunk.codecs).unwrap_or_else(|| Arc::clone(&chunk.codecs));
        if !Arc::ptr_eq(&shared, &chunk.codecs) {
            *chunk = Arc::new(ChunkEntry { codecs: Arc::clone(&shared), ..chunk.as_ref().clone() });
        }
        before = Some(shared);
    }
}

#[cfg(test)]
mod tests;
