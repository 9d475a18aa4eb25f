//! Short commands that only look: what a source is, which encoder works, whether text can be drawn.

use crate::{
    config::{Audio, Camera, Quality, Settings, Source},
    error::{Error, Kind, Result},
};

use super::{Args, Attempt, FfmpegCommand, Recipe, input, test_source};
use crate::capture::{
    encoder::{Encoder, Probed},
    source::SourceProbe,
};

/// Prints the streams of a source as JSON. None: this kind needs no look.
pub fn probe_source(source: &Source, settings: &Settings) -> Result<Option<FfmpegCommand>> {
    let mut args = Args::default();
    streams(&mut args);
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
    Ok(Some(ffprobe(settings, args)))
}

/// The same for any kind that FFmpeg opens: a person wants to see what it is.
pub fn look_source(source: &Source, settings: &Settings) -> Result<FfmpegCommand> {
    if let Some(command) = probe_source(source, settings)? {
        return Ok(command);
    }
    let mut args = Args::default();
    streams(&mut args);
    match source {
        Source::V4l2(v4l2) => {
            args.add("-f v4l2");
            if let Some(format) = &v4l2.format {
                args.pair("-input_format", format);
            }
            if let Some(size) = v4l2.size {
                args.pair("-video_size", size.to_string());
            }
            args.pair("-i", &v4l2.path);
        }
        Source::Screen(screen) => {
            args.add("-f x11grab").pair("-framerate", input::SCREEN_FPS.to_string());
            args.pair("-video_size", screen.size.to_string()).pair("-i", &screen.display);
        }
        Source::Test(test) => {
            let graph = format!("{}=size=640x360:rate={}", test.pattern, test_source::FPS);
            args.add("-f lavfi").pair("-i", graph);
        }
        other => return Err(Error::new(Kind::Invalid, format!("{} needs no look", other.kind()))),
    }
    Ok(ffprobe(settings, args))
}

/// Prints one picture of the camera's source as JPEG, read as the recorder reads it.
pub fn sight(camera: &Camera, settings: &Settings, probe: &SourceProbe) -> Result<FfmpegCommand> {
    // What it would be encoded by does not matter; that it is decoded whole does.
    let caps = Probed { encoder: Some(Encoder::X264), version: String::new(), draw_text: false };
    let camera = Camera { quality: Quality::Sd, size: None, audio: Audio::Off, ..camera.clone() };
    let recipe = Recipe::new(&camera, settings, &caps, probe, Attempt::default())?;
    Ok(trial(settings, |args| {
        args.add("-nostdin -hide_banner -loglevel error -threads 1 -filter_threads 1");
        input::add(args, &camera, &recipe);
        args.add("-map 0:v:0").pair("-vf", "scale=w='min(640,iw)':h=-2");
        args.add("-frames:v 1 -c:v mjpeg -pix_fmt yuvj420p -threads 1 -q:v 5 -f image2pipe pipe:1");
    }))
}

fn streams(args: &mut Args) {
    args.add("-v error -of json -show_entries");
    args.add(
        "format=format_name,duration:stream=codec_type,codec_name,width,height,has_b_frames,avg_frame_rate,r_frame_rate,\
         sample_rate,channels,start_time",
    );
}

fn ffprobe(settings: &Settings, args: Args) -> FfmpegCommand {
    FfmpegCommand { program: settings.ffmpeg.ffprobe_path.clone(), dir: "/".into(), args: args.0 }
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
