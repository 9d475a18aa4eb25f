//! The only place with FFmpeg arguments: one command per source kind and tier, kept by golden files.
//!
//! Every output is an absolute path below the device's hot folder, so that `ps` tells whose FFmpeg it is.

use std::{ffi::OsString, fmt, path::PathBuf, time::Duration};

use crate::{
    config::{Audio, Camera, PictureSize, Quality, Settings, Source},
    error::{Error, Kind, Result},
    ids::Epoch,
    storage::layout::HotLayout,
};

use super::{
    encoder::{Encoder, Probed},
    source::SourceProbe,
};

mod encode;
mod input;
mod joined;
mod output;
mod probe;
mod still;
mod test_source;
#[cfg(test)]
mod tests;
mod transcode;

pub use encode::{Preset, encode_clip};
pub use joined::{encode_stretch, join};
pub use probe::{encoder_trial, look_source, probe_source, sight, text_trial, version};
pub use still::{Still, StillInput, still};
pub use transcode::{
    Effort, HevcEncoder, QUALITY_MAX, TRANSCODE_PID, Transcode, decode_all, hevc_trial, ssim, transcode,
};

/// What a program is run with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FfmpegCommand {
    pub program: PathBuf,
    /// Working directory.
    pub dir: PathBuf,
    pub args: Vec<OsString>,
}

/// What is tried this time. The first attempt takes everything; later ones give up what failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub audio: bool,
    /// Decode the sound for the analysis as well.
    pub hear: bool,
    /// Invent decoding times for a copied stream that has none although it does not tell of B-frames.
    pub make_dts: bool,
}

impl Default for Attempt {
    fn default() -> Self {
        Self { audio: true, hear: true, make_dts: false }
    }
}

/// A source that says nothing for so long is given up by FFmpeg itself: the limit of design §9.
pub const SOURCE_TIMEOUT: Duration = Duration::from_secs(3);

/// The command that records `camera` into hot as run `epoch`.
pub fn build(
    camera: &Camera,
    settings: &Settings,
    caps: &Probed,
    epoch: Epoch,
    hot: &HotLayout,
    probe: &SourceProbe,
    attempt: Attempt,
) -> Result<FfmpegCommand> {
    if let Source::Replay(_) = camera.source {
        return Err(Error::new(Kind::Internal, "a replay source runs without ffmpeg").at(&camera.id));
    }
    let recipe = Recipe::new(camera, settings, caps, probe, attempt)?;
    let mut args = Args::default();
    args.add("-hide_banner -nostats -loglevel error -y");
    // Twice a second: the watch tells a hang by 3 s without change.
    args.add("-progress pipe:1 -stats_period 0.5");
    // Pictures of our tiers are small: more filter threads cost more than they give, times 64 devices.
    args.add("-filter_threads 1 -filter_complex_threads 1");
    recipe.encoder_device(&mut args);
    input::add(&mut args, camera, &recipe);
    recipe.filters(&mut args);
    recipe.recording(&mut args, epoch, hot);
    recipe.pictures(&mut args, epoch, hot);
    recipe.sound(&mut args);
    Ok(FfmpegCommand { program: settings.ffmpeg.path.clone(), dir: hot.device(&camera.id), args: args.0 })
}

/// Everything decided about one run, before it is written as arguments.
struct Recipe<'a> {
    camera: &'a Camera,
    settings: &'a Settings,
    probe: &'a SourceProbe,
    video: Video,
    audio: Sound,
    /// The sound is decoded for the analysis.
    hears: bool,
    /// The source's own clock can be drawn.
    draw_text: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Video {
    /// `held_back`: how many pictures a decoder reorders, 0 without B-frames.
    Copy {
        held_back: u32,
        key_frames_only: bool,
    },
    Encode {
        encoder: Encoder,
        tier: Tier,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sound {
    None,
    Copy,
    Encode,
}

/// Size and rate we encode to.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tier {
    size: PictureSize,
    kbps: u32,
    audio_kbps: u32,
    fps: Option<u32>,
}

impl Tier {
    /// `copy` that cannot copy is recorded as `hd`.
    fn of(camera: &Camera) -> Self {
        let size = |width, height| PictureSize { width, height };
        let (size, kbps, audio_kbps) = match (camera.quality, camera.size) {
            (Quality::Low, _) => (size(320, 180), 150, 48),
            (Quality::Sd, _) => (size(640, 360), 350, 64),
            (Quality::Hd, Some(wanted)) => (wanted, 2000, 96),
            (Quality::Hd | Quality::Copy, _) => (size(1280, 720), 1500, 96),
        };
        Self { size, kbps, audio_kbps, fps: camera.fps }
    }
}

impl<'a> Recipe<'a> {
    fn new(
        camera: &'a Camera,
        settings: &'a Settings,
        caps: &Probed,
        probe: &'a SourceProbe,
        attempt: Attempt,
    ) -> Result<Self> {
        let copied = probe.video.as_ref().filter(|video| camera.quality == Quality::Copy && video.can_copy());
        let video = match copied {
            Some(video) => Video::Copy {
                held_back: match video.has_b_frames {
                    0 if attempt.make_dts => 2,
                    pictures => pictures.min(16),
                },
                key_frames_only: settings.capture.key_frames_only != crate::config::KeyFramesOnly::No,
            },
            None => {
                let encoder = caps.encoder.ok_or_else(|| {
                    Error::new(Kind::Unavailable, "no H.264 encoder of ffmpeg works on this machine").at(&camera.id)
                })?;
                Video::Encode { encoder, tier: Tier::of(camera) }
            }
        };
        let has_audio = match &camera.source {
            Source::Test(test) => test.tone > 0,
            Source::V4l2(v4l2) => v4l2.audio.is_some(),
            Source::Screen(_) | Source::Replay(_) => false,
            Source::File(_) | Source::Rtsp(_) | Source::Http(_) => probe.audio.is_some(),
        };
        let audio = match &probe.audio {
            _ if !has_audio || !attempt.audio || camera.audio == Audio::Off => Sound::None,
            Some(stream) if stream.codec == "aac" && stream.channels <= 2 => Sound::Copy,
            _ => Sound::Encode,
        };
        // A track that never comes would keep FFmpeg from telling its progress, by which a hang is known.
        let flows = probe.audio.as_ref().is_none_or(|stream| stream.flows);
        let hears = audio != Sound::None && settings.analysis.enabled && attempt.hear && flows;
        Ok(Self { camera, settings, probe, video, audio, hears, draw_text: caps.draw_text })
    }

    fn tier(&self) -> Option<Tier> {
        match self.video {
            Video::Encode { tier, .. } => Some(tier),
            Video::Copy { .. } => None,
        }
    }
}

/// Arguments in the making.
#[derive(Default)]
struct Args(Vec<OsString>);

impl Args {
    /// Several words without spaces inside.
    fn add(&mut self, words: &str) -> &mut Self {
        self.0.extend(words.split(' ').map(OsString::from));
        self
    }

    /// A flag and one value that may hold anything.
    fn pair(&mut self, flag: &str, value: impl Into<OsString>) -> &mut Self {
        self.0.push(flag.into());
        self.0.push(value.into());
        self
    }
}

/// One option with its values per line, quoted where a shell would need it; for golden files and logs.
impl fmt::Display for FfmpegCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.program.display())?;
        let mut after_option = false;
        for arg in &self.args {
            let text = arg.to_string_lossy();
            let option = text.starts_with('-') && text[1..].starts_with(|c: char| c.is_ascii_alphabetic());
            f.write_str(if option || !after_option { "\n  " } else { " " })?;
            after_option = option;
            let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:,=%+?@".contains(&b));
            if plain && !text.is_empty() {
                f.write_str(&text)?;
            } else {
                write!(f, "'{}'", text.replace('\'', r"'\''"))?;
            }
        }
        f.write_str("\n")
    }
}
