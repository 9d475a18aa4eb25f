//! Parameter sets of real encoders against the records FFmpeg's muxer wrote of them, and written bit by bit.

use super::{ConfigChange, VideoCodec, VideoConfig, bits::testing::BitWriter, h264, h265};

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn config(codec: VideoCodec, sets: &[&str]) -> VideoConfig {
    VideoConfig::from_parameter_sets(codec, sets.iter().map(|set| hex(set)).collect()).unwrap()
}

/// x264, 1080p30 8 bit; the same at 4:2:2 10 bit; a broadcast encoder's 1080i (1088 lines, cropped).
const X264: [&str; 2] = ["67640028acd940780227e5c044000003000400000300f03c60c658", "68ebe3cb22c0"];
const X264_10: [&str; 2] = ["677a001eb6cd940a02ff8bc04400000fa40003a9803c58b658", "68ebe3cb3002c0"];
const BROADCAST: [&str; 2] =
    ["67640028acd10078044fde036a020202800001f480007530750007620002e11faf7f072a162992", "68ffbcb0"];
/// x265, 320×240 8 bit; 640×358 10 bit.
const X265: [&str; 3] = [
    "40010c01ffff01600000030090000003000003003c959809",
    "42010101600000030090000003000003003ca00a080f165959a4932bc05a7080000003008000000c04",
    "4401c172b46240",
];
const X265_10: [&str; 3] = [
    "40010c01ffff02200000030090000003000003003f959809",
    "42010102200000030090000003000003003fa005020169f4d96566924caf01680800001f480003a98040",
    "4401c172b46240",
];

#[test]
fn records_equal_those_of_ffmpeg() {
    let check = |codec, sets: &[&str], size: (u16, u16), fps: f64, codec_string: &str, record: &str| {
        // The order in which they were seen does not matter.
        let mut backwards = sets.to_vec();
        backwards.reverse();
        for sets in [sets, &backwards] {
            let config = config(codec, sets);
            assert_eq!((config.width, config.height), size);
            assert!((config.nominal_fps().unwrap() - fps).abs() < 0.001, "{codec_string}");
            assert_eq!(config.codec_string(), codec_string);
            assert_eq!(config.decoder_record().unwrap(), hex(record), "{codec_string}");
        }
    };
    use VideoCodec::{H264, H265};
    let ntsc = 30000.0 / 1001.0;
    check(
        H264,
        &X264,
        (1920, 1080),
        30.0,
        "avc1.640028",
        "01640028ffe1001b67640028acd940780227e5c044000003000400000300f03c60c65801000668ebe3cb22c0fdf8f800",
    );
    check(
        H264,
        &X264_10,
        (640, 358),
        ntsc,
        "avc1.7a001e",
        "017a001effe10019677a001eb6cd940a02ff8bc04400000fa40003a9803c58b65801000768ebe3cb3002c0fefafa00",
    );
    check(
        H264,
        &BROADCAST,
        (1920, 1080),
        ntsc,
        "avc1.640028",
        "01640028ffe1002767640028acd10078044fde036a020202800001f480007530750007620002e11faf7f072a162992\
         01000468ffbcb0fdf8f800",
    );
    check(
        H265,
        &X265,
        (320, 240),
        24.0,
        "hvc1.1.6.L60.90",
        "0101600000009000000000003cf000fcfdf8f800000f03a00001001840010c01ffff01600000030090000003000003003c959809\
         a10001002942010101600000030090000003000003003ca00a080f165959a4932bc05a7080000003008000000c04\
         a2000100074401c172b46240",
    );
    check(
        H265,
        &X265_10,
        (640, 358),
        ntsc,
        "hvc1.2.4.L63.90",
        "0102200000009000000000003ff000fcfdfafa00000f03a00001001840010c01ffff02200000030090000003000003003f959809\
         a10001002a42010102200000030090000003000003003fa005020169f4d96566924caf01680800001f480003a98040\
         a2000100074401c172b46240",
    );
}

#[test]
fn unusable_sets_make_no_configuration() {
    let check = |codec, sets: &[&str]| {
        let sets: Vec<_> = sets.iter().map(|set| hex(set)).collect();
        assert_eq!(VideoConfig::from_parameter_sets(codec, sets), None);
    };
    check(VideoCodec::H264, &[]);
    check(VideoCodec::H264, &[X264[0]]); // no PPS
    check(VideoCodec::H264, &[X264[1]]); // no SPS
    check(VideoCodec::H264, &["6764", X264[1]]); // cut
    check(VideoCodec::H265, &[X265[1], X265[2]]); // no VPS
    check(VideoCodec::H265, &[X265[0], "420101016000", X265[2]]);
    check(VideoCodec::H265, &X264);
}

#[test]
fn changes_ask_for_a_new_part_only_where_needed() {
    let (hd, ten_bit) = (config(VideoCodec::H264, &X264), config(VideoCodec::H264, &X264_10));
    let interlaced = config(VideoCodec::H264, &BROADCAST);
    let hevc = config(VideoCodec::H265, &X265);
    assert_eq!(hd.change_to(&hd), ConfigChange::Same);
    assert_eq!(hd.change_to(&interlaced), ConfigChange::InBand);
    assert_eq!(hd.change_to(&ten_bit), ConfigChange::NewPart);
    assert_eq!(hd.change_to(&hevc), ConfigChange::NewPart);
    assert_eq!(hevc.change_to(&config(VideoCodec::H265, &X265_10)), ConfigChange::NewPart);
}

/// An SPS with every optional part the parser has to step over.
fn h264_sps(profile: u8, chroma: u32, poc_type: u32, size_mbs: (u32, u32), crop: [u32; 4], fps: (u32, u32)) -> Vec<u8> {
    let mut bits = BitWriter::default();
    bits.put(8, u32::from(profile)).put(8, 0).put(8, 40).ue(0);
    if profile >= 100 {
        bits.ue(chroma);
        if chroma == 3 {
            bits.put(1, 0);
        }
        bits.ue(2).ue(1).put(1, 0).put(1, 1);
        for list in 0..if chroma == 3 { 12 } else { 8 } {
            match list % 3 {
                0 => drop(bits.put(1, 0)),
                // A whole list of deltas, and one that ends at once (next scale 0).
                1 => (0..if list < 6 { 16 } else { 64 }).fold(bits.put(1, 1), |bits, i| bits.se(i % 5 - 2)).end(),
                _ => bits.put(1, 1).se(-8).end(),
            }
        }
    }
    bits.ue(4).ue(poc_type);
    match poc_type {
        0 => bits.ue(2).end(),
        1 => bits.put(1, 0).se(-3).se(4).ue(3).se(1).se(-1).se(100).end(),
        _ => {}
    }
    bits.ue(4).put(1, 0).ue(size_mbs.0 - 1).ue(size_mbs.1 - 1).put(1, 1).put(1, 1);
    bits.put(1, 1);
    crop.into_iter().for_each(|offset| bits.ue(offset).end());
    // VUI: extended SAR, overscan, video signal with colours, chroma location, timing.
    bits.put(1, 1)
        .put(1, 1)
        .put(8, 255)
        .put(16, 4)
        .put(16, 3)
        .put(2, 3)
        .put(1, 1)
        .put(4, 5)
        .put(1, 1)
        .put(24, 0x010101);
    bits.put(1, 1).ue(1).ue(1).put(1, 1).put(32, fps.1).put(32, fps.0 * 2).put(1, 1).put(1, 1);
    bits.into_nal(&[0x67])
}

fn h265_sps(sub_layers: u32, chroma: u32, size: (u32, u32), crop: [u32; 4], fps: (u32, u32)) -> Vec<u8> {
    let mut bits = BitWriter::default();
    bits.put(4, 0).put(3, sub_layers - 1).put(1, 1);
    bits.put(8, 0x21).put(32, 0x6000_0000).put(24, 0xb00000).put(24, 0).put(8, 93);
    for layer in 1..sub_layers {
        bits.put(1, layer % 2).put(1, 1);
    }
    if sub_layers > 1 {
        bits.put(2 * (9 - sub_layers), 0);
        for layer in 1..sub_layers {
            for _ in 0..if layer % 2 == 1 { 11 } else { 0 } {
                bits.put(8, 0xaa);
            }
            bits.put(8, 90);
        }
    }
    bits.ue(0).ue(chroma);
    if chroma == 3 {
        bits.put(1, 0);
    }
    bits.ue(size.0).ue(size.1).put(1, 1);
    crop.into_iter().for_each(|offset| bits.ue(offset).end());
    bits.ue(2).ue(0).ue(4).put(1, 1);
    for _ in 0..sub_layers {
        bits.ue(4).ue(2).ue(0);
    }
    (0..6).for_each(|i| bits.ue(i).end());
    // Scaling lists: predicted ones and one written out per size.
    bits.put(1, 1).put(1, 1);
    for size_id in 0..4u32 {
        for matrix in 0..if size_id == 3 { 2 } else { 6 } {
            if matrix > 0 {
                bits.put(1, 0).ue(1);
                continue;
            }
            bits.put(1, 1);
            if size_id > 1 {
                bits.se(7);
            }
            (0..if size_id == 0 { 16 } else { 64 }).for_each(|i| bits.se(i % 3 - 1).end());
        }
    }
    bits.put(2, 3).put(1, 1).put(8, 0x77).ue(0).ue(1).put(1, 0);
    // Two reference picture sets written out, one predicted from the second (4 pictures: 5 flags).
    bits.ue(3).ue(1).ue(1).ue(0).put(1, 1).ue(1).put(1, 1);
    bits.put(1, 0).ue(3).ue(1);
    (0..4).for_each(|i| bits.ue(i).put(1, 1).end());
    bits.put(1, 1).put(1, 0).ue(0).put(1, 1).put(2, 0b01).put(2, 0b00).put(1, 1).put(1, 1);
    // Long-term pictures, 8 bits of picture order count and a flag each.
    bits.put(1, 1).ue(2).put(9, 5).put(9, 6).put(2, 3);
    bits.put(1, 1).put(1, 1).put(8, 255).put(32, 7).put(2, 3).put(1, 1).put(4, 5).put(1, 1).put(24, 0x010101);
    bits.put(1, 1).ue(0).ue(0).put(3, 0).put(1, 1).ue(0).ue(0).ue(0).ue(0);
    bits.put(1, 1).put(32, fps.1).put(32, fps.0).put(1, 0);
    bits.into_nal(&[0x42, 0x01])
}

proptest::proptest! {
    #[test]
    fn an_h264_sps_says_what_was_written(
        profile in proptest::sample::select(vec![66u8, 77, 100, 110, 122, 244]),
        chroma in 0u32..=3,
        poc_type in 0u32..=2,
        size_mbs in (1u32..=255, 1u32..=255),
        crop in proptest::array::uniform4(0u32..4),
        fps in (1u32..=240_000, 1u32..=1001),
    ) {
        let sps = h264::Sps::parse(&h264_sps(profile, chroma, poc_type, size_mbs, crop, fps));
        let chroma = if profile >= 100 { chroma } else { 1 };
        let (unit_x, unit_y) = match chroma { 1 => (2, 2), 2 => (2, 1), _ => (1, 1) };
        let width = (size_mbs.0 * 16).checked_sub((crop[0] + crop[1]) * unit_x).filter(|w| *w > 0);
        let height = (size_mbs.1 * 16).checked_sub((crop[2] + crop[3]) * unit_y).filter(|h| *h > 0);
        proptest::prop_assert_eq!(sps.map(|sps| (u32::from(sps.width), u32::from(sps.height))), width.zip(height));
        if let Some(sps) = sps {
            proptest::prop_assert_eq!(u32::from(sps.chroma_format_idc), chroma);
            proptest::prop_assert_eq!(sps.frame_rate, Some((fps.0 * 2, u64::from(fps.1) * 2)));
        }
    }

    #[test]
    fn an_h265_sps_says_what_was_written(
        sub_layers in 1u32..=7,
        chroma in 0u32..=3,
        size in (17u32..8192, 17u32..8192),
        crop in proptest::array::uniform4(0u32..4),
        fps in (1u32..=240_000, 1u32..=1001),
    ) {
        let sps = h265::Sps::parse(&h265_sps(sub_layers, chroma, size, crop, fps)).unwrap();
        let (unit_x, unit_y) = match chroma { 1 => (2, 2), 2 => (2, 1), _ => (1, 1) };
        proptest::prop_assert_eq!(u32::from(sps.width), size.0 - (crop[0] + crop[1]) * unit_x);
        proptest::prop_assert_eq!(u32::from(sps.height), size.1 - (crop[2] + crop[3]) * unit_y);
        proptest::prop_assert_eq!((u32::from(sps.temporal_layers), sps.bit_depth_luma), (sub_layers, 10));
        proptest::prop_assert_eq!(sps.frame_rate, Some((fps.0, u64::from(fps.1))));
    }

    #[test]
    fn cut_or_flipped_sets_never_panic(
        cut in 0usize..60,
        flips in proptest::collection::vec((0usize..60, proptest::num::u8::ANY), 0..6),
        which in 0usize..4,
    ) {
        let (codec, sets): (_, &[&str]) = match which {
            0 => (VideoCodec::H264, &X264),
            1 => (VideoCodec::H264, &BROADCAST),
            2 => (VideoCodec::H265, &X265),
            _ => (VideoCodec::H265, &X265_10),
        };
        let mut sets: Vec<_> = sets.iter().map(|set| hex(set)).collect();
        for set in &mut sets {
            set.truncate(cut.max(1));
            let len = set.len();
            flips.iter().for_each(|(at, value)| set[at % len] = *value);
        }
        if let Some(config) = VideoConfig::from_parameter_sets(codec, sets) {
            proptest::prop_assert!(config.width > 0 && config.height > 0);
            proptest::prop_assert!(config.codec_string().contains('.'));
        }
    }
}
