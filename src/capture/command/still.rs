//! One JPEG out of pictures on a pipe: the command behind every still that is not in RAM.

use crate::config::Settings;

use super::{Args, FfmpegCommand};

/// What comes in on the pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StillInput {
    /// Annex B, from a key frame on.
    H264,
    H265,
    Jpeg,
}

/// Which picture of the input is wanted, and how large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Still {
    pub input: StillInput,
    /// In display order, counted from 0.
    pub picture: u32,
    /// In pixels; the height follows, and nothing is enlarged. None: as recorded.
    pub width: Option<u16>,
}

/// Reads on its input, prints one JPEG on its output.
pub fn still(settings: &Settings, still: &Still) -> FfmpegCommand {
    let mut args = Args::default();
    // One thread: recording comes first, and several would wait for more pictures before they show one.
    args.add("-nostdin -hide_banner -loglevel error -threads 1 -filter_threads 1");
    let format = match still.input {
        StillInput::H264 => "h264",
        StillInput::H265 => "hevc",
        StillInput::Jpeg => "mjpeg",
    };
    args.pair("-f", format).add("-i pipe:0 -map 0:v:0");
    let mut filters = Vec::new();
    if still.picture > 0 {
        filters.push(format!(r"select=gte(n\,{})", still.picture));
    }
    if let Some(width) = still.width {
        filters.push(format!("scale=w='min({width},iw)':h=-2"));
    }
    if !filters.is_empty() {
        args.pair("-vf", filters.join(","));
    }
    // The quality of captures.
    args.add("-fps_mode passthrough -frames:v 1 -c:v mjpeg -pix_fmt yuvj420p -threads 1 -q:v 4 -f image2pipe pipe:1");
    FfmpegCommand { program: settings.ffmpeg.path.clone(), dir: "/".into(), args: args.0 }
}
