//! Fragment tables that were read lately, bounded by bytes; and the opening of chunks that move while one looks.

use std::{fs::File, sync::Arc};

use moka::sync::Cache;

use crate::{
    error::{Error, Kind, Result},
    ids::DeviceId,
    playback::fragments::FragmentTable,
    storage::{ChunkEntry, DeviceIndex, Place, Volume, layout::ChunkKey},
};

/// A growing chunk is another table after each commit.
type Key = (DeviceId, ChunkKey, u64);

/// Cheap to clone. When full, tables not used lately go.
#[derive(Clone)]
pub struct TableCache {
    tables: Cache<Key, Arc<FragmentTable>>,
}

impl Default for TableCache {
    /// 24 MiB: an hour of eight devices with sound takes about 12.
    fn default() -> Self {
        Self::new(24 << 20)
    }
}

impl TableCache {
    pub fn new(bytes_max: u64) -> Self {
        let weigh = |_: &Key, table: &Arc<FragmentTable>| u32::try_from(table.weight()).unwrap_or(u32::MAX);
        Self { tables: Cache::builder().max_capacity(bytes_max).weigher(weigh).build() }
    }

    /// The table of what `chunk` publishes, if it is at hand. Never blocks.
    pub fn get(&self, device: &DeviceId, chunk: &ChunkEntry) -> Option<Arc<FragmentTable>> {
        self.tables.get(&key(device, chunk))
    }

    /// The same, read from the disk when it is not at hand; who asks at the same time waits for one reading. Blocks: for
    /// reader threads only. `Gone` and `NotFound` as [`open`] tells.
    pub fn read(&self, volume: &Volume, index: &DeviceIndex, chunk: &ChunkEntry) -> Result<Arc<FragmentTable>> {
        let load = || {
            let (_, file) = open(volume, index, chunk.key)?;
            FragmentTable::read(&file, chunk.bytes).map(Arc::new)
        };
        let told = self.tables.try_get_with(key(index.device(), chunk), load);
        // Several may wait for one failure, so it comes shared: kind and words are what matters to each.
        told.map_err(|error: Arc<Error>| Error::new(error.kind, error.message.clone()))
    }
}

fn key(device: &DeviceId, chunk: &ChunkEntry) -> Key {
    (device.clone(), chunk.key, chunk.bytes)
}

/// Opens a chunk's file where the index says it lies, and looks again when it was moved in between: a seal renames it
/// from temp into the ring. Blocks. `NotFound` when the index does not know it any more, `Gone` when its file vanished.
pub fn open(volume: &Volume, index: &DeviceIndex, key: ChunkKey) -> Result<(Arc<ChunkEntry>, File)> {
    let mut place: Option<Place> = None;
    loop {
        let absent = || Error::new(Kind::NotFound, format!("{} has no such chunk", index.device()));
        let entry = index.get(&key).ok_or_else(absent)?;
        if place == Some(entry.place) {
            return Err(Error::new(Kind::Gone, "the chunk's file is not where it was recorded"));
        }
        place = Some(entry.place);
        match volume.open_read(&entry.path(volume.layout(), index.device())) {
            Ok(file) => return Ok((entry, file)),
            Err(error) if error.kind == Kind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}
