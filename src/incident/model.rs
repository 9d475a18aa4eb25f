//! What an incident is.

use serde::Serialize;

use crate::{clock::Utc90k, ids::DeviceId};

/// The words of the contract (docs/api.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentKind {
    Blackscreen,
    Freeze,
    Silence,
    SignalLost,
}

impl IncidentKind {
    pub const ALL: [Self; 4] = [Self::Blackscreen, Self::Freeze, Self::Silence, Self::SignalLost];

    pub fn name(self) -> &'static str {
        match self {
            Self::Blackscreen => "blackscreen",
            Self::Freeze => "freeze",
            Self::Silence => "silence",
            Self::SignalLost => "signal_lost",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == text)
    }
}

/// How bad, by how long it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Below 10 s.
    Minor,
    /// From 10 s.
    Major,
    /// From 60 s.
    Critical,
}

impl Severity {
    pub const ALL: [Self; 3] = [Self::Minor, Self::Major, Self::Critical];

    pub fn name(self) -> &'static str {
        match self {
            Self::Minor => "minor",
            Self::Major => "major",
            Self::Critical => "critical",
        }
    }

    pub fn of_seconds(seconds: i64) -> Self {
        match seconds {
            60.. => Self::Critical,
            10.. => Self::Major,
            _ => Self::Minor,
        }
    }
}

/// The comment of an incident that ended because nobody wanted to know of it.
pub const MUTED: &str = "maintenance";

/// One stretch of trouble of one device.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// `<device>-<start_ms>-<kind>`: the same incident has the same id over restarts.
    pub id: String,
    pub host: String,
    pub device: DeviceId,
    pub kind: IncidentKind,
    /// The first bad frame.
    pub start: Utc90k,
    /// The first good frame after it; None while it lasts.
    pub end: Option<Utc90k>,
    /// The last bad frame that was seen: where it ends when nobody was there to see the end.
    pub last_bad: Utc90k,
    pub severity: Severity,
    /// Files of the archive, relative to its root: first, worst and last frame.
    pub evidence: Vec<String>,
    /// What people said of it.
    pub acknowledged: bool,
    pub discarded: bool,
    pub comment: String,
}

impl Incident {
    pub fn id_of(device: &DeviceId, kind: IncidentKind, start: Utc90k) -> String {
        format!("{device}-{}-{}", start.as_ms(), kind.name())
    }

    pub fn is_open(&self) -> bool {
        self.end.is_none()
    }
}

/// Where incidents are written down. What people said of an incident is never overwritten by [`Self::save`].
pub trait Book: Send + Sync {
    /// Inserts or updates by id. Never waits: when too much waits to be written, an older state of the same incident goes.
    fn save(&self, incident: &Incident);
}
