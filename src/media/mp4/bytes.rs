//! Big-endian writing and reading of boxes (ISO/IEC 14496-12 §4.2), bounds checked.

/// Appends big-endian numbers and boxes.
pub(crate) trait Put {
    fn u8(&mut self, value: u8);
    fn u16(&mut self, value: u16);
    fn u32(&mut self, value: u32);
    fn u64(&mut self, value: u64);
    fn bytes(&mut self, value: &[u8]);
    fn zeros(&mut self, count: usize);
    /// A box of the given type around what `fill` appends.
    fn boxed(&mut self, kind: &[u8; 4], fill: impl FnOnce(&mut Vec<u8>));
    /// A FullBox: one with version and flags.
    fn full(&mut self, kind: &[u8; 4], version: u8, flags: u32, fill: impl FnOnce(&mut Vec<u8>));
}

impl Put for Vec<u8> {
    fn u8(&mut self, value: u8) {
        self.push(value);
    }
    fn u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_be_bytes());
    }
    fn u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_be_bytes());
    }
    fn u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_be_bytes());
    }
    fn bytes(&mut self, value: &[u8]) {
        self.extend_from_slice(value);
    }
    fn zeros(&mut self, count: usize) {
        self.resize(self.len() + count, 0);
    }

    fn boxed(&mut self, kind: &[u8; 4], fill: impl FnOnce(&mut Vec<u8>)) {
        let start = self.len();
        self.u32(0);
        self.bytes(kind);
        fill(self);
        // Only `moov` and `moof` come here, far below 4 GiB; `mdat` writes its own header.
        let size = u32::try_from(self.len() - start).unwrap_or(u32::MAX);
        put_u32_at(self, start, size);
    }

    fn full(&mut self, kind: &[u8; 4], version: u8, flags: u32, fill: impl FnOnce(&mut Vec<u8>)) {
        self.boxed(kind, |out| {
            out.u32(u32::from(version) << 24 | flags & 0x00FF_FFFF);
            fill(out);
        });
    }
}

/// Overwrites four bytes; does nothing beyond the end.
pub(crate) fn put_u32_at(out: &mut [u8], at: usize, value: u32) {
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

/// Reads big-endian numbers; None past the end.
#[derive(Clone, Copy)]
pub(crate) struct Get<'a>(pub &'a [u8]);

impl<'a> Get<'a> {
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }
    pub fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// The next box: type and payload. None at the end and where the size does not fit.
    pub fn next_box(&mut self) -> Option<([u8; 4], Get<'a>)> {
        let size = usize::try_from(self.u32()?).ok()?;
        let kind = self.array()?;
        Some((kind, Get(self.take(size.checked_sub(8)?)?)))
    }

    /// The first child box of that type.
    pub fn child(self, kind: &[u8; 4]) -> Option<Get<'a>> {
        let mut rest = self;
        while let Some((found, payload)) = rest.next_box() {
            if &found == kind {
                return Some(payload);
            }
        }
        None
    }

    /// The first box along a path of types.
    pub fn descend(self, path: &[&[u8; 4]]) -> Option<Get<'a>> {
        path.iter().try_fold(self, |at, kind| at.child(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_nest_and_are_found_again() {
        let mut out = Vec::new();
        out.boxed(b"moov", |out| {
            out.boxed(b"free", |out| out.zeros(3));
            out.full(b"mvhd", 1, 7, |out| out.u16(0xABCD));
        });
        assert_eq!(out.len(), 8 + 11 + 14);
        let mut found = Get(&out).descend(&[b"moov", b"mvhd"]).expect("the box is there");
        assert_eq!((found.u32(), found.u16(), found.u8()), (Some(0x0100_0007), Some(0xABCD), None));
    }

    #[test]
    fn sizes_that_do_not_fit_end_the_list() {
        for size in [0u32, 1, 7, 9, u32::MAX] {
            let mut bytes = size.to_be_bytes().to_vec();
            bytes.extend_from_slice(b"moov");
            assert!(Get(&bytes).next_box().is_none(), "{size}");
        }
    }
}
