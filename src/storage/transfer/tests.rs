//! Copies cut short at every step, and a disk that lies, on two file systems.

use std::{cell::Cell, collections::BTreeMap, fs, path::PathBuf, sync::Arc};

use super::*;
use crate::{
    clock::{Clock, Utc90k},
    config,
    ids::DeviceId,
    storage::{
        Effect, Op, inventory,
        layout::{RingSlot, Sibling},
        library::tests::chunk_bytes,
        siblings,
    },
};

/// 2026-11-20T03:00:00Z.
const START: i64 = 1_795_143_600;

struct Bench {
    home_folder: tempfile::TempDir,
    away_folder: tempfile::TempDir,
    home: Arc<Volume>,
    away: Arc<Volume>,
    index: DeviceIndex,
}

impl Bench {
    fn new() -> Self {
        let home_folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR").to_owned() + "/target").unwrap();
        // Another file system than that of the root and of the target directory.
        let away_folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let (home, away) = open(home_folder.path(), away_folder.path());
        let bench = Self { home_folder, away_folder, home, away, index: DeviceIndex::new("cam".parse().unwrap()) };
        bench.put("chunk_10min_0.mp4", &chunk_bytes("cam", 0, 0));
        bench.put("chunk_10min_0.previews.mp4", b"stills");
        bench.put("chunk_10min_0.jsonl", b"lines");
        bench.put("chunk_10min_5.mp4", &chunk_bytes("cam", 50, 0));
        bench.load();
        bench
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let folder = self.home_folder.path().join("cam/library/2026-11-20/03");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), bytes).unwrap();
    }

    fn load(&self) {
        inventory::load(&self.home, &self.index).unwrap();
        inventory::load_library(&self.home, &self.index).unwrap();
        inventory::load_away(&self.away, &self.index).unwrap();
    }

    fn restarted(&mut self) {
        self.index = DeviceIndex::new("cam".parse().unwrap());
        self.load();
    }

    fn bring(&self) -> Result<Taken> {
        let key = ChunkKey { start_ms: START * 1000, generation: 0 };
        bring_away(&self.home, &self.away, &self.index, key, &|| Ok(()))
    }

    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.home_folder.path().join("cam"), self.away_folder.path().join("cam")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().map(std::result::Result::unwrap) {
                match entry.file_type().unwrap().is_dir() {
                    true => folders.push(entry.path()),
                    false => drop(files.insert(entry.path(), fs::read(entry.path()).unwrap())),
                }
            }
        }
        files
    }

    /// Listed once, opens as what it is, what lay beside it too.
    fn assert_whole(&self, what: &str) {
        let chunks = self.index.snapshot();
        assert_eq!(chunks.len(), 2, "{what}");
        let id: &DeviceId = self.index.device();
        let first = &chunks[0];
        let read = |path: PathBuf| {
            let mut file = self.home.open_at(first.place, &path).unwrap();
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut file, &mut bytes).unwrap();
            bytes
        };
        assert_eq!(read(first.path(self.home.layout(), id)), chunk_bytes("cam", 0, 0), "{what}");
        let beside = |sibling| read(siblings::path(&self.home, id, sibling, first.key, first.place));
        assert_eq!(beside(Sibling::Previews), b"stills", "{what}");
        assert_eq!(beside(Sibling::Metadata), b"lines", "{what}");
    }

    fn is_away(&self) -> bool {
        matches!(self.index.snapshot()[0].place, Place::Library(_, Shelf::Away))
    }
}

fn open(home: &Path, away: &Path) -> (Arc<Volume>, Arc<Volume>) {
    let storage = config::Storage { root: home.to_owned(), ..config::Storage::default() };
    let home = Volume::open(&storage, &Clock::system()).unwrap();
    let away = Volume::away(away, &home);
    home.set_away(away.clone());
    away.check().unwrap();
    (home, away)
}

#[test]
fn a_chunk_is_brought_with_what_lies_beside_it() {
    let mut bench = Bench::new();
    assert_eq!(bench.bring().unwrap(), Taken::Moved);
    assert!(bench.is_away());
    bench.assert_whole("moved");
    assert_eq!(bench.files().len(), 4, "{:?}", bench.files().keys());
    assert_eq!(bench.bring().unwrap(), Taken::Gone, "it is there already");
    bench.restarted();
    bench.assert_whole("listed again");
    assert!(bench.is_away());
}

#[test]
fn a_copy_cut_anywhere_is_done_again() {
    let mut cuts = 0;
    for (on_away, op) in [
        (true, Op::Create),
        (true, Op::Write),
        (true, Op::SyncFile),
        (true, Op::Rename),
        (true, Op::SyncDir),
        (true, Op::Mkdir),
        (true, Op::Unlink),
        (true, Op::Read),
        (false, Op::Read),
        (false, Op::Unlink),
    ] {
        for n in 0..100 {
            let mut bench = Bench::new();
            let faults = if on_away { bench.away.faults() } else { bench.home.faults() };
            faults.arm(op, n, u32::MAX, Effect::Fail(libc::EIO));
            let done = bench.bring();
            let faults = if on_away { bench.away.faults() } else { bench.home.faults() };
            faults.clear();
            bench.away.check().unwrap();
            let what = format!("{op:?} {n} failed on away {on_away}: {done:?}");
            bench.assert_whole(&what);
            cuts += usize::from(done.is_err());
            bench.restarted();
            bench.assert_whole(&what);
            bench.bring().unwrap();
            bench.assert_whole(&what);
            assert!(bench.is_away());
            assert_eq!(bench.files().len(), 4, "nothing doubled, {what}: {:?}", bench.files().keys());
            if done.is_ok() {
                break;
            }
        }
    }
    assert!(cuts > 20, "{cuts} cuts");
}

#[test]
fn a_copy_that_reads_otherwise_is_not_believed() {
    let bench = Bench::new();
    let pieces = Cell::new(0);
    let key = ChunkKey { start_ms: START * 1000, generation: 0 };
    // The disk loses what was written before it is read again.
    let spoil = || {
        pieces.set(pieces.get() + 1);
        for path in bench.files().into_keys().filter(|path| path.extension().is_some_and(|it| it == "copy")) {
            if fs::metadata(&path).unwrap().len() > 0 {
                fs::write(&path, vec![0xee; fs::metadata(&path).unwrap().len() as usize]).unwrap();
            }
        }
        Ok(())
    };
    let error = bring_away(&bench.home, &bench.away, &bench.index, key, &spoil).unwrap_err();
    assert_eq!(error.kind, Kind::Corrupt, "{error}");
    assert!(pieces.get() > 1);
    bench.assert_whole("not believed");
    assert!(!bench.is_away());
    assert_eq!(bench.files().len(), 4, "the copy is gone: {:?}", bench.files().keys());
}

#[test]
fn a_chunk_deleted_or_encoded_anew_meanwhile_leaves_no_copy() {
    let check = |change: &dyn Fn(&Bench), left: usize| {
        let bench = Bench::new();
        let key = ChunkKey { start_ms: START * 1000, generation: 0 };
        let done = bring_away(&bench.home, &bench.away, &bench.index, key, &|| {
            change(&bench);
            Ok(())
        });
        assert_eq!(done.unwrap(), Taken::Gone);
        let away = bench.files().into_keys().filter(|path| path.starts_with(bench.away_folder.path())).count();
        assert_eq!((away, bench.index.snapshot().len()), (0, left));
    };
    let key = ChunkKey { start_ms: START * 1000, generation: 0 };
    check(&|bench| drop(bench.index.forget(&key)), 1);
    let successor = |bench: &Bench| {
        let Some(old) = bench.index.snapshot().get(&key).cloned() else { return };
        let new = ChunkEntry { key: ChunkKey { generation: 1, ..key }, ..old.as_ref().clone() };
        bench.index.replace(&key, new, true);
    };
    check(&successor, 2);
}

#[test]
fn an_absent_volume_is_told_and_a_bare_mount_point_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let storage = config::Storage { root: folder.path().join("root"), ..config::Storage::default() };
    let home = Volume::open(&storage, &Clock::system()).unwrap();
    let bare = folder.path().join("mount");
    let away = Volume::away(&bare, &home);
    home.set_away(away.clone());
    assert_eq!((away.is_ok(), away.mounts(), away.id()), (false, 0, ""));
    assert!(away.check().is_err(), "nothing is there");
    fs::create_dir(&bare).unwrap();
    let error = away.check().unwrap_err();
    assert_eq!(error.kind, Kind::Unavailable, "{error}");
    assert_eq!(fs::read_dir(&bare).unwrap().count(), 0, "nothing is written beneath a mount point");
    let place = Place::Library(RingSlot::of(Utc90k::from_seconds(START), 600), Shelf::Away);
    let refused = home.open_at(place, Path::new("cam/x.mp4")).unwrap_err();
    assert_eq!(refused.kind, Kind::Unavailable, "{refused}");
}
