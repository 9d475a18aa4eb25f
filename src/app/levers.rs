//! Who goes by settings that may change while all runs: told of them in one place, whenever they do.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use slog::{Logger, error};

use super::transcoding;
use crate::{
    config::{Receiver, Settings},
    incident::Evidence,
    keep::{Cleaner, KeepLimits},
    notify::Notifier,
    transcode::{Runner, Transcoder},
};

pub(super) struct Levers {
    pub cleaner: Arc<Cleaner>,
    pub runner: Arc<Runner>,
    pub transcoder: Arc<Transcoder>,
    pub notifier: Arc<Notifier>,
    pub evidence: Option<Evidence>,
    /// Of the thread that copies captures.
    pub captures_min_free_bytes: Arc<AtomicU64>,
    pub known: Known,
    pub log: Logger,
}

/// Whether it is known what was changed of the settings. Until then nothing is deleted and nothing encoded: what people
/// wanted to be kept longer than the file says must not go in the first second.
#[derive(Clone, Default)]
pub(super) struct Known(Arc<AtomicBool>);

impl Known {
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Levers {
    /// Puts them in force. Waits for nobody.
    pub fn pull(&self, settings: &Settings, receivers: &[Receiver]) {
        let min_free_bytes = settings.archive.min_free_bytes.0;
        self.cleaner.set_limits(KeepLimits::from(settings));
        self.runner.tune(&settings.transcode, min_free_bytes);
        self.transcoder.set_options(transcoding::options(&settings.transcode, &settings.ffmpeg));
        if let Some(evidence) = &self.evidence {
            evidence.set_min_free_bytes(evidence_min_free_bytes(settings));
        }
        self.captures_min_free_bytes.store(min_free_bytes, Ordering::Relaxed);
        if let Err(error) = self.notifier.replace(receivers) {
            error!(self.log, "a webhook is told nothing"; "error" => %error);
        }
    }
}

/// Pictures of incidents are few, and the last that a full disk should lose.
pub(super) fn evidence_min_free_bytes(settings: &Settings) -> u64 {
    settings.archive.min_free_bytes.0 / 2
}
