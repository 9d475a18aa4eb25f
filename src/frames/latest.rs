//! The newest verdict on a device, for whoever asks.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::{Observation, Witness};
use crate::clock::Mono;

/// One device's; outlives its actors.
#[derive(Default)]
pub struct Latest(ArcSwapOption<Told>);

/// A verdict, and when its frame was seen.
#[derive(Clone, Debug, Default)]
pub struct Told {
    pub observation: Observation,
    pub seen: Mono,
}

impl Latest {
    /// None until a frame was looked at.
    pub fn newest(&self) -> Option<Arc<Told>> {
        self.0.load_full()
    }

    /// What keeps it up to date.
    pub fn witness(self: &Arc<Self>) -> Witness {
        let latest = Arc::clone(self);
        Arc::new(move |observation, frame| {
            let told = Told { observation: observation.clone(), seen: frame.seen };
            latest.0.store(Some(Arc::new(told)));
        })
    }
}
