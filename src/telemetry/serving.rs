//! Metrics of who watches, of kept replies and of refusals under load.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{ClassLabel, DeviceLabel};

#[derive(Clone, Default)]
pub struct ServingMetrics {
    pub viewers: Family<DeviceLabel, Gauge>,
    pub viewer_sessions: Family<DeviceLabel, Counter>,
    pub viewer_refused: Counter,
    pub viewer_forgotten: Counter,
    pub cache_hits: Counter,
    pub cache_misses: Counter,
    pub cache_sets: Counter,
    pub cache_evictions: Counter,
    pub cache_entries: Gauge,
    pub cache_bytes: Gauge,
    pub limited: Family<ClassLabel, Counter>,
    pub overloaded: Family<ClassLabel, Counter>,
}

impl ServingMetrics {
    /// Those who were told to wait, and those there was no place for, of all these classes.
    pub fn refused<const N: usize>(&self, classes: [&'static str; N]) -> (u64, u64) {
        let all = |family: &Family<ClassLabel, Counter>| {
            classes.iter().filter_map(|class| Some(family.get(&ClassLabel { class })?.get())).sum()
        };
        (all(&self.limited), all(&self.overloaded))
    }

    pub(super) fn register(&self, r: &mut Registry) {
        r.register("viewers", "Sessions that watch the device live", self.viewers.clone());
        r.register("viewer_sessions", "Sessions that began", self.viewer_sessions.clone());
        r.register("viewer_refused", "Sessions that had no place", self.viewer_refused.clone());
        r.register(
            "viewer_forgotten",
            "Sessions never written down because the disk took none for long",
            self.viewer_forgotten.clone(),
        );
        r.register("cache_hits", "Replies given again", self.cache_hits.clone());
        r.register("cache_misses", "Replies that had to be made", self.cache_misses.clone());
        r.register("cache_sets", "Replies that were kept", self.cache_sets.clone());
        r.register("cache_evictions", "Kept replies that made room or became old", self.cache_evictions.clone());
        r.register("cache_entries", "Replies that are kept", self.cache_entries.clone());
        r.register("cache_bytes", "Bytes of their bodies", self.cache_bytes.clone());
        r.register("http_limited", "Requests refused because their sender asks too often", self.limited.clone());
        r.register("http_overloaded", "Requests refused because too many are in work", self.overloaded.clone());
    }
}
