//! The thresholds in force, one set per device; they can change while the device runs.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;

use crate::{
    config::{Detect, Settings},
    ids::DeviceId,
};

/// A handle on the cells of all devices, which whoever judges frames loads each time.
#[derive(Clone, Default)]
pub struct Thresholds(Arc<BTreeMap<DeviceId, Arc<ArcSwap<Detect>>>>);

impl Thresholds {
    pub fn new(settings: &Settings) -> Self {
        let cell = |camera| Arc::new(ArcSwap::from_pointee(settings.detect.of(camera)));
        Self(Arc::new(settings.camera.iter().map(|camera| (camera.id.clone(), cell(camera))).collect()))
    }

    /// The cell of a device; of one that is not known, one of its own with the defaults.
    pub fn of(&self, device: &DeviceId) -> Arc<ArcSwap<Detect>> {
        self.0.get(device).cloned().unwrap_or_default()
    }

    /// Puts what other settings say in force; the devices for which that changes something.
    pub fn apply(&self, settings: &Settings) -> Vec<DeviceId> {
        let mut changed = Vec::new();
        for camera in &settings.camera {
            let Some(cell) = self.0.get(&camera.id) else { continue };
            let detect = settings.detect.of(camera);
            if **cell.load() != detect {
                cell.store(Arc::new(detect));
                changed.push(camera.id.clone());
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn only_what_changes_is_told() {
        let camera =
            |id: &str, detect: &str| format!("[[camera]]\nid = \"{id}\"\nsource = {{ kind = \"test\" }}\n{detect}\n");
        let settings = |black_luma: u8, own: &str| {
            let text = format!("[detect]\nblack_luma = {black_luma}\n")
                + &camera("a", own)
                + &camera("b", "detect = { black_luma = 30 }");
            config::parse(&text).unwrap()
        };
        let thresholds = Thresholds::new(&settings(10, ""));
        let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
        let cell = thresholds.of(&a);
        assert_eq!(thresholds.apply(&settings(10, "")), []);
        assert_eq!(thresholds.apply(&settings(20, "")).len(), 1);
        assert_eq!((cell.load().black_luma, thresholds.of(&b).load().black_luma), (20, 30));
        assert_eq!(thresholds.apply(&settings(20, "detect = { silence_db = -60.0 }")), [a]);
        assert_eq!(cell.load().silence_db, -60.0);
    }
}
