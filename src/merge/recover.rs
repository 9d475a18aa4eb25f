//! Makes whole again, at start, what a power cut or a kill left in `temp`; and repairs any chunk on request.
//!
//! Every step may be cut short itself: a second recovery finds the same and goes on.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

pub use crate::media::mp4::verify::Verdict;
use crate::{
    error::{Error, Kind, Result},
    ids::DeviceId,
    media::mp4::{
        MarkInfo,
        head::{DATA_OFFSETS, Head},
        mark::{MARK_LEN, Mark},
        read_full,
        salvage::{Salvage, Tail, cover_writes, salvage},
        scan, seal,
        verify::verify,
    },
    merge::{
        chunk::{ChunkWriter, Found, SealedChunk},
        handover::entry,
    },
    storage::{ChunkEntry, Place, layout::ChunkKey, volume::Volume},
};

/// What became of one file in `temp`.
#[derive(Debug)]
pub enum Recovered {
    /// Whole up to its last mark; may be continued or sealed.
    Open(Box<ChunkWriter>),
    /// Only its rename is missing.
    Sealed(Box<SealedChunk>),
    /// Held no whole fragment.
    Deleted(PathBuf),
    /// Not one of ours, or beyond reading: set aside for a person, at this path.
    Quarantined { path: PathBuf, why: String },
}

/// Every chunk in a device's `temp`, oldest first; other files there are left alone.
///
/// `hot_has_after(mark)` tells whether segments after that mark (None: any) still wait in hot. If so they will be merged
/// again, and fragments behind the last mark are cut; if not (a power cut took them) whole ones are kept.
///
/// Errors are those of listing the folder. A file that cannot be read or repaired now is told as such and stays.
pub fn recover(
    volume: &Arc<Volume>,
    device: &DeviceId,
    hot_has_after: &dyn Fn(Option<&MarkInfo>) -> bool,
) -> Result<Vec<Result<Recovered>>> {
    let temp = volume.layout().temp(device);
    let files = volume.read_dir(&temp)?.into_iter().filter(|entry| !entry.is_dir);
    let mut keys: Vec<ChunkKey> = files.filter_map(|entry| ChunkKey::parse(entry.name.to_str()?)).collect();
    keys.sort_unstable();
    let recovered = keys.into_iter().map(|key| {
        let path = volume.layout().open_chunk(device, key);
        match recover_file(volume, &path, Some((device, key)), hot_has_after)? {
            Ok(recovered) => Ok(recovered),
            Err(Strange(why)) => quarantine(volume, device, key, path, why),
        }
    });
    Ok(recovered.collect())
}

/// What readers may see of a chunk in `temp` that nobody writes: everything up to its last mark. Changes nothing.
/// None when that is nothing.
pub fn look(volume: &Volume, device: &DeviceId, key: ChunkKey) -> Result<Option<ChunkEntry>> {
    let path = volume.layout().open_chunk(device, key);
    let reading = |source| Error::io("reading", &path, source);
    let file = volume.open_read(&path)?;
    let len = length(&file, &path)?;
    let head = Head::read(&file).map_err(reading)?.filter(|head| head.meta.device == *device);
    let Some(mut head) = head else { return Ok(None) };
    if head.meta.sealed.is_some() && seal::layout(&file, &head, len).map_err(reading)?.is_some() {
        return Ok(Some(entry(&head.meta, Place::Temp, len)));
    }
    head.meta.sealed = None;
    let pieces = scan::deep(&file, head.meta.data_offset, len).map_err(reading)?;
    let kept = salvage(&pieces, &head.tracks, head.meta.data_offset, Tail::Cut);
    let end = head.end(&kept.tables);
    let found = ChunkEntry { end, gaps: kept.tables.gaps(), ..entry(&head.meta, Place::Temp, kept.len) };
    Ok((kept.fragments > 0).then_some(found))
}

/// Checks every byte of a chunk, growing or sealed, wherever it is.
pub fn verify_file(volume: &Volume, path: &Path) -> Result<Verdict> {
    let file = volume.open_read(path)?;
    let len = length(&file, path)?;
    verify(&file, len).map_err(|source| Error::io("reading", path, source))
}

/// Makes a damaged chunk play, in place: what is whole is kept, the rest covered, the table rebuilt.
///
/// `Corrupt` when nothing in it can be told apart, or it is another device's; it is left as it was then.
pub fn repair_file(volume: &Arc<Volume>, device: &DeviceId, path: &Path) -> Result<Recovered> {
    let verdict = verify_file(volume, path)?;
    if let Some(foreign) = verdict.meta.as_ref().filter(|meta| meta.device != *device) {
        let why = format!("belongs to device {}", foreign.device);
        return Err(Error::new(Kind::Corrupt, why).at(path.display()));
    }
    let damaged = !verdict.is_whole();
    let mut outcome = recover_file(volume, path, None, &|_| false)?;
    if let Ok(Recovered::Sealed(chunk)) = &outcome
        && damaged
    {
        // Its frame is whole, so recovery believed it; what it frames is not.
        let file = volume.open_rw(&chunk.path)?;
        outcome = rebuild(volume, file, path, chunk.bytes, &|_| false)?;
    }
    match outcome {
        Ok(Recovered::Open(writer)) => writer.seal().map(|chunk| Recovered::Sealed(Box::new(chunk))),
        Ok(done) => Ok(done),
        Err(Strange(why)) => Err(Error::new(Kind::Corrupt, why).at(path.display())),
    }
}

/// Why a file is no chunk, or beyond reading.
struct Strange(String);

type Outcome = std::result::Result<Recovered, Strange>;

fn recover_file(
    volume: &Arc<Volume>,
    path: &Path,
    expected: Option<(&DeviceId, ChunkKey)>,
    hot_has_after: &dyn Fn(Option<&MarkInfo>) -> bool,
) -> Result<Outcome> {
    let reading = |source| Error::io("reading", path, source);
    let file = volume.open_rw(path)?;
    let len = length(&file, path)?;
    let Some(head) = Head::read(&file).map_err(reading)? else {
        return headless(volume, &file, path, len);
    };
    let found = ChunkKey { start_ms: head.meta.start.as_ms(), generation: head.meta.generation };
    if expected.is_some_and(|(device, key)| *device != head.meta.device || key != found) {
        return Ok(Err(Strange(format!("holds {} {}", head.meta.device, found.file_name()))));
    }
    if let Some(sealed) = head.meta.sealed
        && seal::layout(&file, &head, len).map_err(reading)?.is_some()
    {
        // The kill may have come between the write that sealed it and its sync.
        volume.sync_data(&file, path)?;
        let chunk = SealedChunk {
            meta: Box::new(head.meta),
            sealed,
            path: path.to_owned(),
            bytes: len,
            holes: None,
            written_bytes: 0,
        };
        return Ok(Ok(Recovered::Sealed(Box::new(chunk))));
    }
    rebuild(volume, file, path, len, hot_has_after)
}

/// Treats the file as a growing one, whatever its head says, and makes it whole.
fn rebuild(
    volume: &Arc<Volume>,
    file: File,
    path: &Path,
    len: u64,
    hot_has_after: &dyn Fn(Option<&MarkInfo>) -> bool,
) -> Result<Outcome> {
    let reading = |source| Error::io("reading", path, source);
    let Some(mut head) = Head::read(&file).map_err(reading)? else {
        return headless(volume, &file, path, len);
    };
    head.meta.sealed = None;
    let data_offset = head.meta.data_offset;
    let pieces = scan::deep(&file, data_offset, len).map_err(reading)?;
    let marked = salvage(&pieces, &head.tracks, data_offset, Tail::Cut);
    let tail = if hot_has_after(marked.mark.as_ref().map(|mark| &mark.info)) { Tail::Cut } else { Tail::Keep };
    let kept = if tail == Tail::Cut { marked } else { salvage(&pieces, &head.tracks, data_offset, tail) };
    if kept.fragments == 0 {
        drop(file);
        volume.unlink(path)?;
        return Ok(Ok(Recovered::Deleted(path.to_owned())));
    }
    let (mark, end) = mend(volume, &file, path, len, &head, &kept)?;
    let Salvage { tables, sequence, .. } = kept;
    let found = Found { file, path: path.to_owned(), head, tables, sequence, mark, len: end };
    Ok(Ok(Recovered::Open(Box::new(ChunkWriter::resume(Arc::clone(volume), found)))))
}

/// Writes what [`salvage`] decided, and the head anew if it differs. Returns the last mark and its end.
fn mend(
    volume: &Volume,
    file: &File,
    path: &Path,
    len: u64,
    head: &Head,
    kept: &Salvage,
) -> Result<(Option<Mark>, u64)> {
    let mut image = vec![0; head.image.len()];
    let count = read_full(file, &mut image, 0).map_err(|source| Error::io("reading", path, source))?;
    if image.get(..count) != Some(&head.image[..]) {
        volume.write_at(file, path, &head.image, 0)?;
    }
    for (offset, header) in kept.covers.iter().flat_map(cover_writes) {
        volume.write_at(file, path, &header, offset)?;
    }
    if kept.len != len {
        file.set_len(kept.len).map_err(|source| {
            volume.note(&source);
            Error::io("cutting", path, source)
        })?;
    }
    let mut mark = kept.mark;
    let mut end = kept.len;
    if kept.needs_mark {
        let closing = Mark {
            commit: mark.map_or(0, |mark| mark.commit) + 1,
            info: kept.closing,
            batch_len: kept.len - kept.batch_start,
            batch_crc: kept.batch_crc,
        };
        volume.write_at(file, path, &closing.encode(), kept.len)?;
        mark = Some(closing);
        end += MARK_LEN;
    }
    // Even when nothing was mended: a killed daemon may not have come to sync the last mark, and hot segments that it
    // vouches for are about to be forgotten.
    volume.sync_data(file, path)?;
    if let Some(folder) = path.parent() {
        volume.fsync_dir(folder)?;
    }
    Ok((mark, end))
}

/// A file whose head is lost twice over: nothing, unless a fragment can be made out where one may begin.
fn headless(volume: &Volume, file: &File, path: &Path, len: u64) -> Result<Outcome> {
    for data_offset in DATA_OFFSETS {
        let pieces = scan::deep(file, data_offset, len).map_err(|source| Error::io("reading", path, source))?;
        let holds_media = |piece: &scan::Piece| matches!(piece, scan::Piece::Fragment(fragment) if fragment.is_sane);
        if pieces.iter().any(holds_media) {
            return Ok(Err(Strange("its head is lost".into())));
        }
    }
    volume.unlink(path)?;
    Ok(Ok(Recovered::Deleted(path.to_owned())))
}

fn quarantine(volume: &Volume, device: &DeviceId, key: ChunkKey, from: PathBuf, why: String) -> Result<Recovered> {
    let folder = volume.layout().quarantine(device);
    volume.mkdir_all(&folder)?;
    let path = folder.join(key.file_name());
    volume.rename_new(&from, &path)?;
    volume.fsync_dir(&folder)?;
    volume.fsync_dir(&volume.layout().temp(device))?;
    Ok(Recovered::Quarantined { path, why })
}

fn length(file: &File, path: &Path) -> Result<u64> {
    file.metadata().map(|metadata| metadata.len()).map_err(|source| Error::io("reading the length of", path, source))
}
