//! The files beside a chunk: where they are found, how they come to the ring and leave it with their chunk.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    error::{Kind, Result},
    ids::DeviceId,
    storage::{
        index::{ChunkEntry, DeviceIndex, Place},
        layout::{ChunkKey, Sibling},
        volume::Volume,
    },
};

/// A frame may be analysed this long after its chunk was sealed, or be taken before the first key frame of the next: it
/// lies beside that one then, and readers look so far around.
pub const SLACK_90K: i64 = 60 * TICKS_PER_SECOND;

/// Who writes beside the chunks of a device, as merging calls it: on the commit thread, after the chunk's own bytes are
/// durable. What fails is told and dropped there; a chunk never waits for it.
pub trait Beside: Send + Sync {
    /// The open chunk is durable from `start` to `end`.
    fn committed(&self, key: ChunkKey, start: Utc90k, end: Utc90k);
    /// The chunk is sealed: nothing will be added. What lies beside it is durable on return.
    fn complete(&self, key: ChunkKey, start: Utc90k, end: Utc90k);
    /// The chunk has its place in the ring, published.
    fn settle(&self, key: ChunkKey);
    /// `temp` was looked through and the index tells what there is: what lost its chunk goes.
    fn recover(&self);
}

/// Nothing is written beside.
impl Beside for () {
    fn committed(&self, _: ChunkKey, _: Utc90k, _: Utc90k) {}
    fn complete(&self, _: ChunkKey, _: Utc90k, _: Utc90k) {}
    fn settle(&self, _: ChunkKey) {}
    fn recover(&self) {}
}

/// Moves what lies beside a chunk in `temp` to where the chunk is now, over whatever was left there, and makes the new
/// names durable. Hold the ring: the place must be that chunk's.
pub fn settle(volume: &Volume, device: &DeviceId, key: ChunkKey, place: Place) -> Result<()> {
    let layout = volume.layout();
    for sibling in Sibling::ALL {
        let from = layout.open_sibling(device, sibling, key);
        if !volume.exists(&from) {
            continue;
        }
        let to = path(volume, device, sibling, key, place);
        let folder = to.parent().unwrap_or(Path::new(""));
        volume.mkdir_all(folder)?;
        volume.rename(&from, &to)?;
        volume.fsync_dir(folder)?;
    }
    Ok(())
}

/// Deletes what lies beside a chunk. Before the chunk itself: a file beside no chunk would be found by nobody.
pub fn remove(volume: &Volume, device: &DeviceId, key: ChunkKey, place: Place) -> Result<()> {
    for sibling in Sibling::ALL {
        match volume.of(place).unlink(&path(volume, device, sibling, key, place)) {
            Err(error) if error.kind != Kind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Bytes of what lies beside a chunk.
pub fn bytes(volume: &Volume, device: &DeviceId, entry: &ChunkEntry) -> u64 {
    let of = |sibling| {
        volume.of(entry.place).metadata(&path(volume, device, sibling, entry.key, entry.place)).map_or(0, |it| it.bytes)
    };
    Sibling::ALL.into_iter().map(of).sum()
}

/// Where a sibling of a chunk lies.
pub fn path(volume: &Volume, device: &DeviceId, sibling: Sibling, key: ChunkKey, place: Place) -> PathBuf {
    match place {
        Place::Temp => volume.layout().open_sibling(device, sibling, key),
        Place::Ring(slot) => volume.layout().ring_sibling(device, sibling, slot),
        Place::Library(slot, _) => {
            volume.layout().library_sibling(device, Utc90k::from_ms(key.start_ms), sibling, slot)
        }
    }
}

/// Opens a sibling wherever it lies now; None when there is none. Blocks.
pub fn open(volume: &Volume, index: &DeviceIndex, sibling: Sibling, key: ChunkKey) -> Result<Option<File>> {
    let mut looked: Option<Place> = None;
    while let Some(entry) = index.get(&key).filter(|entry| looked != Some(entry.place)) {
        looked = Some(entry.place);
        // It comes to the ring a moment after its chunk.
        for place in [entry.place, Place::Temp, entry.place] {
            match volume.open_at(place, &path(volume, index.device(), sibling, key, place)) {
                Err(error) if error.kind == Kind::NotFound => {}
                opened => return opened.map(Some),
            }
        }
    }
    Ok(None)
}
