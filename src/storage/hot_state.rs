//! The books behind [`super::hot::HotDevice`]: pure bookkeeping of segments and pictures, no files.

use std::{
    collections::BTreeMap,
    ops::{Bound, RangeInclusive},
    time::Duration,
};

use crate::{
    clock::{Mono, TICKS_PER_SECOND, Utc90k},
    ids::{Epoch, SegmentKey},
    storage::{
        hot::{Evicted, HotPicture, HotSegment, HotStatus, timing},
        layout::{HotKind, PictureKind},
        lease::LEASES_MAX,
        live::LiveList,
        shed::{self, HotLimits, PictureView, SegmentView, Shed},
    },
    telemetry::{DeviceMetrics, LossReason},
};

/// Pictures looked at to learn how often they come.
const INTERVALS: usize = 5;

/// Where a segment stands on its way to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Waiting,
    /// A commit job has it.
    Claimed,
    /// A commit job has it, and its file was shed meanwhile.
    ClaimedGone,
    /// Durable, or given up: only the live window keeps it.
    Done,
}

struct Held {
    segment: HotSegment,
    stage: Stage,
    seen: Mono,
    /// How old it was when first seen: more than nothing after a restart.
    age_then: Duration,
}

struct Picture {
    bytes: u64,
    arrived: Utc90k,
    seen: Mono,
    age_then: Duration,
}

impl Picture {
    fn told(&self, kind: PictureKind, key: SegmentKey, now: Mono, interval: Option<Duration>) -> HotPicture {
        let age = self.age_then + now.since(self.seen);
        HotPicture { kind, key, bytes: self.bytes, arrived: self.arrived, age, interval }
    }
}

pub(super) struct State {
    pub limits: HotLimits,
    /// None until the first scan has told which numbers are taken.
    pub live: Option<LiveList>,
    segments: BTreeMap<SegmentKey, Held>,
    captures: BTreeMap<SegmentKey, Picture>,
    thumbnails: BTreeMap<SegmentKey, Picture>,
    /// One entry per lease; the same picture may have several.
    leases: Vec<(PictureKind, SegmentKey)>,
    bytes: u64,
    committed_up_to: Option<SegmentKey>,
    highest_epoch: Option<Epoch>,
    losing: bool,
}

impl State {
    pub fn new(limits: HotLimits) -> Self {
        Self {
            limits,
            live: None,
            segments: BTreeMap::new(),
            captures: BTreeMap::new(),
            thumbnails: BTreeMap::new(),
            leases: Vec::new(),
            bytes: 0,
            committed_up_to: None,
            highest_epoch: None,
            losing: false,
        }
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn knows(&self, kind: HotKind, key: SegmentKey) -> bool {
        match kind {
            HotKind::Segment => self.segments.contains_key(&key),
            HotKind::Picture(kind) => self.pictures(kind).contains_key(&key),
        }
    }

    /// In the books, and not shed meanwhile.
    pub fn holds_segment(&self, key: SegmentKey) -> bool {
        self.segments.get(&key).is_some_and(|held| held.stage != Stage::ClaimedGone)
    }

    /// Keys in the books that are not in `found` (sorted).
    pub fn missing(&self, kind: HotKind, found: &[SegmentKey]) -> Vec<SegmentKey> {
        let absent = |key: &SegmentKey| found.binary_search(key).is_err();
        match kind {
            HotKind::Segment => {
                let on_disk = |held: &Held| held.stage != Stage::ClaimedGone;
                let held = self.segments.iter().filter(|(_, held)| on_disk(held));
                held.map(|(key, _)| *key).filter(absent).collect()
            }
            HotKind::Picture(kind) => self.pictures(kind).keys().copied().filter(absent).collect(),
        }
    }

    pub fn add_segment(&mut self, segment: HotSegment, seen: Mono, age_then: Duration) {
        let key = segment.key;
        self.see(key);
        self.bytes += segment.bytes;
        if let Some(live) = &mut self.live {
            live.push(key, timing(&segment));
        }
        let done = self.committed_up_to.is_some_and(|upto| key <= upto);
        let stage = if done { Stage::Done } else { Stage::Waiting };
        self.segments.insert(key, Held { segment, stage, seen, age_then });
    }

    pub fn add_picture(
        &mut self,
        kind: PictureKind,
        key: SegmentKey,
        bytes: u64,
        arrived: Utc90k,
        seen: Mono,
        age_then: Duration,
    ) {
        self.see(key);
        self.bytes += bytes;
        self.pictures_mut(kind).insert(key, Picture { bytes, arrived, seen, age_then });
    }

    /// Takes a file out of the books and off the playlist.
    pub fn forget(&mut self, kind: HotKind, key: SegmentKey) {
        let bytes = match kind {
            HotKind::Segment => {
                if let Some(live) = &mut self.live {
                    live.remove(key);
                }
                match self.segments.remove(&key) {
                    Some(held) if held.stage == Stage::ClaimedGone => None,
                    held => held.map(|held| held.segment.bytes),
                }
            }
            HotKind::Picture(kind) => self.pictures_mut(kind).remove(&key).map(|picture| picture.bytes),
        };
        self.bytes = self.bytes.saturating_sub(bytes.unwrap_or(0));
    }

    pub fn segments(&self) -> impl Iterator<Item = &HotSegment> {
        self.segments.values().map(|held| &held.segment)
    }

    pub fn in_stage(&self, stage: Stage) -> Vec<HotSegment> {
        let held = self.segments.values().filter(|held| held.stage == stage);
        held.map(|held| held.segment.clone()).collect()
    }

    pub fn uncommitted_bytes(&self) -> u64 {
        let waits = |held: &&Held| matches!(held.stage, Stage::Waiting | Stage::Claimed);
        self.segments.values().filter(waits).map(|held| held.segment.bytes).sum()
    }

    pub fn claim(&mut self, at_most: usize) -> Vec<HotSegment> {
        let waiting = self.segments.values_mut().filter(|held| held.stage == Stage::Waiting).take(at_most);
        waiting
            .map(|held| {
                held.stage = Stage::Claimed;
                held.segment.clone()
            })
            .collect()
    }

    pub fn commit(&mut self, keys: &[SegmentKey]) {
        for key in keys {
            match self.segments.get_mut(key) {
                Some(held) if held.stage == Stage::ClaimedGone => drop(self.segments.remove(key)),
                Some(held) => held.stage = Stage::Done,
                None => {}
            }
        }
        self.losing &= self.uncommitted_bytes() > self.limits.shed_above_bytes() / 2;
    }

    pub fn commit_up_to(&mut self, upto: SegmentKey) {
        self.committed_up_to = self.committed_up_to.max(Some(upto));
        let keys: Vec<_> = self.segments.range(..=upto).map(|(key, _)| *key).collect();
        self.commit(&keys);
    }

    pub fn release(&mut self, keys: &[SegmentKey], metrics: &DeviceMetrics) {
        for key in keys {
            match self.segments.get_mut(key) {
                Some(held) if held.stage == Stage::Claimed => held.stage = Stage::Waiting,
                Some(held) if held.stage == Stage::ClaimedGone => self.lose(*key, LossReason::hot_full, metrics),
                _ => {}
            }
        }
    }

    /// Counts a segment's seconds as lost unless it is done with; nothing waits for it afterwards.
    pub fn lose(&mut self, key: SegmentKey, reason: LossReason, metrics: &DeviceMetrics) {
        let Some(held) = self.segments.get_mut(&key).filter(|held| held.stage != Stage::Done) else { return };
        // Shed by us while a job had it: then that is why, whatever the job saw.
        let gone = held.stage == Stage::ClaimedGone;
        let reason = if gone { LossReason::hot_full } else { reason };
        metrics.lost(reason).inc_by(held.segment.duration_90k as f64 / TICKS_PER_SECOND as f64);
        held.stage = Stage::Done;
        if gone {
            self.segments.remove(&key);
        }
    }

    /// Plans and takes out of the books what must go; the caller deletes the files.
    pub fn shed(&mut self, now: Mono, metrics: &DeviceMetrics) -> (Vec<Shed>, Evicted) {
        if self.is_within_limits() {
            return <_>::default();
        }
        let view = |held: &Held| SegmentView {
            key: held.segment.key,
            bytes: held.segment.bytes,
            age: held.age_then + now.since(held.seen),
            committed: held.stage == Stage::Done,
        };
        let on_disk = self.segments.values().filter(|held| held.stage != Stage::ClaimedGone);
        let segments: Vec<_> = on_disk.map(view).collect();
        let pictures = |kind: PictureKind| -> Vec<PictureView> {
            let leased = |key: SegmentKey| self.leases.contains(&(kind, key));
            let view = |(key, picture): (&SegmentKey, &Picture)| PictureView {
                key: *key,
                bytes: picture.bytes,
                leased: leased(*key),
            };
            self.pictures(kind).iter().map(view).collect()
        };
        let (thumbnails, captures) = (pictures(PictureKind::Thumbnail), pictures(PictureKind::Capture));
        let plan = shed::plan(&segments, &thumbnails, &captures, &self.limits);
        let before = self.bytes;
        let mut evicted = Evicted::default();
        for file in &plan {
            match file.kind {
                HotKind::Segment => evicted.segments += 1,
                HotKind::Picture(_) => evicted.pictures += 1,
            }
            if file.lost {
                self.losing = true;
                evicted.shed += 1;
                evicted.shed_90k += self.segments.get(&file.key).map_or(0, |held| held.segment.duration_90k);
                self.shed_uncommitted(file.key, metrics);
            } else {
                self.forget(file.kind, file.key);
            }
        }
        evicted.bytes = before - self.bytes;
        (plan, evicted)
    }

    /// The usual case between two commits, told without listing anything: this is asked ten times a second.
    fn is_within_limits(&self) -> bool {
        let limits = &self.limits;
        self.segments.len() <= limits.segments
            && limits.segment_max_age.is_none()
            && self.captures.len() <= limits.captures + self.leased(PictureKind::Capture)
            && self.thumbnails.len() <= limits.thumbnails + self.leased(PictureKind::Thumbnail)
            && self.bytes <= limits.shed_above_bytes()
    }

    /// Pictures with a lease.
    fn leased(&self, kind: PictureKind) -> usize {
        let first = |(at, lease): &(usize, &(PictureKind, SegmentKey))| {
            lease.0 == kind && self.leases.iter().position(|other| other == *lease) == Some(*at)
        };
        self.leases.iter().enumerate().filter(first).count()
    }

    fn shed_uncommitted(&mut self, key: SegmentKey, metrics: &DeviceMetrics) {
        let Some(held) = self.segments.get_mut(&key) else { return };
        if held.stage == Stage::Claimed {
            self.bytes = self.bytes.saturating_sub(held.segment.bytes);
            held.stage = Stage::ClaimedGone;
            if let Some(live) = &mut self.live {
                live.remove(key);
            }
        } else {
            self.lose(key, LossReason::hot_full, metrics);
            self.forget(HotKind::Segment, key);
        }
    }

    pub fn pictures_after(&self, kind: PictureKind, key: Option<SegmentKey>) -> Vec<(SegmentKey, Utc90k)> {
        let from = key.map_or(Bound::Unbounded, Bound::Excluded);
        let pictures = self.pictures(kind).range((from, Bound::Unbounded));
        pictures.map(|(key, picture)| (*key, picture.arrived)).collect()
    }

    pub fn nearest_picture(
        &self,
        kind: PictureKind,
        key: SegmentKey,
        among: RangeInclusive<SegmentKey>,
    ) -> Option<SegmentKey> {
        let pictures = self.pictures(kind);
        let distance = |near: &SegmentKey| near.number.abs_diff(key.number);
        if among.start() <= among.end()
            && let Some(near) = pictures.range(among).map(|(near, _)| *near).min_by_key(distance)
        {
            return Some(near);
        }
        let [before, after] = [pictures.range(..=key).next_back(), pictures.range(key..).next()];
        let near = [before, after].into_iter().flatten().map(|(near, _)| *near);
        near.filter(|near| near.epoch == key.epoch).min_by_key(distance)
    }

    pub fn lease(&mut self, kind: PictureKind, key: SegmentKey) -> bool {
        let granted = self.leases.len() < LEASES_MAX && self.pictures(kind).contains_key(&key);
        if granted {
            self.leases.push((kind, key));
        }
        granted
    }

    pub fn release_lease(&mut self, kind: PictureKind, key: SegmentKey) {
        if let Some(at) = self.leases.iter().position(|lease| *lease == (kind, key)) {
            self.leases.swap_remove(at);
        }
    }

    pub fn newest_picture(&self, kind: PictureKind, now: Mono) -> Option<HotPicture> {
        let (key, picture) = self.pictures(kind).last_key_value()?;
        Some(picture.told(kind, *key, now, self.picture_interval(kind)))
    }

    pub fn pictures_since(&self, kind: PictureKind, key: SegmentKey, now: Mono) -> Vec<HotPicture> {
        let interval = self.picture_interval(kind);
        let behind = self.pictures(kind).range((Bound::Excluded(key), Bound::Unbounded));
        behind.map(|(key, picture)| picture.told(kind, *key, now, interval)).collect()
    }

    /// The median of the last few, so that one hiccup does not count, within the newest run.
    fn picture_interval(&self, kind: PictureKind) -> Option<Duration> {
        let pictures = self.pictures(kind);
        let epoch = pictures.last_key_value()?.0.epoch;
        let newest_first = pictures.iter().rev().take_while(|(key, _)| key.epoch == epoch).take(INTERVALS + 1);
        let arrived: Vec<Utc90k> = newest_first.map(|(_, picture)| picture.arrived).collect();
        let mut ticks: Vec<i64> = arrived.iter().zip(arrived.iter().skip(1)).map(|(new, old)| *new - *old).collect();
        ticks.sort_unstable();
        let median = u64::try_from(*ticks.get(ticks.len() / 2)?).ok()?;
        Some(Duration::from_micros(median.saturating_mul(100) / 9))
    }

    pub fn highest_epoch(&self) -> Option<Epoch> {
        self.highest_epoch
    }

    pub fn status(&self, now: Mono) -> HotStatus {
        let waits = |held: &&Held| matches!(held.stage, Stage::Waiting | Stage::Claimed);
        let newest = self.segments.last_key_value().map(|(_, held)| held.age_then + now.since(held.seen));
        let oldest = self.segments.values().find(waits).map(|held| held.age_then + now.since(held.seen));
        let picture = [PictureKind::Capture, PictureKind::Thumbnail]
            .into_iter()
            .filter_map(|kind| self.newest_picture(kind, now).map(|picture| picture.age))
            .min();
        HotStatus {
            segments: self.segments.values().filter(|held| held.stage != Stage::ClaimedGone).count(),
            waiting: self.segments.values().filter(waits).count(),
            captures: self.captures.len(),
            thumbnails: self.thumbnails.len(),
            bytes: self.bytes,
            waiting_bytes: self.uncommitted_bytes(),
            quota_bytes: self.limits.device_bytes,
            newest_segment_age_seconds: newest.map(|age| age.as_secs_f64()),
            oldest_waiting_age_seconds: oldest.map(|age| age.as_secs_f64()),
            newest_picture_age_seconds: picture.map(|age| age.as_secs_f64()),
            losing: self.losing,
        }
    }

    pub fn account(&self, metrics: &DeviceMetrics) {
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        metrics.hot_bytes.set(i64::try_from(self.bytes).unwrap_or(i64::MAX));
        metrics.hot_segments.set(count(self.segments.len()));
        metrics.hot_captures.set(count(self.captures.len()));
        metrics.hot_thumbnails.set(count(self.thumbnails.len()));
    }

    fn see(&mut self, key: SegmentKey) {
        self.highest_epoch = self.highest_epoch.max(Some(key.epoch));
    }

    fn pictures(&self, kind: PictureKind) -> &BTreeMap<SegmentKey, Picture> {
        match kind {
            PictureKind::Capture => &self.captures,
            PictureKind::Thumbnail => &self.thumbnails,
        }
    }

    fn pictures_mut(&mut self, kind: PictureKind) -> &mut BTreeMap<SegmentKey, Picture> {
        match kind {
            PictureKind::Capture => &mut self.captures,
            PictureKind::Thumbnail => &mut self.thumbnails,
        }
    }
}
