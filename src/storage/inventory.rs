//! Finds out at start what is on the disk: one 4 KiB read per file. A bad file is reported and never ends the listing.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::{Advice, fadvise};

use crate::{
    error::{Error, Kind, Result},
    ids::{DeviceId, SegmentKey},
    media::mp4::{self, ChunkMeta, HEAD_READ, read_full},
    storage::{
        DirEntry,
        index::{ChunkEntry, DeviceIndex, Place},
        layout::{ChunkKey, Companion, LibraryHour, RingSlot, Sibling, hour_of},
        library,
        volume::Volume,
    },
};

mod shelves;

pub use shelves::{load_away, load_library, scan_library};

/// What lies on the volume for one device.
#[derive(Clone, Debug, Default)]
pub struct Scanned {
    /// Sealed chunks of the ring, or of the library.
    pub chunks: Vec<ChunkEntry>,
    /// Kept originals beside them.
    pub originals: Vec<ChunkEntry>,
    /// Chunks in `temp`, for recovery to continue, seal or delete.
    pub in_temp: Vec<ChunkKey>,
    /// Files with a chunk's name that are none: not listed, left where they are.
    pub set_aside: Vec<SetAside>,
    /// Files of names that are none of ours: counted, told, left alone.
    pub unknown: Vec<PathBuf>,
    /// The newest segment that any sealed chunk holds: what is in hot up to it was committed.
    pub last_segment: Option<SegmentKey>,
    /// Names deleted and originals listed again, because a crash had cut a move short.
    pub healed: usize,
    /// Of `chunks`.
    known: HashSet<ChunkKey>,
}

/// A file that cannot be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Relative to the volume.
    pub path: PathBuf,
    pub why: String,
    /// Its bytes are wrong; false when the disk would not let us read them.
    pub corrupt: bool,
}

/// Devices with a folder on the volume, also those without a camera now.
pub fn devices(volume: &Volume) -> Result<Vec<DeviceId>> {
    let entries = volume.read_dir(Path::new(""))?;
    let ids = entries.iter().filter(|entry| entry.is_dir).filter_map(|entry| entry.name.to_str()?.parse().ok());
    let layout = volume.layout();
    let has_footage = |id: &DeviceId| volume.exists(&layout.segments(id)) || volume.exists(&layout.library(id));
    let mut ids: Vec<DeviceId> = ids.filter(has_footage).collect();
    ids.sort();
    Ok(ids)
}

/// Lists the chunks of a device's ring without changing anything.
pub fn scan_device(volume: &Volume, device: &DeviceId) -> Result<Scanned> {
    let mut scanned = Scanned { in_temp: in_temp(volume, device)?, ..Scanned::default() };
    for hour in 0..24 {
        let names = volume.read_dir(&volume.layout().ring_hour(device, hour))?;
        scan_names(volume, device, &Hour::ring(volume, device, hour), &names, &mut scanned);
    }
    scanned.chunks.sort_by_key(|chunk| (chunk.start, chunk.key));
    Ok(scanned)
}

/// What a look through a whole ring left to know. It holds until a chunk moves into the ring or the volume is mounted
/// anew.
#[derive(Debug)]
pub(super) struct Loaded {
    mounts: u64,
    arrivals: u64,
    last_segment: Option<SegmentKey>,
    set_aside: Vec<SetAside>,
    unknown: Vec<PathBuf>,
}

/// The same into an index that is in use already: footage is recorded while old chunks are still being found, and what
/// a commit has published meanwhile is newer and stays. `chunks` of the answer is empty: they are in the index.
///
/// The thread that fills all indexes and the one that is about to commit both ask for it: one looks, the other waits.
/// So it is the ring alone; the library is for [`load_library`].
pub fn load(volume: &Volume, index: &DeviceIndex) -> Result<Scanned> {
    let mut loaded = index.hold_loaded();
    let (mounts, arrivals) = (volume.mounts(), index.arrivals());
    if let Some(loaded) = loaded.as_ref().filter(|loaded| (loaded.mounts, loaded.arrivals) == (mounts, arrivals)) {
        let (last_segment, set_aside) = (loaded.last_segment, loaded.set_aside.clone());
        let unknown = loaded.unknown.clone();
        return Ok(Scanned {
            in_temp: in_temp(volume, index.device())?,
            last_segment,
            set_aside,
            unknown,
            ..Scanned::default()
        });
    }
    let device = index.device();
    let mut scanned = Scanned { in_temp: in_temp(volume, device)?, ..Scanned::default() };
    for number in 0..24 {
        let hour = Hour::ring(volume, device, number);
        // Hour by hour, so that a hand-over to the ring waits for milliseconds, not for the whole scan.
        let _ring = index.hold_ring();
        let known = scanned.chunks.len();
        let names = healed_names(volume, &hour, &|_| false, &mut scanned)?;
        // A disk that takes no writes heals nothing, and is listed all the same.
        scanned.healed += library::heal_ring_siblings(volume, device, number, &names).unwrap_or(0);
        scan_names(volume, device, &hour, &names, &mut scanned);
        index.put_absent(scanned.chunks.get(known..).unwrap_or_default().to_vec());
    }
    scanned.originals.drain(..).for_each(|original| index.put_original(original));
    let (last_segment, set_aside) = (scanned.last_segment, scanned.set_aside.clone());
    let unknown = scanned.unknown.clone();
    // What could not be read now may be readable the next time.
    let is_whole = set_aside.iter().all(|file| file.corrupt);
    *loaded = is_whole.then_some(Loaded { mounts, arrivals, last_segment, set_aside, unknown });
    scanned.chunks.clear();
    Ok(scanned)
}

/// What a file says it is, by its first 4 KiB, and its length; None when it is no chunk.
pub fn look(volume: &Volume, path: &Path) -> Result<(Option<ChunkMeta>, u64)> {
    let file = volume.open_read(path)?;
    let reading = |error| Error::io("reading", path, error);
    let bytes = file.metadata().map_err(reading)?.len();
    // Of a cold file the kernel would read 128 KiB on suspicion. Where it takes no advice, it is only slower.
    let _ = fadvise(&file, 0, None, Advice::Random);
    let mut head = [0; HEAD_READ];
    let count = read_full(&file, &mut head, 0).map_err(reading)?;
    Ok((mp4::head(head.get(..count).unwrap_or_default()), bytes))
}

/// Moves corrupt files out of the ring, so that their places are free, to where a person finds them. Returns the new paths.
pub fn quarantine(volume: &Volume, device: &DeviceId, files: &[SetAside]) -> Result<Vec<PathBuf>> {
    let folder = volume.layout().quarantine(device);
    let mut moved = Vec::new();
    for file in files.iter().filter(|file| file.corrupt) {
        volume.mkdir_all(&folder)?;
        let new = free_name(volume, &folder, &file.path)?;
        volume.rename_new(&file.path, &new)?;
        moved.push(new);
    }
    if !moved.is_empty() {
        volume.fsync_dir(&folder)?;
    }
    Ok(moved)
}

/// `quarantine/14_chunk_10min_2.mp4`, with a number in front when it is taken.
fn free_name(volume: &Volume, folder: &Path, path: &Path) -> Result<PathBuf> {
    let part = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let name = format!("{}_{}", part(path.parent().and_then(Path::file_name)), part(path.file_name()));
    (0..1000)
        .map(|i| folder.join(if i == 0 { name.clone() } else { format!("{i}_{name}") }))
        .find(|candidate| !volume.exists(candidate))
        .ok_or_else(|| Error::new(Kind::Conflict, "quarantine is full of its name").at(path.display()))
}

fn in_temp(volume: &Volume, device: &DeviceId) -> Result<Vec<ChunkKey>> {
    let entries = volume.read_dir(&volume.layout().temp(device))?;
    let mut keys: Vec<_> = entries.iter().filter_map(|entry| ChunkKey::parse(entry.name.to_str()?)).collect();
    keys.sort();
    Ok(keys)
}

/// One folder of chunks.
struct Hour {
    folder: PathBuf,
    /// Of the day, UTC.
    number: u8,
    /// None: of the ring, whose folders belong to no day.
    library: Option<LibraryHour>,
    place: fn(RingSlot) -> Place,
}

impl Hour {
    fn ring(volume: &Volume, device: &DeviceId, number: u8) -> Self {
        Self { folder: volume.layout().ring_hour(device, number), number, library: None, place: Place::Ring }
    }

    fn slot(&self, name: &str) -> Option<RingSlot> {
        RingSlot::parse(&self.number.to_string(), name)
    }
}

/// The names in the folder, after what a crash had cut short there was ended. Hold what [`library::heal`] wants.
fn healed_names(
    volume: &Volume,
    hour: &Hour,
    known: &dyn Fn(&Path) -> bool,
    scanned: &mut Scanned,
) -> Result<Vec<DirEntry>> {
    let names = volume.read_dir(&hour.folder)?;
    let healed = library::heal(volume, &hour.folder, &names, known).unwrap_or_default();
    scanned.healed += healed.deleted + healed.restored;
    if healed.deleted + healed.restored > 0 { volume.read_dir(&hour.folder) } else { Ok(names) }
}

/// Reads the heads of the chunks in a folder, and tells what else is there.
fn scan_names(volume: &Volume, device: &DeviceId, hour: &Hour, names: &[DirEntry], scanned: &mut Scanned) {
    let mut slots = Vec::new();
    let mut originals = HashSet::new();
    for name in names {
        let text = name.name.to_str().unwrap_or_default();
        if let Some((Companion::Original, chunk)) = Companion::parse(text) {
            originals.insert(chunk);
        }
        match hour.slot(text) {
            Some(slot) => slots.push(slot),
            None if name.is_dir || !is_ours(text) => scanned.unknown.push(hour.folder.join(&name.name)),
            None => {}
        }
    }
    // In order, so that of two equal files the same one is listed each time.
    slots.sort();
    for slot in slots {
        let path = hour.folder.join(slot.file_name());
        match read_chunk(volume, device, hour, slot, &path) {
            Ok((chunk, _)) if scanned.known.contains(&chunk.key) => {
                scanned.set_aside.push(SetAside {
                    path,
                    why: "the same chunk lies elsewhere too".into(),
                    corrupt: true,
                });
            }
            Ok((mut chunk, last_segment)) => {
                scanned.last_segment = scanned.last_segment.max(last_segment);
                scanned.known.insert(chunk.key);
                if let Some(last) = scanned.chunks.last().filter(|last| last.codecs == chunk.codecs) {
                    chunk.codecs = Arc::clone(&last.codecs);
                }
                let original = Companion::Original.beside(&path);
                if originals.contains(&slot.file_name())
                    && let Ok((old, _)) = read_chunk(volume, device, hour, slot, &original)
                    // Two names of one file: a transcoder that was cut short tidies up.
                    && old.key != chunk.key
                {
                    scanned.originals.push(ChunkEntry { original: true, ..old });
                }
                scanned.chunks.push(chunk);
            }
            // Evicted between listing and reading.
            Err(error) if error.kind == Kind::NotFound => {}
            Err(mut error) => {
                error.path = None;
                let corrupt = error.kind == Kind::Corrupt;
                scanned.set_aside.push(SetAside { path, why: error.to_string(), corrupt });
            }
        }
    }
}

/// Whether it may lie beside a chunk.
fn is_ours(name: &str) -> bool {
    let chunk = Companion::parse(name).map(|(_, chunk)| chunk).or_else(|| Sibling::parse_library(name).map(|it| it.1));
    chunk.is_some_and(|chunk| RingSlot::parse("0", &chunk).is_some())
}

fn read_chunk(
    volume: &Volume,
    device: &DeviceId,
    hour: &Hour,
    slot: RingSlot,
    path: &Path,
) -> Result<(ChunkEntry, Option<SegmentKey>)> {
    let corrupt = |why: &str| Error::new(Kind::Corrupt, why).at(path.display());
    let (meta, bytes) = look(volume, path)?;
    let meta = meta.ok_or_else(|| corrupt("is not a chunk of ours"))?;
    let sealed = meta.sealed.ok_or_else(|| corrupt("was never sealed; `capstan archive repair` may save it"))?;
    if meta.device != *device {
        return Err(corrupt(&format!("belongs to device {}", meta.device)));
    }
    let expected = LibraryHour::of(meta.start);
    if hour.library.is_some_and(|hour| hour != expected) || hour_of(meta.start) != hour.number {
        return Err(corrupt(&format!("began at {} and lies in another hour", meta.start.rfc3339())));
    }
    let chunk = ChunkEntry {
        key: ChunkKey { start_ms: meta.start.as_ms(), generation: meta.generation },
        place: (hour.place)(slot),
        start: meta.start,
        end: sealed.end,
        bytes,
        codecs: meta.codecs.into(),
        gaps: sealed.gaps,
        holes: None,
        sealed: true,
        original: false,
    };
    Ok((chunk, sealed.last_mark.map(|mark| mark.last)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        clock::{Clock, Utc90k},
        config,
        ids::Epoch,
        media::{
            AudioCodec, AudioConfig,
            mp4::{MarkInfo, SealedMeta, head::Head, identity::IDENTITY_AT, tracks::Tracks},
        },
    };

    const START: i64 = 1_795_143_600;

    fn volume(folder: &Path) -> Arc<Volume> {
        let storage = config::Storage { root: folder.to_owned(), ..config::Storage::default() };
        Volume::open(&storage, &Clock::system()).unwrap()
    }

    /// The first 4 KiB of a chunk of `device` that starts so many minutes after `START`.
    fn chunk(device: &str, minute: i64, sealed: bool) -> Vec<u8> {
        let audio = AudioConfig {
            codec: AudioCodec::Aac,
            sample_rate: 48_000,
            channels: 2,
            samples_per_frame: 1024,
            specific: vec![0x11, 0x90],
        };
        let tracks = Tracks { video: None, audio: Some(audio) };
        let start = Utc90k::from_seconds(START + minute * 60);
        let head = Head::new(&device.parse().unwrap(), start, 0, tracks, 0.0).unwrap();
        let mut bytes = head.image.clone();
        if sealed {
            let last = SegmentKey { epoch: Epoch(3), number: minute as u64 };
            let last_mark = Some(MarkInfo { last, ..MarkInfo::default() });
            let meta = SealedMeta { end: start + 600 * 90_000, gaps: 1, last_mark };
            let identity = head.sealed_identity(meta).unwrap();
            bytes[IDENTITY_AT..][..identity.len()].copy_from_slice(&identity);
            bytes[32..40].copy_from_slice(&head.sealing_bytes());
        }
        bytes
    }

    fn write(folder: &Path, path: &str, bytes: &[u8]) {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn good_chunks_are_listed_whatever_lies_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        let volume = volume(folder.path());
        let put = |path: &str, bytes: &[u8]| write(folder.path(), path, bytes);
        put("cam/segments/4/chunk_10min_1.mp4", &chunk("cam", 70, true));
        put("cam/segments/3/chunk_10min_0.mp4", &chunk("cam", 0, true));
        put("cam/segments/3/chunk_10min_0-2.mp4", &chunk("cam", 5, true));
        put("cam/segments/3/chunk_10min_1.mp4", &chunk("cam", 10, false));
        put("cam/segments/3/chunk_10min_2.mp4", &chunk("other", 20, true));
        put("cam/segments/3/chunk_10min_3.mp4", b"");
        put("cam/segments/3/chunk_10min_4.mp4", &[0; 5000]);
        put("cam/segments/3/chunk_10min_5.mp4", &chunk("cam", 0, true));
        put("cam/segments/3/holiday.mp4", b"not ours");
        put("cam/segments/temp/1795143600000-0.mp4", &chunk("cam", 80, false));
        put("lonely/segments/0/x", b"");
        put("music/song.mp3", b"");
        let cam: DeviceId = "cam".parse().unwrap();

        let index = DeviceIndex::new(cam.clone());
        let scanned = load(&volume, &index).unwrap();
        let minutes = |chunks: &[ChunkEntry]| {
            chunks.iter().map(|chunk| (chunk.start.as_seconds() - START) / 60).collect::<Vec<_>>()
        };
        assert_eq!(scan_device(&volume, &cam).unwrap().chunks.len(), 3);
        let listed: Vec<_> = index.snapshot().iter().map(|chunk| chunk.as_ref().clone()).collect();
        assert_eq!(minutes(&listed), [0, 5, 70]);
        assert_eq!((listed[0].gaps, &*listed[0].codecs, listed[0].sealed), (1, "mp4a.40.2", true));
        assert_eq!(scanned.last_segment, Some(SegmentKey { epoch: Epoch(3), number: 70 }));
        assert_eq!(scanned.in_temp, [ChunkKey { start_ms: START * 1000, generation: 0 }]);

        let mut why: Vec<_> = scanned.set_aside.iter().map(|file| file.why.clone()).collect();
        why.sort();
        for (why, part) in why.iter().zip([
            "belongs to device other",
            "is not a chunk of ours",
            "is not a chunk of ours",
            "the same chunk lies elsewhere",
            "was never sealed",
        ]) {
            assert!(why.contains(part), "{why:?} should contain {part:?}");
        }
        let moved = quarantine(&volume, &cam, &scanned.set_aside).unwrap();
        assert_eq!(moved.len(), 5);
        assert!(scan_device(&volume, &cam).unwrap().set_aside.is_empty());
        assert!(folder.path().join("cam/quarantine/3_chunk_10min_3.mp4").exists());
        assert!(folder.path().join("cam/segments/3/holiday.mp4").exists());
        let found: Vec<_> = devices(&volume).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(found, ["cam", "lonely"]);
    }

    #[test]
    fn a_ring_is_looked_through_again_only_when_chunks_came() {
        let folder = tempfile::tempdir().unwrap();
        let volume = volume(folder.path());
        let put = |slot: u16, bytes: &[u8]| {
            write(folder.path(), &format!("cam/segments/3/chunk_10min_{slot}.mp4"), bytes);
        };
        let index = DeviceIndex::new("cam".parse().unwrap());
        let look = || {
            let scanned = load(&volume, &index).unwrap();
            (index.snapshot().len(), scanned.set_aside.len(), scanned.last_segment.map(|last| last.number))
        };
        put(0, &chunk("cam", 0, true));
        put(1, b"noise");
        assert_eq!(look(), (1, 1, Some(0)));
        put(2, &chunk("cam", 20, true));
        assert_eq!(look(), (1, 1, Some(0)), "told by what was found before");
        index.note_arrival();
        assert_eq!(look(), (2, 1, Some(20)));
    }
}
