//! Any bytes as thumbnails of one device, one after the other: no panic, and a verdict only of what can be decoded.
//!
//! `cargo +nightly fuzz run eyes fuzz/corpus/eyes fuzz/seeds/eyes`

#![no_main]

use capstan::{clock::Utc90k, config::Detect, frames::Eyes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut eyes = Eyes::new();
    let detect = Detect::default();
    // The second half follows the first, so that pictures of any two sizes meet.
    let (first, second) = bytes.split_at(bytes.len() / 2);
    for (number, jpeg) in [bytes, first, second, bytes, bytes].into_iter().enumerate() {
        let Ok(seen) = eyes.look(Utc90k(number as i64 * 18_000), jpeg, &detect) else { continue };
        assert!(seen.black.is_some());
        for percent in [seen.black_percent, seen.freeze_diff].into_iter().flatten() {
            assert!((0.0..=100.0).contains(&percent));
        }
        assert!(seen.no_signal != Some(true) || seen.freeze == Some(true));
        assert_eq!(seen.still_since.is_some(), seen.freeze == Some(true));
    }
});
