//! The library's part of the inventory: at home, and on a volume of its own that may come and go.

use std::collections::HashSet;

use super::{Hour, Scanned, SetAside, healed_names, look, scan_names};
use crate::{
    error::Result,
    ids::DeviceId,
    storage::{
        index::{ChunkEntry, DeviceIndex, Place},
        layout::{LibraryHour, RingSlot, Shelf, parse_day},
        library,
        volume::Volume,
    },
};

/// Lists a device's library on that volume without changing anything.
pub fn scan_library(volume: &Volume, device: &DeviceId, shelf: Shelf) -> Result<Scanned> {
    let mut scanned = Scanned::default();
    for day in days(volume, device, &mut scanned)? {
        for hour in hours(volume, device, day, shelf, &mut scanned)? {
            let names = volume.read_dir(&hour.folder)?;
            scan_names(volume, device, &hour, &names, &mut scanned);
        }
    }
    scanned.chunks.sort_by_key(|chunk| (chunk.start, chunk.key));
    Ok(scanned)
}

/// Puts the library at home into the index, and ends moves out of the ring that were cut short. After
/// [`load`](super::load). The answer's `chunks` is empty.
pub fn load_library(volume: &Volume, index: &DeviceIndex) -> Result<Scanned> {
    let device = index.device();
    let mut scanned = Scanned::default();
    for day in days(volume, device, &mut scanned)? {
        for hour in hours(volume, device, day, Shelf::Home, &mut scanned)? {
            // A chunk may be on its way into this very hour.
            let ring = index.hold_ring();
            let known = scanned.chunks.len();
            let names = healed_names(volume, &hour, &|path| is_listed(volume, index, path), &mut scanned)?;
            scan_names(volume, device, &hour, &names, &mut scanned);
            for chunk in scanned.chunks.split_off(known) {
                let listed = index.get(&chunk.key).filter(|it| it.place != chunk.place);
                let Some(listed) = listed else {
                    scanned.chunks.push(chunk);
                    continue;
                };
                let [here, there] = [&chunk, &*listed].map(|it| it.path(volume.layout(), device));
                if matches!(listed.place, Place::Ring(_)) && library::same_file(volume, &here, &there) {
                    library::finish_move(volume, index, &listed, &chunk, &ring)?;
                    scanned.healed += 1;
                } else {
                    scanned.set_aside.push(twice(here));
                }
            }
        }
        publish(index, &mut scanned);
    }
    Ok(scanned)
}

/// The same for the library's own volume, as often as it appears: what is no longer there leaves the index. Only the
/// thread that owns that volume calls this, and no lock of the recorder's is held; only swaps there wait, for what is
/// swapped meanwhile would be listed as what it was.
pub fn load_away(away: &Volume, index: &DeviceIndex) -> Result<Scanned> {
    let _there = index.hold_on(Shelf::Away);
    let device = index.device();
    let mut scanned = Scanned::default();
    let mut found = HashSet::new();
    for day in days(away, device, &mut scanned)? {
        for hour in hours(away, device, day, Shelf::Away, &mut scanned)? {
            let known = scanned.chunks.len();
            let names = healed_names(away, &hour, &|path| is_listed(away, index, path), &mut scanned)?;
            scan_names(away, device, &hour, &names, &mut scanned);
            found.extend(scanned.chunks.iter().skip(known).map(|chunk| chunk.key));
        }
        publish(index, &mut scanned);
    }
    let listed = index.snapshot();
    let gone = |chunk: &&std::sync::Arc<ChunkEntry>| {
        matches!(chunk.place, Place::Library(_, Shelf::Away)) && !found.contains(&chunk.key)
    };
    index.remove_all(&listed.iter().filter(gone).map(|chunk| chunk.key).collect());
    let originals = index.originals();
    for original in originals.iter().filter(|it| matches!(it.place, Place::Library(_, Shelf::Away))) {
        if listed.around(original.start, original.end).iter().all(|it| it.key.start_ms != original.key.start_ms) {
            index.remove_original(&original.key);
        }
    }
    Ok(scanned)
}

/// A day at once: the index copies its list for each publication.
fn publish(index: &DeviceIndex, scanned: &mut Scanned) {
    index.put_absent(std::mem::take(&mut scanned.chunks));
    scanned.originals.drain(..).for_each(|original| index.put_original(original));
}

/// Whether what was made of an original is listed: then the original is a copy of half a move.
fn is_listed(volume: &Volume, index: &DeviceIndex, path: &std::path::Path) -> bool {
    let Ok((Some(meta), _)) = look(volume, path) else { return false };
    let chunks = index.snapshot();
    let beside = chunks.around(meta.start, meta.start + 1).iter();
    beside.into_iter().any(|chunk| chunk.start == meta.start)
}

fn twice(path: std::path::PathBuf) -> SetAside {
    SetAside { path, why: "the same chunk lies elsewhere too".into(), corrupt: true }
}

fn days(volume: &Volume, device: &DeviceId, scanned: &mut Scanned) -> Result<Vec<jiff::civil::Date>> {
    let folder = volume.layout().library(device);
    let mut days = Vec::new();
    for entry in volume.read_dir(&folder)? {
        match entry.name.to_str().and_then(parse_day).filter(|_| entry.is_dir) {
            Some(day) => days.push(day),
            None => scanned.unknown.push(folder.join(&entry.name)),
        }
    }
    days.sort();
    Ok(days)
}

fn hours(
    volume: &Volume,
    device: &DeviceId,
    day: jiff::civil::Date,
    shelf: Shelf,
    scanned: &mut Scanned,
) -> Result<Vec<Hour>> {
    let folder = volume.layout().library_day(device, day);
    let place: fn(RingSlot) -> Place = match shelf {
        Shelf::Home => |slot| Place::Library(slot, Shelf::Home),
        Shelf::Away => |slot| Place::Library(slot, Shelf::Away),
    };
    let mut hours = Vec::new();
    for entry in volume.read_dir(&folder)? {
        let hour = entry.name.to_str().and_then(|name| LibraryHour::parse(&day.to_string(), name));
        match hour.filter(|_| entry.is_dir) {
            Some(hour) => hours.push(Hour {
                folder: volume.layout().library_hour(device, hour),
                number: hour.hour,
                library: Some(hour),
                place,
            }),
            None => scanned.unknown.push(folder.join(&entry.name)),
        }
    }
    hours.sort_by_key(|hour| hour.number);
    Ok(hours)
}
