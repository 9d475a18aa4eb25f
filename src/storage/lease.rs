//! Pictures in hot that are still needed: leased, they are not deleted by count, and by bytes only before footage is.

use std::{fs::File, sync::Arc};

use super::{
    hot::HotDevice,
    layout::{HotKind, PictureKind},
};
use crate::{error::Result, ids::SegmentKey};

/// Leases of one device at a time: first and worst frame of each kind of incident. More would eat the live pictures.
pub const LEASES_MAX: usize = 8;

/// Keeps a picture in hot until dropped.
pub struct Lease {
    hot: Arc<HotDevice>,
    kind: PictureKind,
    key: SegmentKey,
}

impl Lease {
    /// None when the picture is not there, or [`LEASES_MAX`] are given.
    pub fn of(hot: &Arc<HotDevice>, kind: PictureKind, key: SegmentKey) -> Option<Self> {
        hot.lease(kind, key).then(|| Self { hot: hot.clone(), kind, key })
    }

    pub fn kind(&self) -> PictureKind {
        self.kind
    }

    pub fn key(&self) -> SegmentKey {
        self.key
    }

    /// Fails with [`crate::error::Kind::Gone`] when bytes were so short that even this had to go.
    pub fn open(&self) -> Result<File> {
        self.hot.open(HotKind::Picture(self.kind), self.key)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.hot.release_lease(self.kind, self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{Clock, Utc90k},
        ids::Epoch,
        storage::{HotLayout, HotLimits},
        telemetry::Metrics,
    };

    fn key(number: u64) -> SegmentKey {
        SegmentKey { epoch: Epoch(1), number }
    }

    #[test]
    fn a_leased_picture_stays_until_it_is_given_back() {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let layout = HotLayout::new(folder.path());
        let limits =
            HotLimits { segments: 5, segment_max_age: None, captures: 3, thumbnails: 3, device_bytes: 1 << 20 };
        let (id, clock) = ("cam".parse().unwrap(), Clock::system());
        let metrics = Metrics::new().device(&id);
        let hot = Arc::new(HotDevice::new(id, layout.clone(), limits, clock, metrics));
        hot.prepare().unwrap();
        let file = |number| layout.file(hot.id(), HotKind::Picture(PictureKind::Capture), key(number));
        let arrive = |number| {
            std::fs::write(file(number), b"jpeg").unwrap();
            hot.picture_arrived(PictureKind::Capture, key(number), 4, Utc90k::from_seconds(1));
            hot.evict();
        };
        arrive(20);
        arrive(40);
        let nearest = |at: SegmentKey, until: u64| hot.nearest_picture(PictureKind::Capture, at, at..=key(until));
        assert_eq!(nearest(key(29), 29), Some(key(20)));
        assert_eq!(nearest(key(29), 50), Some(key(40)), "what was taken during the trouble proves it");
        assert_eq!(nearest(key(99), 99), Some(key(40)));
        assert_eq!(nearest(SegmentKey { epoch: Epoch(2), number: 20 }, 0), None);
        assert!(Lease::of(&hot, PictureKind::Capture, key(30)).is_none(), "was never there");

        let lease = Lease::of(&hot, PictureKind::Capture, key(20)).unwrap();
        let again = Lease::of(&hot, PictureKind::Capture, key(20)).unwrap();
        (3..10).for_each(|i| arrive(i * 20));
        assert!(file(20).exists() && !file(40).exists() && lease.open().is_ok());
        assert_eq!(hot.status().captures, 4, "three live ones and the leased one");
        drop(lease);
        arrive(200);
        assert!(file(20).exists(), "leased twice");
        drop(again);
        arrive(220);
        assert!(!file(20).exists());

        let leases: Vec<_> = (0..10).filter_map(|_| Lease::of(&hot, PictureKind::Capture, key(220))).collect();
        assert_eq!(leases.len(), LEASES_MAX);
    }
}
