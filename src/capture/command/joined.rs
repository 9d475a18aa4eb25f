//! A clip whose pictures change their codec, encoded anew: each stretch by itself, then all of them and the sound as one.
//!
//! No decoder of FFmpeg goes on from one codec to another within an input. Stretches are MPEG-TS, because files of it
//! that tell their times are joined by reading one behind the other.

use std::path::Path;

use crate::{clock::TICKS_PER_SECOND, config::Settings};

use super::{Args, FfmpegCommand, Preset};

/// Encodes the pictures of the MP4 on its input into `output`, as pixels of `size` from movie time `at_90k` on.
pub fn encode_stretch(
    settings: &Settings,
    preset: Preset,
    (width, height): (u16, u16),
    at_90k: i64,
    output: &Path,
) -> FfmpegCommand {
    let (effort, quality) = preset.x264();
    let mut args = Args::default();
    args.add("-nostdin -hide_banner -nostats -loglevel error -y -threads 2 -filter_threads 1");
    args.add("-progress pipe:1 -stats_period 0.5 -copyts -protocol_whitelist pipe -f mov -i pipe:0 -map 0:v:0 -an");
    // x264 takes even sizes only; a stretch of another shape gets borders.
    let (width, height) = (width.max(2) & !1, height.max(2) & !1);
    let shape = format!(
        "scale={width}:{height}:force_original_aspect_ratio=decrease,pad={width}:{height}:-1:-1,setsar=1{}",
        if preset == Preset::PiOptimized { ",fps=15" } else { "" }
    );
    args.add("-vf").add(&shape);
    args.add("-c:v libx264 -threads 2 -preset").add(effort).add("-crf").add(quality).add("-pix_fmt yuv420p");
    // Without B-frames decoding times are those of the pictures: at a seam none comes before one of the stretch before.
    args.add("-bf 0 -fps_mode vfr -enc_time_base:v 1:90000 -output_ts_offset").add(&seconds(at_90k));
    args.add("-muxdelay 0 -muxpreload 0 -f mpegts").0.push(output.into());
    FfmpegCommand { program: settings.ffmpeg.path.clone(), dir: "/".into(), args: args.0 }
}

/// Makes one MP4 of stretches, and of the sound on its input if it begins at some movie time.
pub fn join(settings: &Settings, stretches: &[&Path], sound_at_90k: Option<i64>, output: &Path) -> FfmpegCommand {
    let mut args = Args::default();
    args.add("-nostdin -hide_banner -nostats -loglevel error -y -threads 2");
    args.add("-progress pipe:1 -stats_period 0.5 -copyts -protocol_whitelist concat,file -f mpegts -i");
    let mut list = std::ffi::OsString::from("concat:");
    for (number, stretch) in stretches.iter().enumerate() {
        if number > 0 {
            list.push("|");
        }
        list.push(stretch);
    }
    args.0.push(list);
    if let Some(at_90k) = sound_at_90k {
        args.add("-itsoffset").add(&seconds(at_90k)).add("-protocol_whitelist pipe -f mov -i pipe:0");
    }
    args.add("-map 0:v:0 -c:v copy");
    if sound_at_90k.is_some() {
        args.add("-map 1:a:0 -c:a aac -b:a 96k");
    }
    args.add("-movflags +faststart -f mp4").0.push(output.into());
    FfmpegCommand { program: settings.ffmpeg.path.clone(), dir: "/".into(), args: args.0 }
}

fn seconds(ticks_90k: i64) -> String {
    let ticks = ticks_90k.max(0);
    let micros = (ticks % TICKS_PER_SECOND) * 100 / 9;
    format!("{}.{micros:06}", ticks / TICKS_PER_SECOND)
}
