//! Chunks on the library's own volume: encoded anew there, and what it means that the volume hangs meanwhile.

use std::sync::Arc;

use super::rig::{DAY, NOW, Rig, device, write_chunk};
use crate::{
    error::Kind,
    merge::handover::key_of,
    storage::{
        ChunkEntry, Effect, Gate as Stall, Op, Place, Volume, inventory,
        layout::{Companion, RingSlot, Shelf},
    },
};

/// A library on a file system of its own.
struct Library {
    _folder: tempfile::TempDir,
    volume: Arc<Volume>,
}

impl Library {
    fn of(rig: &Rig) -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let volume = Volume::away(folder.path(), &rig.disk.volume);
        rig.disk.volume.set_away(volume.clone());
        volume.check().unwrap();
        Self { _folder: folder, volume }
    }

    fn record(&self, rig: &Rig, days_ago: u64) -> ChunkEntry {
        let start = NOW + -i64::try_from(days_ago * DAY + 600).unwrap() * 90_000;
        let slot = RingSlot::of(start, 600);
        let path = self.volume.layout().library_chunk(&device(), start, slot);
        let entry = write_chunk(&self.volume, start, 0, 20, &path);
        let entry = ChunkEntry { place: Place::Library(slot, Shelf::Away), ..entry };
        rig.disk.index.put(entry.clone());
        entry
    }

    fn generation(&self, rig: &Rig, entry: &ChunkEntry) -> u32 {
        let (meta, _) = inventory::look(&self.volume, &rig.disk.path(entry)).unwrap();
        key_of(&meta.unwrap()).generation
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..4000 {
        if holds() {
            return;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
    panic!("{what}: not within 20 s");
}

#[test]
fn what_lies_there_is_encoded_anew_there_and_rolled_back() {
    let rig = Rig::new();
    let library = Library::of(&rig);
    let source = library.record(&rig, 9);
    assert_eq!((rig.turn(), library.generation(&rig, &source)), (1, 1));
    let path = rig.disk.path(&source);
    assert!(library.volume.exists(&Companion::Original.beside(&path)));
    // Absent, it is asked for nothing; the rest goes on.
    library.volume.doubt();
    let home = rig.disk.record(8);
    assert_eq!(rig.runner.roll_back(&path).unwrap_err().kind, Kind::Unavailable);
    assert_eq!((rig.turn(), rig.disk.generation(&rig.disk.path(&home))), (2, Some(1)));
    library.volume.check().unwrap();
    rig.runner.roll_back(&path).unwrap();
    assert_eq!(library.generation(&rig, &source), 0);
}

#[test]
fn a_volume_that_hangs_in_a_swap_holds_up_nobody_and_is_told() {
    // Told by whoever watches the volume, or by the time that the swap takes.
    for is_watched in [true, false] {
        let rig = Rig::new();
        let library = Library::of(&rig);
        let source = library.record(&rig, 9);
        let (path, stall) = (rig.disk.path(&source), Stall::closed());
        // The encoder's own, the marker's, and then that over the source.
        library.volume.faults().arm(Op::Rename, 2, 1, Effect::Stall(stall.clone()));
        std::thread::scope(|scope| {
            rig.runner.steer();
            let turn = scope.spawn(|| rig.runner.turn());
            until("it swaps", || library.volume.exists(&Companion::Marker.beside(&path)));
            // The recorder's lock is free: it hands over, and the cleaner at home deletes.
            drop(rig.disk.index.hold_ring());
            rig.disk.record(1);
            rig.runner.steer();
            assert_eq!(rig.gate(), "open");
            match is_watched {
                true => library.volume.doubt(),
                false => rig.advance(121),
            }
            rig.runner.steer();
            let status = rig.runner.status();
            assert_eq!(status.gate.name(), "library");
            assert!(status.detail.unwrap().contains("does not answer"));
            assert!(rig.runner.verdict().unwrap_err().contains("does not answer"));
            assert!(rig.runner.status().current.is_some() && !turn.is_finished());
            stall.open();
            turn.join().unwrap();
        });
        // It went through in the end, and nothing is there twice.
        library.volume.check().unwrap();
        assert_eq!(library.generation(&rig, &source), 1);
        assert_eq!((rig.disk.index.snapshot().len(), rig.disk.index.originals().len()), (2, 1));
        rig.turn();
        assert_ne!(rig.gate(), "library");
        assert!(rig.runner.verdict().is_ok());
    }
}

#[test]
fn a_volume_that_hangs_while_a_chunk_is_read_ends_its_encoder_and_blames_nobody() {
    let rig = Rig::new();
    let library = Library::of(&rig);
    let source = library.record(&rig, 9);
    let volume = library.volume.clone();
    rig.next_job(move |_, control| {
        // As when the watcher finds it out while the job waits.
        volume.doubt();
        until("it is told to end", || control.is_cancelled());
        Some(Err(crate::transcode::Failure { reason: crate::transcode::Reason::Cancelled, message: "stopped".into() }))
    });
    std::thread::scope(|scope| {
        rig.runner.steer();
        let turn = scope.spawn(|| rig.runner.turn());
        until("it ends", || {
            rig.runner.steer();
            turn.is_finished()
        });
    });
    assert_eq!(library.generation(&rig, &source), 0);
    assert_eq!(rig.runner.stats().unwrap().files_failed, 0);
    library.volume.check().unwrap();
    assert_eq!((rig.turn(), library.generation(&rig, &source)), (2, 1), "tried again when it is back");
}
