//! Golden command lines: one per source kind and tier. `CAPSTAN_BLESS=1` writes them anew; read the difference.

use super::*;
use crate::{
    capture::source::{AudioStream, VideoStream},
    config::parse,
};

fn caps(encoder: Encoder) -> Probed {
    Probed { version: "5.1".into(), encoder: Some(encoder), draw_text: true }
}

fn stream(codec: &str, b_frames: u32, audio: Option<&str>) -> SourceProbe {
    SourceProbe {
        format: "rtsp".into(),
        video: Some(VideoStream {
            codec: codec.into(),
            width: 1920,
            height: 1080,
            has_b_frames: b_frames,
            fps: Some(25.0),
        }),
        audio: audio.map(|codec| AudioStream { codec: codec.into(), sample_rate: 48_000, channels: 1, flows: true }),
        duration: None,
    }
}

/// `settings` as in the file, its camera named `cam`.
fn line(settings: &str, probe: &SourceProbe, encoder: Encoder, attempt: Attempt) -> FfmpegCommand {
    let settings = parse(settings).unwrap();
    let camera = settings.camera.first().unwrap();
    build(camera, &settings, &caps(encoder), Epoch(7), &HotLayout::new("/run/capstan"), probe, attempt).unwrap()
}

fn check(name: &str, camera: &str, probe: &SourceProbe, encoder: Encoder, attempt: Attempt) {
    let found = line(&format!("[[camera]]\nid = \"cam\"\n{camera}"), probe, encoder, attempt).to_string();
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/command/{name}.txt"));
    if std::env::var_os("CAPSTAN_BLESS").is_some() {
        std::fs::write(&golden, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    assert!(found == expected, "{}: expected\n{expected}\nfound\n{found}", golden.display());
}

const ALL: Attempt = Attempt { audio: true, hear: true, make_dts: false };

#[test]
fn test_pictures() {
    let none = SourceProbe::default();
    let check = |name, camera| check(name, camera, &none, Encoder::X264, ALL);
    check("test_low", "quality = \"low\"\nsource = { kind = \"test\" }");
    check("test_sd", "source = { kind = \"test\", tone = 0 }");
    check(
        "test_hd",
        "quality = \"hd\"\nsize = \"1920x1080\"\nfps = 30\nsource = { kind = \"test\", pattern = \"smptebars\" }",
    );
    check(
        "test_timetable",
        "source = { kind = \"test\", black = [[10, 15], [40, 42.5]], freeze = [[20, 25]], silence = [[30, 35]], period = 60 }",
    );
    check("test_once", "source = { kind = \"test\", freeze = [[2, 4], [6, 8]] }");
}

#[test]
fn files() {
    let clip = |codec, audio| SourceProbe { format: "mov,mp4".into(), duration: Some(10.0), ..stream(codec, 2, audio) };
    let camera = |quality, looped| {
        format!(
            "quality = \"{quality}\"\nsource = {{ kind = \"file\", path = \"/media/a clip.mp4\", loop = {looped} }}"
        )
    };
    check("file_copy", &camera("copy", true), &clip("h264", Some("aac")), Encoder::X264, ALL);
    check("file_copy_of_vp9", &camera("copy", false), &clip("vp9", Some("opus")), Encoder::X264, ALL);
    check("file_sd", &camera("sd", true), &clip("h264", Some("aac")), Encoder::X264, ALL);
}

#[test]
fn rtsp_cameras() {
    let camera = |quality, more| {
        format!(
            "quality = \"{quality}\"\n{more}source = {{ kind = \"rtsp\", url = \"rtsp://u:p@camera/live?x=1&y=2\" }}"
        )
    };
    check("rtsp_copy", &camera("copy", ""), &stream("h264", 0, Some("aac")), Encoder::X264, ALL);
    check("rtsp_copy_hevc_pcm", &camera("copy", ""), &stream("hevc", 0, Some("pcm_alaw")), Encoder::X264, ALL);
    check(
        "rtsp_copy_b_frames",
        &camera("copy", "audio = \"off\"\n"),
        &stream("h264", 2, Some("aac")),
        Encoder::X264,
        ALL,
    );
    let second = Attempt { audio: false, make_dts: true, ..ALL };
    check("rtsp_copy_second_attempt", &camera("copy", ""), &stream("h264", 0, Some("pcm_alaw")), Encoder::X264, second);
    check("rtsp_copy_of_mjpeg", &camera("copy", ""), &stream("mjpeg", 0, None), Encoder::X264, ALL);
    check("rtsp_hd", &camera("hd", "fps = 15\n"), &stream("h264", 0, Some("pcm_alaw")), Encoder::X264, ALL);
    let udp = "quality = \"copy\"\nsource = { kind = \"rtsp\", url = \"rtsp://camera/\", transport = \"udp\" }";
    check("rtsp_copy_udp", udp, &stream("h264", 0, None), Encoder::X264, ALL);
}

#[test]
fn http_sources() {
    let camera =
        |quality| format!("quality = \"{quality}\"\nsource = {{ kind = \"http\", url = \"http://camera/video\" }}");
    let of = |format: &str, codec, audio| SourceProbe { format: format.into(), ..stream(codec, 0, audio) };
    check("http_mjpeg", &camera("sd"), &of("mpjpeg", "mjpeg", None), Encoder::X264, ALL);
    check("http_hls_copy", &camera("copy"), &of("hls", "h264", Some("aac")), Encoder::X264, ALL);
    check("http_ts_copy", &camera("copy"), &of("mpegts", "h264", Some("mp2")), Encoder::X264, ALL);
}

#[test]
fn devices_of_this_host() {
    let none = SourceProbe::default();
    let card = "quality = \"hd\"\nfps = 25\nsource = { kind = \"v4l2\", path = \"/dev/video0\", format = \"mjpeg\", size = \"1280x720\", audio = \"alsa:hw:1\" }";
    let yuyv = "source = { kind = \"v4l2\", path = \"/dev/video0\", format = \"yuyv422\", size = \"640x480\", audio = \"pulse:card.monitor\" }";
    check("v4l2_mjpeg_alsa_hd", card, &none, Encoder::X264, ALL);
    check("v4l2_yuyv_pulse_sd", yuyv, &none, Encoder::X264, ALL);
    check("v4l2_second_attempt", card, &none, Encoder::X264, Attempt { audio: false, ..ALL });
    check(
        "v4l2_plain_low",
        "quality = \"low\"\nsource = { kind = \"v4l2\", path = \"/dev/video0\" }",
        &none,
        Encoder::X264,
        ALL,
    );
    let screen = "source = { kind = \"screen\", display = \":77.0+10,20\", size = \"1280x720\" }";
    check("screen_sd", screen, &none, Encoder::X264, ALL);
    for (name, encoder) in [
        ("v4l2_hd_by_v4l2m2m", Encoder::V4l2m2m),
        ("v4l2_hd_by_vaapi", Encoder::Vaapi),
        ("v4l2_hd_by_qsv", Encoder::Qsv),
    ] {
        check(name, card, &none, encoder, ALL);
    }
}

#[test]
fn looks_and_trials() {
    let settings = parse("[[camera]]\nid = \"cam\"\nsource = { kind = \"rtsp\", url = \"rtsp://camera/\" }").unwrap();
    let mut text = probe_source(&settings.camera[0].source, &settings).unwrap().unwrap().to_string();
    text += &version(&settings).to_string();
    for encoder in Encoder::ALL {
        text += &encoder_trial(&settings, encoder).to_string();
    }
    text += &text_trial(&settings).to_string();
    for (input, picture, width) in
        [(StillInput::H264, 0, None), (StillInput::H265, 12, None), (StillInput::Jpeg, 0, Some(320))]
    {
        text += &still(&settings, &Still { input, picture, width }).to_string();
    }
    check_text("looks", &text);
}

#[test]
fn clips_are_encoded_by_preset() {
    let settings = Settings::default();
    let mut text = String::new();
    for preset in Preset::ALL {
        assert_eq!(Preset::parse(preset.name()), Some(preset));
        text += &encode_clip(&settings, preset, std::path::Path::new("/run/capstan/x.mp4")).to_string();
    }
    assert_eq!(Preset::parse("ultra"), None);
    check_text("clips", &text);
}

#[test]
fn old_chunks_become_hevc() {
    let program = std::path::Path::new("ffmpeg");
    let job = Transcode {
        encoder: HevcEncoder::X265,
        hardware_decode: false,
        effort: Effort::Medium,
        quality: 23,
        threads: 3,
        fps: 25.0,
        source_kbps: 2000,
        kbps_max: Some(1200),
        keys_us: &[0, 4_000_000, 7_123_456],
    };
    let mut text = String::new();
    for encoder in HevcEncoder::ALL {
        assert_eq!(HevcEncoder::parse(encoder.name()), Some(encoder));
        text += &transcode(program, &Transcode { encoder, ..job }).to_string();
        if encoder.can_decode() {
            text += &transcode(program, &Transcode { encoder, hardware_decode: true, ..job }).to_string();
        }
        text += &hevc_trial(program, encoder, encoder.can_decode()).to_string();
    }
    for effort in Effort::ALL {
        assert_eq!(Effort::parse(effort.name()), Some(effort));
    }
    text += &transcode(program, &Transcode { effort: Effort::Veryslow, quality: 0, threads: 0, kbps_max: None, ..job })
        .to_string();
    text += &decode_all(program, 3).to_string();
    text += &ssim(program, 3, 61_500_000).to_string();
    check_text("transcode", &text);
}

fn check_text(name: &str, text: &str) {
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/command/{name}.txt"));
    if std::env::var_os("CAPSTAN_BLESS").is_some() {
        std::fs::write(&golden, text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(golden).unwrap_or_default());
}

#[test]
fn without_pictures_nothing_is_decoded() {
    let settings = "[capture]\ncaptures_fps = 0.0\nthumbnails_fps = 0.0\n[[camera]]\nid = \"cam\"\nquality = \"copy\"\nsource = { kind = \"rtsp\", url = \"rtsp://camera/\" }";
    let text = line(settings, &stream("h264", 0, None), Encoder::X264, ALL).to_string();
    assert!(!text.contains("filter_complex ") && !text.contains("mjpeg"), "{text}");
}

/// The recording is the same; only the output for the analysis is missing.
#[test]
fn sound_is_decoded_only_where_it_can_be_heard() {
    let camera = "[[camera]]\nid = \"cam\"\nquality = \"copy\"\nsource = { kind = \"rtsp\", url = \"rtsp://camera/\" }";
    let unwatched = format!("[analysis]\nenabled = false\n{camera}");
    let voiced = stream("h264", 0, Some("aac"));
    let mut promised = voiced.clone();
    promised.audio.iter_mut().for_each(|sound| sound.flows = false);
    let heard = line(camera, &voiced, Encoder::X264, ALL);
    let check = |settings: &str, probe: &SourceProbe, attempt| {
        let found = line(settings, probe, Encoder::X264, attempt);
        assert!(heard.args.starts_with(&found.args) && found.args.len() + 11 == heard.args.len(), "{found}");
    };
    check(&unwatched, &voiced, ALL);
    check(camera, &promised, ALL);
    check(camera, &voiced, Attempt { hear: false, ..ALL });
}

#[test]
fn what_cannot_be_recorded_is_refused() {
    let check = |camera: &str, encoder, part: &str| {
        let settings = parse(&format!("[[camera]]\nid = \"cam\"\n{camera}")).unwrap();
        let caps = Probed { encoder, ..caps(Encoder::X264) };
        let hot = HotLayout::new("/h");
        let found = build(&settings.camera[0], &settings, &caps, Epoch(1), &hot, &SourceProbe::default(), ALL);
        let message = found.unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    };
    check("source = { kind = \"test\" }", None, "encoder");
    check("source = { kind = \"replay\", dir = \"/d\" }", Some(Encoder::X264), "replay");
}
