//! What people ask of the transcoder: on, off, one file, all, and back.

use std::{path::Path, sync::Arc};

use serde::Serialize;
use slog::info;

use super::{
    candidates::{Failures, Unfit},
    gate::Gate,
    ledger::Entry,
    runner::{Runner, Wanted},
    swap::Swap,
};
use crate::{
    error::{Error, Kind, Result},
    registry::transcode::{self, FailedInput},
    storage::{ChunkEntry, DeviceIndex, Pins},
};
use serde_json::json;

/// Files that wait because somebody named them; one more is refused.
const WANTED_MAX: usize = 256;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Accepted {
    pub success: bool,
    /// Files that somebody asked for, this one included.
    pub queued: usize,
    /// What holds them.
    pub gate: Gate,
}

/// What was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RolledBack {
    pub success: bool,
    pub device: String,
    pub file: String,
    /// Its stable name from now on.
    pub chunk: String,
    pub bytes: u64,
}

/// Everything here may wait for the database or the disk: call it on a thread that may. What is asked for begins with
/// the next turn, a second later at most.
impl Runner {
    /// Whether old footage is encoded anew, over restarts. What runs is finished.
    pub fn set_enabled(&self, enabled: bool) -> Result<()> {
        if enabled && !self.tuning().settings.enabled {
            return Err(Error::new(Kind::Conflict, "transcode.enabled = false in the settings"));
        }
        self.parts.registry.write_now(move |connection| transcode::set_disabled(connection, !enabled))?;
        let mut inner = self.lock();
        if let Some(known) = &mut inner.known {
            known.totals.disabled = !enabled;
        }
        if enabled && matches!(inner.rest, Some((_, Gate::Idle))) {
            inner.rest = None;
        }
        drop(inner);
        info!(self.parts.log, "transcoder switched"; "enabled" => enabled);
        Ok(())
    }

    /// One file, whatever its age and the time of day; never without room, and verified like all.
    pub fn ask_file(&self, file: &Path) -> Result<Accepted> {
        self.is_enabled()?;
        let (index, chunk) = self.find(file)?;
        let pins = (self.parts.pins)().unwrap_or_else(|| Arc::new(Pins::default()));
        let none = Failures::new();
        if let Some(unfit) = self.rules(&pins, &none, true).unfit(index.device(), &chunk) {
            return Err(Error::new(Kind::Conflict, unfit.why()).at(file.display()));
        }
        let wanted = Wanted { device: index.device().clone(), key: chunk.key };
        let mut inner = self.lock();
        if !inner.wanted.contains(&wanted) {
            if inner.wanted.len() >= WANTED_MAX {
                return Err(Error::new(Kind::Unavailable, "too many files wait already"));
            }
            inner.wanted.push_back(wanted);
        }
        Ok(Accepted { success: true, queued: inner.wanted.len(), gate: inner.gate })
    }

    /// Everything that qualifies, without waiting for the next look; with `force` whatever the age and the time of day.
    pub fn ask_all(&self, force: bool) -> Result<Accepted> {
        self.is_enabled()?;
        let mut inner = self.lock();
        inner.force_all |= force;
        inner.rest = None;
        Ok(Accepted { success: true, queued: inner.wanted.len(), gate: inner.gate })
    }

    /// Takes the original back, and remembers that this one stays as recorded.
    pub fn roll_back(&self, file: &Path) -> Result<RolledBack> {
        let (index, chunk) = self.find(file)?;
        if !self.parts.volume.of(chunk.place).is_ok() {
            return Err(Error::new(Kind::Unavailable, Unfit::Away.why()).at(file.display()));
        }
        let kept = index.originals();
        let kept = kept.iter().find(|it| it.key.start_ms == chunk.key.start_ms && it.place == chunk.place).cloned();
        let none = || Error::new(Kind::NotFound, "no original of it is kept").at(file.display());
        let kept = kept.ok_or_else(none)?;
        let name = (index.device().clone(), kept.key);
        let input = FailedInput { bytes: kept.bytes, is_final: true, attempts: 1 };
        let failure = transcode::Failure {
            device: name.0.clone(),
            key: name.1,
            input,
            reason: "rolled_back",
            message: "somebody took the original back".into(),
            at: self.parts.clock.wall(),
        };
        // First, so that a cut in between leaves no chunk that is encoded again tonight.
        self.parts.registry.write_now(move |connection| transcode::save_failure(connection, &failure))?;
        let swap = Swap { volume: &self.parts.volume, index: &index, keeping: self.keeping(&self.tuning()) };
        let restored = match swap.roll_back(&chunk) {
            Ok(restored) => restored,
            Err(error) => {
                self.lock().unsaved.push(Entry::Forget(vec![name]));
                let _ = self.save();
                return Err(error);
            }
        };
        let mut inner = self.lock();
        if let Some(known) = &mut inner.known {
            known.failures.insert(name.clone(), input);
            let totals = &mut known.totals;
            totals.rolled_back += 1;
            totals.files_transcoded = totals.files_transcoded.saturating_sub(1);
            totals.total_original = totals.total_original.saturating_sub(restored.bytes);
            totals.total_transcoded = totals.total_transcoded.saturating_sub(chunk.bytes);
        }
        inner.unsaved.push(Entry::Totals);
        drop(inner);
        let _ = self.save();
        self.parts.metrics.transcode.rollbacks.inc();
        let file = file.display().to_string();
        info!(self.parts.log, "original taken back"; "device" => %name.0, "file" => &file);
        self.tell("job_rolled_back", &name.0, json!({"file": file, "bytes": restored.bytes}));
        let (device, chunk) = (name.0.to_string(), restored.key.file_name());
        Ok(RolledBack { success: true, device, file, chunk, bytes: restored.bytes })
    }

    fn is_enabled(&self) -> Result<()> {
        let disabled = self.lock().known.as_ref().is_some_and(|known| known.totals.disabled);
        match self.tuning().settings.enabled {
            false => Err(Error::new(Kind::Conflict, "transcode.enabled = false in the settings")),
            true if disabled => Err(Error::new(Kind::Conflict, "it is disabled: enable it first")),
            true => Ok(()),
        }
    }

    /// The chunk in a file: an absolute path below the archive's root or the library's, or one relative to it.
    fn find(&self, file: &Path) -> Result<(Arc<DeviceIndex>, Arc<ChunkEntry>)> {
        let volume = &self.parts.volume;
        let below = |root: &Path| {
            let resolved = || file.strip_prefix(std::fs::canonicalize(root).ok()?).ok();
            file.strip_prefix(root).ok().or_else(resolved)
        };
        let relative = match file.is_absolute() {
            false => Some(file),
            true => volume.shelves().find_map(|shelf| below(shelf.root())),
        };
        let outside = || Error::new(Kind::Invalid, "must be a file below the archive's root").at("file");
        let relative = relative.ok_or_else(outside)?;
        let device = relative.components().next().map(|part| part.as_os_str().to_owned()).ok_or_else(outside)?;
        let devices = (self.parts.devices)();
        let index = devices.into_iter().find(|index| index.device().as_str() == device);
        let found = index.and_then(|index| {
            let chunks = index.snapshot();
            let chunk = chunks.iter().find(|chunk| chunk.path(volume.layout(), index.device()) == relative)?.clone();
            Some((index, chunk))
        });
        found.ok_or_else(|| Error::new(Kind::NotFound, "there is no chunk in that file").at(file.display()))
    }
}
