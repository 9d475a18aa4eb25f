//! What the settings say about keeping, and what holds it back.

use std::time::Duration;

use serde::Serialize;

use super::plan::Limits;
use crate::config::Settings;

/// What the settings say about keeping.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeepLimits {
    pub keep: Limits,
    /// Of each file system: the archive's, and the library's own.
    pub min_free_bytes: u64,
    pub interval: Duration,
    pub max_cpu_percent: f64,
    pub max_io_wait_percent: f64,
}

impl From<&Settings> for KeepLimits {
    fn from(settings: &Settings) -> Self {
        let archive = &settings.archive;
        Self {
            keep: Limits {
                window: Duration::from_secs(u64::from(archive.window_hours) * 3600),
                retention: Duration::from_secs_f64(archive.retention_days.max(0.0) * 86_400.0),
                max_bytes: archive.max_bytes.0,
                device_max_bytes: archive.device_max_bytes.0,
            },
            min_free_bytes: archive.min_free_bytes.0,
            interval: Duration::from_secs(settings.cleaner.interval_seconds.into()),
            max_cpu_percent: settings.cleaner.max_cpu_percent.into(),
            max_io_wait_percent: settings.cleaner.max_io_wait.into(),
        }
    }
}

/// The machine's load, percent of the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LoadReading {
    pub cpu_percent: f64,
    pub io_wait_percent: f64,
}

/// What holds expiry and moves back now. Shortage of space overrides the load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    #[default]
    Open,
    Cpu,
    IoWait,
    /// The archive volume is not what it should be.
    Volume,
    /// Nobody knows yet what is pinned: nothing is deleted.
    Pins,
}

impl Gate {
    /// By the machine's load alone.
    pub fn of_load(load: LoadReading, limits: &KeepLimits) -> Self {
        if load.cpu_percent > limits.max_cpu_percent {
            Self::Cpu
        } else if load.io_wait_percent > limits.max_io_wait_percent {
            Self::IoWait
        } else {
            Self::Open
        }
    }
}
