//! The live window of one device: which segments the playlist lists, under numbers that never fall and never change.

use std::collections::VecDeque;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    clock::Utc90k,
    ids::{Epoch, SegmentKey},
    media::hls,
    storage::layout::{HotKind, hot_name},
};

/// The playlist as it is served. Every file it names existed when it was published; deleting unpublishes first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LivePlaylist {
    pub text: Bytes,
    /// Strong, without quotes: changes with the text.
    pub etag: String,
    pub media_sequence: u64,
    /// Number of segments listed; 0 means there is nothing to play yet.
    pub segments: usize,
    pub newest: Option<SegmentKey>,
}

/// What a segment says about its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// First and end PTS of the reference track, where the file told.
    pub pts_90k: Option<(i64, i64)>,
    pub duration_90k: i64,
    /// When the file was complete.
    pub arrived: Utc90k,
}

/// PTS jumps above this are shown as a discontinuity: players place later segments by PTS and would wait in the hole.
const PTS_JUMP_90K: i64 = 90_000;
/// Beyond this distance from the arrival, PROGRAM-DATE-TIME is taken from the arrival again (design §6).
const REANCHOR_90K: i64 = 45_000;

#[derive(Clone, Debug)]
struct Entry {
    key: SegmentKey,
    timing: Timing,
    discontinuity: bool,
    start: Utc90k,
    /// PROGRAM-DATE-TIME is written here because it does not follow from the segment before.
    dated: bool,
}

/// Content of `live.json` in hot: enough to give surviving segments the numbers they had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveState {
    last_epoch: Epoch,
    last_number: u64,
    next_sequence: u64,
    /// Discontinuities up to and including the last segment.
    discontinuities: u64,
    /// Highest MEDIA-SEQUENCE published.
    media_sequence: u64,
}

/// A contiguous stretch of segments, oldest first.
#[derive(Clone, Debug, Default)]
pub struct LiveList {
    entries: VecDeque<Entry>,
    last: Option<SegmentKey>,
    /// Number of the segment that comes next.
    next_sequence: u64,
    discontinuities: u64,
}

impl LiveList {
    /// Continues after a restart of the daemon, or begins after a reboot: then numbers start at the seconds since
    /// 1970, which is above all earlier ones as segments last a second or more.
    ///
    /// `present` are the segments still there, in order.
    pub fn resume(state: Option<LiveState>, now: Utc90k, present: &[(SegmentKey, Timing)]) -> Self {
        let base = u64::try_from(now.as_seconds()).unwrap_or(0);
        let Some(state) = state else {
            let mut list = Self { next_sequence: base, discontinuities: base, ..Self::default() };
            for (key, timing) in present {
                list.push(*key, *timing);
            }
            return list;
        };
        let last = SegmentKey { epoch: state.last_epoch, number: state.last_number };
        let mut list = Self::default();
        let (old, new) = present.split_at(present.partition_point(|(key, _)| *key <= last));
        // Numbers are counted back from the last one that had been given; without it, nothing old is listed.
        if old.last().is_some_and(|(key, _)| *key == last) {
            let listable = usize::try_from(state.next_sequence.saturating_sub(state.media_sequence)).unwrap_or(0);
            for (key, timing) in &old[old.len().saturating_sub(listable)..] {
                list.push(*key, *timing);
            }
        }
        list.last = Some(last);
        list.next_sequence = state.next_sequence;
        list.discontinuities = state.discontinuities;
        for (key, timing) in new {
            list.push(*key, *timing);
        }
        list
    }

    pub fn state(&self) -> Option<LiveState> {
        let last = self.last?;
        Some(LiveState {
            last_epoch: last.epoch,
            last_number: last.number,
            next_sequence: self.next_sequence,
            discontinuities: self.discontinuities,
            media_sequence: self.media_sequence(),
        })
    }

    /// Lists a new segment. One older than the newest listed comes too late for viewers and is not listed.
    pub fn push(&mut self, key: SegmentKey, timing: Timing) {
        if self.last.is_some_and(|last| key <= last) {
            return;
        }
        let before = self.entries.back();
        let discontinuity = match (self.last, before) {
            (Some(last), _) if last.epoch != key.epoch || last.number + 1 != key.number => true,
            (_, Some(before)) => jumps(&before.timing, &timing),
            _ => false,
        };
        let by_arrival = timing.arrived + -timing.duration_90k;
        let expected = before.map(|before| before.start + before.timing.duration_90k);
        let follows = expected.filter(|start| !discontinuity && (*start - by_arrival).abs() <= REANCHOR_90K);
        let start = follows.unwrap_or(by_arrival);
        self.entries.push_back(Entry { key, timing, discontinuity, start, dated: follows.is_none() });
        self.last = Some(key);
        self.next_sequence += 1;
        self.discontinuities += u64::from(discontinuity);
    }

    /// Keeps the newest `count`.
    pub fn keep(&mut self, count: usize) {
        self.entries.drain(..self.entries.len().saturating_sub(count));
    }

    /// Takes a segment off the list and everything before it, so that numbers stay contiguous. True if it was listed.
    pub fn remove(&mut self, key: SegmentKey) -> bool {
        match self.entries.binary_search_by_key(&key, |entry| entry.key) {
            Ok(at) => {
                self.entries.drain(..=at);
                true
            }
            Err(_) => false,
        }
    }

    fn media_sequence(&self) -> u64 {
        self.next_sequence.saturating_sub(self.entries.len() as u64)
    }

    pub fn playlist(&self) -> LivePlaylist {
        let media_sequence = self.media_sequence();
        let tags = self.entries.iter().filter(|entry| entry.discontinuity).count() as u64;
        let segments: Vec<hls::LiveSegment> = self
            .entries
            .iter()
            .enumerate()
            .map(|(i, entry)| hls::LiveSegment {
                uri: hot_name(HotKind::Segment, entry.key),
                duration_90k: entry.timing.duration_90k,
                discontinuity: entry.discontinuity,
                program_date_time: (i == 0 || entry.dated).then(|| entry.start.rfc3339()),
            })
            .collect();
        let text = hls::live_playlist(media_sequence, self.discontinuities.saturating_sub(tags), &segments);
        LivePlaylist {
            etag: format!("{:x}-{:x}-{:x}", media_sequence, segments.len(), crc32c::crc32c(text.as_bytes())),
            text: Bytes::from(text),
            media_sequence,
            segments: segments.len(),
            newest: self.entries.back().map(|entry| entry.key),
        }
    }
}

fn jumps(before: &Timing, after: &Timing) -> bool {
    match (before.pts_90k, after.pts_90k) {
        (Some((_, end)), Some((first, _))) => wrapped_distance(end, first) > PTS_JUMP_90K,
        _ => false,
    }
}

/// Distance of two 33-bit clock readings (ISO/IEC 13818-1), the short way round.
fn wrapped_distance(a: i64, b: i64) -> i64 {
    const WRAP: i64 = 1 << 33;
    let d = (b - a).rem_euclid(WRAP);
    d.min(WRAP - d)
}
