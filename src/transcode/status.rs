//! What the transcoder tells of itself: its status with the gate that holds it, and its statistics.

use std::collections::BTreeMap;

use serde::Serialize;

use super::gate::Gate;
use crate::{clock::Utc90k, registry::transcode::Totals};

/// Fewer files say little about what is saved.
const FILES_TO_JUDGE: u64 = 5;

/// As published for `/api/host/state`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TranscoderStatus {
    pub state: State,
    /// What holds it, also while it runs and is stopped.
    pub gate: Gate,
    /// More about it, for people.
    pub detail: Option<String>,
    /// RFC 3339; since when the gate is this one.
    pub since: Option<String>,
    pub enabled: bool,
    pub current: Option<Current>,
    /// RFC 3339; when it looks again, where that is known.
    pub next_run: Option<String>,
    /// Files that somebody asked for.
    pub queued: usize,
    /// Somebody asked for all, whatever their age.
    pub forced: bool,
    pub originals: Originals,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    #[default]
    Waiting,
    Running,
    /// Its encoder is stopped until the gate opens.
    Paused,
    Disabled,
}

/// The chunk in work.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Current {
    pub device: String,
    /// Relative to its volume.
    pub file: String,
    pub start: String,
    pub bytes: u64,
    pub began: String,
    /// 0 to 1.
    pub progress: f64,
    /// Seconds of footage in a second.
    pub speed: f64,
    pub paused_seconds: f64,
}

/// Kept for rolling back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Originals {
    pub count: usize,
    pub bytes: u64,
}

/// `GET /api/transcode`
#[derive(Clone, Debug, Serialize)]
pub struct Stats {
    pub files_transcoded: u64,
    pub files_failed: u64,
    pub files_rolled_back: u64,
    /// Bytes.
    pub space_saved: u64,
    pub total_original: u64,
    pub total_transcoded: u64,
    pub errors: BTreeMap<String, u64>,
    /// RFC 3339.
    pub last_transcoded: Option<String>,
    pub average_savings_percent: Option<f64>,
    pub target_savings_percent: f64,
    /// What somebody should know.
    pub warning: Option<String>,
    pub written_today_bytes: u64,
    pub status: TranscoderStatus,
}

impl Stats {
    pub fn new(totals: &Totals, target: f64, day: i64, status: TranscoderStatus) -> Self {
        Self {
            files_transcoded: totals.files_transcoded,
            files_failed: totals.files_failed(),
            files_rolled_back: totals.rolled_back,
            space_saved: totals.space_saved(),
            total_original: totals.total_original,
            total_transcoded: totals.total_transcoded,
            errors: totals.errors.clone(),
            last_transcoded: totals.last.map(|last| Utc90k(last).rfc3339()),
            average_savings_percent: totals.savings_percent().map(|percent| (percent * 10.0).round() / 10.0),
            target_savings_percent: target,
            warning: below_target(totals, target),
            written_today_bytes: totals.written_on(day),
            status,
        }
    }
}

/// None while the average reaches the target, or too few files speak for it.
pub fn below_target(totals: &Totals, target: f64) -> Option<String> {
    let percent = totals.savings_percent().filter(|percent| *percent < target)?;
    (totals.files_transcoded >= FILES_TO_JUDGE).then(|| {
        format!(
            "{percent:.1} % saved on average, below transcode.target_space_savings = {target}: a higher \
             transcode.quality number or a slower preset saves more"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_saved_is_told_once_enough_files_speak() {
        let check = |files, original, transcoded, warned: bool| {
            let totals = Totals {
                files_transcoded: files,
                total_original: original,
                total_transcoded: transcoded,
                ..Totals::default()
            };
            assert_eq!(below_target(&totals, 40.0).is_some(), warned, "{files} {original} {transcoded}");
        };
        check(0, 0, 0, false);
        check(4, 100, 90, false);
        check(5, 100, 90, true);
        check(5, 100, 60, false);
        check(5, 100, 120, true);
    }
}
