//! Finds NAL units in an Annex B byte stream (ITU-T H.264 Annex B, H.265 Annex B) at memory speed.

use std::{ops::Range, sync::LazyLock};

use memchr::memmem::Finder;

static START_CODE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(&[0, 0, 1]));

/// Where each NAL unit lies, without start code and trailing zeros. Bytes before the first start code and empty units
/// are passed over.
pub fn nal_units(annex_b: &[u8]) -> NalUnits<'_> {
    let next = find_start_code(annex_b, 0);
    NalUnits { annex_b, next }
}

/// Iterator of [`nal_units`].
#[derive(Clone)]
pub struct NalUnits<'a> {
    annex_b: &'a [u8],
    /// Just behind the start code of the unit to come.
    next: Option<usize>,
}

impl Iterator for NalUnits<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let start = self.next?;
            self.next = find_start_code(self.annex_b, start);
            let end = self.next.map_or(self.annex_b.len(), |behind| behind - 3);
            // A unit never ends in a zero byte (clause 7.4.1), so these belong to the start code or are padding.
            let unit = self.annex_b.get(start..end)?;
            let len = unit.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            if len > 0 {
                return Some(start..start + len);
            }
        }
    }
}

fn find_start_code(annex_b: &[u8], from: usize) -> Option<usize> {
    Some(from + START_CODE.find(annex_b.get(from..)?)? + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::single_range_in_vec_init)]
    fn units_lie_between_start_codes() {
        let check = |bytes: &[u8], expected: &[Range<usize>]| {
            assert_eq!(nal_units(bytes).collect::<Vec<_>>(), expected, "{bytes:?}");
        };
        check(&[], &[]);
        check(&[1, 2, 3], &[]);
        check(&[0, 0, 1], &[]);
        check(&[0, 0, 1, 9], &[3..4]);
        check(&[0, 0, 0, 1, 9, 0xf0, 0, 0, 0, 1, 0x65, 7], &[4..6, 10..12]);
        check(&[0, 0, 1, 9, 0, 0, 1, 0x41, 8], &[3..4, 7..9]);
        check(&[7, 7, 0, 0, 1, 0, 0, 1, 5, 0, 0, 0], &[8..9]);
        check(&[0, 0, 1, 5, 0, 0, 3, 1], &[3..8]);
    }

    proptest::proptest! {
        /// Joining units with start codes and taking them apart again gives the same units.
        #[test]
        fn joined_units_come_apart(units in proptest::collection::vec(proptest::collection::vec(2u8.., 1..40), 0..10)) {
            let mut stream = Vec::new();
            let mut expected = Vec::new();
            for (i, unit) in units.iter().enumerate() {
                stream.extend_from_slice(if i % 2 == 0 { &[0, 0, 0, 1] } else { &[0, 0, 1] });
                expected.push(stream.len()..stream.len() + unit.len());
                stream.extend_from_slice(unit);
            }
            proptest::prop_assert_eq!(nal_units(&stream).collect::<Vec<_>>(), expected);
        }
    }
}
