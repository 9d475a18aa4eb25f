//! What a source turned out to be (its streams), and why it could not be had, read from FFmpeg's own words.

use std::fmt;

use serde::Serialize;

/// The streams that will be used, as a bounded look by ffprobe found them. Default: nothing is known, which is right
/// for sources that we describe ourselves (test, v4l2, screen).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceProbe {
    /// FFmpeg's name of the container or protocol: `hls`, `mpjpeg`, `mov,mp4,…`.
    pub format: String,
    pub video: Option<VideoStream>,
    pub audio: Option<AudioStream>,
    /// Seconds, when the source has an end.
    pub duration: Option<f64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct VideoStream {
    /// FFmpeg's codec name: `h264`, `hevc`, `mjpeg`, …
    pub codec: String,
    pub width: u32,
    pub height: u32,
    /// Pictures a decoder holds back; more than 0 = B-frames.
    pub has_b_frames: u32,
    pub fps: Option<f64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct AudioStream {
    pub codec: String,
    pub sample_rate: u32,
    pub channels: u32,
    /// Some of it came during the look. A track that is only promised must not be waited for.
    pub flows: bool,
}

impl VideoStream {
    /// Codecs that our TS and MP4 carry unchanged.
    pub fn can_copy(&self) -> bool {
        matches!(self.codec.as_str(), "h264" | "hevc")
    }
}

impl SourceProbe {
    /// Reads what [`command::probe_source`](super::command::probe_source) prints. None: no video in it.
    pub fn parse(json: &[u8]) -> Option<Self> {
        let root: serde_json::Value = serde_json::from_slice(json).ok()?;
        let text = |value: &serde_json::Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let number = |value: &serde_json::Value, key: &str| {
            let field = &value[key];
            field.as_u64().or_else(|| field.as_str()?.parse().ok()).and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
        };
        let streams = root["streams"].as_array()?;
        let of_kind = |kind: &str| streams.iter().find(|stream| stream["codec_type"] == kind);
        let video = of_kind("video").map(|stream| VideoStream {
            codec: text(stream, "codec_name"),
            width: number(stream, "width"),
            height: number(stream, "height"),
            has_b_frames: number(stream, "has_b_frames"),
            fps: rate(&text(stream, "avg_frame_rate")).or_else(|| rate(&text(stream, "r_frame_rate"))),
        })?;
        let audio = of_kind("audio").map(|stream| AudioStream {
            codec: text(stream, "codec_name"),
            sample_rate: number(stream, "sample_rate"),
            channels: number(stream, "channels"),
            flows: text(stream, "start_time").parse::<f64>().is_ok(),
        });
        let duration = text(&root["format"], "duration").parse().ok().filter(|seconds: &f64| *seconds > 0.0);
        Some(Self { format: text(&root["format"], "format_name"), video: Some(video), audio, duration })
    }

    /// A live playlist or a finite file arrives faster than it plays and must be read at its own speed.
    pub fn needs_pacing(&self) -> bool {
        self.format == "hls" || self.duration.is_some()
    }
}

/// `25/1`; None for `0/0`.
fn rate(text: &str) -> Option<f64> {
    let (number, per) = text.split_once('/')?;
    let (number, per): (f64, f64) = (number.parse().ok()?, per.parse().ok()?);
    (number > 0.0 && per > 0.0).then(|| number / per)
}

/// Why a device has no picture. The name is part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nobody listens there.
    Refused,
    /// The host does not answer, or its name is unknown.
    Unreachable,
    /// The camera wants other credentials (401, 403).
    Unauthorized,
    /// No such stream, page or file.
    NotFound,
    /// The device node or display is not there.
    MissingDevice,
    /// It is there, and something else uses it.
    Busy,
    /// It connects and sends nothing that can be recorded.
    NoFrames,
    /// It is there and is not a format FFmpeg understands.
    Unsupported,
    /// It came to its end.
    Ended,
    MissingFfmpeg,
    /// No encoder works on this machine.
    Encoder,
    /// It broke off without a word we know; `last_exit` has the words.
    Lost,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "connection refused",
            Self::Unreachable => "the source does not answer",
            Self::Unauthorized => "the source refuses the credentials",
            Self::NotFound => "no such stream or file",
            Self::MissingDevice => "the device is missing",
            Self::Busy => "the device is in use",
            Self::NoFrames => "the source sends no pictures",
            Self::Unsupported => "the source is not in a format ffmpeg understands",
            Self::Ended => "the source has ended",
            Self::MissingFfmpeg => "ffmpeg cannot be started",
            Self::Encoder => "no encoder works",
            Self::Lost => "ffmpeg broke off",
        })
    }
}

impl Reason {
    /// As it is serialised.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Unauthorized => "unauthorized",
            Self::NotFound => "not_found",
            Self::MissingDevice => "missing_device",
            Self::Busy => "busy",
            Self::NoFrames => "no_frames",
            Self::Unsupported => "unsupported",
            Self::Ended => "ended",
            Self::MissingFfmpeg => "missing_ffmpeg",
            Self::Encoder => "encoder",
            Self::Lost => "lost",
        }
    }

    /// Waiting for the source will not help: a person must change the machine.
    pub fn is_ours(self) -> bool {
        matches!(self, Self::MissingFfmpeg | Self::Encoder)
    }
}

/// The first known complaint in FFmpeg's last words. The order matters: "Error opening input" lines follow the cause.
pub fn reason(words: &[String], source: &str) -> Option<Reason> {
    const KNOWN: [(&str, Reason); 24] = [
        ("401 Unauthorized", Reason::Unauthorized),
        ("403 Forbidden", Reason::Unauthorized),
        ("404 Not Found", Reason::NotFound),
        ("404 Stream Not Found", Reason::NotFound),
        ("410 Gone", Reason::NotFound),
        ("Connection refused", Reason::Refused),
        ("Cannot open display", Reason::MissingDevice),
        ("No such device", Reason::MissingDevice),
        ("cannot open audio device", Reason::MissingDevice),
        ("Device or resource busy", Reason::Busy),
        ("Connection timed out", Reason::Unreachable),
        ("No route to host", Reason::Unreachable),
        ("Network is unreachable", Reason::Unreachable),
        ("Host is down", Reason::Unreachable),
        ("Failed to resolve hostname", Reason::Unreachable),
        ("Name or service not known", Reason::Unreachable),
        ("Unknown encoder", Reason::Encoder),
        ("Error initializing output stream", Reason::Encoder),
        ("Error while opening encoder", Reason::Encoder),
        ("not contain any stream", Reason::NoFrames),
        ("matches no streams", Reason::NoFrames),
        ("moov atom not found", Reason::Unsupported),
        ("Invalid data found when processing input", Reason::Unsupported),
        ("Protocol not on whitelist", Reason::Unsupported),
    ];
    let line_says = |needle: &str| words.iter().any(|line| line.contains(needle));
    if let Some((_, reason)) = KNOWN.iter().find(|(needle, _)| line_says(needle)) {
        // An RTSP server that answers and then sends nothing ends in the same words as a broken file.
        let silent = *reason == Reason::Unsupported && source == "rtsp";
        return Some(if silent { Reason::NoFrames } else { *reason });
    }
    if line_says("No such file or directory") {
        return Some(if matches!(source, "v4l2" | "screen") { Reason::MissingDevice } else { Reason::NotFound });
    }
    None
}

/// FFmpeg gave up because the second track never came: the pictures alone would do.
pub fn audio_is_missing(words: &[String]) -> bool {
    words.iter().any(|line| line.contains("Too many packets buffered for output stream"))
}

/// FFmpeg could not decode the sound for the analysis: then it is recorded unheard.
pub fn hearing_failed(words: &[String]) -> bool {
    let told = ["Error while opening decoder", "matches no streams", "does not contain any stream", "pipe:3"];
    words.iter().any(|line| told.iter().any(|words| line.contains(words)))
}

/// FFmpeg's TS muxer refused pictures without decoding times (RTSP with B-frames).
pub fn times_are_missing(words: &[String]) -> bool {
    words.iter().any(|line| line.contains("first pts and dts value must be set"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Last words of FFmpeg 5.1 as it said them.
    #[test]
    fn last_words_tell_the_reason() {
        let check = |source: &str, words: &str, expected: Option<Reason>| {
            let words: Vec<_> = words.lines().map(str::to_owned).collect();
            assert_eq!(reason(&words, source), expected, "{words:?}");
        };
        check(
            "rtsp",
            "[tcp @ 0x55] Connection to tcp://10.0.0.2:554?timeout=0 failed: Connection refused\nrtsp://***@10.0.0.2/live: Connection refused",
            Some(Reason::Refused),
        );
        check(
            "rtsp",
            "[rtsp @ 0x55] method DESCRIBE failed: 401 Unauthorized\nrtsp://10.0.0.2/live: Server returned 401 Unauthorized (authorization failed)",
            Some(Reason::Unauthorized),
        );
        check(
            "rtsp",
            "[rtsp @ 0x55] method DESCRIBE failed: 404 Not Found\nrtsp://10.0.0.2/x: Server returned 404 Not Found",
            Some(Reason::NotFound),
        );
        check("rtsp", "rtsp://10.0.0.2/live: Invalid data found when processing input", Some(Reason::NoFrames));
        check(
            "rtsp",
            "[tcp @ 0x55] Failed to resolve hostname camera.lan: Name or service not known\nrtsp://camera.lan/: Input/output error",
            Some(Reason::Unreachable),
        );
        check("rtsp", "rtsp://10.0.0.2/: Connection timed out", Some(Reason::Unreachable));
        check("file", "file:/a.mp4: No such file or directory", Some(Reason::NotFound));
        check(
            "file",
            "[mov,mp4 @ 0x55] moov atom not found\nfile:/a.mp4: Invalid data found when processing input",
            Some(Reason::Unsupported),
        );
        check(
            "v4l2",
            "[video4linux2,v4l2 @ 0x55] Cannot open video device /dev/video9: No such file or directory",
            Some(Reason::MissingDevice),
        );
        check("v4l2", "[video4linux2,v4l2 @ 0x55] ioctl(VIDIOC_STREAMON): Device or resource busy", Some(Reason::Busy));
        check("screen", "[x11grab @ 0x55] Cannot open display :7654, error 1.", Some(Reason::MissingDevice));
        check("test", "Unknown encoder 'h264_qsv'", Some(Reason::Encoder));
        check("test", "", None);
        check("test", "something new", None);
    }

    #[test]
    fn names_are_those_of_the_api() {
        for reason in [Reason::Unauthorized, Reason::MissingDevice, Reason::NoFrames, Reason::Lost] {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
        }
    }

    #[test]
    fn streams_are_read_from_ffprobe() {
        let json = br#"{"streams":[{"codec_name":"aac","codec_type":"audio","sample_rate":"48000","channels":2,"avg_frame_rate":"0/0"},
            {"codec_name":"h264","codec_type":"video","width":640,"height":360,"has_b_frames":2,"avg_frame_rate":"0/0","r_frame_rate":"30000/1001"}],
            "format":{"format_name":"mov,mp4","duration":"5.3"}}"#;
        let probe = SourceProbe::parse(json).unwrap();
        let video = probe.video.clone().unwrap();
        assert_eq!((video.codec.as_str(), video.width, video.has_b_frames), ("h264", 640, 2));
        assert!((video.fps.unwrap() - 29.97).abs() < 0.01);
        assert_eq!(probe.audio.clone().map(|audio| (audio.sample_rate, audio.channels)), Some((48_000, 2)));
        assert_eq!(probe.audio.clone().map(|audio| audio.flows), Some(false), "nothing of it was seen");
        let text = String::from_utf8_lossy(json).replace("\"channels\":2", "\"channels\":2,\"start_time\":\"0.021\"");
        assert!(SourceProbe::parse(text.as_bytes()).unwrap().audio.unwrap().flows);
        assert!(probe.needs_pacing());
        for nothing in [&b""[..], b"{}", b"{\"streams\":[]}", b"{\"streams\":[{\"codec_type\":\"audio\"}]}"] {
            assert_eq!(SourceProbe::parse(nothing), None);
        }
    }
}
