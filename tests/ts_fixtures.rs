//! Odd streams made by others: what comes out, and that no damage to them or to any seed of the fuzzer panics.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{fs, path::Path};

use capstan::media::{
    Segment,
    mpegts::{self, TsError},
};

const FIXTURES: &str = "tests/fixtures/ts";
const SEEDS: &str = "fuzz/seeds/ts_demux";

fn fixture(name: &str) -> Result<Segment, TsError> {
    mpegts::demux(&fs::read(Path::new(FIXTURES).join(name)).unwrap(), None)
}

/// One line a stream: pictures, key pictures, first and last `pts/dts/bytes`, kind; then the same of the audio.
fn summary(segment: &Segment) -> String {
    let mut text = String::new();
    if let Some(track) = &segment.video {
        let config = track.config.as_ref().unwrap();
        let keys = track.samples.iter().filter(|sample| sample.sync).count();
        let ends = [track.samples.first().unwrap(), track.samples.last().unwrap()]
            .map(|sample| format!("{}/{}/{}", sample.pts_90k, sample.dts_90k, sample.data.len()));
        let (size, codec) = ((config.width, config.height), config.codec_string());
        text += &format!("{} ({keys} key) {} to {} {codec} {size:?}\n", track.samples.len(), ends[0], ends[1]);
    }
    for track in &segment.audio {
        let ends = [track.samples.first().unwrap(), track.samples.last().unwrap()]
            .map(|sample| format!("{}/{}", sample.pts_90k, sample.data.len()));
        let (rate, codec) = (track.config.sample_rate, track.config.codec_string());
        text += &format!("{} {} to {} {codec} {rate}\n", track.samples.len(), ends[0], ends[1]);
    }
    text
}

/// The numbers are ffprobe's.
#[test]
fn odd_streams_come_out_as_ffprobe_sees_them() {
    let check = |name: &str, expected: &str| {
        let segment = fixture(name).unwrap();
        assert_eq!(summary(&segment), expected, "{name}");
        assert_eq!(segment.faults.total(), 0, "{name}");
    };
    check(
        "middle-pat-pmt.ts",
        "15 (1 key) 5387171045/5387171045/1482 to 5387213087/5387213087/91 avc1.42c01f (864, 480)\n\
         28 5387160282/235 to 5387216710/181 mp4a.40.2 44100\n",
    );
    check("absent-audio.ts", "134 (9 key) 126000/126000/1066 to 924000/924000/893 avc1.42c015 (388, 300)\n");
    check(
        "tiny-720p.ts",
        "3 (2 key) 126000/126000/258 to 129751/129751/258 avc1.64001f (1280, 720)\n\
         3 126000/9 to 130180/255 mp4a.40.2 44100\n",
    );
    check("hevc-opus.ts", "120 (3 key) 133500/126000/4410 to 576000/572250/36 hvc1.1.6.L60.90 (320, 240)\n");
    assert_eq!(fixture("hevc-opus.ts").unwrap().skipped, ["Opus audio"]);
    check(
        "interlaced-444.ts",
        "36 (3 key) 132005/126000/3879 to 237109/231104/2320 avc1.f4001e (720, 480)\n\
         52 132005/92 to 238584/92 mp4a.40.2 44100\n",
    );
}

#[test]
fn a_stream_joined_inside_a_gop_is_told_from_its_first_key_picture_on() {
    let segment = fixture("mid-gop-1080i.ts").unwrap();
    assert_eq!(
        summary(&segment),
        "28 (2 key) 293387397/293375385/8072 to 293459469/293456466/6421 avc1.640028 (1920, 1080)\n\
         39 293343120/576 to 293425200/576 mp4a.6b 48000\n"
    );
    // The file ends inside a picture.
    assert_eq!(segment.faults.broken_units, 1);
    assert!(!segment.video.unwrap().samples[0].sync);
}

#[test]
fn what_cannot_be_recorded_is_named() {
    let check = |name: &str, what: &str| {
        assert_eq!(fixture(name).unwrap_err(), TsError::Unsupported { what: what.into() }, "{name}");
    };
    check("ac3.ts", "AC-3 audio");
    check("opus.ts", "Opus audio");
    check("aac-quad.ts", "AAC audio with an in-band channel layout");
    assert_eq!(fixture("stuffed-pes.ts").unwrap_err(), TsError::NoProgram);
}

/// A step of splitmix64: damage that is the same in every run.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Flips, cuts, doubles and removes pieces of a stream.
fn damage(bytes: &mut Vec<u8>, state: &mut u64) {
    for _ in 0..next(state) % 20 + 1 {
        if bytes.is_empty() {
            return;
        }
        let at = (next(state) % bytes.len() as u64) as usize;
        let len = ((next(state) % 400) as usize).min(bytes.len() - at);
        match next(state) % 6 {
            0..=2 => bytes[at] ^= 1 << (next(state) % 8),
            3 => drop(bytes.drain(at..at + len)),
            4 => bytes[at..at + len].fill(0),
            _ => {
                let piece = bytes[at..at + len].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
}

/// `CAPSTAN_ROUNDS` raises the count for soak runs.
#[test]
fn damaged_streams_never_panic_and_keep_their_ranges() {
    let rounds: u64 = std::env::var("CAPSTAN_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(40);
    let mut files = 0;
    for folder in [FIXTURES, SEEDS] {
        for entry in fs::read_dir(folder).unwrap() {
            let whole = fs::read(entry.unwrap().path()).unwrap();
            files += 1;
            replay(&whole);
            for round in 0..rounds {
                let (mut bytes, mut state) = (whole.clone(), round);
                damage(&mut bytes, &mut state);
                replay(&bytes);
            }
        }
    }
    assert!(files > 10, "seeds are missing");
}

/// What the fuzz target asserts.
fn replay(bytes: &[u8]) {
    let _ = mpegts::span(bytes, bytes);
    let Ok(segment) = mpegts::demux(bytes, Some(1 << 40)) else { return };
    assert!(segment.video.is_some() || !segment.audio.is_empty());
    if let Some(track) = &segment.video {
        assert!(track.samples.iter().all(|sample| track.es.get(sample.data.clone()).is_some_and(|es| !es.is_empty())));
        assert!(track.samples.iter().all(|sample| (sample.dts_90k - (1 << 40)).abs() <= 1 << 32));
        assert!(track.config.as_ref().is_none_or(|config| config.decoder_record().is_some()));
    }
    for track in &segment.audio {
        assert!(track.samples.iter().all(|sample| track.es.get(sample.data.clone()).is_some_and(|es| !es.is_empty())));
        assert!(track.config.sample_rate > 0 && track.config.channels > 0);
    }
}
