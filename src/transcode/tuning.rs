//! What the settings ask of the runner, as of a moment: replaced as a whole while it works.

use super::{gate::MachineLimits, runner::RunnerParts, schedule::Schedule};
use crate::config;

pub(super) struct Tuning {
    pub settings: config::Transcode,
    /// `[archive] min_free_bytes`
    pub recorder_bytes: u64,
    pub schedule: Schedule,
    pub limits: MachineLimits,
}

impl Tuning {
    pub fn new(parts: &RunnerParts, settings: config::Transcode, recorder_bytes: u64) -> Self {
        let schedule = Schedule::new(settings.windows(), parts.zone.clone());
        let limits = MachineLimits::new(settings.max_cpu_percent.into(), settings.max_io_wait.into(), parts.cores);
        Self { settings, recorder_bytes, schedule, limits }
    }
}
