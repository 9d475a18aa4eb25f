//! The preview pack of a chunk: JPEG stills appended one by one, which one more append turns into an MP4 with an MJPEG
//! track.
//!
//! ```text
//! 0      ftyp
//! 32     uuid  whose it is: device, start and generation of the chunk, size and interval of the stills; CRC32C
//! D..    mdat* one box per still: magic, UTC in 90 kHz, CRC32C of time and JPEG; then the JPEG
//! end    moov  at sealing: the sample table, with an offset for each JPEG
//!        free  at sealing, the last bytes of the file: magic, length and CRC32C of the moov
//! ```
//! Nothing is ever overwritten: a torn tail is cut, and a file without its last box is a growing one.

use std::io;

use crate::{
    clock::Utc90k,
    ids::{DEVICE_ID_MAX, DeviceId},
    media::mp4::{
        bytes::{Get, Put},
        fragment::VIDEO_TRACK,
        samples::sealed_runs,
        table::{Run, Sample, TrackTable},
        tracks::{edits, put_descriptor},
        trak::{Trak, created, put_mvhd},
        window::{ReadAt, Window, read_full},
    },
};

const UUID: &[u8; 16] = b"capstan stills 1";
const STILL: &[u8; 4] = b"stil";
const SEALED: &[u8; 8] = b"capsealp";
const FTYP_LEN: usize = 32;
const ID_LEN: usize = 8 + 16 + 1 + DEVICE_ID_MAX + 8 + 4 + 4 + 4 + 4;
/// Where the first still's box begins.
pub const STILLS_AT: u64 = (FTYP_LEN + ID_LEN) as u64;
/// Before each JPEG: box header, magic, time, sum.
pub const STILL_HEADER: u64 = 8 + 4 + 8 + 4;
/// A thumbnail of more is none.
pub const STILL_BYTES_MAX: usize = 512 << 10;
const TRAILER_LEN: u64 = 8 + 8 + 4 + 4;
/// 3600 stills take 60 KB.
const MOOV_MAX: u64 = 1 << 20;
/// The table of 10 minutes and the box behind it come with one read of this.
const TAIL_BYTES: u64 = 8 << 10;
const TICKS: u32 = 90_000;

/// Known before the first still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackHead {
    pub device: DeviceId,
    /// Of the chunk beside which it lies.
    pub start: Utc90k,
    pub generation: u32,
    /// Width and height of the first still.
    pub size: [u16; 2],
    /// Until the next still, as asked for: how long the last one stands.
    pub interval_90k: u32,
}

/// Where one still lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StillRef {
    /// When it was taken.
    pub at: Utc90k,
    /// Of the JPEG itself.
    pub offset: u64,
    pub bytes: u32,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pack {
    pub head: PackHead,
    /// Their times only grow.
    pub stills: Vec<StillRef>,
    /// End of the last whole still.
    pub len: u64,
    pub is_sealed: bool,
}

impl PackHead {
    /// Everything before the first still.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(STILLS_AT as usize);
        out.boxed(b"ftyp", |out| out.bytes(b"isom\0\0\x02\0isomiso2mp41mp42"));
        let from = out.len();
        out.u32(ID_LEN as u32);
        out.bytes(b"uuid");
        out.bytes(UUID);
        let device = self.device.as_str().as_bytes();
        out.u8(device.len() as u8);
        out.bytes(device);
        out.zeros(DEVICE_ID_MAX.saturating_sub(device.len()));
        out.bytes(&self.start.0.to_be_bytes());
        out.u32(self.generation);
        self.size.into_iter().for_each(|side| out.u16(side));
        out.u32(self.interval_90k);
        let crc = crc32c::crc32c(out.get(from..).unwrap_or_default());
        out.u32(crc);
        out
    }

    fn parse(first: &[u8]) -> Option<Self> {
        let id = first.get(FTYP_LEN..FTYP_LEN + ID_LEN)?;
        let (body, crc) = id.split_last_chunk::<4>()?;
        if u32::from_be_bytes(*crc) != crc32c::crc32c(body) {
            return None;
        }
        let mut at = Get(body);
        if at.u32()? != ID_LEN as u32 || at.take(4)? != b"uuid" || at.take(16)? != UUID {
            return None;
        }
        let len = usize::from(at.u8()?);
        let device = std::str::from_utf8(at.take(DEVICE_ID_MAX)?.get(..len)?).ok()?.parse().ok()?;
        let start = Utc90k(at.i64()?);
        let generation = at.u32()?;
        Some(Self { device, start, generation, size: [at.u16()?, at.u16()?], interval_90k: at.u32()? })
    }
}

/// Appends the box of one still, which must not be larger than [`STILL_BYTES_MAX`].
pub fn put_still(out: &mut Vec<u8>, at: Utc90k, jpeg: &[u8]) {
    out.boxed(b"mdat", |out| {
        out.bytes(STILL);
        out.bytes(&at.0.to_be_bytes());
        out.u32(crc32c::crc32c_append(crc32c::crc32c(&at.0.to_be_bytes()), jpeg));
        out.bytes(jpeg);
    });
}

/// What to append at `len` so that the pack of these stills is an ordinary MP4. None without stills, or when their times
/// do not grow.
pub fn seal(head: &PackHead, stills: &[StillRef]) -> Option<Vec<u8>> {
    let zero = head.start.min(stills.first()?.at);
    let mut table = TrackTable::default();
    for still in stills {
        let base = u64::try_from(still.at - zero).ok()?;
        let sample = Sample { size: still.bytes, duration: head.interval_90k.max(1), cts: 0, sync: true };
        let run = Run { base, offset: still.offset, samples: vec![sample] };
        table.check(&run).ok()?;
        table.push(&run);
    }
    let created = created(zero.as_ms());
    let edits = edits(&table, TICKS);
    let mut out = Vec::new();
    out.boxed(b"moov", |out| {
        put_mvhd(out, created, table.shown_until(), VIDEO_TRACK + 1);
        let size = Some(head.size);
        let trak = Trak { id: VIDEO_TRACK, timescale: TICKS, created, table: &table, size, edits: &edits, data_at: 0 };
        trak.put(out, 1, |out| put_entry(out, head.size));
    });
    let (len, crc) = (u32::try_from(out.len()).ok()?, crc32c::crc32c(&out));
    out.boxed(b"free", |out| {
        out.bytes(SEALED);
        out.u32(len);
        out.u32(crc);
    });
    Some(out)
}

/// MJPEG in MP4: object type 0x6C of the MP4 registration authority, "ISO/IEC 10918-1"; the decoder needs nothing more.
fn put_entry(out: &mut Vec<u8>, size: [u16; 2]) {
    out.boxed(b"mp4v", |out| {
        out.zeros(6);
        out.u16(1);
        out.zeros(16);
        size.into_iter().for_each(|side| out.u16(side));
        out.u32(0x0048_0000); // 72 dpi
        out.u32(0x0048_0000);
        out.u32(0);
        out.u16(1); // frames per sample
        out.zeros(32);
        out.u16(24); // depth
        out.u16(0xFFFF);
        out.full(b"esds", 0, 0, |out| {
            put_descriptor(out, 3, 3 + 2 + 13 + 3);
            out.u16(VIDEO_TRACK as u16);
            out.u8(0);
            put_descriptor(out, 4, 13);
            out.u8(0x6C);
            out.u8(0x11); // visual stream
            out.zeros(3 + 4 + 4); // buffer size and bit rates: unknown
            put_descriptor(out, 6, 1);
            out.u8(2);
        });
    });
}

/// What the first `len` bytes of a file list: two small reads when it is sealed, one per still while it grows. The JPEGs
/// themselves are not read. None when it is no pack.
pub fn read<R: ReadAt + ?Sized>(source: &R, len: u64) -> io::Result<Option<Pack>> {
    let mut first = [0; (STILLS_AT + STILL_HEADER) as usize];
    let count = read_full(source, &mut first, 0)?.min(usize::try_from(len).unwrap_or(usize::MAX));
    let first = first.get(..count).unwrap_or_default();
    let Some(head) = PackHead::parse(first) else { return Ok(None) };
    let first_at = first.get(STILLS_AT as usize..).and_then(still_header).map(|header| header.at);
    if let Some(at) = first_at
        && let Some((stills, moov_at)) = sealed(source, len, at)?
    {
        return Ok(Some(Pack { head, stills, len: moov_at, is_sealed: true }));
    }
    let (stills, len) = walk(source, len, false)?;
    Ok(Some(Pack { head, stills, len, is_sealed: false }))
}

/// The same after reading every byte: only stills whose sum holds, up to the first that does not.
pub fn check<R: ReadAt + ?Sized>(source: &R, len: u64) -> io::Result<Option<Pack>> {
    let Some(pack) = read(source, len)? else { return Ok(None) };
    let (stills, len) = walk(source, pack.len, true)?;
    let is_sealed = pack.is_sealed && stills == pack.stills;
    Ok(Some(Pack { stills, len, is_sealed, ..pack }))
}

/// The stills of a sealed pack and where its table begins.
fn sealed<R: ReadAt + ?Sized>(source: &R, len: u64, first_at: Utc90k) -> io::Result<Option<(Vec<StillRef>, u64)>> {
    let mut window = Window::new(source, len, TAIL_BYTES as usize);
    // One read mostly holds the table too.
    let from = len.saturating_sub(TAIL_BYTES);
    let Some(tail) = window.get(from, (len - from) as usize)? else { return Ok(None) };
    let Some((moov_len, crc)) = tail.last_chunk::<{ TRAILER_LEN as usize }>().and_then(|bytes| trailer(bytes)) else {
        return Ok(None);
    };
    let moov_at = len.checked_sub(TRAILER_LEN + moov_len).filter(|at| *at >= STILLS_AT && moov_len <= MOOV_MAX);
    let Some(moov_at) = moov_at else { return Ok(None) };
    let Some(moov) = window.get(moov_at, moov_len as usize)?.filter(|moov| crc32c::crc32c(moov) == crc) else {
        return Ok(None);
    };
    let Some(runs) = sealed_runs(moov) else { return Ok(None) };
    let mut stills: Vec<StillRef> = Vec::with_capacity(runs.video.len());
    for run in runs.video {
        let [sample] = run.samples[..] else { return Ok(None) };
        let Some(at) = i64::try_from(run.base).ok().and_then(|base| first_at.0.checked_add(base)) else {
            return Ok(None);
        };
        let still = StillRef { at: Utc90k(at), offset: run.offset, bytes: sample.size };
        let end = run.offset.checked_add(u64::from(sample.size));
        let grows = stills.last().is_none_or(|last| last.at < still.at);
        if !grows || run.offset < STILLS_AT + STILL_HEADER || end.is_none_or(|end| end > moov_at) {
            return Ok(None);
        }
        stills.push(still);
    }
    Ok(Some((stills, moov_at)))
}

/// Length and sum of the moov.
fn trailer(bytes: &[u8]) -> Option<(u64, u32)> {
    let mut at = Get(bytes);
    let is_ours = at.u32()? == TRAILER_LEN as u32 && at.take(4)? == b"free" && at.take(8)? == SEALED;
    is_ours.then_some(())?;
    Some((u64::from(at.u32()?), at.u32()?))
}

struct StillHeader {
    /// Of the whole box.
    size: u64,
    at: Utc90k,
    crc: u32,
}

fn still_header(bytes: &[u8]) -> Option<StillHeader> {
    let mut at = Get(bytes);
    let size = u64::from(at.u32()?);
    let is_still = at.take(4)? == b"mdat" && at.take(4)? == STILL;
    let sane = size > STILL_HEADER && size <= STILL_HEADER + STILL_BYTES_MAX as u64;
    (is_still && sane).then_some(())?;
    Some(StillHeader { size, at: Utc90k(at.i64()?), crc: at.u32()? })
}

/// Whole stills from the first on, and where they end.
fn walk<R: ReadAt + ?Sized>(source: &R, len: u64, with_sums: bool) -> io::Result<(Vec<StillRef>, u64)> {
    // A page is read for each header anyway; with sums everything is.
    let mut window = Window::new(source, len, if with_sums { 64 << 10 } else { STILL_HEADER as usize });
    let (mut stills, mut at): (Vec<StillRef>, _) = (Vec::new(), STILLS_AT);
    while let Some(header) = window.get(at, STILL_HEADER as usize)?.and_then(still_header) {
        let (offset, end) = (at + STILL_HEADER, at + header.size);
        if end > len || stills.last().is_some_and(|last| last.at >= header.at) {
            break;
        }
        let seed = crc32c::crc32c(&header.at.0.to_be_bytes());
        if with_sums && window.crc(offset, end, seed)? != Some(header.crc) {
            break;
        }
        stills.push(StillRef { at: header.at, offset, bytes: (header.size - STILL_HEADER) as u32 });
        at = end;
    }
    Ok((stills, at))
}

/// Width and height of a JPEG that is whole as far as its markers tell (ITU-T T.81 B.1.1, B.2.2).
pub fn jpeg_size(jpeg: &[u8]) -> Option<[u16; 2]> {
    let mut at = Get(jpeg.strip_suffix(&[0xFF, 0xD9])?);
    if at.take(2)? != [0xFF, 0xD8] {
        return None;
    }
    loop {
        if at.u8()? != 0xFF {
            return None;
        }
        let mut marker = at.u8()?;
        // Fill bytes.
        while marker == 0xFF {
            marker = at.u8()?;
        }
        // The length counts itself.
        let len = usize::from(Get(at.0).u16()?);
        let mut segment = Get(at.take(len)?);
        match marker {
            // A frame header of any coding process; DHT, JPG and DAC lie between them.
            0xC0..=0xCF if ![0xC4, 0xC8, 0xCC].contains(&marker) => {
                segment.take(3)?;
                let (height, width) = (segment.u16()?, segment.u16()?);
                return (width > 0 && height > 0).then_some([width, height]);
            }
            // Scan before frame: none.
            0xDA => return None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
