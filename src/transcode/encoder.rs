//! Which HEVC encoder works on this machine, and whether its driver decodes too: found by using them.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use slog::{Logger, info, warn};

use crate::{
    capture::{
        Spawner,
        command::{self, HevcEncoder},
    },
    error::{Error, Kind, Result},
};

use super::options::{Codec, Options};

/// Ten pictures of 640×360 in H.264, by x264.
const TRIAL: &[u8] = include_bytes!("trial.h264");
/// A trial takes 0.2 s of CPU; a driver that hangs must not hold up the others for long.
const TRIAL_LIMIT: Duration = Duration::from_secs(15);

/// An encoder that works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Working {
    pub encoder: HevcEncoder,
    pub hardware_decode: bool,
}

/// What was found, and with which program.
#[derive(Debug)]
struct Found {
    ffmpeg: std::path::PathBuf,
    working: Arc<[Working]>,
}

/// The answer, found once. That nothing works is not kept: FFmpeg may be installed while we run.
pub struct Encoders {
    spawner: Spawner,
    log: Logger,
    found: Mutex<Option<Found>>,
}

impl Encoders {
    /// Nothing is tried yet: who first encodes does it.
    pub fn new(spawner: Spawner, log: &Logger) -> Self {
        Self { spawner, log: log.clone(), found: Mutex::new(None) }
    }

    /// All that work, best first. Single flight; blocks while it tries.
    pub fn working(&self, ffmpeg: &Path) -> Arc<[Working]> {
        self.look(ffmpeg, false)
    }

    /// The same after trying all anew.
    pub fn probe(&self, ffmpeg: &Path) -> Arc<[Working]> {
        self.look(ffmpeg, true)
    }

    /// The one that `options` ask for. `Unavailable`, with what works instead, when it does not.
    pub fn choose(&self, options: &Options) -> Result<Working> {
        let working = self.working(&options.ffmpeg);
        pick(options.codec, &working).ok_or_else(|| Error::new(Kind::Unavailable, refusal(options.codec, &working)))
    }

    fn look(&self, ffmpeg: &Path, anew: bool) -> Arc<[Working]> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = &*found
            && !anew
            && found.ffmpeg == ffmpeg
        {
            return Arc::clone(&found.working);
        }
        let working: Arc<[Working]> =
            HevcEncoder::ALL.iter().filter_map(|encoder| self.try_out(ffmpeg, *encoder)).collect();
        let names: Vec<_> = working.iter().map(|working| working.encoder.name()).collect();
        if working.is_empty() {
            warn!(self.log, "no HEVC encoder works; old chunks stay as recorded"; "ffmpeg" => %ffmpeg.display());
        } else {
            info!(self.log, "HEVC encoders found"; "encoders" => names.join(","));
        }
        *found = (!working.is_empty()).then(|| Found { ffmpeg: ffmpeg.into(), working: Arc::clone(&working) });
        working
    }

    fn try_out(&self, ffmpeg: &Path, encoder: HevcEncoder) -> Option<Working> {
        let works = |hardware_decode| {
            let trial = command::hevc_trial(ffmpeg, encoder, hardware_decode);
            self.spawner.works(trial, Bytes::from_static(TRIAL), TRIAL_LIMIT)
        };
        works(false).then(|| Working { encoder, hardware_decode: encoder.can_decode() && works(true) })
    }
}

fn pick(codec: Codec, working: &[Working]) -> Option<Working> {
    let fits = |working: &&Working| match codec {
        Codec::Auto => true,
        Codec::Named(encoder) => working.encoder == encoder,
    };
    working.iter().find(fits).copied()
}

fn refusal(codec: Codec, working: &[Working]) -> String {
    let names: Vec<_> = working.iter().map(|working| working.encoder.name()).collect();
    let there =
        if names.is_empty() { "no HEVC encoder does".to_owned() } else { format!("{} works", names.join(", ")) };
    match codec {
        Codec::Auto => "no HEVC encoder of ffmpeg works on this machine".into(),
        Codec::Named(encoder) => format!("{} does not work on this machine; {there}", encoder.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_works_or_the_one_that_is_named() {
        let works = |encoder| Working { encoder, hardware_decode: false };
        let (vaapi, x265) = (works(HevcEncoder::Vaapi), works(HevcEncoder::X265));
        assert_eq!(pick(Codec::Auto, &[vaapi, x265]), Some(vaapi));
        assert_eq!(pick(Codec::Named(HevcEncoder::X265), &[vaapi, x265]), Some(x265));
        assert_eq!(pick(Codec::Named(HevcEncoder::Nvenc), &[vaapi, x265]), None);
        assert_eq!(pick(Codec::Auto, &[]), None);
        let told = refusal(Codec::Named(HevcEncoder::Nvenc), &[x265]);
        assert_eq!(told, "hevc_nvenc does not work on this machine; libx265 works");
    }
}
