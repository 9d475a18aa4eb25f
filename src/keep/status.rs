//! What the keepers tell about themselves, for `/api/host/state`, health and doctor.

use serde::Serialize;

use super::{forecast::Forecast, limits::Gate};
use crate::clock::Mono;

/// Of the cleaner, who looks after the archive's own volume.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CleanerStatus {
    pub gate: Gate,
    pub free_bytes: u64,
    pub total_bytes: u64,
    pub expired: u64,
    pub evicted: u64,
    /// Moved from the ring into the library.
    pub shelved: u64,
    pub originals_dropped: u64,
    /// RFC 3339.
    pub last_round: Option<String>,
    /// Of the last round that nothing held back and that did all it planned.
    pub last_success: Option<String>,
    #[serde(skip)]
    pub succeeded: Option<Mono>,
    /// Why the last round could not do what it planned.
    pub error: Option<String>,
    /// Why recording to the archive is impossible now.
    pub volume_error: Option<String>,
    pub hot_error: Option<String>,
    /// Less than `min_free_bytes` is free and nothing may be deleted.
    pub out_of_space: bool,
    /// More is due than the last round took.
    pub backlog: bool,
    /// Files in folders of the ring and the library that are none of ours, as counted at start.
    pub unknown_files: u64,
    /// Bytes of the library on the archive's own volume.
    pub library_bytes: u64,
    /// None while too little was recorded to tell.
    pub forecast: Option<Forecast>,
    /// The library's own volume, where there is one.
    pub library: Option<AwayStatus>,
}

/// Of the library's own volume.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AwayStatus {
    pub root: String,
    pub ok: bool,
    /// Why it is not.
    pub error: Option<String>,
    pub gate: Gate,
    pub free_bytes: u64,
    pub total_bytes: u64,
    /// Bytes of the library on it.
    pub library_bytes: u64,
    /// Chunks brought there, and deleted there.
    pub moved: u64,
    pub deleted: u64,
    /// Less than `min_free_bytes` is free there and nothing may be deleted: what comes stays at home.
    pub is_full: bool,
    pub unknown_files: u64,
    /// The chunk that is being copied.
    pub copying: Option<String>,
}
