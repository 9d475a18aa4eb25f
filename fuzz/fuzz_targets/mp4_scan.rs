//! Any bytes as a chunk, holes folded away: no panic, no byte unaccounted for, nothing kept that is not there.
//!
//! `cargo +nightly fuzz run mp4_scan fuzz/corpus/mp4_scan fuzz/seeds/mp4_scan`

#![no_main]

#[path = "../shared/mp4_folded.rs"]
mod mp4_folded;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| mp4_folded::check(bytes));
