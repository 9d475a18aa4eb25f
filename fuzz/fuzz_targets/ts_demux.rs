//! Any bytes as a transport stream: no panic, every range inside its bytes, times unwrapped near the reference.
//!
//! `cargo +nightly fuzz run ts_demux fuzz/corpus/ts_demux fuzz/seeds/ts_demux tests/fixtures/ts`

#![no_main]

use capstan::media::{aac, annexb, mpegts};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = mpegts::span(bytes, bytes);
    let Ok(segment) = mpegts::demux(bytes, Some(1 << 40)) else { return };
    let near = |time: i64| assert!((time - (1 << 40)).abs() <= (1 << 32) + (1 << 40) / 2);
    if let Some(track) = &segment.video {
        for sample in &track.samples {
            near(sample.dts_90k);
            let unit = &track.es[sample.data.clone()];
            assert!(annexb::nal_units(unit).all(|nal| !unit[nal].is_empty()));
        }
        let _ = (track.frame_90k(), track.span_90k());
        if let Some(config) = &track.config {
            assert!(config.decoder_record().is_some());
            let _ = (config.codec_string(), config.nominal_fps());
        }
    }
    for track in &segment.audio {
        for sample in &track.samples {
            near(sample.pts_90k);
            assert!(!track.es[sample.data.clone()].is_empty());
        }
        let _ = (track.config.codec_string(), aac::silent_frame(&track.config));
    }
});
