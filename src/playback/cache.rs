//! Fragment tables that were read lately, bounded by bytes; and the opening of chunks that move while one looks.

use std::{fs::File, os::unix::fs::FileExt, sync::Arc};

use moka::sync::Cache;

use crate::{
    error::{Error, Kind, Result},
    ids::DeviceId,
    media::mp4::identity::{self, HEAD_READ},
    playback::fragments::FragmentTable,
    storage::{
        ChunkEntry, DeviceIndex, Place, Volume,
        layout::{ChunkKey, Companion},
    },
};

/// A growing chunk is another table after each commit.
type Key = (DeviceId, ChunkKey, u64);

/// Cheap to clone. When full, tables not used lately go.
#[derive(Clone)]
pub struct TableCache {
    tables: Cache<Key, Arc<FragmentTable>>,
    /// At hand whatever goes.
    held: Arc<[(Key, Arc<FragmentTable>)]>,
}

impl Default for TableCache {
    /// 24 MiB: an hour of eight devices with sound takes about 14.
    fn default() -> Self {
        Self::new(24 << 20)
    }
}

impl TableCache {
    pub fn new(bytes_max: u64) -> Self {
        let weigh = |_: &Key, table: &Arc<FragmentTable>| u32::try_from(table.weight()).unwrap_or(u32::MAX);
        Self { tables: Cache::builder().max_capacity(bytes_max).weigher(weigh).build(), held: Arc::default() }
    }

    /// The same cache, in which these tables stay for as long as this handle does: a full one need not take them in.
    pub fn holding(&self, device: &DeviceId, tables: Vec<(&ChunkEntry, Arc<FragmentTable>)>) -> Self {
        let held = tables.into_iter().map(|(chunk, table)| (key(device, chunk), table)).collect();
        Self { tables: self.tables.clone(), held }
    }

    /// The table of what `chunk` publishes, if it is at hand. Never blocks.
    pub fn get(&self, device: &DeviceId, chunk: &ChunkEntry) -> Option<Arc<FragmentTable>> {
        let key = key(device, chunk);
        let held = self.held.iter().find(|(of, _)| *of == key).map(|(_, table)| Arc::clone(table));
        held.or_else(|| self.tables.get(&key))
    }

    /// The same as [`Self::get`], read from the disk when it is not at hand; who asks at the same time waits for one
    /// reading. Blocks: for reader threads only. `Gone` and `NotFound` as [`open`] tells.
    pub fn read(&self, volume: &Volume, index: &DeviceIndex, chunk: &ChunkEntry) -> Result<Arc<FragmentTable>> {
        if let Some(table) = self.get(index.device(), chunk) {
            return Ok(table);
        }
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
    let mut looked: Option<(Place, bool)> = None;
    loop {
        let absent = || Error::new(Kind::NotFound, format!("{} has no such chunk", index.device()));
        let entry = index.get(&key).ok_or_else(absent)?;
        if looked == Some((entry.place, entry.original)) {
            return Err(Error::new(Kind::Gone, "the chunk's file is not where it was recorded"));
        }
        looked = Some((entry.place, entry.original));
        let path = entry.path(volume.layout(), index.device());
        // Between the rename of a chunk that was encoded anew and its listing, the one it was made of lies beside it.
        let original = (!entry.original).then(|| Companion::Original.beside(&path));
        for path in [Some(path), original].into_iter().flatten() {
            match volume.of(entry.place).open_read(&path) {
                Ok(file) if is_another(&entry, &file) => {}
                Ok(file) => return Ok((entry, file)),
                Err(error) if error.kind == Kind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// What lies under the name of a finished chunk may be what took its place since the index was asked: a generation that
/// was encoded anew, or the chunk of the next day. What is no chunk at all is told by whoever reads it.
fn is_another(entry: &ChunkEntry, file: &File) -> bool {
    let mut first = [0; HEAD_READ];
    if !entry.place.is_settled() {
        return false;
    }
    let Ok(had) = file.read_at(&mut first, 0) else { return false };
    let found = identity::head(first.get(..had).unwrap_or_default());
    found.is_some_and(|found| (found.start.as_ms(), found.generation) != (entry.key.start_ms, entry.key.generation))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::{
        clock::{Clock, Utc90k},
        config::Storage,
        media::mp4::{Fragment, OutSample, TrackRun},
        media::{
            AudioCodec, AudioConfig,
            mp4::{fragment::Encoded, head::Head, tracks::Tracks},
        },
        storage::layout::RingSlot,
    };

    const KEY: ChunkKey = ChunkKey { start_ms: 1_795_143_600_000, generation: 0 };

    /// A growing chunk of `seconds` fragments with one audio frame each.
    fn chunk(seconds: u64) -> Vec<u8> {
        let audio = AudioConfig {
            codec: AudioCodec::Aac,
            sample_rate: 48_000,
            channels: 1,
            samples_per_frame: 1024,
            specific: vec![0x11, 0x88],
        };
        let tracks = Tracks { video: None, audio: Some(audio) };
        let head = Head::new(&"cam".parse().unwrap(), Utc90k::from_ms(KEY.start_ms), 0, tracks, 0.0).unwrap();
        let mut bytes = head.image;
        bytes.resize(head.meta.data_offset as usize, 0);
        for second in 0..seconds {
            let samples = [OutSample { duration: 1024, cts: 0, sync: true, data: 0..3 }];
            let run = TrackRun { base: second * 1024, samples: &samples, es: &[1, 2, 3] };
            let mut encoded = Encoded::default();
            encoded.encode(second as u32, &Fragment { video: None, audio: Some(run) }).unwrap();
            bytes.extend(encoded.bytes);
        }
        bytes
    }

    fn list(volume: &Volume, index: &DeviceIndex, folder: &Path, place: Place, bytes: &[u8]) -> Arc<ChunkEntry> {
        let start = Utc90k::from_ms(KEY.start_ms);
        let entry = ChunkEntry {
            key: KEY,
            place,
            start,
            end: start + 90_000,
            bytes: bytes.len() as u64,
            codecs: "mp4a.40.2".into(),
            gaps: 0,
            holes: None,
            sealed: place != Place::Temp,
            original: false,
        };
        let path = folder.join(entry.path(volume.layout(), index.device()));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        index.put(entry);
        index.get(&KEY).unwrap()
    }

    #[test]
    fn tables_are_read_once_for_each_published_length() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage { root: folder.path().to_owned(), ..Storage::default() };
        let volume = Volume::open(&storage, &Clock::system()).unwrap();
        let index = DeviceIndex::new("cam".parse().unwrap());
        let cache = TableCache::default();
        let fragments = |entry: &ChunkEntry| cache.read(&volume, &index, entry).map(|table| table.fragments().len());

        let short = list(&volume, &index, folder.path(), Place::Temp, &chunk(2));
        assert!(cache.get(index.device(), &short).is_none());
        assert_eq!(fragments(&short).unwrap(), 2);
        // More is appended but not published.
        let path = folder.path().join(short.path(volume.layout(), index.device()));
        fs::write(&path, chunk(3)).unwrap();
        assert_eq!(fragments(&ChunkEntry { bytes: short.bytes, ..short.as_ref().clone() }).unwrap(), 2);
        assert_eq!(
            fragments(&ChunkEntry { bytes: fs::metadata(&path).unwrap().len(), ..short.as_ref().clone() }).unwrap(),
            3
        );

        // It moves into the ring while a reader holds an older entry.
        fs::remove_file(&path).unwrap();
        let slot = RingSlot { hour: 3, index: 0, copy: 1 };
        let moved = list(&volume, &index, folder.path(), Place::Ring(slot), &chunk(4));
        let cold = TableCache::default();
        assert_eq!(cold.read(&volume, &index, &short).unwrap().fragments().len(), 2);
        assert_eq!(fragments(&moved).unwrap(), 4);
        assert!(cache.get(index.device(), &moved).is_some());

        fs::remove_file(folder.path().join(moved.path(volume.layout(), index.device()))).unwrap();
        assert_eq!(cold.read(&volume, &index, &moved).unwrap_err().kind, Kind::Gone);
        index.remove(&KEY);
        assert_eq!(cold.read(&volume, &index, &moved).unwrap_err().kind, Kind::NotFound);
        let foreign = list(&volume, &index, folder.path(), Place::Temp, b"not a chunk");
        assert_eq!(cold.read(&volume, &index, &foreign).unwrap_err().kind, Kind::Corrupt);
    }

    /// A clip whose tables were read together must not read them again because the cache did not take them in.
    #[test]
    fn tables_that_are_held_stay_whatever_the_cache_does() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage { root: folder.path().to_owned(), ..Storage::default() };
        let volume = Volume::open(&storage, &Clock::system()).unwrap();
        let index = DeviceIndex::new("cam".parse().unwrap());
        let entry = list(&volume, &index, folder.path(), Place::Temp, &chunk(2));
        let none = TableCache::new(0);
        let table = none.read(&volume, &index, &entry).unwrap();
        fs::remove_file(folder.path().join(entry.path(volume.layout(), index.device()))).unwrap();
        let held = none.holding(index.device(), vec![(entry.as_ref(), Arc::clone(&table))]);
        assert!(Arc::ptr_eq(&held.read(&volume, &index, &entry).unwrap(), &table));
        let grown = ChunkEntry { bytes: entry.bytes + 1, ..entry.as_ref().clone() };
        assert!(held.get(index.device(), &grown).is_none(), "a chunk that grew has another table");
    }

    #[test]
    fn the_cache_stays_within_its_bytes() {
        let table = Arc::new(FragmentTable::read(&chunk(100), chunk(100).len() as u64).unwrap());
        let bytes_max = 10 * table.weight() as u64;
        let cache = TableCache::new(bytes_max);
        for bytes in 0..100 {
            cache.tables.insert(("cam".parse().unwrap(), KEY, bytes), Arc::clone(&table));
        }
        cache.tables.run_pending_tasks();
        assert!((1..=bytes_max).contains(&cache.tables.weighted_size()), "{}", cache.tables.weighted_size());
    }
}
