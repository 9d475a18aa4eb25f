//! Clips cut out of chunks: what FFmpeg sees in them is what lies in the chunks in that span, at the same moments.

use capstan::playback::{clip::Made, still::elementary_stream, virtual_mp4::Gaps};

use crate::{
    footage::{Chunk, Footage, bytes_of, chunk, decoded, frames, packets},
    support::{Media, Place, Random, START, encode, ffmpeg, ffprobe, rounds},
};

const VIDEO: &str = "-f lavfi -i testsrc2=size=160x90:rate=30:duration=9";
// Noise: no two frames of sound are alike.
const AUDIO: &str = "-f lavfi -i anoisesrc=seed=5:amplitude=0.2:sample_rate=48000:duration=9";
const X264: &str = "-c:v libx264 -preset ultrafast -tune zerolatency -g 30 -pix_fmt yuv420p";
const B_FRAMES: &str =
    "-c:v libx264 -preset veryfast -bf 3 -g 30 -sc_threshold 0 -x264-params open-gop=0 -pix_fmt yuv420p";

fn recording(place: &Place, arguments: &str) -> Media {
    encode(&place.folder.path().join("ts"), arguments)
}

/// (name, FFmpeg arguments)
fn kinds() -> Vec<(&'static str, String)> {
    let x265 = "-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=30:open-gop=0 -pix_fmt yuv420p";
    vec![
        ("h264", format!("{VIDEO} {AUDIO} {X264} -c:a aac")),
        ("b_frames", format!("{VIDEO} {AUDIO} {B_FRAMES} -c:a aac")),
        ("silent", format!("{VIDEO} {X264}")),
        ("44100", format!("{VIDEO} {AUDIO} {X264} -c:a aac -ar 44100")),
        ("h265", format!("{VIDEO} {AUDIO} {x265} -c:a aac")),
    ]
}

/// On and off key frames, across seams, whole and short.
#[test]
fn clips_hold_the_frames_of_their_span() {
    let scratch = Place::new();
    for (name, arguments) in kinds() {
        let media = recording(&scratch, &arguments);
        std::fs::remove_dir_all(scratch.folder.path().join("ts")).unwrap();
        let footage = Footage::record(&media, &[chunk(0..3, 0), chunk(3..6, 0), chunk(6..9, 0)]);
        let spans =
            [(0.0, 9.5), (1.0, 2.0), (1.51, 2.49), (2.2, 3.3), (2.9, 6.1), (3.0, 3.04), (5.37, 9.0), (8.4, 8.9)];
        spans.into_iter().for_each(|(from, to)| footage.check(from, to, name));
    }
}

/// Holes between chunks and inside one, all later chunks two seconds or more late.
fn with_gaps(media: &Media) -> Footage {
    let mut media = Media { spec: media.spec.clone(), gops: media.gops.clone() };
    for gop in media.gops.iter_mut().skip(5) {
        gop.video.iter_mut().for_each(|run| run.base += 3 * 90_000);
        gop.audio.iter_mut().for_each(|run| run.base += 3 * 48_000);
    }
    // 0..3, then 5..7 and 10..11 in one chunk, then 14..17.
    Footage::record(&media, &[chunk(0..3, 0), chunk(3..6, 2), chunk(6..9, 5)])
}

#[test]
fn gaps_keep_their_time_or_are_skipped() {
    let scratch = Place::new();
    for (name, encoder) in [("h264", X264), ("b_frames", B_FRAMES)] {
        let media = recording(&scratch, &format!("{VIDEO} {AUDIO} {encoder} -c:a aac"));
        std::fs::remove_dir_all(scratch.folder.path().join("ts")).unwrap();
        let footage = with_gaps(&media);
        for (from, to) in [(0.0, 20.0), (2.5, 5.5), (4.0, 6.0), (4.2, 12.0), (6.5, 10.5), (6.3, 7.5), (10.5, 14.2)] {
            footage.check(from, to, name);
        }
        for (from, to, gaps) in [(0.0, 20.0, 8.0), (2.5, 5.5, 2.0), (4.0, 6.0, 1.0), (6.3, 14.5, 6.0)] {
            let clip = footage.clip(from, to, Gaps::Skip, false).unwrap();
            let path = footage.save(&clip);
            let expected = footage.frames.iter().filter(|(at, _)| *at >= from - 1e-5 && *at < to - 1e-5);
            let (expected, found): (Vec<_>, Vec<_>) = (expected.map(|(_, hash)| hash).collect(), decoded(&path));
            assert_eq!(found.iter().map(|(_, hash)| hash).collect::<Vec<_>>(), expected, "{name} {from}..{to}");
            let steps = found.windows(2).map(|pair| pair[1].0 - pair[0].0);
            // A gap begins where both have ended: sound may go on a little after the last picture.
            steps.for_each(|step| assert!((0.02..0.1).contains(&step), "{name} {from}..{to}: a step of {step} s"));
            let end = found.last().unwrap().0;
            assert!(end < to.min(17.0) - from - gaps + 0.1, "{name} {from}..{to} ends at {end}");
            footage.check_skew(&clip, from, to);
        }
    }
}

#[test]
fn nothing_is_found_where_nothing_lies() {
    let scratch = Place::new();
    let footage = with_gaps(&recording(&scratch, &format!("{VIDEO} {AUDIO} {X264} -c:a aac")));
    for (from, to) in [(-5.0, 0.0), (3.5, 4.9), (7.5, 9.5), (11.5, 13.5), (18.0, 90.0), (2.0, 2.0)] {
        for gaps in [Gaps::Keep, Gaps::Skip] {
            assert!(footage.clip(from, to, gaps, false).is_none(), "{from}..{to}");
        }
    }
}

/// Sound alone starts on the sample, also inside a frame, and needs no byte of the pictures.
#[test]
fn sound_alone() {
    let scratch = Place::new();
    let media = recording(&scratch, &format!("{VIDEO} {AUDIO} {X264} -c:a aac"));
    let footage = Footage::record(&media, &[chunk(0..5, 0), chunk(5..9, 0)]);
    for (from, to) in [(1.0, 3.0), (4.013, 6.501)] {
        let clip = footage.clip(from, to, Gaps::Keep, true).unwrap();
        let path = footage.save(&clip);
        assert_eq!(ffprobe(&path, "-show_entries stream=codec_type -of csv=p=0").trim(), "audio");
        assert!((clip.movie.start - START) as f64 / 90_000.0 - from < 1e-4);
        let raw = footage.place.folder.path().join("sound.raw");
        ffmpeg(&format!("-i {} -f f32le {}", path.display(), raw.display()));
        let seconds = std::fs::metadata(&raw).unwrap().len() as f64 / 4.0 / 48_000.0;
        // FFmpeg 5.1 drops whole frames at the end of an edit, not samples.
        assert!((seconds - (to - from)).abs() < 0.022, "{from}..{to}: {seconds} s");
        let file = std::fs::read(&path).unwrap();
        for packet in packets(&path, &file).into_iter().filter(|packet| !packet.hidden) {
            let sound = footage.samples.iter().find(|sound| sound.bytes == packet.bytes).unwrap();
            assert!((from + packet.pts - sound.at).abs() < 0.001, "{} at {}", sound.at, packet.pts);
        }
        assert!(clip.len() < 60_000 * (to - from) as u64, "{} bytes", clip.len());
    }
}

/// The bytes and their name stay the same when more is committed and when the chunk is sealed.
#[test]
fn the_same_footage_is_the_same_bytes() {
    let scratch = Place::new();
    for (name, encoder) in [("h264", X264), ("b_frames", B_FRAMES)] {
        let media = recording(&scratch, &format!("{VIDEO} {AUDIO} {encoder} -c:a aac"));
        std::fs::remove_dir_all(scratch.folder.path().join("ts")).unwrap();
        let with_last = |gops: std::ops::Range<usize>, sealed: bool| {
            Footage::record(&media, &[chunk(0..3, 0), Chunk { gops, late: 0, sealed }])
        };
        let growing = with_last(3..6, false);
        let Made::Until(end) = growing.ask(0.0, 6.5, Gaps::Keep, false) else { panic!("{name}: there is no more yet") };
        let end = (end - START) as f64 / 90_000.0;
        for later in [with_last(3..9, false), with_last(3..9, true), with_last(3..6, true)] {
            for (from, to) in [(0.5, 2.0), (1.5, 5.5), (2.2, end), (0.0, end)] {
                let [one, other] = [&growing, &later].map(|footage| footage.clip(from, to, Gaps::Keep, false).unwrap());
                assert_eq!(one.etag(), other.etag(), "{name} {from}..{to}");
                assert!(bytes_of(&one) == bytes_of(&other), "{name} {from}..{to}");
            }
        }
        let [one, other] = [2.0, 2.1].map(|to| growing.clip(0.5, to, Gaps::Keep, false).unwrap().etag());
        assert_ne!(one, other);
    }
}

/// Chunks of different pictures and sounds: each has its own sample entry and decodes as what it is.
#[test]
fn another_configuration_gets_its_own_sample_entry() {
    let scratch = Place::new();
    let small = recording(&scratch, &format!("{VIDEO} {AUDIO} {X264} -c:a aac"));
    std::fs::remove_dir_all(scratch.folder.path().join("ts")).unwrap();
    let large = VIDEO.replace("160x90", "320x180");
    let large = recording(&scratch, &format!("{large} {AUDIO} {B_FRAMES} -c:a aac"));
    let mut footage = Footage::record(&small, &[chunk(0..3, 0)]);
    footage.add(&large, &chunk(3..6, 0));
    footage.add(&small, &chunk(6..9, 0));
    footage.samples.sort_by(|one, other| one.at.total_cmp(&other.at));
    let clip = footage.clip(1.5, 8.0, Gaps::Keep, false).unwrap();
    let path = footage.save(&clip);
    let sizes = ffprobe(&path, "-select_streams v -show_entries frame=width -of csv=p=0");
    let widths: Vec<_> = sizes.lines().map(|line| line.trim_end_matches(',')).collect();
    let mut runs = widths.chunk_by(|one, other| one == other).map(|run| (run[0], run.len()));
    assert_eq!(runs.next(), Some(("160", 45)));
    assert_eq!(runs.next(), Some(("320", 90)));
    assert_eq!(runs.next().map(|run| run.0), Some("160"));
    footage.check(3.2, 5.9, "the middle one");
}

/// H.264, then H.265, as when a camera is set to it: two parts, and a clip over both.
#[test]
fn another_codec_gets_its_own_sample_entry() {
    let scratch = Place::new();
    let [h264, h265] = [0, 4].map(|kind| {
        let media = recording(&scratch, &kinds()[kind].1);
        std::fs::remove_dir_all(scratch.folder.path().join("ts")).unwrap();
        media
    });
    let mut footage = Footage::record(&h264, &[chunk(0..3, 0)]);
    footage.add(&h265, &chunk(3..6, 0));
    footage.samples.sort_by(|one, other| one.at.total_cmp(&other.at));
    footage.check(0.5, 2.9, "h264 alone");
    footage.check(3.2, 5.5, "h265 alone");
    let clip = footage.clip(1.5, 5.0, Gaps::Keep, false).unwrap();
    let path = footage.save(&clip);
    let file = std::fs::read(&path).unwrap();
    let movie = re_mp4::Mp4::read_bytes(&file).unwrap();
    let track = movie.tracks().values().find(|track| track.kind == Some(re_mp4::TrackKind::Video)).unwrap();
    let entries = &track.trak(&movie).mdia.minf.stbl.stsd.contents;
    assert!(matches!(entries, re_mp4::StsdBoxContent::Avc1(_)), "the first of two: {entries:?}");
    assert!(file[..clip.movie.head.len()].windows(4).any(|name| name == b"hvc1"));
    // FFmpeg 5.1 reads the codec of the first entry only, so each half is given to it as what it is.
    let mut halves = [Vec::new(), Vec::new()];
    for sample in &track.samples {
        let bytes = &file[sample.byte_range()];
        let of = footage.samples.iter().find(|known| known.bytes == bytes).expect("a sample of the chunks");
        halves[usize::from(of.at >= 3.0 - 1e-5)].extend_from_slice(bytes);
    }
    let specs = [(&h264, "h264", 1.0..3.0), (&h265, "hevc", 3.0..5.0)];
    for ((media, format, span), samples) in specs.into_iter().zip(halves) {
        let raw = footage.place.folder.path().join(format);
        std::fs::write(&raw, elementary_stream(media.spec.video.as_ref().unwrap(), &samples).unwrap()).unwrap();
        let found: Vec<_> = frames(&raw).into_iter().map(|(_, hash)| hash).collect();
        let expected = footage.frames.iter().filter(|(at, _)| *at >= span.start - 1e-5 && *at < span.end - 1e-5);
        let expected: Vec<_> = expected.map(|(_, hash)| hash.clone()).collect();
        assert!(expected.len() == 60 && found.starts_with(&expected), "{format}: {} frames", found.len());
    }
    // Players that know one codec still get what is theirs.
    let shown: Vec<_> = frames(&path).into_iter().map(|(_, hash)| hash).collect();
    let first: Vec<_> = footage.frames.iter().filter(|(at, _)| (1.5 - 1e-5..3.0 - 1e-5).contains(at)).collect();
    assert!(shown.starts_with(&first.iter().map(|(_, hash)| hash.clone()).collect::<Vec<_>>()), "{}", shown.len());
}

/// Any spans of any cuts: the seeds can be repeated.
#[test]
fn random_spans() {
    let scratch = Place::new();
    let footage = with_gaps(&recording(&scratch, &format!("{VIDEO} {AUDIO} {B_FRAMES} -c:a aac")));
    let mut random = Random(11);
    let mut checked = 0;
    for _ in 0..rounds(12) {
        let from = random.below(17_000) as f64 / 1000.0;
        let to = from + 0.1 + random.below(8000) as f64 / 1000.0;
        if footage.frames.iter().any(|(at, _)| *at >= from - 1e-5 && *at < to - 1e-5) {
            footage.check(from, to, "random");
            checked += 1;
        }
    }
    assert!(checked > 0);
}

/// Chunks, gaps and parts of any kind in any order: the same seed gives the same footage.
#[test]
fn random_timelines() {
    let scratch = Place::new();
    let media = kinds().into_iter().map(|(_, arguments)| {
        let media = recording(&scratch, &arguments);
        std::fs::remove_dir_all(scratch.folder.path().join("ts")).unwrap();
        media
    });
    // Of the silent kind no sound could be compared; one codec, so that FFmpeg reads all parts.
    let media: Vec<_> = media.enumerate().filter(|(kind, _)| [0, 1].contains(kind)).map(|(_, media)| media).collect();
    let mut random = Random(23);
    for round in 0..rounds(2) {
        let (mut footage, mut gop, mut late) = (Footage::record(&media[0], &[]), 0, 0);
        while gop < 9 {
            let upto = (gop + 1 + random.below(4) as usize).min(9);
            footage.add(&media[random.below(2) as usize], &chunk(gop..upto, late));
            gop = upto;
            late += [0, 0, 1, 4][random.below(4) as usize];
        }
        footage.samples.sort_by(|one, other| one.at.total_cmp(&other.at));
        let last = footage.frames.last().unwrap().0 + 1.0 / 30.0;
        for _ in 0..3 {
            let from = random.below((last * 1000.0) as u64 - 500) as f64 / 1000.0;
            let to = from + 0.3 + random.below(6000) as f64 / 1000.0;
            let within: Vec<_> =
                footage.frames.iter().map(|(at, _)| *at).filter(|at| *at >= from - 1e-5 && *at < to - 1e-5).collect();
            let Some(newest) = within.last() else { continue };
            footage.check(from, to, &format!("round {round}"));
            let kept = footage.clip(from, to, Gaps::Keep, false).unwrap();
            let lasts = |path: &std::path::Path| {
                ffprobe(path, "-show_entries format=duration -of csv=p=0").trim().parse::<f64>().unwrap()
            };
            let seconds = lasts(&footage.save(&kept));
            let zero = (kept.movie.start - START) as f64 / 90_000.0;
            // Sound may go on a little after the last picture.
            assert!(
                (newest - zero..to.min(last + 0.1) - zero + 0.1).contains(&seconds),
                "{round} {from}..{to}: {seconds} s"
            );
            let skipped = footage.clip(from, to, Gaps::Skip, false).unwrap();
            footage.check_skew(&skipped, from, to);
            let shorter = lasts(&footage.save(&skipped));
            let pictures = within.len() as f64 / 30.0;
            assert!(
                (pictures - 0.1..seconds + 0.1).contains(&shorter),
                "{round} {from}..{to}: {shorter} s of {seconds}"
            );
            // Where chunks begin, sound and pictures do not do so at the same moment.
            assert!(shorter < pictures + 0.4, "{round} {from}..{to}: {shorter} s for {pictures} s of pictures");
        }
    }
}

/// Labels that overlap: a drift corrected at a chunk's start, a clock set back. Everything decodes, in order, once.
#[test]
fn overlapping_labels() {
    let scratch = Place::new();
    let media = recording(&scratch, &format!("{VIDEO} {AUDIO} {X264} -c:a aac"));
    // In 90 kHz ticks, as in `Footage::add`, but finer than seconds.
    for early_90k in [900, 2700, 20_000, 40_000] {
        let mut footage = Footage::record(&media, &[chunk(0..3, 0)]);
        let shifted = Media { spec: media.spec.clone(), gops: media.gops.clone() };
        footage.add_early(&shifted, &chunk(3..6, 0), early_90k);
        let clip = footage.clip(0.5, 6.5, Gaps::Keep, false).unwrap();
        let path = footage.save(&clip);
        let mut expected: Vec<_> = footage.frames[..90].iter().filter(|(at, _)| *at >= 0.5 - 1e-5).collect();
        expected.extend(&footage.frames[90..]);
        let found = frames(&path);
        let hashes: Vec<_> = found.iter().map(|(_, hash)| hash).collect();
        assert_eq!(hashes, expected.iter().map(|(_, hash)| hash).collect::<Vec<_>>(), "{early_90k}");
        assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0), "{early_90k}");
        // What was pushed is pushed in both tracks.
        let file = std::fs::read(&path).unwrap();
        let list = packets(&path, &file);
        let of = |is_video: bool, at: f64| {
            let sample = footage.samples.iter().filter(|sample| sample.is_video == is_video && sample.at > at);
            let sample = sample.min_by(|one, other| one.at.total_cmp(&other.at)).unwrap();
            sample.at - list.iter().find(|packet| packet.bytes == sample.bytes).unwrap().pts
        };
        let skew = of(true, 4.5) - of(false, 4.5);
        assert!(skew.abs() < 0.002, "{early_90k}: {skew}");
    }
}

/// Sound that changes its rate, ends or begins between chunks stays where it belongs.
#[test]
fn sound_that_changes_between_chunks() {
    let scratch = Place::new();
    let record = |arguments: &str| {
        let media = recording(&scratch, arguments);
        std::fs::remove_dir_all(scratch.folder.path().join("ts")).unwrap();
        media
    };
    let usual = record(&format!("{VIDEO} {AUDIO} {X264} -c:a aac"));
    let others = [format!("{VIDEO} {AUDIO} {X264} -c:a aac -ar 44100"), format!("{VIDEO} {X264}")];
    for other in others.map(|arguments| record(&arguments)) {
        for (first, second) in [(&usual, &other), (&other, &usual)] {
            let mut footage = Footage::record(first, &[chunk(0..3, 0)]);
            footage.add(second, &chunk(3..6, 0));
            let clip = footage.clip(1.25, 5.5, Gaps::Keep, false).unwrap();
            let path = footage.save(&clip);
            let file = std::fs::read(&path).unwrap();
            let zero = (clip.movie.start - START) as f64 / 90_000.0;
            let mut heard = 0;
            for packet in packets(&path, &file).into_iter().filter(|packet| !packet.hidden) {
                let sample = footage.samples.iter().find(|sample| sample.bytes == packet.bytes).unwrap();
                assert!((zero + packet.pts - sample.at).abs() < 0.02, "{} at {}", sample.at, packet.pts);
                heard += usize::from(!packet.is_video);
            }
            // Of the first and the last frame a tick may lie in the span.
            assert!(heard.abs_diff(clip.movie.frames[1]) <= 1, "{heard} of {:?}", clip.movie.frames);
            let seen = footage.frames.iter().filter(|(at, _)| *at >= 1.25 - 1e-5 && *at < 5.5 - 1e-5).count();
            assert_eq!((frames(&path).len(), clip.movie.frames[0]), (seen, seen));
        }
    }
}

/// A new size inside one chunk travels in-band: a clip from behind the change decodes as what it is.
#[test]
fn another_size_inside_a_chunk() {
    let scratch = Place::new();
    let record = |video: &str| {
        let media = recording(&scratch, &format!("{video} {X264}"));
        std::fs::remove_dir_all(scratch.folder.path().join("ts")).unwrap();
        media
    };
    let (small, large) = (record(VIDEO), record(&VIDEO.replace("160x90", "320x180")));
    let gops = [&small.gops[..3], &large.gops[3..6]].concat();
    let footage = Footage::record(&Media { spec: small.spec.clone(), gops }, &[chunk(0..6, 0)]);
    for (from, expected) in [(2.5, [("160", 15), ("320", 75)]), (3.5, [("320", 60), ("", 0)])] {
        let clip = footage.clip(from, 5.5, Gaps::Keep, false).unwrap();
        let path = footage.save(&clip);
        // Pictures that the edit list hides are not told.
        let told = ffprobe(&path, "-select_streams v -show_entries frame=width -of csv=p=0");
        let widths: Vec<_> = told.lines().map(|line| line.trim_end_matches(',')).collect();
        let runs: Vec<_> = widths.chunk_by(|one, other| one == other).map(|run| (run[0], run.len())).collect();
        assert_eq!(runs, expected.into_iter().filter(|run| run.1 > 0).collect::<Vec<_>>(), "{from}");
    }
}
