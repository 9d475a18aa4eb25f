//! Examples of streams, well made and broken, and what becomes of them.

use super::{testing::*, *};
use crate::media::AudioCodec;

/// `(pts, dts, sync, bytes)` of every picture.
fn pictures(segment: &Segment) -> Vec<(i64, i64, bool, usize)> {
    let samples = segment.video.iter().flat_map(|track| &track.samples);
    samples.map(|sample| (sample.pts_90k, sample.dts_90k, sample.sync, sample.data.len())).collect()
}

/// `(pts, bytes)` of every audio frame.
fn frames(segment: &Segment) -> Vec<(i64, usize)> {
    let samples = segment.audio.iter().flat_map(|track| &track.samples);
    samples.map(|sample| (sample.pts_90k, sample.data.len())).collect()
}

fn faults(sync_bytes_lost: u64, discontinuities: u64, bad_packets: u64, broken_units: u64) -> Faults {
    Faults { sync_bytes_lost, discontinuities, bad_packets, broken_units }
}

#[test]
fn pictures_and_frames_come_out_whole() {
    let mut ts = TsBuilder::av();
    let (key, other) = (picture(true, 1000, 7), picture(false, 500, 8));
    ts.pes(VIDEO_PID, Times { pts: Some(6000), dts: Some(3000) }, &key, false);
    ts.pes(AUDIO_PID, Times::pts(3000), &[adts(3, 2, 100), adts(3, 2, 50)].concat(), true);
    ts.pes(VIDEO_PID, Times::pts(6000), &other, false);
    let segment = demux(&ts.ts, None).unwrap();
    assert_eq!(pictures(&segment), [(6000, 3000, true, key.len()), (6000, 6000, false, other.len())]);
    assert_eq!(frames(&segment), [(3000, 100), (4920, 50)]);
    assert_eq!(segment.faults, Faults::default());
    let track = segment.video.unwrap();
    assert_eq!(track.es[track.samples[0].data.clone()], key);
    let config = track.config.unwrap();
    assert_eq!((config.width, config.height), (1920, 1080));
    assert_eq!(config.parameter_sets, [SPS, PPS]);
    let audio = &segment.audio[0];
    assert_eq!(audio.config.specific, [0x11, 0x90]);
    assert!(audio.samples.iter().all(|sample| audio.es[sample.data.clone()].iter().all(|byte| *byte == 0x55)));
}

#[test]
fn files_without_use_are_refused_by_name() {
    let check = |ts: &[u8], expected: TsError| assert_eq!(demux(ts, None).unwrap_err(), expected);
    check(&[], TsError::Empty);
    check(b"<html>not found</html>", TsError::NotTs);
    check(&[0x47; 50], TsError::NotTs);
    let mut headless = TsBuilder::default();
    headless.pes(VIDEO_PID, Times::pts(0), &picture(true, 500, 1), false);
    check(&headless.ts, TsError::NoProgram);
    check(&TsBuilder::av().ts, TsError::NoMedia);
    let with = |streams: &[(u16, u8)]| {
        let mut ts = TsBuilder::default();
        ts.tables(streams);
        ts.ts
    };
    check(&with(&[]), TsError::NoMedia);
    check(&with(&[(VIDEO_PID, 0x02)]), TsError::Unsupported { what: "MPEG-2 video".into() });
    let both = TsError::Unsupported { what: "MPEG-2 video and AC-3 audio".into() };
    assert_eq!(both.to_string(), "MPEG-2 video and AC-3 audio cannot be recorded; H.264, H.265, AAC, MP2 and MP3 can");
    check(&with(&[(VIDEO_PID, 0x02), (AUDIO_PID, 0x81)]), both);
    check(&with(&[(VIDEO_PID, 0xdb)]), TsError::Encrypted);
    let mut quad = TsBuilder::av();
    quad.pes(AUDIO_PID, Times::pts(0), &adts(3, 0, 80), true);
    check(&quad.ts, TsError::Unsupported { what: "AAC audio with an in-band channel layout".into() });
}

#[test]
fn scrambled_packets_are_encryption() {
    let mut ts = TsBuilder::av();
    ts.pes(VIDEO_PID, Times::pts(0), &picture(true, 100, 1), false);
    ts.last()[3] |= 0x80;
    assert_eq!(demux(&ts.ts, None).unwrap_err(), TsError::Encrypted);
    let mut ts = TsBuilder::av();
    let mut pes = pes_bytes(Times::pts(0), &picture(true, 100, 1), false);
    pes[6] |= 0x10;
    ts.payload(VIDEO_PID, &pes);
    assert_eq!(demux(&ts.ts, None).unwrap_err(), TsError::Encrypted);
}

#[test]
fn unusable_streams_beside_usable_ones_are_named() {
    let mut ts = TsBuilder::default();
    ts.tables(&[(0x90, 0x02), (VIDEO_PID, 0x1b), (0x91, 0x81), (0x92, 0x15), (AUDIO_PID, 0x04)]);
    ts.pes(VIDEO_PID, Times::pts(0), &picture(true, 100, 1), false);
    let segment = demux(&ts.ts, None).unwrap();
    assert_eq!(segment.skipped, ["MPEG-2 video", "AC-3 audio"]);
    assert_eq!((pictures(&segment).len(), segment.audio.len()), (1, 0), "announced but absent");
}

#[test]
fn tables_may_come_late_and_in_pieces() {
    let mut ts = TsBuilder::default();
    ts.pes(VIDEO_PID, Times::pts(9000), &picture(true, 400, 1), false);
    // 80 streams need 412 bytes: three packets.
    let many: Vec<_> = (0..80).map(|i| (0x200 + i, 0x15)).chain([(VIDEO_PID, 0x1b)]).collect();
    ts.tables(&many);
    ts.pes(VIDEO_PID, Times::pts(12000), &picture(false, 400, 1), false);
    assert_eq!(pictures(&demux(&ts.ts, None).unwrap()).len(), 2);
    // A PMT with a wrong CRC is none.
    let mut broken = TsBuilder::av();
    broken.last()[20] ^= 1;
    assert_eq!(demux(&broken.ts, None).unwrap_err(), TsError::NoProgram);
}

#[test]
fn times_unwrap_against_the_last_known_one() {
    let mut ts = TsBuilder::av();
    ts.pes(VIDEO_PID, Times { pts: Some(100), dts: Some((1 << 33) - 3000) }, &picture(true, 100, 1), false);
    ts.pes(AUDIO_PID, Times::pts((1 << 33) - 10), &adts(3, 2, 10), true);
    let check = |near, expected: (i64, i64, i64)| {
        let segment = demux(&ts.ts, near).unwrap();
        let (pts, dts, ..) = pictures(&segment)[0];
        assert_eq!((pts, dts, frames(&segment)[0].0), expected, "{near:?}");
    };
    const WRAP: i64 = 1 << 33;
    check(None, (WRAP + 100, WRAP - 3000, WRAP - 10));
    check(Some(WRAP), (WRAP + 100, WRAP - 3000, WRAP - 10));
    check(Some(0), (100, -3000, -10));
    check(Some(5 * WRAP - 90_000), (5 * WRAP + 100, 5 * WRAP - 3000, 5 * WRAP - 10));
}

#[test]
fn a_lost_packet_costs_one_picture() {
    let mut ts = TsBuilder::av();
    ts.pes(VIDEO_PID, Times::pts(0), &picture(true, 400, 1), false);
    let pes = pes_bytes(Times::pts(3000), &picture(false, 400, 1), false);
    ts.packet(VIDEO_PID, true, &pes[..184]).skip_counter(VIDEO_PID).packet(VIDEO_PID, false, &pes[300..]);
    ts.pes(VIDEO_PID, Times::pts(6000), &picture(false, 400, 1), false);
    let segment = demux(&ts.ts, None).unwrap();
    assert_eq!(pictures(&segment).iter().map(|picture| picture.0).collect::<Vec<_>>(), [0, 6000]);
    assert_eq!(segment.faults, faults(0, 1, 0, 1));
}

#[test]
fn a_damaged_packet_costs_one_picture() {
    for (damage, expected) in [
        (|packet: &mut [u8]| packet[1] |= 0x80, faults(0, 0, 1, 1)), // transport_error_indicator
        (|packet: &mut [u8]| packet[0] = 0, faults(188, 1, 0, 1)),   // no sync byte
    ] as [(fn(&mut [u8]), Faults); 2]
    {
        let mut ts = TsBuilder::av();
        let pes = pes_bytes(Times::pts(0), &picture(true, 400, 1), false);
        ts.packet(VIDEO_PID, true, &pes[..184]).packet(VIDEO_PID, false, &pes[184..300]);
        damage(ts.last());
        ts.packet(VIDEO_PID, false, &pes[300..]);
        ts.pes(VIDEO_PID, Times::pts(6000), &picture(false, 400, 1), false);
        let segment = demux(&ts.ts, None).unwrap();
        assert_eq!(pictures(&segment).iter().map(|picture| picture.0).collect::<Vec<_>>(), [6000]);
        assert_eq!(segment.faults, expected);
    }
}

#[test]
fn repeated_packets_count_once_and_announced_jumps_are_no_fault() {
    let mut ts = TsBuilder::av();
    ts.pes(VIDEO_PID, Times::pts(0), &picture(true, 100, 1), false);
    let repeated = ts.last().to_vec();
    ts.ts.extend(&repeated);
    ts.skip_counter(VIDEO_PID).pes(VIDEO_PID, Times::pts(3000), &picture(false, 100, 1), false);
    ts.last()[5] |= 0x80; // discontinuity_indicator
    let segment = demux(&ts.ts, None).unwrap();
    assert_eq!(pictures(&segment)[0].3, picture(true, 100, 1).len());
    assert_eq!((pictures(&segment).len(), segment.faults), (2, Faults::default()));
}

#[test]
fn a_file_cut_short_loses_its_last_picture_only() {
    let mut ts = TsBuilder::av();
    ts.pes(VIDEO_PID, Times::pts(0), &picture(true, 400, 1), false);
    ts.pes(VIDEO_PID, Times::pts(3000), &picture(false, 400, 1), false);
    let segment = demux(&ts.ts[..ts.ts.len() - 100], None).unwrap();
    assert_eq!(pictures(&segment).len(), 1);
    assert_eq!(segment.faults, faults(88, 0, 1, 1));
    // Cut between two packets it shows only where the length was told.
    let bounded = |bounded| {
        let mut ts = TsBuilder::av();
        ts.pes(VIDEO_PID, Times::pts(0), &picture(true, 400, 1), false);
        ts.pes(VIDEO_PID, Times::pts(3000), &picture(false, 400, 1), bounded);
        demux(&ts.ts[..ts.ts.len() - 188], None).unwrap()
    };
    assert_eq!(pictures(&bounded(true)).len(), 1);
    assert_eq!(bounded(true).faults.broken_units, 1);
    assert_eq!(pictures(&bounded(false)).len(), 2);
}

#[test]
fn pes_headers_may_go_over_a_packets_end() {
    let pes = pes_bytes(Times { pts: Some(6000), dts: Some(3000) }, &picture(true, 200, 1), true);
    for first in [1, 5, 8, 9, 12, 18, 19, 20] {
        let mut ts = TsBuilder::av();
        ts.packet(VIDEO_PID, true, &pes[..first]).packet(VIDEO_PID, false, &pes[first..150]);
        ts.packet(VIDEO_PID, false, &pes[150..]);
        let segment = demux(&ts.ts, None).unwrap();
        assert_eq!(pictures(&segment), [(6000, 3000, true, picture(true, 200, 1).len())], "cut at {first}");
    }
}

#[test]
fn unusable_pes_headers_are_counted() {
    for (at, byte) in [(0, 9), (2, 2), (3, 0xbe), (6, 0x40), (4, 0)] {
        let mut ts = TsBuilder::av();
        let mut pes = pes_bytes(Times::pts(0), &picture(true, 100, 1), true);
        pes[at] = byte;
        if at == 4 {
            pes[5] = 1; // shorter than its own header
        }
        ts.payload(VIDEO_PID, &pes).pes(VIDEO_PID, Times::pts(3000), &picture(false, 50, 1), false);
        let segment = demux(&ts.ts, None).unwrap();
        assert_eq!((pictures(&segment).len(), segment.faults), (1, faults(0, 0, 0, 1)), "byte {at}");
    }
}

#[test]
fn pes_without_a_time_goes_on_with_the_picture_before() {
    let (key, other) = (picture(true, 400, 1), picture(false, 200, 1));
    let mut ts = TsBuilder::av();
    ts.pes(VIDEO_PID, Times::default(), &other, false);
    ts.pes(VIDEO_PID, Times::pts(0), &key[..300], false).pes(VIDEO_PID, Times::default(), &key[300..], false);
    ts.pes(VIDEO_PID, Times::pts(3000), &other, false);
    let segment = demux(&ts.ts, None).unwrap();
    assert_eq!(pictures(&segment), [(0, 0, true, key.len()), (3000, 3000, false, other.len())]);
    assert_eq!(segment.faults.broken_units, 1, "the one before any time");
}

#[test]
fn parameter_sets_on_their_own_belong_to_the_next_picture() {
    let sets = [&[0, 0, 0, 1], SPS, &[0, 0, 0, 1], PPS].concat();
    let slice = [0, 0, 1, 0x65, 9, 9, 9];
    let mut ts = TsBuilder::av();
    ts.pes(VIDEO_PID, Times::pts(0), &sets, false).pes(VIDEO_PID, Times::pts(0), &slice, false);
    let segment = demux(&ts.ts, None).unwrap();
    assert_eq!(pictures(&segment), [(0, 0, true, sets.len() + slice.len())]);
    assert!(segment.video.unwrap().config.is_some());
}

#[test]
fn a_stream_that_starts_inside_a_gop_has_no_configuration_yet() {
    let mut ts = TsBuilder::av();
    ts.packet(VIDEO_PID, false, &[9; 184]); // the end of a picture that began earlier
    ts.pes(VIDEO_PID, Times::pts(0), &picture(false, 100, 1), false);
    let segment = demux(&ts.ts, None).unwrap();
    assert_eq!(pictures(&segment).len(), 1);
    assert_eq!(segment.video.unwrap().config, None);
}

#[test]
fn audio_frames_go_over_pes_ends() {
    let stream: Vec<u8> = (0..5).flat_map(|i| adts(4, 2, 100 + i)).collect();
    let mut ts = TsBuilder::av();
    // Frame 2 starts in the first PES and ends in the second, whose time is that of frame 3.
    ts.pes(AUDIO_PID, Times::pts(0), &stream[..250], true);
    ts.pes(AUDIO_PID, Times::pts(6269), &stream[250..], true);
    let segment = demux(&ts.ts, None).unwrap();
    assert_eq!(frames(&segment), [(0, 100), (2090, 101), (4180, 102), (6269, 103), (8359, 104)]);
    assert_eq!(segment.faults, Faults::default());
}

#[test]
fn garbage_between_audio_frames_is_skipped_once() {
    let mut stream = [adts(3, 2, 50), vec![0xff; 20], adts(3, 2, 60), adts(3, 2, 70)].concat();
    stream.extend(&adts(3, 2, 80)[..30]); // the last one is cut
    let mut ts = TsBuilder::av();
    ts.pes(AUDIO_PID, Times::pts(0), &stream, true);
    let segment = demux(&ts.ts, None).unwrap();
    // The frame in front of the garbage cannot be told from a false sync word.
    assert_eq!(frames(&segment), [(0, 60), (1920, 70)]);
    assert_eq!(segment.faults.broken_units, 2);
}

#[test]
fn lost_audio_packets_cost_the_frames_they_touch() {
    let stream: Vec<u8> = (0..4).flat_map(|_| adts(3, 2, 93)).collect();
    let pes = pes_bytes(Times::pts(0), &stream, true);
    let mut ts = TsBuilder::av();
    ts.packet(AUDIO_PID, true, &pes[..184]).skip_counter(AUDIO_PID).packet(AUDIO_PID, false, &pes[300..]);
    ts.pes(AUDIO_PID, Times::pts(90_000), &adts(3, 2, 40), true);
    let segment = demux(&ts.ts, None).unwrap();
    assert_eq!(frames(&segment), [(0, 93), (90_000, 40)]);
    assert_eq!(segment.faults, faults(0, 1, 0, 1));
}

#[test]
fn another_audio_configuration_starts_another_track() {
    let mut ts = TsBuilder::av();
    ts.pes(AUDIO_PID, Times::pts(0), &[adts(3, 2, 50), adts(3, 2, 51)].concat(), true);
    ts.pes(AUDIO_PID, Times::pts(3840), &[adts(4, 1, 60), adts(4, 1, 61)].concat(), true);
    let segment = demux(&ts.ts, None).unwrap();
    let summary: Vec<_> = segment.audio.iter().map(|track| (track.config.sample_rate, track.config.channels)).collect();
    assert_eq!(summary, [(48000, 2), (44100, 1)]);
    assert_eq!(frames(&segment), [(0, 50), (1920, 51), (3840, 60), (5930, 61)]);
    for track in &segment.audio {
        assert_eq!(track.config.codec, AudioCodec::Aac);
        assert!(track.samples.iter().all(|sample| track.es[sample.data.clone()].iter().all(|byte| *byte == 0x55)));
    }
}

#[test]
fn the_ends_tell_the_span() {
    let mut ts = TsBuilder::av();
    for i in 0..60u64 {
        let times = Times { pts: Some((1 << 33) - 90_000 + (i ^ 1) * 3000), dts: None };
        ts.pes(VIDEO_PID, times, &picture(i == 0, 2000, 1), false);
    }
    let end = ts.ts.len();
    let span = span(&ts.ts[..8000], &ts.ts[end - 8001..]).unwrap();
    assert_eq!(span.first_pts_90k, (1 << 33) - 90_000);
    assert_eq!(span.end_pts_90k, (1 << 33) + 90_000);
    assert!(span.starts_with_sync);
    assert_eq!(super::span(&ts.ts[..8000], &ts.ts[end - 400..]), None, "no time in the tail: ask with more");
    assert_eq!(super::span(&[], &[]), None);
    let late = super::span(&ts.ts[..8000], &ts.ts[..1000]).unwrap();
    assert!(late.end_pts_90k > late.first_pts_90k);
}

proptest::proptest! {
    /// Whatever is written comes back, whichever way the packets lie.
    #[test]
    fn what_was_muxed_is_demuxed(
        units in proptest::collection::vec((1usize..2000, 2u8.., proptest::bool::ANY, proptest::bool::ANY), 1..20),
        base in 0u64..1 << 33,
    ) {
        let mut ts = TsBuilder::av();
        let mut expected = Vec::new();
        for (i, (bytes, fill, key, bounded)) in units.iter().enumerate() {
            let pts = (base + i as u64 * 3000) % (1 << 33);
            let unit = picture(*key, *bytes, *fill);
            ts.pes(VIDEO_PID, Times { pts: Some(pts), dts: Some(pts) }, &unit, *bounded);
            ts.pes(AUDIO_PID, Times::pts(pts), &adts(3, 2, bytes % 500 + 1), true);
            expected.push((base as i64 + i as i64 * 3000, *key, unit));
        }
        let segment = demux(&ts.ts, Some(base as i64)).unwrap();
        proptest::prop_assert_eq!(segment.faults, Faults::default());
        let track = segment.video.unwrap();
        let found: Vec<_> = track.samples.iter()
            .map(|sample| (sample.dts_90k, sample.sync, track.es[sample.data.clone()].to_vec())).collect();
        proptest::prop_assert_eq!(found, expected);
        proptest::prop_assert_eq!(segment.audio[0].samples.len(), units.len());
    }

    /// Any bytes at all: no panic, and every range lies inside its bytes.
    #[test]
    fn noise_and_damage_never_panic(
        noise in proptest::collection::vec(proptest::num::u8::ANY, 0..2000),
        damage in proptest::collection::vec((proptest::num::usize::ANY, proptest::num::u8::ANY), 0..40),
        cut in proptest::num::usize::ANY,
    ) {
        let mut ts = TsBuilder::av();
        for i in 0..6u64 {
            ts.pes(VIDEO_PID, Times::pts(i * 3000), &picture(i % 3 == 0, 700, 3), i % 2 == 0);
            ts.pes(AUDIO_PID, Times::pts(i * 3000), &[adts(3, 2, 90), adts(4, 1, 30)].concat(), true);
        }
        let mut bytes = ts.ts;
        for (at, value) in damage {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        bytes.truncate(cut % (bytes.len() + 1));
        bytes.extend(noise);
        if let Ok(segment) = demux(&bytes, Some(0)) {
            let video = segment.video.iter().flat_map(|track| track.samples.iter().map(|s| (&s.data, track.es.len())));
            let audio = segment.audio.iter().flat_map(|track| track.samples.iter().map(|s| (&s.data, track.es.len())));
            for (range, len) in video.chain(audio) {
                proptest::prop_assert!(range.start <= range.end && range.end <= len);
            }
        }
        let _ = span(&bytes, &bytes);
    }
}
