//! An incident in the words of the contract.

use serde::Serialize;

use super::model::{Incident, IncidentKind, Severity};
use crate::{clock::Utc90k, ids::DeviceId, storage::layout::EvidenceKey};

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Told {
    pub id: String,
    pub host: String,
    pub device: DeviceId,
    pub kind: IncidentKind,
    pub start: String,
    pub end: Option<String>,
    /// Up to now while it lasts.
    pub duration_seconds: f64,
    pub severity: Severity,
    pub state: &'static str,
    /// Addresses.
    pub evidence: Vec<String>,
    pub acknowledged: bool,
    pub discarded: bool,
    pub comment: String,
}

pub fn told(it: &Incident, now: Utc90k) -> Told {
    let ticks = (it.end.unwrap_or(now) - it.start).max(0);
    let address = |path: &String| EvidenceKey::parse_path(path).map(|_| format!("/host/stream/{path}"));
    Told {
        id: it.id.clone(),
        host: it.host.clone(),
        device: it.device.clone(),
        kind: it.kind,
        start: it.start.rfc3339(),
        end: it.end.map(Utc90k::rfc3339),
        // Whole milliseconds: the precision of the times beside it.
        duration_seconds: (ticks / 90) as f64 / 1000.0,
        severity: it.severity,
        state: if it.is_open() { "open" } else { "closed" },
        evidence: it.evidence.iter().filter_map(address).collect(),
        acknowledged: it.acknowledged,
        discarded: it.discarded,
        comment: it.comment.clone(),
    }
}
