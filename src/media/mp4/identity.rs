//! The `uuid` box that says which chunk a file is; one 4 KiB read from the start of a file tells all the index needs.

use crate::{clock::Utc90k, ids::DeviceId, media::mp4::MarkInfo};

/// A chunk as its first 4 KiB tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkMeta {
    pub device: DeviceId,
    pub start: Utc90k,
    pub generation: u32,
    /// RFC 6381, as in `codecs="…"`: `avc1.64001f,mp4a.40.2`.
    pub codecs: String,
    /// Where the fragments begin (D).
    pub data_offset: u64,
    /// None while it grows: then a scan tells more.
    pub sealed: Option<SealedMeta>,
}

/// What is known once nothing will be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedMeta {
    pub end: Utc90k,
    /// Holes of more than 500 ms.
    pub gaps: u32,
    pub last_mark: Option<MarkInfo>,
}

/// Reads the first 4 KiB of a file; None when it is not one of our chunks.
pub fn head(_first: &[u8]) -> Option<ChunkMeta> {
    None
}
