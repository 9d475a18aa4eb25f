//! The commit mark: a `free` box that says "everything before me is whole, up to this segment".
//!
//! ```text
//! 0  u32 size 80, 'free'          8  magic "capmark1"
//! 16 u32 commit number            20 u32 run epoch            24 u64 last segment's number in its run
//! 32 i64 last video DTS           40 i64 last audio DTS (90 kHz run time; i64::MIN: no such track)
//! 48 i64 offset of run time to wall clock                     56 u64 batch length in bytes
//! 64 u32 CRC32C of the checksums of the batch's fragments    68 u64 reserved, 0
//! 76 u32 CRC32C of bytes 0..76
//! ```

use crate::{
    ids::{Epoch, SegmentKey},
    media::mp4::bytes::{Get, Put},
};

/// Bytes of a mark, its box header included.
pub const MARK_LEN: u64 = 80;

/// The first bytes of a mark's payload: what a search after damage looks for.
pub(crate) const MAGIC: &[u8; 8] = b"capmark1";

/// What a commit promises to have on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MarkInfo {
    /// The last segment of which all samples are in the file; it and all before it need not be merged again.
    pub last: SegmentKey,
    /// Video, audio: decode time of the last sample, run time, unwrapped; None for an absent track.
    pub last_dts_90k: [Option<i64>; 2],
    /// Wall clock = run time + offset.
    pub offset_90k: i64,
}

/// A mark as it stands in the file: what it promises and the bytes it vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Counts commits of this file from 1.
    pub commit: u32,
    pub info: MarkInfo,
    /// Bytes from the end of the mark before (or the first fragment) to this mark.
    pub batch_len: u64,
    /// CRC32C of the checksums of the fragments in it, in order: through them of every byte, without a second pass.
    pub batch_crc: u32,
}

/// Continues [`Mark::batch_crc`] by one fragment.
pub(crate) fn sum_up(batch_crc: u32, checksum: u32) -> u32 {
    crc32c::crc32c_append(batch_crc, &checksum.to_be_bytes())
}

impl MarkInfo {
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.u32(self.last.epoch.0);
        out.u64(self.last.number);
        for dts in self.last_dts_90k {
            out.bytes(&dts.unwrap_or(i64::MIN).to_be_bytes());
        }
        out.bytes(&self.offset_90k.to_be_bytes());
    }

    pub(crate) fn get(from: &mut Get<'_>) -> Option<Self> {
        let last = SegmentKey { epoch: Epoch(from.u32()?), number: from.u64()? };
        let mut dts = || from.i64().map(|dts| (dts != i64::MIN).then_some(dts));
        Some(Self { last, last_dts_90k: [dts()?, dts()?], offset_90k: from.i64()? })
    }
}

impl Mark {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(MARK_LEN as usize);
        out.u32(MARK_LEN as u32);
        out.bytes(b"free");
        out.bytes(MAGIC);
        out.u32(self.commit);
        self.info.put(&mut out);
        out.u64(self.batch_len);
        out.u32(self.batch_crc);
        out.u64(0);
        let crc = crc32c::crc32c(&out);
        out.u32(crc);
        out
    }

    /// The mark at the start of `bytes`; None unless every byte of it is right.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut all = Get(bytes.get(..MARK_LEN as usize)?);
        let mut body = Get(all.take(MARK_LEN as usize - 4)?);
        if all.u32()? != crc32c::crc32c(body.0) || body.u32()? != MARK_LEN as u32 {
            return None;
        }
        if body.take(4)? != b"free" || body.take(8)? != MAGIC {
            return None;
        }
        Some(Self {
            commit: body.u32()?,
            info: MarkInfo::get(&mut body)?,
            batch_len: body.u64()?,
            batch_crc: body.u32()?,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn info(epoch: u32, number: u64) -> MarkInfo {
        let last = SegmentKey { epoch: Epoch(epoch), number };
        MarkInfo { last, last_dts_90k: [Some(-3), None], offset_90k: 1 << 50 }
    }

    #[test]
    fn a_mark_round_trips_and_any_broken_byte_unmakes_it() {
        let mark = Mark { commit: 3, info: info(7, 1 << 40), batch_len: 15 << 20, batch_crc: 0xDEAD_BEEF };
        let bytes = mark.encode();
        assert_eq!(bytes.len() as u64, MARK_LEN);
        assert_eq!(Mark::parse(&bytes), Some(mark));
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 1;
            assert_eq!(Mark::parse(&broken), None, "byte {at}");
            assert_eq!(Mark::parse(&bytes[..at]), None, "cut at {at}");
        }
    }
}
