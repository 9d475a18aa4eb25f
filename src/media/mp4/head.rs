//! The head of a chunk (0 to H): two copies of `ftyp` + init moov in different disk sectors, so that either one lost is
//! written again from the other.

use std::io;

use crate::{
    clock::Utc90k,
    error::{Error, Kind, Result},
    ids::DeviceId,
    media::mp4::{
        bytes::{Get, Put, put_u32_at},
        identity::{self, ChunkMeta, IDENTITY_AT, IDENTITY_LEN, SealedMeta},
        table::{Tables, TrackTable},
        tracks::Tracks,
        window::{ReadAt, read_full},
    },
};

pub const FTYP_LEN: usize = 32;
const PAGE: usize = 4096;
const SECTOR: usize = 512;
/// Two 4 KiB init copies are already absurd; a larger head is not looked for.
const HEAD_MAX: usize = 16 * PAGE;

/// Everything about a chunk that is known before its first sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub meta: ChunkMeta,
    pub tracks: Tracks,
    /// Bytes 0 to H: both copies, the pointer to the second, and the header of the `free` box up to D.
    pub image: Vec<u8>,
}

impl Head {
    /// `Invalid` when there is no track, or parameter sets make no decoder record or do not fit.
    pub fn new(device: &DeviceId, start: Utc90k, generation: u32, tracks: Tracks, fps: f64) -> Result<Self> {
        let invalid = |why: &str| Error::new(Kind::Invalid, why).at(device);
        if tracks == Tracks::default() {
            return Err(invalid("a chunk needs a track"));
        }
        let mut meta = ChunkMeta {
            device: device.clone(),
            start,
            generation,
            codecs: tracks.codecs(),
            table_offset: 0,
            data_offset: data_offset(fps),
            init_moov_len: 0,
            samples_per_frame: tracks.audio.as_ref().map_or(0, |audio| audio.samples_per_frame),
            sealed: None,
        };
        let probe = moov(&meta, &tracks, None).ok_or_else(|| invalid("unusable parameter sets"))?;
        let moov_len = padded(probe.len());
        let head_len = (copy_offset(moov_len) + FTYP_LEN + moov_len + 16).next_multiple_of(PAGE);
        if head_len > HEAD_MAX {
            return Err(invalid("parameter sets too large"));
        }
        meta.table_offset = head_len as u32;
        meta.init_moov_len = moov_len as u32;
        let image = image(&meta, &tracks).ok_or_else(|| invalid("unusable parameter sets"))?;
        Ok(Self { meta, tracks, image })
    }

    /// Reads a head of which one copy may be damaged. None when neither is whole.
    ///
    /// `meta.sealed` is told by the first bytes alone, as [`identity::head`] does; `image` is that of the growing file.
    pub fn read<R: ReadAt + ?Sized>(source: &R) -> io::Result<Option<Self>> {
        let mut bytes = vec![0; HEAD_MAX];
        let count = read_full(source, &mut bytes, 0)?;
        bytes.truncate(count);
        let first = bytes.get(..FTYP_LEN + 8).unwrap_or(&[]);
        let is_sealed = first.get(FTYP_LEN + 4..) == Some(b"free");
        let copies = (1..=HEAD_MAX / PAGE).map(|pages| copy_at(&bytes, pages * PAGE));
        let Some((meta, init)) = std::iter::once(copy(&bytes, 0)).chain(copies).flatten().next() else {
            return Ok(None);
        };
        // Not by way of the moov's own header, which says `free` once sealed.
        let tracks = init.get(IDENTITY_AT..).and_then(|moov| Tracks::get(Get(moov), meta.samples_per_frame));
        let Some(tracks) = tracks else { return Ok(None) };
        let sealed = meta.sealed.filter(|_| is_sealed);
        let growing = ChunkMeta { sealed: None, ..meta };
        // Rebuilt rather than copied: what a torn seal filled in must not survive.
        let Some(image) = image(&growing, &tracks) else { return Ok(None) };
        Ok(Some(Self { meta: ChunkMeta { sealed, ..growing }, tracks, image }))
    }

    /// The init segment: what `EXT-X-MAP` points at. Offset and length in the file.
    pub fn init_range(&self) -> (u64, u64) {
        let moov_len = self.meta.init_moov_len as usize;
        (copy_offset(moov_len) as u64, (FTYP_LEN + moov_len) as u64)
    }

    /// The moov of the sealed file. None when it cannot be built, which [`Self::new`] rules out.
    pub fn sealed_moov(&self, sealed: SealedMeta, tables: &Tables) -> Option<Vec<u8>> {
        moov(&ChunkMeta { sealed: Some(sealed), ..self.meta.clone() }, &self.tracks, Some(tables))
    }

    /// The identity box with its sealed part, to stand at [`IDENTITY_AT`] before the file is sealed.
    pub fn sealed_identity(&self, sealed: SealedMeta) -> Option<Vec<u8>> {
        let (_, rest_crc) = identity::parse(self.image.get(IDENTITY_AT..)?)?;
        Some(identity::encode(&ChunkMeta { sealed: Some(sealed), ..self.meta.clone() }, rest_crc))
    }

    /// The 8 bytes at 32 that turn the init moov into `free` up to H.
    pub fn sealing_bytes(&self) -> [u8; 8] {
        let mut out = *b"\0\0\0\0free";
        put_u32_at(&mut out, 0, self.meta.table_offset.saturating_sub(FTYP_LEN as u32));
        out
    }

    /// End of the last sample by the tables, whichever track it is in.
    pub fn end(&self, tables: &Tables) -> Utc90k {
        let scaled = |table: &TrackTable, rate: u32| {
            let ticks = u128::from(table.shown_until()) * 90_000 / u128::from(rate);
            i64::try_from(ticks).unwrap_or(i64::MAX)
        };
        self.meta.start + scaled(&tables.video, 90_000).max(scaled(&tables.audio, self.tracks.audio_rate()))
    }
}

/// The moov at the start of `bytes`, if its identity and checksum hold.
pub(crate) fn check_moov(bytes: &[u8]) -> Option<ChunkMeta> {
    let (kind, payload) = Get(bytes).next_box()?;
    let (meta, rest_crc) = identity::parse(payload.0)?;
    let rest = payload.0.get(IDENTITY_LEN..)?;
    (&kind == b"moov" && crc32c::crc32c(rest) == rest_crc).then_some(meta)
}

/// Where fragments may begin: D up to 30 fps, and above. The sealed table must fit below it: 600 s of 30 fps with
/// B-frames and 48 kHz AAC take 0.45 MiB.
pub const DATA_OFFSETS: [u64; 2] = [512 << 10, 1 << 20];

/// Measured rates jitter around the nominal one: 30.01 is 30.
fn data_offset(fps: f64) -> u64 {
    let [usual, fast] = DATA_OFFSETS;
    if fps > 30.5 { fast } else { usual }
}

/// Grows the init moov so that its second copy begins on a sector boundary: one lost sector never hits both copies.
fn padded(moov_len: usize) -> usize {
    let pad = (FTYP_LEN + 8 + moov_len).next_multiple_of(SECTOR) - (FTYP_LEN + 8 + moov_len);
    // The padding is a box and has a header.
    moov_len + if (1..8).contains(&pad) { pad + SECTOR } else { pad }
}

/// The second copy follows the header of the free box that follows the moov.
fn copy_offset(moov_len: usize) -> usize {
    (FTYP_LEN + moov_len + 8).next_multiple_of(16)
}

fn ftyp() -> Vec<u8> {
    let mut out = Vec::with_capacity(FTYP_LEN);
    out.boxed(b"ftyp", |out| {
        out.bytes(b"iso6");
        out.u32(0);
        out.bytes(b"iso6iso5mp42mp41");
    });
    out
}

/// The init moov, padded to `meta.init_moov_len` when that is set; the sealed one when there are tables.
fn moov(meta: &ChunkMeta, tracks: &Tracks, tables: Option<&Tables>) -> Option<Vec<u8>> {
    let mut rest = Vec::new();
    tracks.put(&mut rest, meta.start.as_ms(), tables)?;
    if tables.is_none() {
        let len = 8 + IDENTITY_LEN + rest.len();
        let pad = (meta.init_moov_len as usize).saturating_sub(len);
        if pad >= 8 {
            rest.boxed(b"free", |out| out.zeros(pad - 8));
        }
    }
    let identity = identity::encode(meta, crc32c::crc32c(&rest));
    let mut out = Vec::with_capacity(8 + identity.len() + rest.len());
    out.boxed(b"moov", |out| {
        out.bytes(&identity);
        out.bytes(&rest);
    });
    Some(out)
}

fn image(meta: &ChunkMeta, tracks: &Tracks) -> Option<Vec<u8>> {
    let mut init = ftyp();
    init.bytes(&moov(meta, tracks, None)?);
    let head_len = meta.table_offset as usize;
    let mut out = init.clone();
    out.u32(u32::try_from(meta.data_offset.checked_sub(init.len() as u64)?).ok()?);
    out.bytes(b"free");
    let copy = copy_offset(meta.init_moov_len as usize);
    out.zeros(copy.checked_sub(out.len())?);
    out.bytes(&init);
    out.zeros(head_len.checked_sub(16)?.checked_sub(out.len())?);
    out.u64(copy as u64);
    out.u64(init.len() as u64);
    Some(out)
}

/// An init copy at `offset`: its meta and its bytes, ftyp included. The moov may already be called `free`.
fn copy(bytes: &[u8], offset: usize) -> Option<(ChunkMeta, &[u8])> {
    let at = bytes.get(offset..)?;
    if Get(at).next_box()?.0 != *b"ftyp" || at.get(..FTYP_LEN)? != ftyp() {
        return None;
    }
    let (meta, rest_crc) = identity::parse(at.get(IDENTITY_AT..)?)?;
    let init = at.get(..FTYP_LEN.checked_add(meta.init_moov_len as usize)?)?;
    let rest = init.get(IDENTITY_AT + IDENTITY_LEN..)?;
    (crc32c::crc32c(rest) == rest_crc).then_some((meta, init))
}

/// The second copy of a head of `head_len` bytes.
fn copy_at(bytes: &[u8], head_len: usize) -> Option<(ChunkMeta, &[u8])> {
    let mut pointer = Get(bytes.get(head_len - 16..head_len)?);
    let offset = usize::try_from(pointer.u64()?).ok()?;
    copy(bytes, offset).filter(|(meta, _)| meta.table_offset as usize == head_len)
}
