//! The power of a real ext4 goes at every step of a swap and of a rollback: what is on the disk then is healed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod common;

use std::{path::Path, sync::Arc};

use capstan::{
    clock::{Clock, Utc90k},
    config::Storage,
    ids::DeviceId,
    merge::{handover::key_of, recover::verify_file},
    storage::{
        ChunkEntry, DeviceIndex, Place, Volume, inventory,
        layout::{Companion, RingSlot},
    },
    transcode::{
        Made,
        heal::{self, Keeping},
        swap::Swap,
    },
};
use common::{LoopDisk, chunks::sealed_sound, skip};

const START: Utc90k = Utc90k::from_seconds(1_795_143_600);
const KEEP: Keeping = Keeping { now: START, delete_after: Some(Utc90k::from_seconds(1_795_243_600)) };

fn cam() -> DeviceId {
    "cam".parse().unwrap()
}

fn open(root: &Path) -> Arc<Volume> {
    let storage = Storage { root: root.to_owned(), ..Storage::default() };
    Volume::open(&storage, &Clock::system()).unwrap()
}

/// A sealed, durable chunk under this path.
fn write(volume: &Arc<Volume>, start: Utc90k, generation: u32, to: &Path) -> ChunkEntry {
    let sealed = sealed_sound(volume, &cam(), start, generation);
    let folder = to.parent().unwrap();
    volume.mkdir_all(folder).unwrap();
    volume.rename(&sealed.path, to).unwrap();
    volume.fsync_dir(folder).unwrap();
    sealed.entry(Place::Ring(RingSlot::of(start, 600)))
}

#[test]
fn one_good_file_plays_whenever_the_power_of_an_ext4_goes() {
    let Some(disk) = LoopDisk::new(64) else {
        return skip("one_good_file_plays_whenever_the_power_of_an_ext4_goes", "no loop mounts here");
    };
    for back in [false, true] {
        let mut ends = Vec::new();
        for changes in 0..40 {
            let volume = open(&disk.root());
            let index = DeviceIndex::new(cam());
            let slot = RingSlot::of(START, 600);
            let path = volume.layout().ring_chunk(&cam(), slot);
            let source = write(&volume, START, 0, &path);
            index.put(source.clone());
            let entry = write(&volume, START, 1, &Companion::Successor.beside(&path));
            let made = Made { entry, encoder: "libx265", ssim: None };
            let swap = Swap { volume: &volume, index: &index, keeping: KEEP };
            if back {
                swap.swap(&source, &made).unwrap();
            }
            volume.faults().cut_power_after(changes);
            let done = if back { swap.roll_back(&made.entry).is_ok() } else { swap.swap(&source, &made).is_ok() };
            let was_cut = volume.faults().is_cut();
            disk.cut_power();
            drop(volume);
            disk.unmount();
            disk.mount();

            let volume = open(&disk.root());
            let fresh = DeviceIndex::new(cam());
            heal::device(&volume, &fresh, KEEP).1.unwrap();
            let (meta, _) = inventory::look(&volume, &path).expect("X is there");
            let generation = key_of(&meta.expect("and a chunk")).generation;
            assert!(verify_file(&volume, &path).unwrap().is_whole(), "{back} {changes}");
            let scanned = inventory::load(&volume, &fresh).unwrap();
            assert_eq!((scanned.set_aside.len(), fresh.snapshot().len()), (0, 1), "{back} {changes}");
            let left = [Companion::Successor, Companion::Original, Companion::Marker]
                .map(|kind| volume.exists(&kind.beside(&path)));
            let expected = if generation == 1 { [false, true, true] } else { [false; 3] };
            assert_eq!(left, expected, "{back} {changes}: generation {generation}");
            ends.push(generation);
            for entry in volume.read_dir(path.parent().unwrap()).unwrap() {
                volume.unlink(&path.with_file_name(entry.name)).unwrap();
            }
            if !was_cut {
                assert!(done);
                break;
            }
        }
        let (first, last) = (u32::from(back), u32::from(!back));
        assert_eq!((ends.first(), ends.last()), (Some(&first), Some(&last)), "{ends:?}");
        assert!(ends.len() > 4 && (ends.is_sorted() || ends.iter().rev().is_sorted()), "{ends:?}");
    }
}
