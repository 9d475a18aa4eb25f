//! Decides, from what a scan found, what of a chunk is kept, what is covered and where it is cut.

use std::ops::Range;

use crate::media::mp4::{
    bytes::Put,
    mark::{Mark, MarkInfo, sum_up},
    scan::{FragmentInfo, Piece},
    table::{Run, Tables},
    tracks::Tracks,
};

/// What to do with whole fragments behind the last good mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// Their segments still wait in hot and will be merged again.
    Cut,
    /// Nobody else has them.
    Keep,
}

/// What is left of a chunk.
#[derive(Clone, Debug, Default)]
pub struct Salvage {
    pub tables: Tables,
    pub fragments: u32,
    /// Highest sequence number kept.
    pub sequence: u32,
    /// End of what is kept: of the last good mark, or of the last whole fragment behind it.
    pub len: u64,
    /// The last good mark.
    pub mark: Option<Mark>,
    /// Where the bytes after it begin, and the sum of the fragments kept among them: the batch of the next mark.
    pub batch_start: u64,
    pub batch_crc: u32,
    /// Damage within what is kept, to be covered by `free` boxes so that players walk on.
    pub covers: Vec<Range<u64>>,
    /// True when fragments behind the last good mark are kept: then a mark must close them.
    pub needs_mark: bool,
    /// What that mark should promise.
    pub closing: MarkInfo,
}

/// `pieces` as a deep scan of everything from `data_offset` found them.
pub fn salvage(pieces: &[Piece], tracks: &Tracks, data_offset: u64, tail: Tail) -> Salvage {
    let good = pieces.iter().rposition(|piece| matches!(piece, Piece::Mark { is_good: true, .. }));
    let (marked, unmarked) = pieces.split_at(good.map_or(0, |good| good + 1));
    let mut out = Salvage { len: data_offset, batch_start: data_offset, ..Salvage::default() };
    for piece in marked {
        out.take(piece, tracks);
        out.len = piece.range().end;
        if let Piece::Mark { mark, is_good: true, .. } = piece {
            out.mark = Some(*mark);
        }
    }
    (out.batch_start, out.batch_crc) = (out.len, 0);
    out.closing = out.mark.map(|mark| mark.info).unwrap_or_default();
    if tail == Tail::Cut {
        return out;
    }
    let kept_covers = out.covers.len();
    for piece in unmarked {
        if out.take(piece, tracks) {
            out.len = piece.range().end;
            out.needs_mark = true;
        }
        if let Piece::Mark { mark, .. } = piece {
            // The mark is whole though its batch is not; what it says of the run still holds.
            out.closing = mark.info;
        }
    }
    let len = out.len;
    let mut index = 0;
    out.covers.retain(|cover| {
        index += 1;
        index <= kept_covers || cover.start < len
    });
    out
}

impl Salvage {
    /// True when the piece is a fragment that is kept.
    fn take(&mut self, piece: &Piece, tracks: &Tracks) -> bool {
        match piece {
            Piece::Fragment(fragment) if fragment.is_sane && self.takes(fragment, tracks) => return true,
            Piece::Mark { is_good: true, .. } | Piece::Free(_) => {}
            Piece::Fragment(_) | Piece::Mark { .. } | Piece::Damage(_) => self.covers.push(piece.range()),
        }
        false
    }

    fn takes(&mut self, fragment: &FragmentInfo, tracks: &Tracks) -> bool {
        let none = Run::default();
        let (video, audio) = (fragment.video.as_ref().unwrap_or(&none), fragment.audio.as_ref().unwrap_or(&none));
        let is_foreign = (fragment.video.is_some() && tracks.video.is_none())
            || (fragment.audio.is_some() && tracks.audio.is_none());
        if is_foreign || self.tables.check(video, audio).is_err() {
            return false;
        }
        self.tables.push(video, audio, tracks.video.is_some(), tracks.audio_rate());
        self.fragments += 1;
        self.batch_crc = sum_up(self.batch_crc, fragment.checksum);
        self.sequence = self.sequence.max(fragment.sequence);
        true
    }
}

/// The boxes that cover a damaged range, as (offset, bytes) writes. Ranges are at least 8 bytes long.
///
/// A covered mark is a `free` box already, so the bytes after the header go too: they must not be read as a mark again.
pub fn cover_writes(range: &Range<u64>) -> Vec<(u64, Vec<u8>)> {
    /// Far below the 4 GiB a box without largesize can have.
    const STEP: u64 = 1 << 30;
    let mut out = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let left = range.end - at;
        let size = if left <= STEP + 8 { left } else { STEP };
        let mut bytes = Vec::with_capacity(16);
        bytes.u32(size as u32);
        bytes.bytes(b"free");
        bytes.zeros((size.min(16) as usize).saturating_sub(8));
        out.push((at, bytes));
        at += size;
    }
    out
}
