//! Growing and sealed chunks in the eyes of FFmpeg and re_mp4.

use std::sync::Arc;

use capstan::{
    media::mp4::{self, scan},
    merge::{
        chunk::ChunkWriter,
        recover::{Recovered, recover, verify_file},
    },
};

use crate::support::{Media, Place, decode, encode, ffprobe, mark};

const VIDEO: &str = "-f lavfi -i testsrc2=size=320x180:rate=30:duration=5";
const AUDIO: &str = "-f lavfi -i sine=frequency=440:sample_rate=48000:duration=5";
const X264: &str = "-c:v libx264 -preset ultrafast -tune zerolatency -g 30 -pix_fmt yuv420p";

/// (name, FFmpeg arguments, codecs of the chunk)
fn kinds() -> Vec<(&'static str, String, &'static str)> {
    let b_frames = "-c:v libx264 -preset medium -bf 3 -g 30 -sc_threshold 0 -x264-params open-gop=0 -pix_fmt yuv420p";
    let x265 = "-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=30:open-gop=0 -pix_fmt yuv420p";
    vec![
        ("h264_aac", format!("{VIDEO} {AUDIO} {X264} -c:a aac"), "avc1.42c00d,mp4a.40.2"),
        ("h264_b_frames", format!("{VIDEO} {AUDIO} {b_frames} -c:a aac"), "avc1.64000d,mp4a.40.2"),
        ("h264_only", format!("{VIDEO} {X264}"), "avc1.42c00d"),
        ("h265_aac", format!("{VIDEO} {AUDIO} {x265} -c:a aac"), "hvc1.1.6.L60.90,mp4a.40.2"),
        ("audio_only", format!("{AUDIO} -c:a aac"), "mp4a.40.2"),
        ("h264_mp2", format!("{VIDEO} {AUDIO} {X264} -c:a mp2"), "avc1.42c00d,mp4a.6b"),
        ("h264_mp3", format!("{VIDEO} {AUDIO} {X264} -c:a libmp3lame"), "avc1.42c00d,mp4a.6b"),
        ("h264_aac_44100", format!("{VIDEO} {AUDIO} {X264} -c:a aac -ar 44100 -ac 2"), "avc1.42c00d,mp4a.40.2"),
    ]
}

fn frames_of(media: &Media) -> [usize; 2] {
    let count = |run: Option<&crate::support::Owned>| run.map_or(0, |run| run.samples.len());
    let video = media.gops.iter().map(|gop| count(gop.video.as_ref())).sum();
    [video, media.gops.iter().map(|gop| count(gop.audio.as_ref())).sum()]
}

#[test]
fn chunks_play_while_they_grow_and_when_sealed() {
    for (name, arguments, codecs) in kinds() {
        let place = Place::new();
        let media = encode(&place.folder.path().join("ts"), &arguments);
        let writer = media.record(&place, 2);
        let path = place.absolute(writer.path());
        assert_eq!(writer.codecs(), codecs, "{name}");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), writer.published_len());

        let [video, audio] = frames_of(&media);
        let growing = decode(&path);
        // Decoders of MP2, MP3 and AAC may swallow or flush a frame at the edges; pictures are exact.
        assert_eq!(growing[0], video, "{name} growing");
        assert!(growing[1].abs_diff(audio) <= 1, "{name} growing: {growing:?} for {audio}");
        let growing_times = packet_times(&path);
        let told = told_times(&std::fs::read(&path).unwrap());
        assert!(verify_file(&place.volume, writer.path()).unwrap().is_whole());

        let end = writer.end();
        let sealed = writer.seal().unwrap();
        assert_eq!(sealed.sealed.end, end);
        assert_eq!(decode(&path), growing, "{name} sealed");
        let times = packet_times(&path);
        same_times(&told, &shown_times(&path), name);
        // FFmpeg 5.1 adds the largest negative composition offset to all times of a track in fragments.
        let runs = media.gops.iter().filter_map(|gop| gop.video.as_ref());
        if runs.flat_map(|run| &run.samples).all(|sample| sample.cts >= 0) {
            same_times(&growing_times, &times, name);
        }
        let verdict = verify_file(&place.volume, &sealed.path).unwrap();
        assert_eq!(verdict.problems, Vec::<String>::new(), "{name}");
        assert_eq!(verdict.samples, (video + audio) as u64);

        let head = std::fs::read(&path).unwrap();
        assert_eq!(mp4::head(&head[..4096]), Some(*sealed.meta), "{name}: one 4 KiB read tells all");
        agrees_with_re_mp4(&head, &media, name);
    }
}

/// Sealing must not move anything.
fn same_times(growing: &[String], sealed: &[String], name: &str) {
    let differing = growing.iter().zip(sealed).find(|(growing, sealed)| growing != sealed);
    assert_eq!(differing, None, "{name}");
    assert_eq!(growing.len(), sealed.len(), "{name}");
}

/// Start times and sizes of all packets by stream. The end of the last one may be told differently.
fn packet_times(path: &std::path::Path) -> Vec<String> {
    let shown = ffprobe(path, "-show_entries packet=stream_index,pts_time,dts_time,size,flags -of csv=p=0");
    let mut lines: Vec<String> = shown.lines().map(|line| line.replace(['K', '_'], "")).collect();
    lines.sort();
    lines
}

/// Track and presentation time in ms of every sample, as the growing file's fragments tell it.
fn told_times(file: &[u8]) -> Vec<String> {
    let head = mp4::head::Head::read(file).unwrap().unwrap();
    let mut times = Vec::new();
    for piece in scan::shallow(file, head.meta.data_offset, file.len() as u64).unwrap() {
        let scan::Piece::Fragment(fragment) = piece else { continue };
        let rates = [(&fragment.video, 90_000.0), (&fragment.audio, f64::from(head.tracks.audio_rate()))];
        for (is_audio, (run, rate)) in rates.into_iter().enumerate() {
            let Some(run) = run else { continue };
            let mut at = run.base as f64;
            for sample in &run.samples {
                times.push((is_audio == 1, ((at + f64::from(sample.cts)) * 1000.0 / rate).round() as u64));
                at += f64::from(sample.duration);
            }
        }
    }
    sorted(times)
}

/// The same as FFmpeg reads it.
fn shown_times(path: &std::path::Path) -> Vec<String> {
    let shown = ffprobe(path, "-show_entries packet=codec_type,pts_time -of csv=p=0");
    let times = shown.lines().map(|line| {
        let mut fields = line.split(',');
        let is_audio = fields.next() == Some("audio");
        (is_audio, (fields.next().unwrap().parse::<f64>().unwrap() * 1000.0).round() as u64)
    });
    sorted(times.collect())
}

fn sorted(mut times: Vec<(bool, u64)>) -> Vec<String> {
    times.sort_unstable();
    times.into_iter().map(|(is_audio, ms)| format!("audio: {is_audio}, {ms} ms")).collect()
}

fn agrees_with_re_mp4(file: &[u8], media: &Media, name: &str) {
    let parsed = re_mp4::Mp4::read_bytes(file).unwrap_or_else(|error| panic!("{name}: {error}"));
    let expected = frames_of(media);
    for track in parsed.tracks().values() {
        let is_video = track.kind == Some(re_mp4::TrackKind::Video);
        assert_eq!(track.samples.len(), expected[usize::from(!is_video)], "{name}");
        for (index, sample) in track.samples.iter().enumerate() {
            let bytes = &file[sample.byte_range()];
            assert!(!bytes.is_empty(), "{name} {index}");
            if is_video {
                let len = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
                assert!(len + 4 <= bytes.len(), "{name} {index}");
            }
        }
    }
}

/// Media time = wall time - chunk start: a hole stays as long in the sealed file as it was.
#[test]
fn gaps_keep_their_length() {
    let place = Place::new();
    let mut media = encode(&place.folder.path().join("ts"), &kinds()[0].1);
    for gop in media.gops.iter_mut().skip(3) {
        let (video, audio) = (gop.video.as_mut().unwrap(), gop.audio.as_mut().unwrap());
        video.base += 7 * 90_000;
        audio.base += 7 * 48_000;
    }
    let writer = media.record(&place, 1);
    assert_eq!(writer.gaps(), 1);
    let path = place.absolute(writer.path());
    let growing = packet_times(&path);
    let sealed = writer.seal().unwrap();
    assert_eq!(sealed.sealed.gaps, 1);
    same_times(&growing, &packet_times(&path), "gap");
    assert!((11.9..12.2).contains(&((sealed.sealed.end - sealed.meta.start) as f64 / 90_000.0)));
}

/// A track that begins late keeps its place without a sample to fill the time before.
#[test]
fn a_late_track_waits_with_an_empty_edit() {
    let place = Place::new();
    let mut media = encode(&place.folder.path().join("ts"), &kinds()[0].1);
    media.gops.iter_mut().for_each(|gop| gop.audio.as_mut().unwrap().base += 24_000);
    let writer = media.record(&place, 2);
    let path = place.absolute(writer.path());
    let first_audio = |path| {
        let times = ffprobe(path, "-select_streams a:0 -show_entries packet=pts_time -of csv=p=0");
        times.lines().next().unwrap().trim_end_matches(',').parse::<f64>().unwrap()
    };
    let growing = first_audio(&path);
    assert!((0.5..0.6).contains(&growing), "{growing}");
    writer.seal().unwrap();
    assert!((first_audio(&path) - growing).abs() < 0.001);
    decode(&path);
}

/// More samples than the reserve has room for: the table goes to the end, and the file is as good.
#[test]
fn an_outgrown_reserve_puts_the_table_at_the_end() {
    let place = Place::new();
    let mut media = encode(&place.folder.path().join("ts"), &kinds()[1].1);
    // Repeat it until sizes and composition offsets alone exceed 512 KiB.
    let once = media.gops.clone();
    for turn in 1..220u64 {
        media.gops.extend(once.iter().cloned().map(|mut gop| {
            gop.video.as_mut().unwrap().base += turn * 5 * 90_000;
            gop.audio.as_mut().unwrap().base += turn * 6 * 48_000;
            gop
        }));
    }
    let writer = media.record(&place, 60);
    let path = place.absolute(writer.path());
    let media_end = writer.published_len();
    let sealed = writer.seal().unwrap();
    assert!(sealed.bytes > media_end + (512 << 10));
    let file = std::fs::read(&path).unwrap();
    agrees_with_re_mp4(&file, &media, "moov at the end");
    assert!(verify_file(&place.volume, &sealed.path).unwrap().is_whole());

    // A power cut before the flip: recovery drops the table and seals again, to the same bytes.
    let mut torn = file.clone();
    let first = mp4::head::Head::read(&torn).unwrap().unwrap();
    torn[..first.image.len()].copy_from_slice(&first.image);
    std::fs::write(&path, &torn).unwrap();
    let mut recovered = recover(&place.volume, &sealed.meta.device, &|_| true).unwrap();
    let Some(Ok(Recovered::Open(writer))) = recovered.pop() else { panic!("must be open again") };
    assert_eq!(writer.published_len(), media_end);
    writer.seal().unwrap();
    assert!(std::fs::read(&path).unwrap() == file, "sealed again it is the same file");
}

/// The byte layout of design §5, once, in numbers.
#[test]
fn the_layout_is_as_designed() {
    let place = Place::new();
    let media = encode(&place.folder.path().join("ts"), &kinds()[0].1);
    let writer = media.record(&place, 5);
    let path = place.absolute(writer.path());
    let growing = std::fs::read(&path).unwrap();
    let at = |file: &[u8], offset: usize| -> (u32, [u8; 4]) {
        let (size, kind) = file[offset..offset + 8].split_at(4);
        (u32::from_be_bytes(size.try_into().unwrap()), kind.try_into().unwrap())
    };
    let u64_at = |file: &[u8], offset: usize| u64::from_be_bytes(file[offset..offset + 8].try_into().unwrap()) as usize;
    let (h, d) = (4096, 512 << 10);
    assert_eq!(&growing[..32], b"\0\0\0\x20ftypiso6\0\0\0\0iso6iso5mp42mp41");
    let (init_len, kind) = at(&growing, 32);
    let init_end = 32 + init_len as usize;
    assert_eq!((&kind, at(&growing, init_end)), (b"moov", ((d - init_end) as u32, *b"free")));
    let copy = u64_at(&growing, h - 16);
    assert_eq!(copy, (init_end + 8).next_multiple_of(16));
    assert_eq!(u64_at(&growing, h - 8), init_end);
    assert!(growing[..init_end] == growing[copy..copy + init_end], "the second copy is the first");
    assert!(growing[h..d].iter().all(|byte| *byte == 0), "a hole up to D");
    assert_eq!(at(&growing, d).1, *b"moof");
    let pieces = scan::deep(&growing, d as u64, growing.len() as u64).unwrap();
    assert_eq!(pieces.len(), 6, "five GOPs and a mark");

    let sealed = writer.seal().unwrap();
    let file = std::fs::read(&path).unwrap();
    assert_eq!(at(&file, 32), ((h - 32) as u32, *b"free"));
    let (moov_len, kind) = at(&file, h);
    assert_eq!(&kind, b"moov");
    let moov_end = h + moov_len as usize;
    assert_eq!(at(&file, moov_end), ((d - 16 - moov_end) as u32, *b"free"));
    assert_eq!((at(&file, d - 16), u64_at(&file, d - 8)), ((1, *b"mdat"), file.len() - (d - 16)));
    assert!(file[d..] == growing[d..], "media bytes stay");
    assert!(file[copy..copy + init_end] == growing[..init_end], "EXT-X-MAP stays valid");
    assert_eq!(sealed.bytes, file.len() as u64);
}

/// Parts of one device with different tracks do not disturb each other; a name is taken only once.
#[test]
fn a_chunk_is_created_once() {
    let place = Place::new();
    let media = crate::support::small(1, false);
    let writer = media.record(&place, 1);
    let again = ChunkWriter::create(Arc::clone(&place.volume), media.spec.clone()).unwrap_err();
    assert_eq!(again.kind, capstan::error::Kind::Conflict);
    assert_eq!(writer.last_mark(), Some(mark(1)));
    let later = capstan::merge::chunk::ChunkSpec { generation: 1, ..media.spec };
    ChunkWriter::create(Arc::clone(&place.volume), later).unwrap();
}
