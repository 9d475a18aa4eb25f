//! Power goes at every step of a swap, a rollback, an expiry: one good file plays, nothing doubles, markers heal.

use super::rig::{Disk, NOW, device};
use crate::{
    clock::{ManualClock, Utc90k},
    storage::{ChunkEntry, DeviceIndex, Effect, Op, inventory, layout::Companion},
    transcode::{
        Made,
        heal::{self, Keeping},
        marker::Marker,
        swap::Swap,
    },
};

const LATER: Utc90k = Utc90k(NOW.0 + 86_400 * 90_000);
const KEEP: Keeping = Keeping { now: NOW, delete_after: Some(LATER) };
const KEEP_NONE: Keeping = Keeping { now: NOW, delete_after: None };

fn disk() -> Disk {
    Disk::new(&ManualClock::at(NOW))
}

fn swap(disk: &Disk, keeping: Keeping) -> Swap<'_> {
    Swap { volume: &disk.volume, index: &disk.index, keeping }
}

/// What a start makes of the folder, in an index of its own, and whether all is as it must be.
fn start_again(disk: &Disk, source: &ChunkEntry, keeping: Keeping) -> (Option<u32>, DeviceIndex) {
    let fresh = DeviceIndex::new(device());
    let (_, outcome) = heal::device(&disk.volume, &fresh, keeping);
    outcome.unwrap();
    let (again, _) = heal::device(&disk.volume, &fresh, keeping);
    assert_eq!(again, [], "healed is healed");
    let scanned = inventory::load(&disk.volume, &fresh).unwrap();
    assert_eq!(scanned.set_aside, []);
    let listed: Vec<_> = fresh.snapshot().iter().map(|chunk| (chunk.start, chunk.key.generation)).collect();
    let path = disk.path(source);
    let generation = disk.generation(&path);
    assert_eq!(listed, generation.map(|it| (source.start, it)).into_iter().collect::<Vec<_>>(), "nothing doubles");
    let [original, marker, successor] =
        [Companion::Original, Companion::Marker, Companion::Successor].map(|kind| kind.beside(&path));
    assert!(!disk.volume.exists(&successor));
    match generation {
        Some(1) if disk.volume.exists(&original) => {
            assert_eq!(disk.generation(&original), Some(0));
            let told = Marker::read(&disk.volume, &marker).unwrap();
            assert_eq!((told.key().map(|key| key.generation), told.delete_after()), (Some(1), Some(LATER)));
        }
        _ => assert_eq!(disk.names(source), [path.file_name().unwrap().to_str().unwrap()], "nothing is left beside"),
    }
    (generation, fresh)
}

/// The living daemon's list after a failure leads to what it says.
fn is_consistent(disk: &Disk, source: &ChunkEntry, made: &Made) {
    let listed = disk.index.snapshot();
    assert_eq!(listed.len(), 1, "one of both: {listed:?}");
    for key in [source.key, made.entry.key] {
        if let Some(entry) = disk.index.get(&key) {
            assert_eq!(disk.generation(&disk.path(&entry)), Some(key.generation), "{entry:?}");
        }
    }
}

#[test]
fn a_successor_takes_the_place_of_its_source() {
    let disk = disk();
    let source = disk.record(8);
    let made = disk.encode(&source);
    swap(&disk, KEEP).swap(&source, &made).unwrap();
    let name = disk.path(&source).file_stem().unwrap().to_str().unwrap().to_owned();
    assert_eq!(
        disk.names(&source),
        [format!("{name}.mp4"), format!("{name}.mp4.original"), format!("{name}.transcoded")]
    );
    let marker = Marker::read(&disk.volume, &Companion::Marker.beside(&disk.path(&source))).unwrap();
    assert_eq!((marker.encoder.as_str(), marker.ssim, marker.generation), ("libx265", Some(0.985), 1));
    assert_eq!((marker.original_bytes, marker.bytes), (source.bytes, made.entry.bytes));
    assert!(marker.savings > 10.0 && marker.original == format!("{name}.mp4.original"), "{marker:?}");
    // Both answer by their keys; the list has the new one.
    assert_eq!(disk.index.snapshot().iter().map(|chunk| chunk.key).collect::<Vec<_>>(), [made.entry.key]);
    is_consistent(&disk, &source, &made);
    let kept = disk.index.get(&source.key).unwrap();
    assert!(kept.original);

    // Not before its time.
    assert!(!swap(&disk, KEEP).expire(&kept, LATER + -1).unwrap());
    assert!(swap(&disk, KEEP).expire(&kept, LATER).unwrap());
    assert_eq!((disk.names(&source), disk.index.get(&source.key)), (vec![format!("{name}.mp4")], None));
    assert!(!swap(&disk, KEEP).expire(&kept, LATER).unwrap(), "it is gone");
    assert_eq!(swap(&disk, KEEP).roll_back(&made.entry).unwrap_err().kind, crate::error::Kind::NotFound);
}

#[test]
fn without_a_time_to_keep_them_originals_go_at_once() {
    let disk = disk();
    let source = disk.record(8);
    let made = disk.encode(&source);
    swap(&disk, KEEP_NONE).swap(&source, &made).unwrap();
    assert_eq!((disk.names(&source).len(), disk.index.get(&source.key)), (1, None));
    assert_eq!(disk.generation(&disk.path(&source)), Some(1));
}

#[test]
fn what_went_moved_or_changed_meanwhile_is_let_be() {
    let check = |what: &str, change: fn(&Disk, &ChunkEntry)| {
        let disk = disk();
        let source = disk.record(8);
        let made = disk.encode(&source);
        change(&disk, &source);
        let before = disk.index.snapshot();
        let error = swap(&disk, KEEP).swap(&source, &made).unwrap_err();
        assert_eq!(error.kind, crate::error::Kind::Conflict, "{what}");
        assert!(!disk.volume.exists(&Companion::Successor.beside(&disk.path(&source))), "{what}");
        assert_eq!(disk.index.snapshot().as_ref().to_vec(), before.as_ref().to_vec(), "{what}");
    };
    check("deleted by the cleaner", |disk, source| {
        disk.index.remove(&source.key);
        disk.volume.unlink(&disk.path(source)).unwrap();
    });
    check("its file is gone", |disk, source| disk.volume.unlink(&disk.path(source)).unwrap());
    check("moved to the library", |disk, source| {
        let crate::storage::Place::Ring(slot) = source.place else { panic!() };
        let place = crate::storage::Place::Library(slot, crate::storage::layout::Shelf::Home);
        let moved = ChunkEntry { place, ..source.clone() };
        disk.volume.mkdir_all(disk.path(&moved).parent().unwrap()).unwrap();
        disk.volume.rename(&disk.path(source), &disk.path(&moved)).unwrap();
        disk.index.put(moved);
    });
    check("another took its place", |disk, source| {
        disk.index.remove(&source.key);
        super::rig::write_chunk(&disk.volume, source.start + 86_400 * 90_000, 0, 3, &disk.path(source));
    });
}

/// Cuts after every number of changes until one gets through whole. `prepare` is undisturbed, `work` is cut.
fn cut_everywhere(
    what: &str,
    keeping: Keeping,
    faults: &[(Op, u32, u32, i32)],
    prepare: impl Fn(&Disk, &ChunkEntry, &Made),
    work: impl Fn(&Disk, &ChunkEntry, &Made) -> bool,
) -> Vec<Option<u32>> {
    let mut ends = Vec::new();
    for changes in 0..100 {
        let disk = disk();
        let source = disk.record(8);
        let made = disk.encode(&source);
        prepare(&disk, &source, &made);
        for (op, skip, times, errno) in faults {
            disk.volume.faults().arm(*op, *skip, *times, Effect::Fail(*errno));
        }
        disk.volume.faults().cut_power_after(changes);
        let done = work(&disk, &source, &made);
        let was_cut = disk.volume.faults().is_cut();
        disk.volume.faults().clear();
        // After a kill -9 the files alone count; a disk that comes back finds the daemon alive.
        if !was_cut {
            assert!(done, "{what}: uncut");
            is_consistent(&disk, &source, &made);
        }
        let (generation, _) = start_again(&disk, &source, keeping);
        assert!(generation.is_some(), "{what}: one good file plays, cut after {changes}");
        ends.push(generation);
        if !was_cut {
            return ends;
        }
    }
    panic!("{what} never gets through");
}

fn swapped(disk: &Disk, source: &ChunkEntry, made: &Made) {
    swap(disk, KEEP).swap(source, made).unwrap();
}

#[test]
fn power_may_go_at_every_step_of_a_swap() {
    let nothing = |_: &Disk, _: &ChunkEntry, _: &Made| {};
    let work = |disk: &Disk, source: &ChunkEntry, made: &Made| swap(disk, KEEP).swap(source, made).is_ok();
    let ends = cut_everywhere("swap", KEEP, &[], nothing, work);
    assert_eq!((ends.first(), ends.last()), (Some(&Some(0)), Some(&Some(1))));
    assert!(ends.len() > 8 && ends.is_sorted(), "old until it is new: {ends:?}");

    let work = |disk: &Disk, source: &ChunkEntry, made: &Made| swap(disk, KEEP_NONE).swap(source, made).is_ok();
    let ends = cut_everywhere("swap without keeping", KEEP_NONE, &[], nothing, work);
    assert!(ends.last() == Some(&Some(1)) && ends.is_sorted(), "{ends:?}");
}

#[test]
fn where_there_are_no_links_names_are_exchanged_or_bytes_copied() {
    let nothing = |_: &Disk, _: &ChunkEntry, _: &Made| {};
    let work = |disk: &Disk, source: &ChunkEntry, made: &Made| swap(disk, KEEP).swap(source, made).is_ok();
    let no_links = (Op::Link, 0, u32::MAX, libc::EPERM);
    let ends = cut_everywhere("exchange", KEEP, &[no_links], nothing, work);
    assert!(ends.last() == Some(&Some(1)) && ends.is_sorted(), "{ends:?}");
    // The marker's rename is the first, the exchange the second.
    let no_exchange = (Op::Rename, 1, 1, libc::EINVAL);
    let ends = cut_everywhere("copy", KEEP, &[no_links, no_exchange], nothing, work);
    assert!(ends.last() == Some(&Some(1)) && ends.is_sorted(), "{ends:?}");
}

#[test]
fn power_may_go_at_every_step_of_a_rollback_and_of_an_expiry() {
    let back = |disk: &Disk, _: &ChunkEntry, made: &Made| swap(disk, KEEP).roll_back(&made.entry).is_ok();
    let ends = cut_everywhere("rollback", KEEP, &[], swapped, back);
    assert_eq!((ends.first(), ends.last()), (Some(&Some(1)), Some(&Some(0))));
    assert!(ends.iter().rev().is_sorted(), "{ends:?}");
    let ends = cut_everywhere("rollback without links", KEEP, &[(Op::Link, 0, 9, libc::EPERM)], swapped, back);
    assert_eq!(ends.last(), Some(&Some(0)));

    let expire = |disk: &Disk, source: &ChunkEntry, _: &Made| {
        let kept = disk.index.get(&source.key).unwrap();
        swap(disk, KEEP).expire(&kept, LATER).unwrap_or(false)
    };
    let ends = cut_everywhere("expiry", KEEP, &[], swapped, expire);
    assert!(ends.iter().all(|end| *end == Some(1)), "{ends:?}");
}

#[test]
fn a_disk_that_refuses_one_step_leaves_no_doubt() {
    for op in [Op::SyncDir, Op::Link, Op::Create, Op::Write, Op::SyncFile, Op::Rename, Op::Unlink] {
        for skip in 0..6 {
            for errno in [libc::EIO, libc::ENOSPC] {
                let disk = disk();
                let source = disk.record(8);
                let made = disk.encode(&source);
                disk.volume.faults().arm(op, skip, 1, Effect::Fail(errno));
                let done = swap(&disk, KEEP).swap(&source, &made);
                disk.volume.faults().clear();
                is_consistent(&disk, &source, &made);
                let living = disk.index.snapshot().first().map(|chunk| chunk.key.generation);
                let (generation, _) = start_again(&disk, &source, KEEP);
                assert_eq!(generation, living, "{op:?} {skip}: the list said what lay there");
                if done.is_ok() {
                    assert_eq!(generation, Some(1));
                }
            }
        }
    }
}

#[test]
fn a_marker_that_is_lost_is_written_anew() {
    let disk = disk();
    let source = disk.record(8);
    let made = disk.encode(&source);
    swapped(&disk, &source, &made);
    let marker = Companion::Marker.beside(&disk.path(&source));
    for spoil in [None, Some(&b"{"[..])] {
        disk.volume.unlink(&marker).unwrap();
        if let Some(bytes) = spoil {
            disk.volume.write_atomic(&marker, bytes).unwrap();
        }
        // While the daemon lives, and at a start.
        let kept = disk.index.get(&source.key).unwrap();
        assert!(!swap(&disk, KEEP).expire(&kept, LATER).unwrap());
        assert_eq!(Marker::read(&disk.volume, &marker).unwrap().original_bytes, source.bytes);
        start_again(&disk, &source, KEEP);
    }
}

#[test]
fn a_reader_that_has_it_open_reads_on() {
    use std::io::Read;
    let disk = disk();
    let source = disk.record(8);
    let mut open = disk.volume.open_read(&disk.path(&source)).unwrap();
    let before = std::fs::read(disk.folder.path().join(disk.path(&source))).unwrap();
    let made = disk.encode(&source);
    swap(&disk, KEEP_NONE).swap(&source, &made).unwrap();
    let mut after = Vec::new();
    open.read_to_end(&mut after).unwrap();
    assert_eq!(before, after);
}
