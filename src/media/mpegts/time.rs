//! Continues 33-bit times beyond their wrap at 26.5 h (ISO/IEC 13818-1 clause 2.4.3.7).

const WRAP: i64 = 1 << 33;

/// The one time all others of a segment are measured against, so that tracks and fields cannot unwrap apart.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reference(Option<i64>);

impl Reference {
    pub fn near(near_90k: Option<i64>) -> Self {
        Self(near_90k)
    }

    /// The value closest to the reference that is congruent to `raw`; the first one becomes the reference.
    pub fn unwrap(&mut self, raw: u64) -> i64 {
        let raw = (raw as i64) & (WRAP - 1);
        let reference = *self.0.get_or_insert(raw);
        // The distance in -2^32..2^32; saturating for a reference no run can reach.
        let ahead = (raw - reference.rem_euclid(WRAP) + WRAP / 2).rem_euclid(WRAP) - WRAP / 2;
        reference.saturating_add(ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_continuation_wins() {
        let check = |near, raw, expected| assert_eq!(Reference::near(near).unwrap(raw), expected, "{near:?} {raw}");
        check(None, 5, 5);
        check(None, u64::MAX, WRAP - 1);
        check(Some(WRAP - 10), 5, WRAP + 5);
        check(Some(WRAP + 10), WRAP as u64 - 5, WRAP - 5);
        check(Some(5), WRAP as u64 - 5, -5);
        check(Some(7 * WRAP + 100), 90, 7 * WRAP + 90);
        check(Some(-3), 3, 3);
        check(Some(i64::MAX), 0, i64::MAX);
    }

    #[test]
    fn the_first_time_is_everyones_reference() {
        let mut reference = Reference::near(None);
        assert_eq!(reference.unwrap(WRAP as u64 - 3000), WRAP - 3000);
        assert_eq!(reference.unwrap(600), WRAP + 600);
        assert_eq!(reference.unwrap(WRAP as u64 - 6000), WRAP - 6000);
    }

    proptest::proptest! {
        #[test]
        fn congruent_and_within_half_a_wrap(near in -(1i64 << 40)..1i64 << 40, raw in 0u64..1 << 33) {
            let time = Reference::near(Some(near)).unwrap(raw);
            proptest::prop_assert_eq!(time.rem_euclid(WRAP), raw as i64);
            proptest::prop_assert!((time - near).abs() <= WRAP / 2);
        }
    }
}
