//! What handlers of derived files need of chunks: their tables and their files, read on the threads that may block.

use std::{fs::File, sync::Arc};

use super::{WebDevice, WebState, chunks::absent};
use crate::{
    error::{Error, Kind, Result},
    playback::{self, FragmentTable},
    storage::{ChunkEntry, layout::ChunkKey},
};

/// Tables read at the same time for one request: half of the reader threads.
pub(super) const READS: usize = 4;

impl WebState {
    /// The table of what `chunk` publishes: at once when it is at hand, else from a reader thread.
    pub(super) async fn table(&self, device: &WebDevice, chunk: &Arc<ChunkEntry>) -> Result<Arc<FragmentTable>> {
        if let Some(table) = self.tables.get(&device.id, chunk) {
            return Ok(table);
        }
        let (tables, volume) = (self.tables.clone(), Arc::clone(&self.volume));
        let (index, wanted) = (Arc::clone(&device.index), Arc::clone(chunk));
        let read = self.readers.run(move || tables.read(&volume, &index, &wanted)).await;
        or_absent(device, chunk.key, read)
    }

    /// The file of a chunk and its entry of that moment: what was published may have grown since a snapshot.
    pub(super) async fn open(&self, device: &WebDevice, key: ChunkKey) -> Result<(Arc<ChunkEntry>, File)> {
        let (volume, index) = (Arc::clone(&self.volume), Arc::clone(&device.index));
        let opened = self.readers.run(move || playback::open(&volume, &index, key)).await;
        or_absent(device, key, opened)
    }
}

/// A full queue is `Unavailable`; a chunk that is no more is told as by its own address.
fn or_absent<T>(device: &WebDevice, key: ChunkKey, done: std::io::Result<Result<T>>) -> Result<T> {
    match done {
        Ok(Err(error)) if error.kind == Kind::NotFound => Err(absent(device, key)),
        Ok(done) => done,
        Err(busy) => Err(Error::new(Kind::Unavailable, busy.to_string())),
    }
}
