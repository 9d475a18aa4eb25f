//! Which pictures of hot prove what is suspected or open: leased from the first bad frame on, so that they are still
//! there when they are wanted.

use std::{ops::RangeInclusive, sync::Arc};

use super::{
    lane::{Mark, Proof},
    model::IncidentKind,
};
use crate::{
    ids::SegmentKey,
    storage::{
        HotDevice, Lease,
        layout::{PictureKind, Shot},
    },
};

/// A capture further from the frame shows something else; then the frame itself, a thumbnail, is the proof. Names in
/// hot count hundredths of a second.
const NEAR: u64 = 1000;

/// The leases of one device.
#[derive(Default)]
pub(super) struct Leases(Vec<Held>);

struct Held {
    kind: IncidentKind,
    shot: Shot,
    mark: SegmentKey,
    lease: Lease,
}

impl Leases {
    /// Holds the first and worst picture of each; lets go of all others. `is_kept` tells what is on the disk already.
    pub fn follow(
        &mut self,
        hot: &Arc<HotDevice>,
        proofs: impl Iterator<Item = (IncidentKind, Proof)>,
        is_kept: impl Fn(IncidentKind, Shot) -> bool,
    ) {
        let before = std::mem::take(&mut self.0);
        let mut before: Vec<Option<Held>> = before.into_iter().map(Some).collect();
        for (kind, proof) in proofs {
            for (shot, mark) in [(Shot::First, proof.first), (Shot::Worst, proof.worst)] {
                if is_kept(kind, shot) {
                    continue;
                }
                let same = |held: &&mut Option<Held>| {
                    held.as_ref().is_some_and(|held| (held.kind, held.shot, held.mark) == (kind, shot, mark.key))
                };
                let held = before.iter_mut().find(same).and_then(Option::take);
                // The very capture may have come after the thumbnail that was looked at.
                let exact = held
                    .as_ref()
                    .is_some_and(|held| (held.lease.kind(), held.lease.key()) == (PictureKind::Capture, mark.key));
                let better = if exact { None } else { best(hot, mark, proof.first.key..=proof.last.key) };
                let lease = match (held, better) {
                    (Some(held), Some(key)) if (held.lease.kind(), held.lease.key()) == key => Some(held.lease),
                    (held, Some((picture, key))) => Lease::of(hot, picture, key).or(held.map(|held| held.lease)),
                    (held, None) => held.map(|held| held.lease),
                };
                self.0.extend(lease.map(|lease| Held { kind, shot, mark: mark.key, lease }));
            }
        }
    }

    /// Takes the lease of a shot out, or a fresh one on the picture nearest to `mark`.
    pub fn take(
        &mut self,
        hot: &Arc<HotDevice>,
        kind: IncidentKind,
        shot: Shot,
        mark: Mark,
        among: RangeInclusive<SegmentKey>,
    ) -> Option<Lease> {
        let held = self.0.iter().position(|held| (held.kind, held.shot, held.mark) == (kind, shot, mark.key));
        if let Some(at) = held {
            return Some(self.0.swap_remove(at).lease);
        }
        let (picture, key) = best(hot, mark, among)?;
        Lease::of(hot, picture, key)
    }
}

/// The capture that shows the frame best; the thumbnail itself where captures are not made.
fn best(hot: &HotDevice, mark: Mark, among: RangeInclusive<SegmentKey>) -> Option<(PictureKind, SegmentKey)> {
    let capture = hot.nearest_picture(PictureKind::Capture, mark.key, among.clone());
    let near = capture.filter(|key| key.epoch == mark.key.epoch && key.number.abs_diff(mark.key.number) <= NEAR);
    near.map(|key| (PictureKind::Capture, key)).or_else(|| {
        let key = hot.nearest_picture(PictureKind::Thumbnail, mark.key, among)?;
        Some((PictureKind::Thumbnail, key))
    })
}
