//! Short commands that only look: what a source is, which encoder works, whether text can be drawn.

use crate::{
    config::{Settings, Source},
    error::{Error, Kind, Result},
};

use super::{Args, FfmpegCommand, input};
use crate::capture::encoder::Encoder;

/// Prints the streams of a source as JSON. None: this kind needs no look.
pub fn probe_source(source: &Source, settings: &Settings) -> Result<Option<FfmpegCommand>> {
    let mut args = Args::default();
    args.add("-v error -of json -show_entries");
    args.add(
        "format=format_name,duration:stream=codec_type,codec_name,width,height,has_b_frames,avg_frame_rate,r_frame_rate,\
         sample_rate,channels,start_time",
    );
    match source {
        Source::File(file) => {
            let Some(path) = file.path.to_str() else {
                return Err(Error::new(Kind::Invalid, "the path is not UTF-8").at(file.path.display()));
            };
            args.add("-protocol_whitelist file").pair("-i", format!("file:{path}"));
        }
        Source::Rtsp(rtsp) => {
            input::rtsp_options(&mut args, rtsp.transport, true);
            args.pair("-i", &rtsp.url);
        }
        Source::Http(http) => {
            input::http_options(&mut args);
            args.pair("-i", &http.url);
        }
        Source::Test(_) | Source::V4l2(_) | Source::Screen(_) | Source::Replay(_) => return Ok(None),
    }
    Ok(Some(FfmpegCommand { program: settings.ffmpeg.ffprobe_path.clone(), dir: "/".into(), args: args.0 }))
}

/// Prints the version on its first line.
pub fn version(settings: &Settings) -> FfmpegCommand {
    trial(settings, |args| {
        args.add("-version");
    })
}

/// Encodes a few pictures the way recordings are encoded; exit code 0 = the encoder works.
pub fn encoder_trial(settings: &Settings, encoder: Encoder) -> FfmpegCommand {
    trial(settings, |args| {
        args.add("-nostdin -hide_banner -loglevel error");
        let upload = match encoder {
            Encoder::X264 | Encoder::V4l2m2m => "format=yuv420p",
            Encoder::Vaapi => {
                args.add("-vaapi_device /dev/dri/renderD128");
                "format=nv12,hwupload"
            }
            Encoder::Qsv => {
                args.add("-init_hw_device qsv=hw -filter_hw_device hw");
                "format=nv12,hwupload=extra_hw_frames=16"
            }
        };
        args.add("-f lavfi -i testsrc2=size=640x360:rate=25 -frames:v 10");
        args.pair("-vf", upload).pair("-c:v", encoder.name()).add("-b:v 350k -g 5 -bf 0 -f null -");
    })
}

/// Draws one picture with text; fails without the filter or without any font.
pub fn text_trial(settings: &Settings) -> FfmpegCommand {
    trial(settings, |args| {
        args.add("-nostdin -hide_banner -loglevel error -f lavfi -i color=size=64x64:rate=1 -frames:v 1");
        args.add("-vf drawtext=text=0 -f null -");
    })
}

fn trial(settings: &Settings, fill: impl FnOnce(&mut Args)) -> FfmpegCommand {
    let mut args = Args::default();
    fill(&mut args);
    FfmpegCommand { program: settings.ffmpeg.path.clone(), dir: "/".into(), args: args.0 }
}
