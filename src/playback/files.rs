//! Files of chunks that clips hold open: one for all who read a chunk, and no more than leave recording its own.

use std::{
    collections::HashMap,
    fs::File,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use crate::{
    error::{Error, Kind, Result},
    ids::DeviceId,
    playback::open,
    storage::{DeviceIndex, Volume, layout::ChunkKey},
};

/// Below it nobody looks for files that were let go.
const SWEEP_MIN: usize = 64;

/// Cheap to clone. When full, who asks for another file is refused until readers let some go.
#[derive(Clone, Default)]
pub struct Files {
    table: Arc<Mutex<Table>>,
}

struct Table {
    max: usize,
    /// Those let go stay until the next sweep.
    open: HashMap<(DeviceId, ChunkKey), Weak<File>>,
    sweep_at: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self { max: usize::MAX, open: HashMap::new(), sweep_at: SWEEP_MIN }
    }
}

impl Files {
    /// From now on so many.
    pub fn allow(&self, max: usize) {
        self.lock().max = max;
    }

    /// `Unavailable` when so many are more than may ever be open: waiting for others would not help.
    pub fn fit(&self, count: usize) -> Result<()> {
        let max = self.lock().max;
        if count <= max {
            return Ok(());
        }
        let remedy = "ask for a shorter span, or raise the limit on open files";
        Err(Error::new(Kind::Unavailable, format!("it lies in {count} chunks, {max} may be open at once: {remedy}")))
    }

    /// Blocks, as [`open`] does and with its errors; `Unavailable` when too many are open. Bytes of a chunk never change, so
    /// whoever reads it may share the file.
    pub fn open(&self, volume: &Volume, index: &DeviceIndex, chunk: ChunkKey) -> Result<Arc<File>> {
        let key = (index.device().clone(), chunk);
        {
            let mut table = self.lock();
            // One that was deleted is not told of as if it were there, though somebody reads it still.
            if let Some(file) = table.get(&key).filter(|_| index.get(&chunk).is_some()) {
                return Ok(file);
            }
            if !table.has_room() {
                let full = "too many chunks are being read; ask again when other downloads have ended";
                return Err(Error::new(Kind::Unavailable, full));
            }
        }
        // Not under the lock: a disk may stall.
        let (_, file) = open(volume, index, chunk)?;
        let mut table = self.lock();
        if let Some(other) = table.get(&key) {
            return Ok(other);
        }
        let file = Arc::new(file);
        table.open.insert(key, Arc::downgrade(&file));
        Ok(file)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn get(&self, key: &(DeviceId, ChunkKey)) -> Option<Arc<File>> {
        self.open.get(key).and_then(Weak::upgrade)
    }

    fn has_room(&mut self) -> bool {
        if self.open.len() >= self.sweep_at.min(self.max) {
            self.open.retain(|_, file| file.strong_count() > 0);
            self.sweep_at = SWEEP_MIN.max(2 * self.open.len());
        }
        self.open.len() < self.max
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        clock::{Clock, Utc90k},
        config::Storage,
        storage::{ChunkEntry, Place},
    };

    fn chunk(number: i64) -> ChunkKey {
        ChunkKey { start_ms: 1_795_143_600_000 + 600_000 * number, generation: 0 }
    }

    /// A volume with so many chunks of one device.
    fn recorded(count: i64) -> (tempfile::TempDir, Arc<Volume>, DeviceIndex) {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage { root: folder.path().into(), ..Storage::default() };
        let volume = Volume::open(&storage, &Clock::system()).unwrap();
        let index = DeviceIndex::new("cam".parse().unwrap());
        for key in (0..count).map(chunk) {
            let start = Utc90k::from_ms(key.start_ms);
            let entry = ChunkEntry {
                key,
                place: Place::Temp,
                start,
                end: start + 600 * 90_000,
                bytes: 1,
                codecs: "avc1.64001f".into(),
                gaps: 0,
                holes: None,
                sealed: true,
                original: false,
            };
            let path = folder.path().join(entry.path(volume.layout(), index.device()));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
            index.put(entry);
        }
        (folder, volume, index)
    }

    #[test]
    fn readers_of_a_chunk_share_its_file_and_all_are_bounded() {
        let (_folder, volume, index) = recorded(500);
        let files = Files::default();
        files.allow(3);
        let open = |number: i64| files.open(&volume, &index, chunk(number));
        let mut held: Vec<_> = (0..3).map(|number| open(number).unwrap()).collect();
        assert!(Arc::ptr_eq(&open(1).unwrap(), &held[1]));
        assert_eq!(open(3).unwrap_err().kind, Kind::Unavailable);
        assert!(Arc::ptr_eq(&open(2).unwrap(), &held[2]), "who asks for what is open is served");
        held.remove(0);
        held.push(open(3).unwrap());
        assert_eq!(open(0).unwrap_err().kind, Kind::Unavailable);
        assert!(files.fit(3).is_ok());
        assert!(files.fit(4).unwrap_err().message.contains("it lies in 4 chunks, 3 may be open"));
        drop(held);
        // What was let go is forgotten, however many there were.
        files.allow(usize::MAX);
        (0..500).for_each(|number| drop(open(number).unwrap()));
        assert!(files.lock().open.len() <= SWEEP_MIN, "{}", files.lock().open.len());
    }

    #[test]
    fn a_chunk_that_was_deleted_is_not_there_though_somebody_reads_it() {
        let (_folder, volume, index) = recorded(1);
        let files = Files::default();
        let held = files.open(&volume, &index, chunk(0)).unwrap();
        index.remove(&chunk(0));
        assert_eq!(files.open(&volume, &index, chunk(0)).unwrap_err().kind, Kind::NotFound);
        assert_eq!(held.metadata().unwrap().len(), 1);
    }
}
