//! Appends stills to the preview pack of a chunk and finishes it; the only writer of packs.

use std::{fs::File, path::Path};

use bytes::Bytes;

use super::waiting::Item;
use crate::{
    clock::Utc90k,
    error::{Error, Kind, Result},
    media::mp4::pack::{self, Pack, PackHead, put_still},
    storage::Volume,
};

/// Where the next still goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    len: u64,
    last: Option<Utc90k>,
}

/// Appends `stills` at `tail`; without one the file is looked at first, and cut to what is whole or made anew. Returns
/// the next tail and the bytes written. Nothing is synced.
pub fn append(
    volume: &Volume,
    path: &Path,
    head: &PackHead,
    tail: Option<Tail>,
    stills: &[Item<Bytes>],
) -> Result<(Tail, u64)> {
    let mut bytes = Vec::new();
    let (file, mut tail) = match tail {
        Some(tail) => (volume.open_rw(path)?, tail),
        None => {
            let found = match whole(volume, path) {
                Err(error) if error.kind == Kind::NotFound => None,
                // What is no pack of this chunk holds nothing that anybody could ask for.
                found => match found?.filter(|(_, pack)| is_of(&pack.head, head)) {
                    None => volume.unlink(path).map(|()| None)?,
                    found => found,
                },
            };
            match found {
                Some((file, pack)) => {
                    cut(volume, &file, path, pack.len)?;
                    (file, Tail { len: pack.len, last: pack.stills.last().map(|still| still.at) })
                }
                None => {
                    bytes = head.encode();
                    (volume.create_new(path)?, Tail { len: 0, last: None })
                }
            }
        }
    };
    for still in stills {
        // A clock that was set back by less than a chunk: those moments have a still already.
        if tail.last.is_none_or(|last| last < still.at) {
            put_still(&mut bytes, still.at, &still.value);
            tail.last = Some(still.at);
        }
    }
    volume.write_at(&file, path, &bytes, tail.len)?;
    tail.len += bytes.len() as u64;
    Ok((tail, bytes.len() as u64))
}

/// Makes the pack an ordinary MP4 and durable. Returns the bytes written: 0 when it was one already. A pack without a
/// whole still is deleted.
pub fn complete(volume: &Volume, path: &Path) -> Result<u64> {
    let (file, pack) = match whole(volume, path) {
        Ok(Some(found)) => found,
        Ok(None) => return volume.unlink(path).map(|()| 0),
        Err(error) if error.kind == Kind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    if pack.is_sealed {
        volume.sync_data(&file, path)?;
        return Ok(0);
    }
    let Some(table) = pack::seal(&pack.head, &pack.stills) else { return volume.unlink(path).map(|()| 0) };
    cut(volume, &file, path, pack.len)?;
    volume.write_at(&file, path, &table, pack.len)?;
    volume.sync_data(&file, path)?;
    Ok(table.len() as u64)
}

/// The file and what is whole in it; None when it is no pack.
fn whole(volume: &Volume, path: &Path) -> Result<Option<(File, Pack)>> {
    let file = volume.open_rw(path)?;
    let reading = |source| Error::io("reading", path, source);
    let len = file.metadata().map_err(reading)?.len();
    Ok(pack::check(&file, len).map_err(reading)?.map(|pack| (file, pack)))
}

fn is_of(found: &PackHead, wanted: &PackHead) -> bool {
    (&found.device, found.start, found.generation) == (&wanted.device, wanted.start, wanted.generation)
}

/// Takes off a torn tail, or the table of a pack that goes on.
pub(super) fn cut(volume: &Volume, file: &File, path: &Path, len: u64) -> Result<()> {
    let longer = file.metadata().is_ok_and(|meta| meta.len() > len);
    let cut = if longer { file.set_len(len) } else { Ok(()) };
    cut.map_err(|source| {
        volume.note(&source);
        Error::io("cutting", path, source)
    })
}
