//! How handlers ask for changes of the cameras and settings: orders that one place carries out, one after another, off the
//! workers.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::oneshot;

use crate::{
    access::Caller,
    clock::Utc90k,
    config::{Camera, Changes, Receiver, Section, Settings},
    error::{Error, Kind, Result},
    ids::DeviceId,
};

/// Where a camera is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The settings file: nobody changes it here.
    File,
    /// The database.
    Api,
}

/// A camera that is configured, with its passwords.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    pub camera: Arc<Camera>,
    pub origin: Origin,
    /// Of one of the database.
    pub revision: Option<u64>,
    pub created: Option<Utc90k>,
    pub changed: Option<Utc90k>,
    /// The database has one of the same id, which waits until the file no longer has it.
    pub shadows: bool,
    /// Why it could not be started; then nothing records it.
    pub refused: Option<String>,
}

impl Listed {
    pub(super) fn is_seen(&self, caller: &Caller) -> bool {
        caller.sees(self.camera.id.as_str(), &self.camera.area)
    }
}

/// All that is configured, as of a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cameras {
    /// Those of the file first, each in the order in which they were made.
    pub cameras: Vec<Listed>,
    /// Areas that somebody made.
    pub areas: Vec<String>,
    /// What holds: of what needs a restart as it was at the start, of the rest the newest, what was changed here on top.
    pub settings: Arc<Settings>,
    /// The same without what was changed here.
    pub file: Arc<Settings>,
    /// What was changed here, as far as it holds.
    pub changes: Changes,
    pub settings_revision: u64,
    /// Who is told, with ids.
    pub receivers: Vec<Receiver>,
    /// The database was read.
    pub is_known: bool,
}

impl Cameras {
    pub fn get(&self, id: &str) -> Option<&Listed> {
        self.cameras.iter().find(|listed| listed.camera.id.as_str() == id)
    }
}

/// What somebody wants. A revision that is no longer the newest is refused; None takes any.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    Add(Box<Camera>),
    Change(Box<Camera>, Option<u64>),
    Remove(DeviceId, Option<u64>),
    Enable(DeviceId, bool),
    AddArea(String),
    RenameArea(String, String),
    RemoveArea(String),
    /// Sections of the settings, all or none.
    Settings(Vec<Section>, Option<u64>),
    /// The settings file again. Answered with what came of it.
    Reload,
}

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    pub added: Vec<DeviceId>,
    pub changed: Vec<DeviceId>,
    pub removed: Vec<DeviceId>,
    /// Those whose thresholds changed.
    pub thresholds: Vec<DeviceId>,
    /// Paths of other settings that changed at once.
    pub settings: Vec<String>,
    pub refused: Vec<Refused>,
    /// Paths of settings that wait for a restart.
    pub needs_restart: Vec<String>,
}

/// A camera that could not be what the file says; what ran before runs on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Refused {
    pub device: DeviceId,
    pub message: String,
}

/// Answered when the order is carried out, or undone.
pub type Answer = oneshot::Receiver<Result<Option<Report>>>;

/// Who carries out orders.
pub trait Fleet: Send + Sync {
    /// Never waits.
    fn cameras(&self) -> Arc<Cameras>;

    /// While this stays, so do the cameras and the devices that record them.
    fn changes(&self) -> u64;

    /// `by` is who asks. [`Kind::Unavailable`] when too many orders wait.
    fn order(&self, order: Order, by: &str) -> Result<Answer>;
}

/// The answer; the order goes on when nobody waits for it any more.
pub async fn answered(answer: Answer) -> Result<Option<Report>> {
    answer.await.unwrap_or_else(|_| Err(Error::new(Kind::Unavailable, "the daemon is about to end")))
}

/// JSON of an error in a list of settings: the first by its path, the others counted.
pub fn invalid(problems: &[crate::config::Problem]) -> Error {
    let Some(first) = problems.first() else { return Error::new(Kind::Invalid, "is not valid") };
    let found = first.value.as_ref().map(|value| format!("{value}: ")).unwrap_or_default();
    let more = if problems.len() > 1 { format!(" (and {} more)", problems.len() - 1) } else { String::new() };
    let error = Error::new(Kind::Invalid, format!("{found}{}{more}", first.rule));
    if first.path.is_empty() { error } else { error.at(&first.path) }
}
