//! The thresholds in force, one set per device; they can change while the device runs.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwap;

use crate::{config::Detect, ids::DeviceId};

type Cells = BTreeMap<DeviceId, Arc<ArcSwap<Detect>>>;

/// A handle on the cells of all devices, which whoever judges frames loads each time.
#[derive(Clone, Default)]
pub struct Thresholds(Arc<Mutex<Cells>>);

impl Thresholds {
    /// The cell of a device; a new one has the defaults.
    pub fn of(&self, device: &DeviceId) -> Arc<ArcSwap<Detect>> {
        self.cells().entry(device.clone()).or_default().clone()
    }

    /// True when that changes something.
    pub fn set(&self, device: &DeviceId, detect: Detect) -> bool {
        let cell = self.of(device);
        let changes = **cell.load() != detect;
        if changes {
            cell.store(Arc::new(detect));
        }
        changes
    }

    /// The device is gone. Who holds its cell keeps it.
    pub fn forget(&self, device: &DeviceId) {
        self.cells().remove(device);
    }

    fn cells(&self) -> MutexGuard<'_, Cells> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_is_told() {
        let thresholds = Thresholds::default();
        let (a, b): (DeviceId, DeviceId) = ("a".parse().unwrap(), "b".parse().unwrap());
        let cell = thresholds.of(&a);
        let dark = Detect { black_luma: 20, ..Detect::default() };
        assert!(!thresholds.set(&a, Detect::default()));
        assert!(thresholds.set(&a, dark.clone()) && !thresholds.set(&a, dark));
        assert_eq!((cell.load().black_luma, thresholds.of(&b).load().black_luma), (20, 10));
        thresholds.forget(&a);
        assert_eq!((cell.load().black_luma, thresholds.of(&a).load().black_luma), (20, 10));
    }
}
