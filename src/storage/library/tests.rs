//! Moves cut short at every step, with real files: afterwards one good file is listed, nothing doubled, nothing lost.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use super::*;
use crate::{
    clock::Clock,
    config,
    media::{
        AudioCodec, AudioConfig,
        mp4::{MarkInfo, SealedMeta, head::Head, identity::IDENTITY_AT, tracks::Tracks},
    },
    storage::{Effect, Op, inventory},
};

/// 2026-11-20T03:00:00Z.
const START: i64 = 1_795_143_600;

/// The sealed head of a chunk that starts so many minutes after `START`: all that listing reads.
pub(crate) fn chunk_bytes(device: &str, minute: i64, generation: u32) -> Vec<u8> {
    let audio = AudioConfig {
        codec: AudioCodec::Aac,
        sample_rate: 48_000,
        channels: 2,
        samples_per_frame: 1024,
        specific: vec![0x11, 0x90],
    };
    let tracks = Tracks { video: None, audio: Some(audio) };
    let start = Utc90k::from_seconds(START + minute * 60);
    let head = Head::new(&device.parse().unwrap(), start, generation, tracks, 0.0).unwrap();
    let mut bytes = head.image.clone();
    let meta = SealedMeta { end: start + 600 * 90_000, gaps: 0, last_mark: Some(MarkInfo::default()) };
    let identity = head.sealed_identity(meta).unwrap();
    bytes[IDENTITY_AT..][..identity.len()].copy_from_slice(&identity);
    bytes[32..40].copy_from_slice(&head.sealing_bytes());
    bytes
}

struct Bench {
    folder: tempfile::TempDir,
    volume: Arc<Volume>,
    index: DeviceIndex,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let volume = open(folder.path());
        let bench = Self { folder, volume, index: DeviceIndex::new("cam".parse().unwrap()) };
        bench.put("segments/3/chunk_10min_0.mp4", &chunk_bytes("cam", 0, 1));
        bench.put("segments/3/chunk_10min_0.mp4.original", &chunk_bytes("cam", 0, 0));
        bench.put("segments/3/chunk_10min_0.transcoded", b"{}");
        bench.put("thumbnails/3/chunk_10min_0.mp4", b"stills");
        bench.put("metadata/3/chunk_10min_0.jsonl", b"lines");
        bench.put("segments/3/chunk_10min_5.mp4", &chunk_bytes("cam", 50, 0));
        bench.load();
        bench
    }

    fn put(&self, path: &str, bytes: &[u8]) {
        let path = self.folder.path().join("cam").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn load(&self) {
        inventory::load(&self.volume, &self.index).unwrap();
        inventory::load_library(&self.volume, &self.index).unwrap();
    }

    /// The daemon is started again.
    fn restarted(&mut self) {
        self.index = DeviceIndex::new("cam".parse().unwrap());
        // What an index keeps of a look through the ring is of that index.
        self.load();
    }

    fn key(&self) -> ChunkKey {
        ChunkKey { start_ms: START * 1000, generation: 1 }
    }

    fn shelve(&self) -> Result<Option<Place>> {
        let ring = self.index.hold_ring();
        shelve(&self.volume, &self.index, self.key(), &ring)
    }

    /// Every file below the device, by what it holds.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.folder.path().join("cam")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else {
                    let name = entry.path().strip_prefix(self.folder.path().join("cam")).unwrap().to_owned();
                    files.insert(name.to_str().unwrap().to_owned(), fs::read(entry.path()).unwrap());
                }
            }
        }
        files
    }

    /// Each chunk is listed once and opens as what it is, with all that lay beside it.
    fn assert_whole(&self, what: &str) {
        let chunks = self.index.snapshot();
        let starts: Vec<_> = chunks.iter().map(|chunk| chunk.key.start_ms / 60_000 - START / 60).collect();
        assert_eq!(starts, [0, 50], "{what}");
        let read = |path: &Path| fs::read(self.folder.path().join(path)).ok();
        let first = &chunks[0];
        let path = first.path(self.volume.layout(), self.index.device());
        assert_eq!(read(&path), Some(chunk_bytes("cam", 0, 1)), "{what}");
        let beside: Vec<_> = beside(&self.volume, self.index.device(), first).iter().map(|it| read(it)).collect();
        let original = chunk_bytes("cam", 0, 0);
        let expected = [b"stills".to_vec(), b"lines".to_vec(), original, b"{}".to_vec()].map(Some);
        assert_eq!(beside, expected, "{what}: {first:?} in {:?}", self.files().keys());
        assert_eq!(self.index.originals().len(), 1, "{what}");
        assert_eq!(self.index.originals()[0].place, first.place, "{what}");
        assert_eq!(self.files().len(), 6, "nothing doubled, {what}: {:?}", self.files().keys());
    }
}

fn open(folder: &Path) -> Arc<Volume> {
    let storage = config::Storage { root: folder.to_owned(), ..config::Storage::default() };
    Volume::open(&storage, &Clock::system()).unwrap()
}

const OPS: [Op; 7] = [Op::Read, Op::Link, Op::Rename, Op::Unlink, Op::SyncDir, Op::Mkdir, Op::Create];

#[test]
fn a_move_to_the_library_takes_everything_along() {
    let bench = Bench::new();
    bench.assert_whole("before");
    let place = bench.shelve().unwrap().unwrap();
    assert_eq!(place, Place::Library(RingSlot { hour: 3, index: 0, copy: 1 }, Shelf::Home));
    bench.assert_whole("after");
    assert!(bench.files().contains_key("library/2026-11-20/03/chunk_10min_0.previews.mp4"));
    assert_eq!(bench.shelve().unwrap(), None, "it has left the ring");
}

/// The n-th operation of a kind fails, and the daemon ends there (or tries again), for every n.
#[test]
fn a_move_cut_anywhere_is_ended_or_undone_at_the_next_start() {
    let mut cuts = 0;
    for op in OPS {
        for n in 0.. {
            for again in [false, true] {
                let mut bench = Bench::new();
                bench.volume.faults().arm(op, n, u32::MAX, Effect::Fail(libc::EIO));
                let moved = bench.shelve();
                bench.volume.faults().clear();
                if again {
                    bench.shelve().unwrap();
                    // What a failing unlink left in the ring goes with the next start.
                }
                cuts += usize::from(moved.is_err());
                bench.restarted();
                bench.assert_whole(&format!("{op:?} {n} failed, again {again}: {moved:?}"));
                // And for good: a third start finds nothing to do.
                bench.restarted();
                bench.assert_whole("started twice");
            }
            // Past the last operation of its kind nothing fails.
            let bench = Bench::new();
            bench.volume.faults().arm(op, n, 1, Effect::Fail(libc::EIO));
            let fine = bench.shelve().is_ok();
            let untouched = bench.volume.faults().strike(op).is_err();
            if fine && untouched {
                break;
            }
            assert!(n < 100, "{op:?} never ends");
        }
    }
    assert!(cuts > 10, "{cuts} cuts");
}

#[test]
fn two_chunks_that_want_one_name_both_stay() {
    let bench = Bench::new();
    bench.put("library/2026-11-20/03/chunk_10min_0.mp4", &chunk_bytes("cam", 2, 0));
    inventory::load_library(&bench.volume, &bench.index).unwrap();
    let place = bench.shelve().unwrap().unwrap();
    assert_eq!(place, Place::Library(RingSlot { hour: 3, index: 0, copy: 2 }, Shelf::Home));
    assert_eq!(bench.index.snapshot().len(), 3);
}

#[test]
fn what_a_crash_left_is_healed() {
    let mut bench = Bench::new();
    let library = "library/2026-11-20/05/";
    // Footage whose successor is gone; what lies beside no chunk; half a copy.
    bench.put(&format!("{library}chunk_10min_1.mp4.original"), &chunk_bytes("cam", 130, 0));
    bench.put(&format!("{library}chunk_10min_1.jsonl"), b"lines");
    bench.put(&format!("{library}chunk_10min_2.jsonl"), b"lines");
    bench.put(&format!("{library}chunk_10min_2.transcoded"), b"{}");
    bench.put(&format!("{library}chunk_10min_3.mp4.copy"), b"half");
    bench.put("thumbnails/9/chunk_10min_2.mp4", b"stills");
    bench.put("segments/9/chunk_10min_4.mp4.original", &chunk_bytes("cam", 400, 0));
    // Not ours to touch.
    bench.put(&format!("{library}chunk_10min_4.mp4.new"), b"half");
    bench.put(&format!("{library}notes.txt"), b"mine");
    bench.put("library/holiday/x.mp4", b"mine");
    // In the wrong hour, and of another device.
    bench.put("library/2026-11-21/05/chunk_10min_2.mp4", &chunk_bytes("cam", 140, 0));
    bench.put(&format!("{library}chunk_10min_4.mp4"), &chunk_bytes("other", 160, 0));
    bench.index = DeviceIndex::new("cam".parse().unwrap());
    inventory::load(&bench.volume, &bench.index).unwrap();
    let scanned = inventory::load_library(&bench.volume, &bench.index).unwrap();
    let minutes: Vec<_> = bench.index.snapshot().iter().map(|chunk| chunk.key.start_ms / 60_000 - START / 60).collect();
    assert_eq!(minutes, [0, 50, 130, 400]);
    let mut why: Vec<_> = scanned.set_aside.iter().map(|file| file.why.as_str()).collect();
    why.sort();
    assert!(why[0].contains("lies in another hour") && why[1].contains("belongs to device other"), "{why:?}");
    assert_eq!(scanned.unknown.len(), 2, "{:?}", scanned.unknown);
    let files = bench.files();
    let in_library: Vec<_> = files.keys().filter_map(|name| name.strip_prefix(library)).collect();
    assert_eq!(
        in_library,
        ["chunk_10min_1.jsonl", "chunk_10min_1.mp4", "chunk_10min_4.mp4", "chunk_10min_4.mp4.new", "notes.txt"]
    );
    assert!(!files.contains_key("thumbnails/9/chunk_10min_2.mp4"));
    assert_eq!(scanned.healed, 4);
}

/// A file system without hard links takes everything by rename.
#[test]
fn without_hard_links_it_is_renamed() {
    let bench = Bench::new();
    bench.volume.faults().arm(Op::Link, 0, u32::MAX, Effect::Fail(libc::EPERM));
    bench.shelve().unwrap().unwrap();
    bench.assert_whole("renamed");
}
