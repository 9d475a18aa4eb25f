//! Any bytes as a preview pack and as lines of metadata: no panic, nothing beyond their end, memory within bounds.
//!
//! `cargo +nightly fuzz run siblings fuzz/corpus/siblings fuzz/seeds/siblings`

#![no_main]

use std::ops::ControlFlow;

use capstan::media::{
    mp4::pack::{check, jpeg_size, read, seal},
    verdicts::scan,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let len = bytes.len() as u64;
    for told in [read(bytes, len), check(bytes, len)] {
        let Ok(Some(pack)) = told else { continue };
        assert!(pack.len <= len);
        assert!(pack.stills.iter().all(|still| still.offset + u64::from(still.bytes) <= pack.len));
        assert!(pack.stills.windows(2).all(|pair| pair[0].at < pair[1].at));
        let _ = seal(&pack.head, &pack.stills);
    }
    let _ = jpeg_size(bytes);
    let mut lines = 0;
    let mut each = |line: capstan::media::verdicts::FrameLine| {
        lines += 1;
        let _ = (line.at(), line.encode());
        ControlFlow::Continue(())
    };
    let scanned = scan(bytes, len, &mut each).expect("bytes are always readable");
    assert!(scanned.len <= len && lines <= bytes.len());
});
