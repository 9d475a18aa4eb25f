//! Demuxed streams must equal what ffprobe says of them: times, sizes, key frames, packet for packet.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{path::Path, process::Command};

use capstan::media::{AudioCodec, AudioConfig, Segment, VideoCodec, aac, mpegts};

const VIDEO: &[&str] = &["-f", "lavfi", "-i", "testsrc2=size=322x178:rate=25"];
const VIDEO_NTSC: &[&str] = &["-f", "lavfi", "-i", "testsrc2=size=322x178:rate=30000/1001"];
const TONE_48: &[&str] = &["-f", "lavfi", "-i", "sine=sample_rate=48000"];
const TONE_44: &[&str] = &["-f", "lavfi", "-i", "sine=sample_rate=44100"];
const TONE_22: &[&str] = &["-f", "lavfi", "-i", "sine=sample_rate=22050"];
const X264: &[&str] = &["-c:v", "libx264", "-preset", "ultrafast", "-g", "25"];
const X264_B: &[&str] = &["-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-b_strategy", "0", "-g", "12"];
const X264_INTERLACED: &[&str] =
    &["-c:v", "libx264", "-preset", "veryfast", "-flags", "+ildct+ilme", "-x264opts", "tff", "-vf", "scale=320:180"];
const X265: &[&str] =
    &["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:keyint=12:bframes=2:open-gop=1"];

/// Runs FFmpeg with the parts of a command line and gives the TS it writes, 3 s long.
fn make(dir: &Path, parts: &[&[&str]]) -> Vec<u8> {
    let file = dir.join("made.ts");
    let status = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "error", "-nostdin", "-y"])
        .args(parts.concat())
        .args(["-t", "3", "-f", "mpegts"])
        .arg(&file)
        .status()
        .expect("these tests need ffmpeg");
    assert!(status.success(), "ffmpeg {parts:?}");
    std::fs::read(&file).unwrap()
}

/// One line of `ffprobe -show_packets`.
#[derive(Debug, PartialEq, Eq)]
struct Packet {
    pts: i64,
    dts: i64,
    size: usize,
    key: bool,
}

/// Packets of the first video or audio stream.
fn probe(file: &Path, stream: &str) -> Vec<Packet> {
    let output = Command::new("ffprobe")
        .args(["-loglevel", "error", "-select_streams", stream, "-show_packets"])
        .args(["-show_entries", "packet=pts,dts,size,flags", "-of", "default=noprint_wrappers=0"])
        .arg(file)
        .output()
        .expect("these tests need ffprobe");
    let text = String::from_utf8(output.stdout).unwrap();
    let field = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
        line.unwrap_or_else(|| panic!("{name} in {block}"))
    };
    text.split("[/PACKET]")
        .filter(|block| block.contains("[PACKET]"))
        .map(|block| Packet {
            pts: field(block, "pts=").parse().unwrap(),
            dts: field(block, "dts=").parse().unwrap(),
            size: field(block, "size=").parse().unwrap(),
            key: field(block, "flags=").starts_with('K'),
        })
        .collect()
}

fn probe_size(file: &Path) -> String {
    let arguments = "-loglevel error -select_streams v:0 -show_entries stream=width,height -of csv=p=0:s=x";
    let output = Command::new("ffprobe").args(arguments.split(' ')).arg(file).output().unwrap();
    // A stream in a program is listed twice.
    String::from_utf8(output.stdout).unwrap().lines().next().unwrap_or_default().to_owned()
}

fn video_packets(segment: &Segment) -> Vec<Packet> {
    let samples = segment.video.iter().flat_map(|track| &track.samples);
    samples
        .map(|sample| Packet { pts: sample.pts_90k, dts: sample.dts_90k, size: sample.data.len(), key: sample.sync })
        .collect()
}

fn compare_video(segment: &Segment, expected: &[Packet]) {
    let ours = video_packets(segment);
    assert_eq!(ours.len(), expected.len(), "pictures");
    for (ours, theirs) in ours.iter().zip(expected) {
        assert_eq!((ours.pts, ours.dts, ours.key), (theirs.pts, theirs.dts, theirs.key));
        // ffprobe's H.265 parser gives the zero byte before a start code to the picture before.
        assert!(ours.size.abs_diff(theirs.size) <= 1, "{ours:?} {theirs:?}");
    }
    let sum = |packets: &[Packet]| packets.iter().map(|packet| packet.size).sum::<usize>();
    assert_eq!(sum(&ours), sum(expected), "bytes");
}

/// Audio frames against ffprobe, which counts the ADTS header of 7 bytes to the packet.
fn compare_audio(segment: &Segment, expected: &[Packet]) {
    let header = if segment.audio[0].config.codec == AudioCodec::Aac { 7 } else { 0 };
    let samples: Vec<_> = segment.audio.iter().flat_map(|track| &track.samples).collect();
    assert_eq!(samples.len(), expected.len(), "audio frames");
    for (ours, theirs) in samples.iter().zip(expected) {
        assert_eq!(ours.data.len() + header, theirs.size, "size at {}", theirs.pts);
        // Inside a PES ffprobe adds up rounded durations, we round each sum.
        assert!((ours.pts_90k - theirs.pts).abs() <= 5, "{} is not {}", ours.pts_90k, theirs.pts);
    }
}

struct Expected {
    video: Option<VideoCodec>,
    audio: Option<(AudioCodec, u32, u8)>,
}

fn check(parts: &[&[&str]], expected: Expected) -> Segment {
    let dir = tempfile::tempdir().unwrap();
    let ts = make(dir.path(), parts);
    let file = dir.path().join("made.ts");
    // ffprobe counts times before a wrap as negative; near its first one we must do the same.
    let (video, audio) = (probe(&file, "v:0"), probe(&file, "a:0"));
    let near = video.first().or(audio.first()).map(|packet| packet.pts);
    let segment = mpegts::demux(&ts, near).unwrap();
    assert_eq!(segment.faults.total(), 0, "{:?}", segment.faults);
    assert_eq!(segment.video.as_ref().map(|track| track.config.as_ref().unwrap().codec), expected.video);
    let config = segment.audio.first().map(|track| &track.config);
    assert_eq!(config.map(|config| (config.codec, config.sample_rate, config.channels)), expected.audio);
    compare_video(&segment, &video);
    if expected.audio.is_some() {
        compare_audio(&segment, &audio);
    }
    if let Some(track) = &segment.video {
        let config = track.config.as_ref().unwrap();
        assert_eq!(format!("{}x{}", config.width, config.height), probe_size(&file));
        assert!(config.decoder_record().is_some());
    }
    // What the two ends tell is what the whole tells.
    let ends = mpegts::span(&ts[..ts.len().min(65536)], &ts[ts.len().saturating_sub(65536)..]).unwrap();
    let (start, end) = segment.span_90k().unwrap();
    // The ends know no reference, hence the remainder of a wrap.
    assert_eq!((ends.first_pts_90k - start) % (1 << 33), 0);
    assert_eq!(ends.end_pts_90k - ends.first_pts_90k, end - start);
    assert!(ends.starts_with_sync);
    segment
}

#[test]
fn h264_and_aac() {
    let aac = Some((AudioCodec::Aac, 48000, 1));
    let segment =
        check(&[VIDEO, TONE_48, X264, &["-c:a", "aac"]], Expected { video: Some(VideoCodec::H264), audio: aac });
    let track = segment.video.unwrap();
    assert_eq!((track.frame_90k(), track.samples.len()), (Some(3600), 75));
    assert_eq!(track.config.unwrap().nominal_fps(), Some(25.0));
}

#[test]
fn b_frames_and_ntsc_rates() {
    let aac = Some((AudioCodec::Aac, 44100, 2));
    let expected = Expected { video: Some(VideoCodec::H264), audio: aac };
    let segment = check(&[VIDEO_NTSC, TONE_44, X264_B, &["-c:a", "aac", "-ac", "2"]], expected);
    let track = segment.video.unwrap();
    assert_eq!(track.frame_90k(), Some(3003));
    assert!(track.samples.iter().any(|sample| sample.pts_90k > sample.dts_90k));
}

#[test]
fn interlaced_h264() {
    check(&[VIDEO, X264_INTERLACED], Expected { video: Some(VideoCodec::H264), audio: None });
}

#[test]
fn h265_with_b_frames_and_open_gops() {
    let mp2 = Some((AudioCodec::Mpa, 48000, 2));
    let expected = Expected { video: Some(VideoCodec::H265), audio: mp2 };
    let segment = check(&[VIDEO, TONE_48, X265, &["-c:a", "mp2", "-ac", "2"]], expected);
    assert_eq!(segment.video.unwrap().config.unwrap().nominal_fps(), Some(25.0));
}

#[test]
fn audio_only_in_every_form() {
    let audio_only = |codec, rate, channels| Expected { video: None, audio: Some((codec, rate, channels)) };
    check(&[TONE_44, &["-c:a", "aac"]], audio_only(AudioCodec::Aac, 44100, 1));
    check(&[TONE_48, &["-c:a", "mp2"]], audio_only(AudioCodec::Mpa, 48000, 1));
    check(&[TONE_22, &["-c:a", "mp2"]], audio_only(AudioCodec::Mpa, 22050, 1));
    check(&[TONE_44, &["-c:a", "libmp3lame"]], audio_only(AudioCodec::Mpa, 44100, 1));
    let segment = check(&[TONE_22, &["-c:a", "libmp3lame", "-ac", "2"]], audio_only(AudioCodec::Mpa, 22050, 2));
    assert_eq!(segment.audio[0].config.samples_per_frame, 576);
    check(&[TONE_48, &["-c:a", "aac", "-ac", "6"]], audio_only(AudioCodec::Aac, 48000, 6));
}

/// 95440 s is 3.7 s short of 2^33 ticks, and FFmpeg adds 1.4 s.
#[test]
fn video_only_across_the_wrap() {
    check(&[VIDEO, X264, &["-output_ts_offset", "95440"]], Expected { video: Some(VideoCodec::H264), audio: None });
}

/// Segments as the recorder gets them: nothing is lost or doubled over their seams, and times go on.
#[test]
fn hls_segments_join_without_a_seam() {
    let dir = tempfile::tempdir().unwrap();
    let hls = "-c:a aac -output_ts_offset 95440 -f hls -hls_time 1 -hls_flags temp_file -hls_list_size 0";
    let status = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-nostdin"])
        .args([VIDEO, TONE_44, &["-t", "6"], X264_B].concat())
        .args(hls.split(' '))
        .arg("-hls_segment_filename")
        .arg(dir.path().join("segment_1_%09d.ts"))
        .arg(dir.path().join("list.m3u8"))
        .status()
        .unwrap();
    assert!(status.success());
    let (mut dts, mut audio_pts, mut near) = (Vec::new(), Vec::new(), None);
    for number in 0.. {
        let Ok(ts) = std::fs::read(dir.path().join(format!("segment_1_{number:09}.ts"))) else { break };
        let segment = mpegts::demux(&ts, near).unwrap();
        assert_eq!(segment.faults.total(), 0);
        let track = segment.video.unwrap();
        assert!(track.samples[0].sync && track.config.is_some());
        dts.extend(track.samples.iter().map(|sample| sample.dts_90k));
        audio_pts.extend(segment.audio[0].samples.iter().map(|sample| sample.pts_90k));
        near = dts.last().copied();
    }
    assert_eq!(dts.len(), 150);
    assert!(dts.windows(2).all(|pair| pair[1] - pair[0] == 3600), "{dts:?}");
    assert!(dts[149] > 1 << 33, "the wrap lies inside");
    assert!(audio_pts.windows(2).all(|pair| (2088..=2092).contains(&(pair[1] - pair[0]))), "{audio_pts:?}");
    assert!(audio_pts.len() >= 6 * 44100 / 1024);
}

#[test]
fn video_that_cannot_be_recorded_leaves_the_audio() {
    let dir = tempfile::tempdir().unwrap();
    let ts = make(dir.path(), &[VIDEO, TONE_48, &["-c:v", "mpeg2video", "-c:a", "mp2"]]);
    let segment = mpegts::demux(&ts, None).unwrap();
    assert!(segment.video.is_none());
    assert_eq!(segment.skipped, ["MPEG-2 video"]);
    compare_audio(&segment, &probe(&dir.path().join("made.ts"), "a:0"));
}

/// Our silent frames, wrapped as ADTS between nothing else, decode to zeros without an error.
#[test]
fn silent_frames_decode_to_silence() {
    let dir = tempfile::tempdir().unwrap();
    for channels in [1u8, 2] {
        for (rate_index, rate) in [(3u8, 48000u32), (4, 44100), (8, 16000)] {
            let config = AudioConfig {
                codec: AudioCodec::Aac,
                sample_rate: rate,
                channels,
                samples_per_frame: 1024,
                specific: vec![2 << 3 | rate_index >> 1, rate_index << 7 | channels << 3],
            };
            let frame = aac::silent_frame(&config).unwrap();
            let total = frame.len() + 7;
            let header =
                [0xff, 0xf1, 1 << 6 | rate_index << 2, channels << 6, (total >> 3) as u8, (total << 5) as u8, 0xfc];
            let file = dir.path().join("silent.aac");
            std::fs::write(&file, [&header[..], frame].concat().repeat(20)).unwrap();
            let output = Command::new("ffmpeg")
                .args(["-loglevel", "error", "-xerror", "-nostdin", "-i"])
                .arg(&file)
                .args(["-f", "s16le", "-"])
                .output()
                .unwrap();
            assert!(output.status.success() && output.stderr.is_empty(), "{:?}", String::from_utf8(output.stderr));
            assert_eq!(output.stdout.len(), 20 * 1024 * 2 * usize::from(channels), "{rate} Hz");
            assert!(output.stdout.iter().all(|byte| *byte == 0));
        }
    }
}
