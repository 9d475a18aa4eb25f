//! The runner's books: what is known comes from the database, and what a job came to goes there before the next begins.

use super::{Failure, Job, Made, Reason, runner::Runner};
use crate::{
    error::Result,
    ids::DeviceId,
    registry::transcode::{self, FailedInput, Totals},
    storage::layout::ChunkKey,
};

/// What the database is to be told.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Entry {
    /// As they are when they are written.
    Totals,
    Failed(transcode::Failure),
    Forget(Vec<(DeviceId, ChunkKey)>),
}

/// A message may hold FFmpeg's last words.
const MESSAGE_CHARS_MAX: usize = 400;

impl Runner {
    /// Reads what is not known yet and writes what waits; false while the database gives or takes nothing.
    pub(super) fn settle_books(&self) -> bool {
        if self.lock().known.is_none() {
            let Ok(known) = self.parts.registry.transcoding() else { return false };
            let metrics = &self.parts.metrics.transcode;
            metrics.savings_percent.set(known.totals.savings_percent().unwrap_or(0.0));
            self.lock().known = Some(known);
        }
        self.save().is_ok()
    }

    /// Everything in one transaction, or nothing.
    pub(super) fn save(&self) -> Result<()> {
        let (entries, totals) = {
            let inner = self.lock();
            let Some(known) = inner.known.as_ref().filter(|_| !inner.unsaved.is_empty()) else { return Ok(()) };
            (inner.unsaved.clone(), known.totals.clone())
        };
        let count = entries.len();
        self.parts.registry.write_now(move |connection| {
            entries.iter().try_for_each(|entry| match entry {
                Entry::Totals => transcode::save_totals(connection, &totals),
                Entry::Failed(failure) => transcode::save_failure(connection, failure),
                Entry::Forget(gone) => transcode::forget(connection, gone),
            })
        })?;
        self.lock().unsaved.drain(..count);
        Ok(())
    }

    /// What a job came to, and what it wrote on its way there.
    pub(super) fn book(&self, job: &Job, outcome: &Result<Made, Failure>, written_bytes: u64) {
        let (day, now) = (self.day(), self.parts.clock.wall());
        let key = (job.device.clone(), job.source.key);
        let mut inner = self.lock();
        let Some(known) = &mut inner.known else { return };
        known.totals.write(day, written_bytes);
        let mut entries = vec![Entry::Totals];
        match outcome {
            Ok(made) => {
                let totals = &mut known.totals;
                totals.files_transcoded += 1;
                totals.total_original += job.source.bytes;
                totals.total_transcoded += made.entry.bytes;
                totals.last = Some(now.0);
                if known.failures.remove(&key).is_some() {
                    entries.push(Entry::Forget(vec![key]));
                }
            }
            Err(failure) => {
                count(&mut known.totals, failure.reason);
                let before = known.failures.get(&key).filter(|before| before.bytes == job.source.bytes);
                let input = FailedInput {
                    bytes: job.source.bytes,
                    is_final: failure.reason.is_final(),
                    attempts: before.map_or(0, |before| before.attempts) + 1,
                };
                if input.is_final || failure.reason == Reason::Time {
                    known.failures.insert(key.clone(), input);
                    entries.push(Entry::Failed(transcode::Failure {
                        device: key.0,
                        key: key.1,
                        input,
                        reason: failure.reason.name(),
                        message: failure.message.chars().take(MESSAGE_CHARS_MAX).collect(),
                        at: now,
                    }));
                }
            }
        }
        let savings = known.totals.savings_percent().unwrap_or(0.0);
        self.parts.metrics.transcode.savings_percent.set(savings);
        inner.unsaved.extend(entries);
        drop(inner);
        // What the disk does not take now is tried before the next job.
        let _ = self.save();
    }
}

/// What somebody stopped is no error.
fn count(totals: &mut Totals, reason: Reason) {
    if reason != Reason::Cancelled {
        *totals.errors.entry(reason.name().to_owned()).or_default() += 1;
    }
}
