//! Wakes a device's stages when files of theirs arrive, and hands the thumbnails to the frame queue.

use std::sync::Arc;

use super::Device;
use crate::{
    archive::Arrived,
    capture::{Arrivals, Thumbnail},
    frames::FrameArrived,
    ids::SegmentKey,
    merge::SegmentArrived,
    storage::{HotSegment, layout::PictureKind},
};

/// What the watcher tells of a device. Refused wake-ups are no loss: each actor looks for itself every second.
pub struct Doorbell {
    device: Arc<Device>,
    /// The newest thumbnail of the daemon before: nobody needs a verdict on it.
    before: SegmentKey,
}

impl Doorbell {
    /// Once the books of hot are open, and before the device is watched.
    pub fn new(device: Arc<Device>) -> Self {
        let newest = device.hot.newest_picture(PictureKind::Thumbnail);
        Self { device, before: newest.map(|picture| picture.key).unwrap_or_default() }
    }
}

impl Arrivals for Doorbell {
    fn segment(&self, segment: Option<&HotSegment>) {
        let device = &self.device;
        if let (Some(watching), Some(segment)) = (&device.watching, segment) {
            watching.run_clock().segment(segment);
        }
        let _ = device.archiver.try_send(Arrived);
        let _ = device.merger.try_send(SegmentArrived);
    }

    fn last_thumbnail(&self) -> Option<SegmentKey> {
        self.device.watching.as_ref().map(|watching| watching.last().unwrap_or(self.before))
    }

    fn thumbnail(&self, thumbnail: Thumbnail, unnoticed: &[SegmentKey]) {
        let Some(watching) = &self.device.watching else { return };
        watching.unnoticed(unnoticed, thumbnail.arrived);
        watching.arrived(thumbnail.key, thumbnail.arrived, thumbnail.jpeg);
        let _ = self.device.frames.try_send(FrameArrived);
    }
}
