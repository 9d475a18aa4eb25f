//! Finds out what a chunk really holds, however it was damaged: box by box from D, re-finding the chain after a hole.

use std::{io, ops::Range, sync::LazyLock};

use memchr::memmem::Finder;

use crate::media::mp4::{
    mark::{MAGIC, MARK_LEN, Mark, sum_up},
    moof::{MOOF_MAX, MOOF_MIN, Moof},
    table::Run,
    window::{ReadAt, Window},
};

/// One read of a deep scan: sequential, and small enough to be checked while still in the processor's cache.
const PIECE: usize = 512 << 10;
/// One read of a shallow scan, which wants the moofs only: 1 s of 60 fps with audio fits.
const SHALLOW_PIECE: usize = 4 << 10;

/// A `moof` with its `mdat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FragmentInfo {
    pub offset: u64,
    /// Bytes, moof and mdat.
    pub len: u64,
    pub sequence: u32,
    /// Offsets are those of the file.
    pub video: Option<Run>,
    pub audio: Option<Run>,
    /// As its moof tells it: CRC32C of the fragment but the last four bytes of the moof.
    pub checksum: u32,
    /// True unless a deep scan found that its bytes are not those that were written.
    pub is_sane: bool,
}

impl FragmentInfo {
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.video.iter().chain(&self.audio)
    }

    pub fn media_bytes(&self) -> u64 {
        self.runs().map(Run::bytes).sum()
    }

    pub fn end(&self) -> u64 {
        self.offset + self.len
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Fragment(FragmentInfo),
    /// `is_good`: the bytes it vouches for are as they were written. Always true in a shallow scan.
    Mark {
        offset: u64,
        mark: Mark,
        is_good: bool,
    },
    /// A `free` box that is no mark: damage covered by an earlier repair.
    Free(Range<u64>),
    /// Bytes that are no box of ours.
    Damage(Range<u64>),
}

impl Piece {
    pub fn range(&self) -> Range<u64> {
        match self {
            Self::Fragment(fragment) => fragment.offset..fragment.end(),
            Self::Mark { offset, .. } => *offset..*offset + MARK_LEN,
            Self::Free(range) | Self::Damage(range) => range.clone(),
        }
    }
}

/// Everything from D to the end, without holes between pieces.
pub fn deep<R: ReadAt + ?Sized>(source: &R, data_offset: u64, len: u64) -> io::Result<Vec<Piece>> {
    Scanner::new(source, data_offset, len, PIECE, true).run()
}

/// The same from headers alone: for bytes known to be good.
pub fn shallow<R: ReadAt + ?Sized>(source: &R, from: u64, len: u64) -> io::Result<Vec<Piece>> {
    Scanner::new(source, from, len, SHALLOW_PIECE, false).run()
}

struct Scanner<'a, R: ?Sized> {
    window: Window<'a, R>,
    is_deep: bool,
    pieces: Vec<Piece>,
    at: u64,
    /// The first piece behind the last mark.
    batch_first: usize,
}

impl<'a, R: ReadAt + ?Sized> Scanner<'a, R> {
    fn new(source: &'a R, from: u64, len: u64, piece: usize, is_deep: bool) -> Self {
        let window = Window::new(source, len, piece);
        Self { window, is_deep, pieces: Vec::new(), at: from, batch_first: 0 }
    }

    fn run(mut self) -> io::Result<Vec<Piece>> {
        while self.at < self.window.len() {
            let piece = match self.piece_at(self.at)? {
                Some(piece) => piece,
                None => Piece::Damage(self.at..self.after_damage()?),
            };
            self.at = piece.range().end;
            self.take(piece);
        }
        Ok(self.pieces)
    }

    fn take(&mut self, piece: Piece) {
        let Piece::Mark { offset, mark, .. } = piece else { return self.pieces.push(piece) };
        let is_good = !self.is_deep || self.vouches(offset, &mark);
        self.pieces.push(Piece::Mark { offset, mark, is_good });
        self.batch_first = self.pieces.len();
    }

    /// Whether the fragments before the mark at `offset` are those it was written behind. They may begin later than the
    /// last mark seen, when damage took the mark between.
    fn vouches(&self, offset: u64, mark: &Mark) -> bool {
        let Some(start) = offset.checked_sub(mark.batch_len) else { return false };
        let since = self.pieces.get(self.batch_first..).unwrap_or_default();
        let mut batch = since.iter().skip_while(|piece| piece.range().start < start).peekable();
        let begins_there = batch.peek().map_or(offset, |piece| piece.range().start) == start;
        let crc = batch.try_fold(0, |crc, piece| match piece {
            Piece::Fragment(fragment) if fragment.is_sane => Some(sum_up(crc, fragment.checksum)),
            Piece::Free(_) => Some(crc),
            _ => None,
        });
        begins_there && crc == Some(mark.batch_crc)
    }

    fn piece_at(&mut self, at: u64) -> io::Result<Option<Piece>> {
        let Some((size, kind)) = box_header(&mut self.window, at)? else { return Ok(None) };
        match &kind {
            b"moof" => Ok(self.fragment_at(at, size)?.map(Piece::Fragment)),
            b"free" => {
                if let Some(mark) = self.window.get(at, MARK_LEN as usize)?.and_then(Mark::parse) {
                    return Ok(Some(Piece::Mark { offset: at, mark, is_good: true }));
                }
                let end = at + u64::from(size);
                let is_broken_mark = self.window.get(at + 8, MAGIC.len())? == Some(MAGIC);
                Ok((size >= 8 && end <= self.window.len() && !is_broken_mark).then_some(Piece::Free(at..end)))
            }
            _ => Ok(None),
        }
    }

    fn fragment_at(&mut self, at: u64, size: u32) -> io::Result<Option<FragmentInfo>> {
        if !(MOOF_MIN..=MOOF_MAX).contains(&size) {
            return Ok(None);
        }
        let Some(moof) = self.window.get(at, size as usize)?.and_then(Moof::parse) else { return Ok(None) };
        let Some((mdat_len, kind)) = box_header(&mut self.window, at + u64::from(size))? else { return Ok(None) };
        let len = u64::from(size) + u64::from(mdat_len);
        let is_whole = &kind == b"mdat"
            && u64::from(mdat_len) == 8 + moof.media_bytes()
            && at.checked_add(len).is_some_and(|end| end <= self.window.len());
        if !is_whole {
            return Ok(None);
        }
        let place = |run: Run| Run { offset: run.offset + at, ..run };
        Ok(Some(FragmentInfo {
            offset: at,
            len,
            sequence: moof.sequence,
            checksum: moof.checksum,
            video: moof.video.map(place),
            audio: moof.audio.map(place),
            is_sane: !self.is_deep || self.sum(at, at + u64::from(size), at + len)? == Some(moof.checksum),
        }))
    }

    /// CRC32C of a fragment but the last four bytes of its moof.
    fn sum(&mut self, moof: u64, mdat: u64, end: u64) -> io::Result<Option<u32>> {
        let crc = self.window.crc(moof, mdat - 4, 0)?;
        crc.map_or(Ok(None), |crc| self.window.crc(mdat, end, crc))
    }

    /// Where the chain goes on after the damage at `self.at`: the next whole fragment or mark; the end if there is none.
    fn after_damage(&mut self) -> io::Result<u64> {
        static MOOF: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"moof"));
        static MARK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(MAGIC));
        // A cover needs 8 bytes for its header.
        let first = self.at + 8;
        let mut from = first;
        while let Some(bytes) = self.window.some(from, PIECE as u64)? {
            // Both lie behind the start of their box: its type at 4, a mark's magic at 8.
            let moof = MOOF.find(bytes).map(|at| (at, 4));
            let mark = MARK.find(bytes).map(|at| (at, 8));
            let piece_len = bytes.len() as u64;
            let Some((hit, back)) = moof.into_iter().chain(mark).min() else {
                // Needles may lie across two reads.
                from += (piece_len - (piece_len - 1).min(7)).max(1);
                continue;
            };
            let hit = from + hit as u64;
            let start = hit.saturating_sub(back);
            if start >= first && matches!(self.piece_at(start)?, Some(Piece::Fragment(_) | Piece::Mark { .. })) {
                return Ok(start);
            }
            from = hit + 1;
        }
        Ok(self.window.len())
    }
}

fn box_header<R: ReadAt + ?Sized>(window: &mut Window<'_, R>, at: u64) -> io::Result<Option<(u32, [u8; 4])>> {
    let header = window.get(at, 8)?.and_then(|bytes| bytes.split_first_chunk::<4>());
    Ok(header.and_then(|(size, kind)| Some((u32::from_be_bytes(*size), kind.try_into().ok()?))))
}
