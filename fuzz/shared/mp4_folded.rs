//! A chunk without the holes that make it half a megabyte, and what must hold for any bytes taken as one.

use std::io;

use capstan::{
    media::mp4::{
        ReadAt,
        head::Head,
        identity,
        salvage::{Tail, cover_writes, salvage},
        scan::{self, Piece},
        verify::verify,
    },
    playback::FragmentTable,
};

/// H, and D of a chunk of up to 30 fps.
pub const HEAD_LEN: u64 = 4096;
pub const DATA_OFFSET: u64 = 512 << 10;
/// The header of the `free` box that a sealed file with its table at the end has at H.
const FREE_LEN: u64 = 8;
const MDAT_LEN: u64 = 16;
const FOLDED_HEAD: u64 = HEAD_LEN + FREE_LEN + MDAT_LEN;

/// Bytes 0 to H+8, D-16 to D, and everything from D on; what lies between reads as zeros.
pub struct Folded<'a>(pub &'a [u8]);

impl Folded<'_> {
    pub fn len(&self) -> u64 {
        match self.0.len() as u64 {
            len if len > FOLDED_HEAD => len - FOLDED_HEAD + DATA_OFFSET,
            len => len.min(HEAD_LEN + FREE_LEN),
        }
    }

    /// The parts of a chunk that [`Folded`] puts together again.
    #[allow(dead_code)]
    pub fn fold(chunk: &[u8]) -> Vec<u8> {
        let part = |from: u64, to: u64| &chunk[from as usize..to as usize];
        let len = chunk.len() as u64;
        let parts = [part(0, HEAD_LEN + FREE_LEN), part(DATA_OFFSET - MDAT_LEN, DATA_OFFSET), part(DATA_OFFSET, len)];
        parts.concat()
    }

    fn byte(&self, offset: u64) -> u8 {
        let at = match offset {
            0..4104 => offset,
            _ if offset >= DATA_OFFSET - MDAT_LEN => offset + FOLDED_HEAD - DATA_OFFSET,
            _ => return 0,
        };
        self.0.get(at as usize).copied().unwrap_or(0)
    }
}

impl ReadAt for Folded<'_> {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let count = into.len().min(self.len().saturating_sub(offset) as usize);
        for (at, byte) in into[..count].iter_mut().enumerate() {
            *byte = self.byte(offset + at as u64);
        }
        Ok(count)
    }
}

/// Scans whatever it is: no panic, no byte unaccounted for, nothing kept that is not there.
pub fn check(bytes: &[u8]) {
    let source = Folded(bytes);
    let len = source.len();
    let _ = identity::head(bytes);
    let _ = verify(&source, len).expect("memory has no input errors");
    let Some(head) = Head::read(&source).expect("memory has no input errors") else { return };
    assert_eq!(head.image.len() as u64, u64::from(head.meta.table_offset));
    let start = head.meta.data_offset;
    let _ = scan::shallow(&source, start, len).expect("memory has no input errors");
    let pieces = scan::deep(&source, start, len).expect("memory has no input errors");
    let mut at = start.min(len.max(start));
    for piece in &pieces {
        let range = piece.range();
        assert_eq!(range.start, at, "pieces lie side by side");
        assert!(range.end > range.start && range.end <= len);
        if let Piece::Fragment(fragment) = piece {
            assert!(fragment.runs().all(|run| run.offset > fragment.offset && run.offset + run.bytes() <= range.end));
        }
        at = range.end;
    }
    check_table(&source, len);
    for tail in [Tail::Cut, Tail::Keep] {
        let kept = salvage(&pieces, &head.tracks, start, tail);
        assert!(kept.len <= len.max(start) && kept.batch_start <= kept.len);
        assert!(tail == Tail::Keep || !kept.needs_mark);
        for cover in &kept.covers {
            assert!(cover.end <= kept.len);
            let writes = cover_writes(cover);
            assert!(writes.iter().all(|(offset, bytes)| *offset + bytes.len() as u64 <= cover.end.max(offset + 8)));
        }
    }
}

/// What readers are told lies inside the file, in order, and inside its fragment.
fn check_table(source: &Folded<'_>, len: u64) {
    let table = FragmentTable::read(source, len).expect("it has a head");
    let mut at = table.meta.data_offset;
    for fragment in table.fragments() {
        assert_eq!(fragment.bytes.start, at, "fragments lie side by side");
        at = fragment.bytes.end;
        for run in fragment.video.into_iter().chain(fragment.audio) {
            let mut offset = run.bytes().start;
            assert!(offset > fragment.bytes.start && run.bytes().end <= at && at <= len);
            for sample in run.samples() {
                assert_eq!(sample.offset, offset);
                offset += u64::from(sample.size);
            }
            assert_eq!(offset, run.bytes().end);
        }
    }
    assert_eq!(table.video.samples().count(), table.video.len());
    assert_eq!(table.audio.samples().count(), table.audio.len());
    let _ = table.weight();
}
