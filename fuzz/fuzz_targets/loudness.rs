//! Any bytes as PCM, split anywhere: the same levels however they are split, all of them finite.
//!
//! `cargo +nightly fuzz run loudness fuzz/corpus/loudness`

#![no_main]

use capstan::{
    config::Detect,
    frames::{Loudness, loudness},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, Vec<u8>)| {
    let (split, bytes) = input;
    let pcm = bytes.repeat(1 + 20_000 / bytes.len().max(1));
    let levels = |step: usize| {
        let (mut loudness, mut levels) = (Loudness::new(), Vec::new());
        for part in pcm.chunks(step) {
            loudness.push(part, &mut |level| levels.push(level));
        }
        levels
    };
    let whole = levels(pcm.len().max(1));
    assert_eq!(whole, levels(usize::from(split).max(1)));
    assert_eq!(whole.len(), pcm.len() / 3200);
    let db: Vec<f32> = whole.iter().map(|level| level.rms_db).collect();
    assert!(db.iter().all(|db| (-100.0..=0.01).contains(db)));
    let sound = loudness::sound(&db, &Detect::default());
    assert_eq!(sound.mean_volume_db.is_some(), !db.is_empty());
});
