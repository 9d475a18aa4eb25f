//! The `uuid` box that says which chunk a file is; one 4 KiB read from the start of a file tells all the index needs.
//!
//! It is the first box of both moovs. In the init moov it starts at byte 40 and stays inside the first 512-byte sector,
//! which a disk writes whole or not at all. Its sealed part is filled in before the moov around it becomes `free`, and
//! counts only from then on.

use crate::{
    clock::Utc90k,
    ids::DeviceId,
    media::mp4::{
        MarkInfo,
        bytes::{Get, Put},
    },
};

/// Extended type of the box.
const UUID: &[u8; 16] = b"capstan chunk v1";
const VERSION: u32 = 1;
/// Longest codecs string kept; `hvc1.2.4.L153.B0,mp4a.40.29` needs 28.
const CODECS_MAX: usize = 63;
/// Enough of a file for [`head`], bytes.
pub const HEAD_READ: usize = 4096;
/// Whole box: small enough that ftyp (32), the moov's header (8) and it share the first sector.
pub(crate) const IDENTITY_LEN: usize = 300;
/// Where the box starts in a file, and where in the whole moov.
pub(crate) const IDENTITY_AT: usize = 40;
const _: () = assert!(IDENTITY_AT + IDENTITY_LEN <= 512, "the identity shares the first sector");

/// A chunk as its first 4 KiB tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkMeta {
    pub device: DeviceId,
    pub start: Utc90k,
    pub generation: u32,
    /// RFC 6381, as in `codecs="…"`: `avc1.64001f,mp4a.40.2`.
    pub codecs: String,
    /// Where the full moov lies once sealed, if it fits there (H).
    pub table_offset: u32,
    /// Where the fragments begin (D).
    pub data_offset: u64,
    /// Bytes of the init moov (I).
    pub init_moov_len: u32,
    /// PCM samples of one audio frame, 0 without audio; MP4 has no place of its own for it.
    pub samples_per_frame: u32,
    /// None while it grows: then a scan tells more.
    pub sealed: Option<SealedMeta>,
}

/// What is known once nothing will be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedMeta {
    /// End of the last sample.
    pub end: Utc90k,
    /// Holes of more than 500 ms.
    pub gaps: u32,
    pub last_mark: Option<MarkInfo>,
}

/// Reads the first 4 KiB of a file (fewer do, if the file is short); None when it is not one of our chunks.
pub fn head(first: &[u8]) -> Option<ChunkMeta> {
    let mut at = Get(first);
    if at.u32()? != 32 || at.take(4)? != b"ftyp" {
        return None;
    }
    let mut moov = Get(first.get(32..)?);
    let size = moov.u32()?;
    let kind = moov.take(4)?;
    let (mut meta, _) = parse(moov.0)?;
    match kind {
        b"moov" if size == meta.init_moov_len => meta.sealed = None,
        b"free" if size.checked_add(32) == Some(meta.table_offset) && meta.sealed.is_some() => {}
        _ => return None,
    }
    Some(meta)
}

/// The box, `rest_crc` being the CRC32C of what follows it in its moov.
pub(crate) fn encode(meta: &ChunkMeta, rest_crc: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(IDENTITY_LEN);
    out.u32(IDENTITY_LEN as u32);
    out.bytes(b"uuid");
    out.bytes(UUID);
    out.u32(VERSION);
    out.u32(meta.table_offset);
    out.u64(meta.data_offset);
    out.u32(meta.init_moov_len);
    out.u32(meta.samples_per_frame);
    put_text(&mut out, meta.device.as_str(), crate::ids::DEVICE_ID_MAX);
    out.bytes(&meta.start.0.to_be_bytes());
    out.u32(meta.generation);
    put_text(&mut out, &meta.codecs, CODECS_MAX);
    let sealed = meta.sealed;
    out.u8(u8::from(sealed.is_some()));
    out.bytes(&sealed.map_or(0, |sealed| sealed.end.0).to_be_bytes());
    out.u32(sealed.map_or(0, |sealed| sealed.gaps));
    let mark = sealed.and_then(|sealed| sealed.last_mark);
    out.u8(u8::from(mark.is_some()));
    mark.unwrap_or_default().put(&mut out);
    out.zeros((IDENTITY_LEN - 8).saturating_sub(out.len()));
    out.u32(rest_crc);
    let crc = crc32c::crc32c(&out);
    out.u32(crc);
    out
}

/// The box at the start of `bytes` and its `rest_crc`; None unless its own CRC holds.
pub(crate) fn parse(bytes: &[u8]) -> Option<(ChunkMeta, u32)> {
    let (body, mut crcs) = bytes.get(..IDENTITY_LEN)?.split_at_checked(IDENTITY_LEN - 8).map(|(b, c)| (b, Get(c)))?;
    let rest_crc = crcs.u32()?;
    if crcs.u32()? != crc32c::crc32c(bytes.get(..IDENTITY_LEN - 4)?) {
        return None;
    }
    let mut at = Get(body);
    if at.u32()? != IDENTITY_LEN as u32 || at.take(4)? != b"uuid" || at.take(16)? != UUID || at.u32()? != VERSION {
        return None;
    }
    let table_offset = at.u32()?;
    let data_offset = at.u64()?;
    let init_moov_len = at.u32()?;
    let samples_per_frame = at.u32()?;
    let device = get_text(&mut at, crate::ids::DEVICE_ID_MAX)?.parse().ok()?;
    let start = Utc90k(at.i64()?);
    let generation = at.u32()?;
    let codecs = get_text(&mut at, CODECS_MAX)?;
    let is_sealed = at.u8()? == 1;
    let (end, gaps) = (Utc90k(at.i64()?), at.u32()?);
    let has_mark = at.u8()? == 1;
    let mark = MarkInfo::get(&mut at)?;
    let sealed = is_sealed.then_some(SealedMeta { end, gaps, last_mark: has_mark.then_some(mark) });
    let meta = ChunkMeta {
        device,
        start,
        generation,
        codecs,
        table_offset,
        data_offset,
        init_moov_len,
        samples_per_frame,
        sealed,
    };
    Some((meta, rest_crc))
}

/// Length byte and a field of fixed width.
fn put_text(out: &mut Vec<u8>, text: &str, max: usize) {
    let kept = text.as_bytes().get(..max).unwrap_or(text.as_bytes());
    out.u8(kept.len() as u8);
    out.bytes(kept);
    out.zeros(max - kept.len());
}

fn get_text(from: &mut Get<'_>, max: usize) -> Option<String> {
    let len = usize::from(from.u8()?);
    let field = from.take(max)?;
    String::from_utf8(field.get(..len)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::mp4::mark::tests::info;

    fn meta() -> ChunkMeta {
        ChunkMeta {
            device: "x".repeat(64).parse().expect("a legal id"),
            start: Utc90k(-5),
            generation: 2,
            codecs: "hvc1.1.6.L93.B0,mp4a.40.2".into(),
            table_offset: 4096,
            data_offset: 1 << 33,
            init_moov_len: 1496,
            samples_per_frame: 1024,
            sealed: Some(SealedMeta { end: Utc90k(1 << 60), gaps: 9, last_mark: Some(info(4, 5)) }),
        }
    }

    #[test]
    fn an_identity_round_trips_and_any_broken_byte_unmakes_it() {
        let bytes = encode(&meta(), 77);
        assert_eq!(bytes.len(), IDENTITY_LEN);
        assert_eq!(parse(&bytes), Some((meta(), 77)));
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 0x10;
            assert_eq!(parse(&broken), None, "byte {at}");
        }
    }

    /// A torn seal leaves the sealed part filled in below a moov that is still `moov`.
    #[test]
    fn only_the_box_type_decides_whether_a_chunk_is_sealed() {
        let file = |kind: &[u8; 4], size: u32| {
            let mut out = Vec::new();
            out.u32(32);
            out.bytes(b"ftyp");
            out.zeros(24);
            out.u32(size);
            out.bytes(kind);
            out.bytes(&encode(&meta(), 0));
            out
        };
        assert_eq!(head(&file(b"free", 4096 - 32)), Some(meta()));
        assert_eq!(head(&file(b"moov", 1496)), Some(ChunkMeta { sealed: None, ..meta() }));
        for foreign in [file(b"moov", 1497), file(b"free", 4096), file(b"mdat", 1496), Vec::new()] {
            assert_eq!(head(&foreign), None);
        }
    }
}
