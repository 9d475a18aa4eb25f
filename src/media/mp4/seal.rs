//! What to write, in which order, to turn a growing chunk into an ordinary faststart MP4; and the reading of the result.

use std::io;

use crate::{
    error::{Error, Kind, Result},
    media::mp4::{
        bytes::{Get, Put},
        head::{FTYP_LEN, Head, check_moov},
        identity::{ChunkMeta, IDENTITY_AT, SealedMeta},
        table::Tables,
        window::{ReadAt, Window},
    },
};

/// A sealed moov beyond this is not believed: 1 h of 60 fps with B-frames and audio takes 6 MB.
const MOOV_MAX: usize = 64 << 20;

/// The writes of a sealing. After [`Self::before`] the file is still the growing one, however much of it got through.
#[derive(Debug, PartialEq, Eq)]
pub struct Sealing {
    /// Offset and bytes; to be synced before [`Self::flip`] is written.
    pub before: Vec<(u64, Vec<u8>)>,
    /// The 8 bytes that seal it.
    pub flip: (u64, [u8; 8]),
    /// Length of the sealed file.
    pub len: u64,
}

/// `media_end`: end of the last mark. `Invalid` for a chunk without samples.
pub fn plan(head: &Head, tables: &Tables, sealed: SealedMeta, media_end: u64) -> Result<Sealing> {
    let table_offset = u64::from(head.meta.table_offset);
    let mdat_at = head.meta.data_offset.saturating_sub(16);
    if tables.video.is_empty() && tables.audio.is_empty() {
        return Err(Error::new(Kind::Invalid, "a chunk without samples cannot be sealed"));
    }
    let broken = || Error::new(Kind::Internal, "the sealed table cannot be built");
    let moov = head.sealed_moov(sealed, tables).ok_or_else(broken)?;
    let identity = head.sealed_identity(sealed).ok_or_else(broken)?;
    let moov_len = moov.len() as u64;
    let mut mdat = Vec::new();
    mdat.u32(1);
    mdat.bytes(b"mdat");
    mdat.u64(media_end.saturating_sub(mdat_at));

    // A free box needs 8 bytes, or must not be.
    let room = mdat_at.saturating_sub(table_offset);
    let fits = room == moov_len || room >= moov_len + 8;
    let mut before = vec![(IDENTITY_AT as u64, identity), (mdat_at, mdat)];
    let mut reserve = Vec::new();
    let mut len = media_end;
    if fits {
        reserve = moov;
    } else {
        len += moov_len;
        before.push((media_end, moov));
    }
    let free = room - reserve.len() as u64;
    if free > 0 {
        reserve.u32(free as u32);
        reserve.bytes(b"free");
    }
    before.push((table_offset, reserve));
    Ok(Sealing { before, flip: (FTYP_LEN as u64, head.sealing_bytes()), len })
}

/// A sealed file's parts.
#[derive(Debug, PartialEq, Eq)]
pub struct SealedLayout {
    pub meta: ChunkMeta,
    pub moov: Vec<u8>,
    /// End of the last mark.
    pub media_end: u64,
}

/// Reads a sealed file's frame: None unless every box from H on is where it must be and the table's checksum holds.
pub fn layout<R: ReadAt + ?Sized>(source: &R, head: &Head, len: u64) -> io::Result<Option<SealedLayout>> {
    let mut window = Window::new(source, len, 64 << 10);
    let table_offset = u64::from(head.meta.table_offset);
    let Some(mdat_at) = head.meta.data_offset.checked_sub(16) else { return Ok(None) };
    let Some(mut mdat) = window.get(mdat_at, 16)?.map(Get) else { return Ok(None) };
    let is_mdat = mdat.u32() == Some(1) && mdat.take(4) == Some(b"mdat");
    let Some(media_end) = mdat.u64().filter(|_| is_mdat).and_then(|size| mdat_at.checked_add(size)) else {
        return Ok(None);
    };
    let moov_at = if media_end == len { table_offset } else { media_end };
    let Some(size) = window.get(moov_at, 4)?.and_then(|bytes| Get(bytes).u32()).map(|size| size as usize) else {
        return Ok(None);
    };
    let moov_end = moov_at + size as u64;
    let reserve_end = if media_end == len { moov_end } else { table_offset };
    if size > MOOV_MAX || (media_end != len && moov_end != len) || reserve_end > mdat_at {
        return Ok(None);
    }
    if reserve_end < mdat_at {
        let Some(mut free) = window.get(reserve_end, 8)?.map(Get) else { return Ok(None) };
        if free.u32().map(u64::from) != Some(mdat_at - reserve_end) || free.take(4) != Some(b"free") {
            return Ok(None);
        }
    }
    let Some(moov) = window.get(moov_at, size)? else { return Ok(None) };
    let Some(meta) = check_moov(moov).filter(|meta| meta.sealed.is_some()) else { return Ok(None) };
    Ok(Some(SealedLayout { meta, moov: moov.to_vec(), media_end }))
}
