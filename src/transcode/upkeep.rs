//! What the runner does beside its jobs: lets originals go when their time is up, looks for swaps that a cut left
//! half done, forgets failures whose chunks are gone.

use std::{sync::Arc, time::Duration};

use slog::{info, warn};

use super::{heal, ledger::Entry, runner::Runner, swap::Swap};
use crate::{
    clock::Mono,
    storage::{DeviceIndex, Pins, layout::Shelf},
};

const TIDY_EVERY: Duration = Duration::from_secs(600);
/// All folders are listed: a card does that in seconds.
const HEAL_EVERY: Duration = Duration::from_secs(24 * 3600);

impl Runner {
    /// On the runner's thread, while nothing runs.
    pub(super) fn tidy(&self, pins: &Pins) {
        let now = self.parts.clock.mono();
        let is_due = |last: Option<Mono>, every| last.is_none_or(|last| now.since(last) >= every);
        let away = self.parts.volume.library().filter(|away| away.is_ok());
        let mounts = away.map_or(0, |away| away.mounts());
        let (tidy, heal) = {
            let inner = self.lock();
            // What was cut short on a disk that comes back waits for no tomorrow.
            let came = mounts > inner.healed_mounts;
            (is_due(inner.last_tidy, TIDY_EVERY), is_due(inner.last_heal, HEAL_EVERY) || came)
        };
        if !tidy {
            return;
        }
        self.lock().last_tidy = Some(now);
        let devices = (self.parts.devices)();
        if heal {
            self.lock().last_heal = Some(now);
            self.while_on(Shelf::Away, || self.heal(&devices));
            self.lock().healed_mounts = mounts;
        }
        for index in &devices {
            self.expire(index, pins);
        }
        self.forget(&devices);
    }

    /// Puts right what cuts left in the folders of these. At start before anything is listed, and while nothing runs.
    pub fn heal(&self, devices: &[Arc<DeviceIndex>]) {
        let mut troubles = Vec::new();
        for index in devices {
            let (healed, outcome) = heal::device(&self.parts.volume, index, self.keeping(&self.tuning()));
            for one in &healed {
                self.parts.metrics.transcode.healed.inc();
                info!(self.parts.log, "interrupted swap put right"; "device" => %index.device(),
                    "file" => one.path.display().to_string(), "done" => format!("{:?}", one.acts));
            }
            if let Err(error) = outcome {
                warn!(self.parts.log, "interrupted swap cannot be put right"; "device" => %index.device(),
                    "error" => %error);
                troubles.push(format!("{}: {error}", index.device()));
            }
        }
        self.lock().troubles = troubles;
    }

    fn expire(&self, index: &DeviceIndex, pins: &Pins) {
        let moment = self.parts.retention.now();
        let swap = Swap { volume: &self.parts.volume, index, keeping: self.keeping(&self.tuning()) };
        for original in index.originals().iter() {
            let pinned = pins.hold_original(index.device(), original.start, original.end, moment.wall);
            if pinned || !self.parts.volume.of(original.place).is_ok() {
                continue;
            }
            match self.while_at(original.place, || swap.expire(original, moment.for_ages())) {
                Ok(true) => self.parts.metrics.transcode.originals_expired.inc(),
                Ok(false) => continue,
                Err(error) => {
                    warn!(self.parts.log, "original not deleted"; "device" => %index.device(), "error" => %error);
                    return;
                }
            };
        }
        let kept = self.originals();
        let metrics = &self.parts.metrics.transcode;
        metrics.originals.set(i64::try_from(kept.count).unwrap_or(i64::MAX));
        metrics.originals_bytes.set(i64::try_from(kept.bytes).unwrap_or(i64::MAX));
    }

    /// A volume that is away takes its chunks out of the lists: nothing is forgotten then.
    fn forget(&self, devices: &[Arc<DeviceIndex>]) {
        if !self.parts.volume.shelves().all(|shelf| shelf.is_ok()) {
            return;
        }
        let mut inner = self.lock();
        let Some(known) = &mut inner.known else { return };
        let is_there = |(device, key): &(_, _)| {
            devices.iter().any(|index| index.device() == device && index.snapshot().get(key).is_some())
        };
        let gone: Vec<_> = known.failures.keys().filter(|name| !is_there(name)).cloned().collect();
        if gone.is_empty() {
            return;
        }
        for name in &gone {
            known.failures.remove(name);
        }
        inner.unsaved.push(Entry::Forget(gone));
        drop(inner);
        let _ = self.save();
    }
}
