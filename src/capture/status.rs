//! The published snapshot of one device's capture.

use serde::Serialize;

use crate::ids::Epoch;

use super::source::Reason;

/// Names are part of the API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CaptureState {
    /// Never delivered yet, and nothing is known to be wrong.
    #[default]
    Starting,
    Online,
    /// No pictures; it is being tried again.
    Offline,
    /// No pictures, for a reason on this machine that a person must mend; it is still tried again.
    Failed,
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LastWords {
    /// RFC 3339.
    pub at: String,
    pub epoch: Epoch,
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// FFmpeg's last lines, without credentials.
    pub words: Vec<String>,
}

/// Published by the actor at every change and once a second.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CaptureStatus {
    pub state: CaptureState,
    /// RFC 3339: when it came into this state.
    pub since: String,
    pub reason: Option<Reason>,
    pub epoch: Option<Epoch>,
    /// Of FFmpeg; None for replay and between runs.
    pub pid: Option<u32>,
    /// Starts after the first one.
    pub restarts: u64,
    /// False while a track that the source promised is given up because it never came.
    pub audio: bool,
    /// Pictures per second as FFmpeg counts them.
    pub fps: f64,
    /// Seconds since FFmpeg last got on.
    pub progress_age_seconds: Option<f64>,
    pub last_exit: Option<LastWords>,
}
