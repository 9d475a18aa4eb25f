//! Which H.264 encoder works on this machine, found by using it: presence in a list proves nothing about a driver.

use std::{sync::Arc, time::Duration};

use slog::{Logger, info, warn};
use tokio::sync::Mutex;

use crate::config::Settings;

use super::{
    command,
    source::Reason,
    spawner::{Look, Spawner},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoder {
    V4l2m2m,
    Vaapi,
    Qsv,
    X264,
}

impl Encoder {
    /// Best first: what costs the CPU least.
    pub const ALL: [Self; 4] = [Self::V4l2m2m, Self::Vaapi, Self::Qsv, Self::X264];

    /// FFmpeg's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::V4l2m2m => "h264_v4l2m2m",
            Self::Vaapi => "h264_vaapi",
            Self::Qsv => "h264_qsv",
            Self::X264 => "libx264",
        }
    }
}

/// What this FFmpeg can do here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// `5.1.9-0+deb12u1`.
    pub version: String,
    /// None: only copied streams can be recorded.
    pub encoder: Option<Encoder>,
    /// The `drawtext` filter and a font are there.
    pub draw_text: bool,
}

/// A trial encodes 10 small pictures: 0.1 s; a driver that hangs must not hold up the start.
const TRIAL_LIMIT: Duration = Duration::from_secs(5);

/// The answer, found once for all devices. A failure is not kept: FFmpeg may be installed while we run.
pub struct Capabilities {
    settings: Arc<Settings>,
    log: Logger,
    found: Mutex<Option<Arc<Probed>>>,
}

impl Capabilities {
    /// Nothing is tried yet: the first device that starts does it.
    pub fn new(settings: Arc<Settings>, log: &Logger) -> Self {
        Self { settings, log: log.clone(), found: Mutex::new(None) }
    }

    /// Single flight: devices that start together wait for one round of trials.
    pub async fn get(&self, spawner: &Spawner) -> Result<Arc<Probed>, Reason> {
        let mut found = self.found.lock().await;
        if let Some(found) = &*found {
            return Ok(Arc::clone(found));
        }
        let look = spawner.look(command::version(&self.settings), TRIAL_LIMIT).await;
        let version = match &look {
            Look::Done { code: Some(0), output, .. } => version(output),
            _ => None,
        };
        let Some(version) = version else { return Err(Reason::MissingFfmpeg) };
        let mut encoder = None;
        for candidate in Encoder::ALL {
            if self.works(spawner, command::encoder_trial(&self.settings, candidate)).await {
                encoder = Some(candidate);
                break;
            }
        }
        let draw_text = self.works(spawner, command::text_trial(&self.settings)).await;
        let probed = Arc::new(Probed { version, encoder, draw_text });
        match encoder {
            Some(encoder) => {
                info!(self.log, "ffmpeg found"; "version" => &probed.version, "encoder" => encoder.name(),
                    "draws_text" => draw_text);
            }
            None => warn!(self.log, "no H.264 encoder works; only copied streams can be recorded";
                "version" => &probed.version),
        }
        *found = encoder.is_some().then(|| Arc::clone(&probed));
        Ok(probed)
    }

    async fn works(&self, spawner: &Spawner, trial: command::FfmpegCommand) -> bool {
        matches!(spawner.look(trial, TRIAL_LIMIT).await, Look::Done { code: Some(0), .. })
    }
}

/// From `ffmpeg version 5.1.9-0+deb12u1 Copyright (c) …`.
fn version(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let mut words = text.lines().next()?.split(' ').skip_while(|word| *word != "version");
    words.nth(1).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_read() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(version(text.as_bytes()).as_deref(), expected);
        check("ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000-2026\nbuilt with", Some("5.1.9-0+deb12u1"));
        check("ffmpeg version n7.1 Copyright", Some("n7.1"));
        check("", None);
        check("something else", None);
    }
}
