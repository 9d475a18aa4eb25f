//! Reads a file in large pieces while the reader hops along in small ones.

use std::io;

/// Positioned reading of something whose length is known elsewhere.
pub trait ReadAt {
    /// Like `pread`: fewer bytes than asked for only at the end.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl ReadAt for std::fs::File {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, into, offset)
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let from = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or(&[]);
        let count = from.len().min(into.len());
        into.iter_mut().zip(from).for_each(|(to, byte)| *to = *byte);
        Ok(count)
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.as_slice().read_at(into, offset)
    }
}

/// Fills `into` as far as the source reaches; returns how many bytes were there.
pub fn read_full<R: ReadAt + ?Sized>(source: &R, into: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(space) = into.get_mut(filled..).filter(|space| !space.is_empty()) {
        match source.read_at(space, offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// A sliding view of `source`, which ends at `len` whatever the file holds beyond.
pub(crate) struct Window<'a, R: ?Sized> {
    source: &'a R,
    len: u64,
    piece: usize,
    start: u64,
    held: Vec<u8>,
}

impl<'a, R: ReadAt + ?Sized> Window<'a, R> {
    /// `piece`: bytes per read.
    pub fn new(source: &'a R, len: u64, piece: usize) -> Self {
        Self { source, len, piece, start: 0, held: Vec::new() }
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    /// Exactly `count` bytes at `offset`; None beyond the end.
    pub fn get(&mut self, offset: u64, count: usize) -> io::Result<Option<&[u8]>> {
        if offset.checked_add(count as u64).is_none_or(|end| end > self.len) {
            return Ok(None);
        }
        if !self.holds(offset, count) {
            self.fill(offset, count)?;
        }
        let skip = offset.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok());
        Ok(skip.and_then(|skip| self.held.get(skip..skip.checked_add(count)?)))
    }

    /// Between 1 and `count` bytes at `offset`, those at hand if there are any; None at the end.
    pub fn some(&mut self, offset: u64, count: u64) -> io::Result<Option<&[u8]>> {
        let count = count.min(self.len.saturating_sub(offset)).min(self.piece as u64);
        let held_end = self.start + self.held.len() as u64;
        let at_hand = if offset >= self.start { held_end.saturating_sub(offset) } else { 0 };
        let count = if at_hand > 0 { count.min(at_hand) } else { count };
        if count == 0 {
            return Ok(None);
        }
        self.get(offset, count as usize)
    }

    /// CRC32C of the bytes from `from` to `to`, continuing `crc`. None when they are not all there.
    pub fn crc(&mut self, mut from: u64, to: u64, mut crc: u32) -> io::Result<Option<u32>> {
        while from < to {
            let Some(bytes) = self.some(from, to - from)? else { return Ok(None) };
            crc = crc32c::crc32c_append(crc, bytes);
            from += bytes.len() as u64;
        }
        Ok(Some(crc))
    }

    fn holds(&self, offset: u64, count: usize) -> bool {
        offset >= self.start && offset + count as u64 <= self.start + self.held.len() as u64
    }

    fn fill(&mut self, offset: u64, count: usize) -> io::Result<()> {
        let wanted = (self.len - offset).min(count.max(self.piece) as u64) as usize;
        self.held.resize(wanted, 0);
        self.start = offset;
        let filled = match read_full(self.source, &mut self.held, offset) {
            Ok(filled) => filled,
            Err(error) => {
                self.held.clear();
                return Err(error);
            }
        };
        // The file is shorter than it was said to be: the missing bytes are not there, not zero.
        self.held.truncate(filled);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_join_without_seams_and_end_where_told() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut window = Window::new(&bytes, 200, 16);
        for (offset, count) in [(0, 4), (14, 4), (3, 40), (196, 4), (0, 200)] {
            assert_eq!(window.get(offset, count).expect("no error"), Some(&bytes[offset as usize..][..count]));
        }
        for (offset, count) in [(197, 4), (201, 0), (u64::MAX, 2)] {
            assert_eq!(window.get(offset, count).expect("no error"), None);
        }
        assert_eq!(window.crc(10, 200, 0).expect("no error"), Some(crc32c::crc32c(&bytes[10..200])));
        assert_eq!(window.crc(10, 201, 0).expect("no error"), None);
    }

    #[test]
    fn a_file_shorter_than_said_is_not_zeros() {
        let bytes = vec![1u8; 10];
        let mut window = Window::new(&bytes, 20, 16);
        assert_eq!(window.get(8, 4).expect("no error"), None);
        assert_eq!(window.some(12, 4).expect("no error"), None);
    }
}
