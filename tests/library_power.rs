//! The power of real ext4 disks goes at every step of a move into the library, and of one to its own volume: one good file
//! always plays, and nothing is there twice after the next start.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use capstan::{
    clock::{Clock, Utc90k},
    config::Storage,
    ids::DeviceId,
    merge::recover::verify_file,
    storage::{
        DeviceIndex, Place, Volume, inventory,
        layout::{ChunkKey, RingSlot, Shelf, Sibling},
        library, siblings,
        transfer::bring_away,
    },
};
use common::{LoopDisk, chunks::sealed_sound, skip};

const START: Utc90k = Utc90k::from_seconds(1_795_143_600);
const KEY: ChunkKey = ChunkKey { start_ms: 1_795_143_600_000, generation: 0 };

fn cam() -> DeviceId {
    "cam".parse().unwrap()
}

fn open(root: &Path, away: Option<&LoopDisk>) -> (Arc<Volume>, Option<Arc<Volume>>) {
    let storage = Storage { root: root.to_owned(), ..Storage::default() };
    let home = Volume::open(&storage, &Clock::system()).unwrap();
    let away = away.map(|disk| {
        let away = Volume::away(&disk.root(), &home);
        home.set_away(away.clone());
        away.check().unwrap();
        away
    });
    (home, away)
}

/// What a start of the daemon finds.
fn load(home: &Volume, away: Option<&Arc<Volume>>) -> DeviceIndex {
    let index = DeviceIndex::new(cam());
    let scanned = inventory::load(home, &index).unwrap();
    assert!(scanned.set_aside.is_empty(), "{:?}", scanned.set_aside);
    inventory::load_library(home, &index).unwrap();
    if let Some(away) = away {
        inventory::load_away(away, &index).unwrap();
    }
    index
}

/// A sealed, durable chunk in the ring, with what lies beside it.
fn record(volume: &Arc<Volume>) {
    let sealed = sealed_sound(volume, &cam(), START, 0);
    let slot = RingSlot::of(START, 600);
    let to = volume.layout().ring_chunk(&cam(), slot);
    let lines = siblings::path(volume, &cam(), Sibling::Metadata, KEY, Place::Ring(slot));
    for folder in [&to, &lines].map(|path| path.parent().unwrap()) {
        volume.mkdir_all(folder).unwrap();
    }
    volume.rename(&sealed.path, &to).unwrap();
    volume.fsync_dir(to.parent().unwrap()).unwrap();
    volume.write_atomic(&lines, b"lines").unwrap();
}

/// Files of the device on a disk.
fn files(disk: &LoopDisk) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![disk.root().join("cam")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => found.push(entry.path()),
            }
        }
    }
    found
}

/// Listed once, whole, with what lay beside it, and nothing else.
fn is_whole(home: &Volume, index: &DeviceIndex, disks: &[&LoopDisk], what: &str) -> Place {
    let chunks = index.snapshot();
    assert_eq!(chunks.len(), 1, "{what}");
    let chunk = &chunks[0];
    let on = home.of(chunk.place);
    assert!(verify_file(on, &chunk.path(home.layout(), &cam())).unwrap().is_whole(), "{what}");
    let lines = siblings::path(home, &cam(), Sibling::Metadata, chunk.key, chunk.place);
    assert_eq!(fs::read(on.root().join(lines)).unwrap(), b"lines", "{what}");
    let files: Vec<_> = disks.iter().flat_map(|disk| files(disk)).collect();
    assert_eq!(files.len(), 2, "{what}: {files:?}");
    chunk.place
}

fn again(disks: &[&LoopDisk]) {
    for disk in disks {
        disk.unmount();
        disk.mount();
    }
}

#[test]
fn power_may_go_at_every_step_of_a_move_into_the_library() {
    let Some(disk) = LoopDisk::new(64) else {
        return skip("power_may_go_at_every_step_of_a_move_into_the_library", "no loop mounts here");
    };
    let (mut stayed, mut moved) = (0, 0);
    for changes in 0..60 {
        let (home, _) = open(&disk.root(), None);
        record(&home);
        let index = load(&home, None);
        home.faults().cut_power_after(changes);
        let done = {
            let ring = index.hold_ring();
            library::shelve(&home, &index, KEY, &ring).is_ok()
        };
        let was_cut = home.faults().is_cut();
        disk.cut_power();
        drop(home);
        again(&[&disk]);

        let (home, _) = open(&disk.root(), None);
        let index = load(&home, None);
        match is_whole(&home, &index, &[&disk], &format!("cut after {changes}")) {
            Place::Ring(_) => stayed += 1,
            _ => moved += 1,
        }
        // What was cut short is done by the next round.
        {
            let ring = index.hold_ring();
            library::shelve(&home, &index, KEY, &ring).unwrap();
        }
        assert!(matches!(is_whole(&home, &index, &[&disk], "done again"), Place::Library(..)));
        let chunk = index.forget(&KEY).unwrap();
        library::remove(&home, &cam(), &chunk).unwrap();
        if !was_cut {
            assert!(done);
            break;
        }
    }
    assert!(stayed > 2 && moved > 1, "{stayed} {moved}");
}

#[test]
fn power_may_go_at_every_step_of_a_move_to_a_volume_of_its_own() {
    let disks = LoopDisk::new(64).zip(LoopDisk::new(64));
    let Some((disk, own)) = disks else {
        return skip("power_may_go_at_every_step_of_a_move_to_a_volume_of_its_own", "no loop mounts here");
    };
    let disks = [&disk, &own];
    let (mut stayed, mut moved) = (0, 0);
    for on_own in [true, false] {
        for changes in 0..60 {
            let (home, away) = open(&disk.root(), Some(&own));
            let away = away.unwrap();
            record(&home);
            let index = load(&home, Some(&away));
            {
                let ring = index.hold_ring();
                library::shelve(&home, &index, KEY, &ring).unwrap();
            }
            let faults = if on_own { away.faults() } else { home.faults() };
            faults.cut_power_after(changes);
            let done = bring_away(&home, &away, &index, KEY, &|| Ok(())).is_ok();
            let was_cut = faults.is_cut();
            if !was_cut {
                // Else the names at home come back, and it is brought again.
                rustix::fs::syncfs(fs::File::open(disk.root()).unwrap()).unwrap();
            }
            // One socket for both.
            disks.iter().for_each(|disk| disk.cut_power());
            drop((home, away));
            again(&disks);

            let (home, away) = open(&disk.root(), Some(&own));
            let away = away.unwrap();
            let what = format!("own volume {on_own}, cut after {changes}");
            let index = load(&home, Some(&away));
            assert_eq!(index.snapshot().len(), 1, "{what}");
            let place = index.snapshot()[0].place;
            let path = index.snapshot()[0].path(home.layout(), &cam());
            assert!(verify_file(home.of(place), &path).unwrap().is_whole(), "{what}");
            match place {
                Place::Library(_, Shelf::Away) => moved += 1,
                _ => stayed += 1,
            }
            bring_away(&home, &away, &index, KEY, &|| Ok(())).unwrap();
            let place = is_whole(&home, &index, &disks, &format!("{what}, done again"));
            assert!(matches!(place, Place::Library(_, Shelf::Away)), "{what}");
            let chunk = index.forget(&KEY).unwrap();
            library::remove(&home, &cam(), &chunk).unwrap();
            if !was_cut {
                assert!(done);
                break;
            }
        }
    }
    assert!(stayed > 10 && moved == 2, "{stayed} {moved}");
}
