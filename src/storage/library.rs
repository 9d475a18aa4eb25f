//! How chunks leave the ring for the library and the disk for good, with all that lies beside them, in an order that may
//! be cut anywhere.
//!
//! Into the library everything is linked under its new name first, what lies beside the chunk before the chunk itself;
//! then published; then the old names go, the chunk's first. So a chunk of the library has all that belongs to it, what
//! is beside no chunk is a second name or worthless, and a reader finds the file at every moment. [`heal`] ends what a
//! crash cut short.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    error::{Error, Kind, Result},
    ids::DeviceId,
    storage::{
        DirEntry,
        index::{ChunkEntry, DeviceIndex, Place, RingGuard},
        layout::{ChunkKey, Companion, LibraryHour, RingSlot, Shelf, Sibling, is_copying},
        siblings,
        volume::Volume,
    },
};

/// Everything that may lie beside a chunk in that place, in the order in which it is moved.
pub fn beside(volume: &Volume, device: &DeviceId, entry: &ChunkEntry) -> Vec<PathBuf> {
    let chunk = ChunkEntry { original: false, ..entry.clone() }.path(volume.layout(), device);
    let siblings = Sibling::ALL.map(|sibling| siblings::path(volume, device, sibling, entry.key, entry.place));
    // A successor that is not verified yet is made anew where the chunk is then.
    let companions = [Companion::Original, Companion::Marker].map(|companion| companion.beside(&chunk));
    siblings.into_iter().chain(companions).collect()
}

/// Moves a settled chunk of the ring into the library of the same volume; where it lies then. None when the index does
/// not have it in the ring any more.
pub fn shelve(volume: &Volume, index: &DeviceIndex, key: ChunkKey, ring: &RingGuard<'_>) -> Result<Option<Place>> {
    let (device, layout) = (index.device(), volume.layout());
    let Some(entry) = index.get(&key).filter(|entry| !entry.original) else { return Ok(None) };
    let Place::Ring(slot) = entry.place else { return Ok(None) };
    let folder = layout.library_hour(device, LibraryHour::of(entry.start));
    volume.mkdir_all(&folder)?;
    let from = entry.path(layout, device);
    let place = free_place(volume, index, &entry, slot)?;
    let moved = ChunkEntry { place, ..entry.as_ref().clone() };
    let old = beside(volume, device, &entry);
    for (old, new) in old.iter().zip(beside(volume, device, &moved)) {
        link_over(volume, old, &new)?;
    }
    let to = moved.path(layout, device);
    match volume.link(&from, &to) {
        // File systems without hard links: readers may miss it for a moment.
        Err(error) if error.kind == Kind::Io => volume.rename_new(&from, &to)?,
        Err(error) if error.kind == Kind::Conflict && same_file(volume, &from, &to) => {}
        linked => linked?,
    }
    volume.fsync_dir(&folder)?;
    index.move_to(&key, place);
    leave_ring(volume, device, slot, &from, &old, ring)?;
    Ok(Some(place))
}

/// The names a chunk had in the ring go; the chunk's first, so that what is left is known to be no chunk's.
fn leave_ring(
    volume: &Volume,
    device: &DeviceId,
    slot: RingSlot,
    chunk: &Path,
    beside: &[PathBuf],
    _ring: &RingGuard<'_>,
) -> Result<()> {
    for path in std::iter::once(chunk).chain(beside.iter().map(PathBuf::as_path)) {
        gone(volume.unlink(path))?;
    }
    drop_ring_folders(volume, device, slot.hour);
    Ok(())
}

/// Deletes a chunk's file and all that lies beside it. Take it out of the index first and, unless it lies away, hold the
/// ring. Not flushed: what a power cut brings back is deleted again.
pub fn remove(volume: &Volume, device: &DeviceId, entry: &ChunkEntry) -> Result<()> {
    let on = volume.of(entry.place);
    let chunk = entry.path(volume.layout(), device);
    for path in beside(volume, device, entry) {
        gone(on.unlink(&path))?;
    }
    gone(on.unlink(&Companion::Successor.beside(&chunk)))?;
    gone(on.unlink(&chunk))?;
    match entry.place {
        Place::Temp => {}
        Place::Ring(slot) => drop_ring_folders(on, device, slot.hour),
        Place::Library(..) => drop_library_folders(on, device, LibraryHour::of(entry.start)),
    }
    Ok(())
}

/// Deletes the names a chunk had before it was moved to another volume: the chunk's first, so that what a crash leaves is
/// known to be no chunk's.
pub fn leave(volume: &Volume, device: &DeviceId, entry: &ChunkEntry) -> Result<()> {
    let beside = beside(volume, device, entry);
    for path in std::iter::once(entry.path(volume.layout(), device)).chain(beside) {
        gone(volume.unlink(&path))?;
    }
    drop_library_folders(volume, device, LibraryHour::of(entry.start));
    Ok(())
}

/// Deletes one kept original; its successor and the marker stay.
pub fn remove_original(volume: &Volume, device: &DeviceId, original: &ChunkEntry) -> Result<()> {
    gone(volume.of(original.place).unlink(&original.path(volume.layout(), device)))
}

/// What was found in a folder when a crash may have cut a move short, and what was done about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Healed {
    /// Names deleted: each the second one of a file, or of something that belonged to a chunk which is gone.
    pub deleted: usize,
    /// Originals whose successors are gone: footage, listed as such again.
    pub restored: usize,
}

/// Looks through the names of one hour, of ring or library, and ends what was cut short there. The caller holds the ring,
/// or is the only one who writes in the library away. `known` tells whether what was made of an original lies elsewhere.
pub fn heal(volume: &Volume, folder: &Path, names: &[DirEntry], known: &dyn Fn(&Path) -> bool) -> Result<Healed> {
    let names: HashSet<&str> = names.iter().filter(|it| !it.is_dir).filter_map(|it| it.name.to_str()).collect();
    let mut healed = Healed::default();
    for name in &names {
        let path = folder.join(name);
        if is_copying(name) {
            gone(volume.unlink(&path))?;
            healed.deleted += 1;
        } else if let Some((companion, chunk)) = Companion::parse(name)
            && !names.contains(chunk.as_str())
        {
            let second = companion != Companion::Original
                || volume.metadata(&path).is_ok_and(|meta| meta.is_linked)
                || known(&path);
            if second {
                gone(volume.unlink(&path))?;
                healed.deleted += 1;
            } else {
                volume.rename_new(&path, &folder.join(chunk))?;
                healed.restored += 1;
            }
        } else if let Some((_, chunk)) = Sibling::parse_library(name)
            && RingSlot::parse("0", &chunk).is_some()
            && !names.contains(chunk.as_str())
            && !names.contains(format!("{chunk}.original").as_str())
        {
            gone(volume.unlink(&path))?;
            healed.deleted += 1;
        }
    }
    if healed.restored > 0 {
        volume.fsync_dir(folder)?;
    }
    Ok(healed)
}

/// Deletes what lies beside no chunk in an hour of the ring; `chunks` are the names in its folder. Hold the ring.
pub fn heal_ring_siblings(volume: &Volume, device: &DeviceId, hour: u8, chunks: &[DirEntry]) -> Result<usize> {
    let chunks: HashSet<&str> = chunks.iter().filter_map(|it| it.name.to_str()).collect();
    let mut deleted = 0;
    for sibling in Sibling::ALL {
        let folder = volume.layout().sibling_hour(device, sibling, hour);
        for name in volume.read_dir(&folder)? {
            let chunk = name.name.to_str().and_then(|name| sibling.parse_ring(name));
            if chunk.is_some_and(|it| RingSlot::parse("0", &it).is_some() && !chunks.contains(it.as_str())) {
                gone(volume.unlink(&folder.join(&name.name)))?;
                deleted += 1;
            }
        }
    }
    Ok(deleted)
}

/// Ends the move of a chunk that has both its names. Hold the ring.
pub fn finish_move(
    volume: &Volume,
    index: &DeviceIndex,
    in_ring: &ChunkEntry,
    in_library: &ChunkEntry,
    ring: &RingGuard<'_>,
) -> Result<()> {
    let Place::Ring(slot) = in_ring.place else { return Ok(()) };
    let (device, layout) = (index.device(), volume.layout());
    let (path, old) = (in_ring.path(layout, device), beside(volume, device, in_ring));
    // With the originals that were found beside it in the ring.
    index.move_to(&in_ring.key, in_library.place);
    leave_ring(volume, device, slot, &path, &old, ring)
}

/// The first name in the library that no other chunk has. Names left by a move that was cut short belong to no chunk.
fn free_place(volume: &Volume, index: &DeviceIndex, entry: &ChunkEntry, slot: RingSlot) -> Result<Place> {
    let (device, layout) = (index.device(), volume.layout());
    let from = entry.path(layout, device);
    let free = |path: &Path, ours: &Path| !volume.exists(path) || same_file(volume, path, ours);
    for copy in std::iter::once(slot.copy).chain(1..=u16::MAX) {
        let slot = slot.with_copy(copy);
        let path = layout.library_chunk(device, entry.start, slot);
        // An away one of the same name would be in its way when this one follows.
        let away = index.snapshot().around(hour_start(entry), entry.end).iter().any(|other| {
            other.place == Place::Library(slot, Shelf::Away)
                && LibraryHour::of(other.start) == LibraryHour::of(entry.start)
        });
        let [original, ours] = [&path, &from].map(|chunk| Companion::Original.beside(chunk));
        if !away && free(&path, &from) && free(&original, &ours) {
            return Ok(Place::Library(slot, Shelf::Home));
        }
    }
    Err(Error::new(Kind::Conflict, "the library's hour is full of its name"))
}

fn hour_start(entry: &ChunkEntry) -> Utc90k {
    Utc90k(entry.start.0 - entry.start.0.rem_euclid(3600 * TICKS_PER_SECOND))
}

/// Whether two names are of one file.
pub fn same_file(volume: &Volume, a: &Path, b: &Path) -> bool {
    match (volume.metadata(a), volume.metadata(b)) {
        (Ok(a), Ok(b)) => a.inode == b.inode,
        _ => false,
    }
}

/// Gives a file a second name, over whatever a move that was cut short left there. Nothing where there is no file.
fn link_over(volume: &Volume, from: &Path, to: &Path) -> Result<()> {
    match volume.link(from, to) {
        Err(error) if error.kind == Kind::NotFound => Ok(()),
        Err(error) if error.kind == Kind::Conflict => {
            if same_file(volume, from, to) {
                return Ok(());
            }
            gone(volume.unlink(to))?;
            volume.link(from, to)
        }
        Err(error) if error.kind == Kind::Io && volume.exists(from) => volume.rename(from, to),
        done => done,
    }
}

/// Empty ones only: the rest refuses.
fn drop_ring_folders(volume: &Volume, device: &DeviceId, hour: u8) {
    let layout = volume.layout();
    let siblings = Sibling::ALL.map(|sibling| layout.sibling_hour(device, sibling, hour));
    for folder in siblings.iter().chain([&layout.ring_hour(device, hour)]) {
        let _ = volume.rmdir(folder);
    }
}

fn drop_library_folders(volume: &Volume, device: &DeviceId, hour: LibraryHour) {
    let layout = volume.layout();
    if volume.rmdir(&layout.library_hour(device, hour)).is_ok() {
        let _ = volume.rmdir(&layout.library_day(device, hour.day));
    }
}

/// What is not there needs no deleting.
fn gone(done: Result<()>) -> Result<()> {
    match done {
        Err(error) if error.kind != Kind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
