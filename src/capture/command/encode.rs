//! A clip encoded anew, to be smaller: the command behind `?preset=`.

use std::path::Path;

use crate::config::Settings;

use super::{Args, FfmpegCommand};

/// How small, and how much work that may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    Fast,
    Medium,
    High,
    Low,
    PiOptimized,
}

impl Preset {
    pub const ALL: [Self; 5] = [Self::Fast, Self::Medium, Self::High, Self::Low, Self::PiOptimized];

    /// As in addresses and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Low => "low",
            Self::PiOptimized => "pi_optimized",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.name() == name)
    }

    /// libx264's `-preset` and `-crf`.
    pub(super) fn x264(self) -> (&'static str, &'static str) {
        match self {
            Self::Fast => ("veryfast", "28"),
            Self::Medium => ("medium", "23"),
            Self::High => ("slow", "20"),
            Self::Low | Self::PiOptimized => ("ultrafast", "30"),
        }
    }
}

/// Reads an MP4 whose table comes first on its input, writes another one to `output`, tells its progress on its output.
pub fn encode_clip(settings: &Settings, preset: Preset, output: &Path) -> FfmpegCommand {
    let (effort, quality) = preset.x264();
    let mut args = Args::default();
    // Two threads: each of libx264's holds pictures of its own, and recording comes first.
    args.add("-nostdin -hide_banner -nostats -loglevel error -y -threads 2 -filter_threads 1");
    args.add("-progress pipe:1 -stats_period 0.5 -protocol_whitelist pipe -f mov -i pipe:0 -map 0:v:0 -map 0:a:0?");
    if preset == Preset::PiOptimized {
        args.add("-vf fps=15");
    }
    args.add("-c:v libx264 -threads 2 -preset").add(effort).add("-crf").add(quality).add("-pix_fmt yuv420p");
    args.add("-c:a aac -b:a 96k -movflags +faststart -f mp4").0.push(output.into());
    FfmpegCommand { program: settings.ffmpeg.path.clone(), dir: "/".into(), args: args.0 }
}
