//! Copies chunks of the library from the archive's volume to the library's own, and believes no copy that it has not read
//! again.

use std::{fs::File, io, os::unix::fs::FileExt as _, path::Path};

use rustix::fs::{Advice, fadvise};

use crate::{
    error::{Error, Kind, Result},
    storage::{
        index::{ChunkEntry, DeviceIndex, Place},
        layout::{ChunkKey, LibraryHour, Shelf, copying},
        library,
        volume::Volume,
    },
};

/// Bytes between two looks whether to go on.
const PIECE_BYTES: usize = 256 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Moved,
    /// It was deleted or replaced meanwhile; the copy is gone too.
    Gone,
}

/// Moves one chunk from the library at home to its own volume, with what lies beside it. The chunk's own copy gets its
/// name last, after all was flushed and read again; then it is published; then the one at home goes. Cut anywhere, the
/// next call does what is left. `goes_on` is asked between pieces; its error ends the copy.
///
/// Nothing of the recorder's is locked while either volume is read or the other is written.
pub fn bring_away(
    home: &Volume,
    away: &Volume,
    index: &DeviceIndex,
    key: ChunkKey,
    goes_on: &dyn Fn() -> Result<()>,
) -> Result<Taken> {
    let (device, layout) = (index.device(), home.layout());
    let at_home = |entry: &ChunkEntry| matches!(entry.place, Place::Library(_, Shelf::Home)) && !entry.original;
    let Some(entry) = index.get(&key).filter(|entry| at_home(entry)) else { return Ok(Taken::Gone) };
    let Place::Library(slot, _) = entry.place else { return Ok(Taken::Gone) };
    let there = ChunkEntry { place: Place::Library(slot, Shelf::Away), ..entry.as_ref().clone() };
    let folder = layout.library_hour(device, LibraryHour::of(entry.start));
    away.mkdir_all(&folder)?;
    let path = entry.path(layout, device);
    let beside = library::beside(home, device, &entry);
    for path in beside.iter().chain([&path]) {
        match copy(home, away, path, goes_on) {
            // Not every chunk has everything beside it.
            Err(error) if error.kind == Kind::NotFound && !home.exists(path) => {
                if *path == there.path(layout, device) {
                    return Ok(Taken::Gone);
                }
            }
            copied => copied?,
        }
    }
    away.fsync_dir(&folder)?;
    // From here on the other volume is not touched, so the recorder may wait for it.
    let is_ours = {
        let _ring = index.hold_ring();
        let same = index.get(&key).is_some_and(|now| now.place == entry.place && now.bytes == entry.bytes);
        // With an original beside it since, it was encoded anew: the next call takes the successor.
        let same = same && index.originals_of(&entry).is_empty() && index.move_to(&key, there.place);
        if same {
            library::leave(home, device, &entry)?;
        }
        same
    };
    if is_ours {
        return Ok(Taken::Moved);
    }
    library::remove(away, device, &ChunkEntry { place: entry.place, ..there })?;
    Ok(Taken::Gone)
}

/// One file under its own name on the other volume, flushed and read again.
fn copy(home: &Volume, away: &Volume, path: &Path, goes_on: &dyn Fn() -> Result<()>) -> Result<()> {
    let from = home.open_read(path)?;
    let bytes = length(&from, path)?;
    let aside = copying(path);
    match away.unlink(&aside) {
        Err(error) if error.kind != Kind::NotFound => return Err(error),
        _ => {}
    }
    let made = fill(away, &from, path, &aside, bytes, goes_on).and_then(|()| away.rename(&aside, path));
    if made.is_err() {
        // A full disk must not be filled by halves.
        let _ = away.unlink(&aside);
    }
    made
}

fn fill(
    away: &Volume,
    from: &File,
    path: &Path,
    aside: &Path,
    bytes: u64,
    goes_on: &dyn Fn() -> Result<()>,
) -> Result<()> {
    let to = away.create_new(aside)?;
    let written = through(from, path, bytes, goes_on, &mut |piece, at| {
        // Holes of a chunk stay holes.
        if piece.iter().any(|byte| *byte != 0) { away.write_at(&to, aside, piece, at) } else { Ok(()) }
    })?;
    to.set_len(bytes).map_err(|error| Error::io("setting the length of", away.root().join(aside), error))?;
    away.sync_data(&to, aside)?;
    // Out of the page cache: what is compared must come from the disk. Where it takes no advice, RAM is compared.
    let _ = fadvise(&to, 0, None, Advice::DontNeed);
    let again = away.open_read(aside)?;
    let read = through(&again, aside, bytes, goes_on, &mut |_, _| Ok(()))?;
    // A day of footage must not push what viewers read out of RAM.
    let _ = fadvise(from, 0, None, Advice::DontNeed);
    let _ = fadvise(&again, 0, None, Advice::DontNeed);
    if read == written {
        return Ok(());
    }
    let message = "the copy on the library's volume reads otherwise than it was written: the disk is not to be trusted";
    Err(Error::new(Kind::Corrupt, message).at(away.root().join(path).display()))
}

/// Reads a file in pieces; the checksum of all.
fn through(
    file: &File,
    path: &Path,
    bytes: u64,
    goes_on: &dyn Fn() -> Result<()>,
    each: &mut dyn FnMut(&[u8], u64) -> Result<()>,
) -> Result<u32> {
    let mut buffer = vec![0; PIECE_BYTES];
    let (mut at, mut sum) = (0, 0);
    while at < bytes {
        goes_on()?;
        let want = usize::try_from(bytes - at).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        let Some(piece) = buffer.get_mut(..want) else { break };
        file.read_exact_at(piece, at).map_err(|error| Error::io("reading", path, error))?;
        sum = crc32c::crc32c_append(sum, piece);
        each(piece, at)?;
        at += want as u64;
    }
    Ok(sum)
}

fn length(file: &File, path: &Path) -> Result<u64> {
    file.metadata().map(|meta| meta.len()).map_err(|error: io::Error| Error::io("reading", path, error))
}

#[cfg(test)]
mod tests;
