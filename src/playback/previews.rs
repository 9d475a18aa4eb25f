//! Preview stills on the disk: which chunk's pack has which, read when asked for and kept within bounded bytes.

use std::{fs::File, sync::Arc};

use moka::sync::Cache;

use crate::{
    clock::Utc90k,
    error::{Error, Result},
    ids::DeviceId,
    media::mp4::pack::{self, StillRef},
    storage::{
        ChunkEntry, DeviceIndex, Volume,
        layout::{ChunkKey, Sibling},
        siblings::{self, SLACK_90K},
    },
};

/// Lists of finished packs that were read lately. Cheap to clone.
#[derive(Clone)]
pub struct PreviewCache {
    lists: Cache<(DeviceId, ChunkKey), Arc<[StillRef]>>,
}

impl Default for PreviewCache {
    /// 8 MiB: the day of 30 devices at a still each 10 s.
    fn default() -> Self {
        Self::new(8 << 20)
    }
}

impl PreviewCache {
    pub fn new(bytes_max: u64) -> Self {
        let weigh = |_: &(DeviceId, ChunkKey), list: &Arc<[StillRef]>| {
            u32::try_from(64 + size_of_val(&**list)).unwrap_or(u32::MAX)
        };
        Self { lists: Cache::builder().max_capacity(bytes_max).weigher(weigh).build() }
    }

    /// The stills beside `chunk`, in order. None there is no error. Blocks: for reader threads only.
    pub fn list(&self, volume: &Volume, index: &DeviceIndex, chunk: &ChunkEntry) -> Result<Arc<[StillRef]>> {
        let key = (index.device().clone(), chunk.key);
        if let Some(list) = self.lists.get(&key) {
            return Ok(list);
        }
        let Some((_, pack)) = open(volume, index, chunk.key)? else { return Ok(Arc::new([])) };
        let list: Arc<[StillRef]> = pack.stills.into();
        // A growing pack has more the next time; what was not there yet may come with its chunk's hand-over.
        if pack.is_sealed && chunk.place.is_settled() {
            self.lists.insert(key, Arc::clone(&list));
        }
        Ok(list)
    }
}

/// The pack beside a chunk and what it lists; None when there is none, or it is another chunk's. Blocks.
pub fn open(volume: &Volume, index: &DeviceIndex, key: ChunkKey) -> Result<Option<(File, pack::Pack)>> {
    let Some(file) = siblings::open(volume, index, Sibling::Previews, key)? else { return Ok(None) };
    let reading = |source| Error::io("reading", key.file_name(), source);
    let len = file.metadata().map_err(reading)?.len();
    let pack = pack::read(&file, len).map_err(reading)?;
    let is_its_own = |pack: &pack::Pack| {
        let head = &pack.head;
        // A chunk that was encoded anew keeps the stills of the one it was made of.
        let is_of_it = head.start.as_ms() == key.start_ms && head.generation <= key.generation;
        head.device == *index.device() && is_of_it
    };
    Ok(pack.filter(is_its_own).map(|pack| (file, pack)))
}

/// Chunks beside which stills or verdicts from `from` on and before `to` may lie, oldest first.
pub fn around(chunks: &[Arc<ChunkEntry>], from: Utc90k, to: Utc90k) -> Vec<Arc<ChunkEntry>> {
    let near = |chunk: &&Arc<ChunkEntry>| chunk.start < to + SLACK_90K && chunk.end > from + -SLACK_90K;
    chunks.iter().filter(near).cloned().collect()
}
