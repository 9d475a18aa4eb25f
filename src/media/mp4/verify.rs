//! Says whether a chunk is whole, and if not, what is wrong with it: `capstan archive verify`.

use std::io;

use crate::media::mp4::{
    head::Head,
    identity::{self, ChunkMeta},
    salvage::{Tail, salvage},
    scan::{self, Piece},
    seal,
    window::ReadAt,
};

/// What became of a check of every byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// None when it is no chunk of ours or its head is lost.
    pub meta: Option<ChunkMeta>,
    pub bytes: u64,
    pub fragments: u32,
    pub samples: u64,
    /// Commits whose checksum holds.
    pub good_marks: u32,
    /// Bytes given up in earlier repairs.
    pub covered_bytes: u64,
    /// One line each; empty when the chunk is whole.
    pub problems: Vec<String>,
}

impl Verdict {
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Reads all of a chunk of `len` bytes, growing or sealed.
pub fn verify<R: ReadAt + ?Sized>(source: &R, len: u64) -> io::Result<Verdict> {
    let mut out = Verdict {
        meta: None,
        bytes: len,
        fragments: 0,
        samples: 0,
        good_marks: 0,
        covered_bytes: 0,
        problems: Vec::new(),
    };
    let Some(head) = Head::read(source)? else {
        out.problems.push("not a chunk, or its head is lost".into());
        return Ok(out);
    };
    out.meta = Some(head.meta.clone());
    let mut first = [0; identity::HEAD_READ];
    let count = source.read_at(&mut first, 0)?;
    if first.get(..count).and_then(identity::head).is_none() {
        out.problems.push("the head is damaged; its second copy is whole".into());
    }
    let sealed = if head.meta.sealed.is_some() { seal::layout(source, &head, len)? } else { None };
    if head.meta.sealed.is_some() && sealed.is_none() {
        out.problems.push("sealed, but its table is damaged".into());
    }
    let media_end = sealed.as_ref().map_or(len, |sealed| sealed.media_end);
    let pieces = scan::deep(source, head.meta.data_offset, media_end)?;
    for piece in &pieces {
        out.note(piece);
    }
    let kept = salvage(&pieces, &head.tracks, head.meta.data_offset, Tail::Cut);
    if kept.len < media_end {
        out.problems.push(format!("{} bytes after the last commit at {}", media_end - kept.len, kept.len));
    }
    out.fragments = kept.fragments;
    out.samples = (kept.tables.video.len() + kept.tables.audio.len()) as u64;
    if let Some((layout, meta)) = sealed.as_ref().zip(head.meta.sealed)
        && kept.covers.is_empty()
        && head.sealed_moov(meta, &kept.tables).as_ref() != Some(&layout.moov)
    {
        out.problems.push("the table differs from the media".into());
    }
    Ok(out)
}

impl Verdict {
    fn note(&mut self, piece: &Piece) {
        let range = piece.range();
        let what = match piece {
            Piece::Mark { is_good: true, .. } => {
                self.good_marks += 1;
                return;
            }
            Piece::Free(_) => {
                self.covered_bytes += range.end - range.start;
                return;
            }
            Piece::Fragment(fragment) if fragment.is_sane => return,
            Piece::Fragment(_) => "a fragment with broken samples",
            Piece::Mark { .. } => "a commit whose checksum fails",
            Piece::Damage(_) => "no box",
        };
        self.problems.push(format!("{what} at {}..{}", range.start, range.end));
    }
}
