//! Decides, purely, which hot files go: by count and age as configured, by bytes so that the tmpfs never overflows.

use std::time::Duration;

use crate::{
    config::{Camera, Settings},
    ids::SegmentKey,
    storage::layout::{HotKind, PictureKind},
};

/// What one device may keep in hot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HotLimits {
    /// The live window: committed segments beyond the newest so many go.
    pub segments: usize,
    /// Committed segments older than this go as well.
    pub segment_max_age: Option<Duration>,
    pub captures: usize,
    pub thumbnails: usize,
    /// All bytes of the device in hot; the only limit that uncommitted segments know.
    pub device_bytes: u64,
}

impl HotLimits {
    /// `[hot]` with the camera's `live` on top.
    pub fn of(settings: &Settings, camera: &Camera) -> Self {
        let hot = &settings.hot;
        let max_age = camera.live.max_age.unwrap_or(hot.segment_max_age);
        Self {
            segments: camera.live.segments.unwrap_or(hot.segments) as usize,
            segment_max_age: (max_age > 0).then(|| Duration::from_secs(max_age.into())),
            captures: hot.captures as usize,
            thumbnails: hot.thumbnails as usize,
            device_bytes: hot.device_bytes.0,
        }
    }

    /// Where shedding by bytes begins: a sixteenth below the quota, room for the files FFmpeg is just writing.
    pub fn shed_above_bytes(&self) -> u64 {
        self.device_bytes - self.device_bytes / 16
    }

    pub fn pictures(&self, kind: PictureKind) -> usize {
        match kind {
            PictureKind::Capture => self.captures,
            PictureKind::Thumbnail => self.thumbnails,
        }
    }
}

/// A segment as the plan sees it.
#[derive(Clone, Copy, Debug)]
pub struct SegmentView {
    pub key: SegmentKey,
    pub bytes: u64,
    pub age: Duration,
    pub committed: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct PictureView {
    pub key: SegmentKey,
    pub bytes: u64,
    /// It proves an incident and was not copied yet.
    pub leased: bool,
}

/// One file to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shed {
    pub kind: HotKind,
    pub key: SegmentKey,
    /// It was never committed: footage is lost.
    pub lost: bool,
}

/// What must go. Each list is in recording order, oldest first.
///
/// Order of need (design §9): committed segments of the live window, thumbnails, captures, leased pictures, the oldest
/// uncommitted segment. Counts do not know leased pictures. The newest picture of each kind stays in any case: its successor is here 200 ms later, so deleting it
/// frees nothing that lasts, and people would see a dead camera.
pub fn plan(
    segments: &[SegmentView],
    thumbnails: &[PictureView],
    captures: &[PictureView],
    limits: &HotLimits,
) -> Vec<Shed> {
    let mut plan = Plan {
        bytes: segments.iter().map(|segment| segment.bytes).sum::<u64>()
            + thumbnails.iter().chain(captures).map(|picture| picture.bytes).sum::<u64>(),
        shed: Vec::new(),
    };
    let outside_window = segments.len().saturating_sub(limits.segments);
    let over_age = |segment: &SegmentView| limits.segment_max_age.is_some_and(|max| segment.age > max);
    let mut window = Vec::new();
    for (i, segment) in segments.iter().enumerate().filter(|(_, segment)| segment.committed) {
        if i < outside_window || over_age(segment) {
            plan.take(HotKind::Segment, segment.key, segment.bytes, false);
        } else {
            window.push(segment);
        }
    }
    let thumbnails = plan.beyond_count(PictureKind::Thumbnail, thumbnails, limits);
    let captures = plan.beyond_count(PictureKind::Capture, captures, limits);
    let mut leased = Vec::new();

    let floor = limits.shed_above_bytes();
    for segment in window {
        plan.take_above(floor, HotKind::Segment, segment.key, segment.bytes, false);
    }
    for (kind, pictures) in [(PictureKind::Thumbnail, thumbnails), (PictureKind::Capture, captures)] {
        for picture in pictures.split_last().map_or(&[][..], |(_newest, older)| older) {
            if picture.leased {
                leased.push((kind, *picture));
            } else {
                plan.take_above(floor, HotKind::Picture(kind), picture.key, picture.bytes, false);
            }
        }
    }
    for (kind, picture) in leased {
        plan.take_above(floor, HotKind::Picture(kind), picture.key, picture.bytes, false);
    }
    for segment in segments.iter().filter(|segment| !segment.committed) {
        plan.take_above(floor, HotKind::Segment, segment.key, segment.bytes, true);
    }
    plan.shed
}

struct Plan {
    bytes: u64,
    shed: Vec<Shed>,
}

impl Plan {
    fn take(&mut self, kind: HotKind, key: SegmentKey, bytes: u64, lost: bool) {
        self.bytes = self.bytes.saturating_sub(bytes);
        self.shed.push(Shed { kind, key, lost });
    }

    fn take_above(&mut self, floor_bytes: u64, kind: HotKind, key: SegmentKey, bytes: u64, lost: bool) {
        if self.bytes > floor_bytes {
            self.take(kind, key, bytes, lost);
        }
    }

    /// Takes the oldest pictures beyond the configured count; returns those that stay.
    fn beyond_count(&mut self, kind: PictureKind, pictures: &[PictureView], limits: &HotLimits) -> Vec<PictureView> {
        let free = pictures.iter().filter(|picture| !picture.leased).count();
        let mut over = free.saturating_sub(limits.pictures(kind));
        let mut stay = Vec::with_capacity(pictures.len() - over);
        for picture in pictures {
            if over > 0 && !picture.leased {
                over -= 1;
                self.take(HotKind::Picture(kind), picture.key, picture.bytes, false);
            } else {
                stay.push(*picture);
            }
        }
        stay
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Epoch;

    fn key(number: u64) -> SegmentKey {
        SegmentKey { epoch: Epoch(1), number }
    }

    /// `"cc.."`: two committed segments, then two waiting ones; 10 bytes each, one second apart.
    fn segments(stages: &str) -> Vec<SegmentView> {
        let newest = stages.len() as u64;
        let view = |(i, stage)| SegmentView {
            key: key(i),
            bytes: 10,
            age: Duration::from_secs(newest - i),
            committed: stage == 'c',
        };
        stages.chars().enumerate().map(|(i, stage)| view((i as u64, stage))).collect()
    }

    fn pictures(count: u64) -> Vec<PictureView> {
        (0..count).map(|i| PictureView { key: key(i), bytes: 10, leased: false }).collect()
    }

    const WIDE: HotLimits =
        HotLimits { segments: 100, segment_max_age: None, captures: 100, thumbnails: 100, device_bytes: 1 << 20 };

    /// The plan as text: `s0` a segment, `!s0` a lost one, `t0` a thumbnail, `c0` a capture.
    fn check(stages: &str, thumbnails: u64, captures: u64, limits: HotLimits, expected: &str) {
        check_leased(stages, thumbnails, captures, &[], limits, expected);
    }

    /// With these captures leased.
    fn check_leased(stages: &str, thumbnails: u64, captures: u64, leased: &[u64], limits: HotLimits, expected: &str) {
        let mut views = pictures(captures);
        views.iter_mut().for_each(|view| view.leased = leased.contains(&view.key.number));
        let plan = plan(&segments(stages), &pictures(thumbnails), &views, &limits);
        let text: Vec<String> = plan
            .iter()
            .map(|shed| {
                let kind = match shed.kind {
                    HotKind::Segment => "s",
                    HotKind::Picture(PictureKind::Thumbnail) => "t",
                    HotKind::Picture(PictureKind::Capture) => "c",
                };
                format!("{}{kind}{}", if shed.lost { "!" } else { "" }, shed.key.number)
            })
            .collect();
        assert_eq!(text.join(" "), expected, "{stages} {thumbnails} {captures}");
    }

    #[test]
    fn counts_and_ages_touch_committed_segments_only() {
        check("cccc", 2, 2, WIDE, "");
        check("cccc..", 0, 0, HotLimits { segments: 3, ..WIDE }, "s0 s1 s2");
        check("......", 0, 0, HotLimits { segments: 3, ..WIDE }, "");
        check("c.c.c.", 0, 0, HotLimits { segments: 3, ..WIDE }, "s0 s2");
        check("cccc..", 0, 0, HotLimits { segment_max_age: Some(Duration::from_secs(4)), ..WIDE }, "s0 s1");
        check("......", 0, 0, HotLimits { segment_max_age: Some(Duration::from_secs(1)), ..WIDE }, "");
        check("", 3, 4, HotLimits { thumbnails: 2, captures: 1, ..WIDE }, "t0 c0 c1 c2");
    }

    #[test]
    fn bytes_are_shed_in_order_of_need() {
        // Files of 10 bytes; shedding begins above quota - quota / 16: 60, 51, 42, 30, 1 and 21 bytes here.
        let quota = |device_bytes| HotLimits { device_bytes, ..WIDE };
        check("cc..", 1, 1, quota(64), "");
        check("cc..", 2, 2, quota(64), "s0 s1");
        check("cc..", 2, 2, quota(54), "s0 s1 t0");
        check("cc..", 2, 2, quota(44), "s0 s1 t0 c0");
        check("cc..", 2, 2, quota(32), "s0 s1 t0 c0 !s2");
        check("cc..", 2, 2, quota(1), "s0 s1 t0 c0 !s2 !s3");
        check("....", 0, 0, quota(22), "!s0 !s1");
    }

    #[test]
    fn leased_pictures_outlive_their_count_and_go_last_before_footage() {
        let count = HotLimits { captures: 2, ..WIDE };
        check_leased("", 0, 5, &[0, 3], count, "c1");
        check_leased("", 0, 4, &[0, 1, 2, 3], count, "");
        let quota = |device_bytes| HotLimits { device_bytes, ..WIDE };
        check_leased("cc..", 2, 4, &[0], quota(32), "s0 s1 t0 c1 c2 c0 !s2");
        check_leased("cc..", 2, 4, &[0], quota(54), "s0 s1 t0 c1 c2");
    }
}
