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
    changed: bool,
}

impl LiveList {
    /// Continues after a restart of the daemon, or begins after a reboot: then numbers start at the seconds since
    /// 1970, which is above all earlier ones as segments last a second or more.
    ///
    /// `present` are the segments still there, in order.
    pub fn resume(state: Option<LiveState>, now: Utc90k, present: &[(SegmentKey, Timing)]) -> Self {
        let base = u64::try_from(now.as_seconds()).unwrap_or(0);
        let Some(state) = state else {
            // Hours, not seconds: hls.js walks arrays from 0 up to this number and hangs the page at 1.8e9.
            let mut list = Self { next_sequence: base, discontinuities: base / 3600, ..Self::default() };
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
        list.changed = true;
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

    /// True once after each change: the playlist must be written anew.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
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
        self.changed = true;
        self.next_sequence += 1;
        self.discontinuities += u64::from(discontinuity);
    }

    /// Keeps the newest `count`.
    pub fn keep(&mut self, count: usize) {
        let over = self.entries.len().saturating_sub(count);
        self.changed |= over > 0;
        self.entries.drain(..over);
    }

    /// Takes a segment off the list and everything before it, so that numbers stay contiguous. True if it was listed.
    pub fn remove(&mut self, key: SegmentKey) -> bool {
        match self.entries.binary_search_by_key(&key, |entry| entry.key) {
            Ok(at) => {
                self.entries.drain(..=at);
                self.changed = true;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A one-second segment that arrives when its last picture was taken, `late_90k` later.
    fn timing(second: i64, late_90k: i64) -> Timing {
        let start = second * 90_000;
        Timing {
            pts_90k: Some((start, start + 90_000)),
            duration_90k: 90_000,
            arrived: Utc90k::from_seconds(1_795_143_600 + second + 1) + late_90k,
        }
    }

    fn key(epoch: u32, number: u64) -> SegmentKey {
        SegmentKey { epoch: Epoch(epoch), number }
    }

    /// Lines that tell of time, per segment: `-` follows, `D` discontinuity, `T` a date.
    fn marks(list: &LiveList) -> String {
        let playlist = list.playlist();
        let text = std::str::from_utf8(&playlist.text).unwrap();
        let mut marks = String::new();
        for line in text.lines() {
            match line {
                "#EXT-X-DISCONTINUITY" => marks.push('D'),
                line if line.starts_with("#EXT-X-PROGRAM-DATE-TIME") => marks.push('T'),
                line if line.ends_with(".ts") => marks.push_str(" - "),
                _ => {}
            }
        }
        marks.trim().to_owned()
    }

    fn check(segments: &[(SegmentKey, Timing)], expected: &str) {
        assert_eq!(marks(&LiveList::resume(None, Utc90k(0), segments)), expected);
    }

    #[test]
    fn breaks_in_time_are_told() {
        check(&[(key(1, 0), timing(0, 0)), (key(1, 1), timing(1, 0))], "T -  -");
        check(&[(key(1, 0), timing(0, 0)), (key(2, 0), timing(1, 0))], "T - DT -");
        check(&[(key(1, 0), timing(0, 0)), (key(1, 2), timing(2, 0))], "T - DT -");
        check(&[(key(1, 0), timing(5, 0)), (key(1, 1), timing(0, 0))], "T - DT -");
        // Late by less than half a second: PTS know better. By more: the label is taken from the arrival again.
        check(&[(key(1, 0), timing(0, 0)), (key(1, 1), timing(1, 40_000))], "T -  -");
        check(&[(key(1, 0), timing(0, 0)), (key(1, 1), timing(1, 50_000))], "T - T -");
        let near_wrap = Timing { pts_90k: Some(((1 << 33) - 90_000, 1 << 33)), ..timing(0, 0) };
        let after_wrap = Timing { pts_90k: Some((0, 90_000)), ..timing(1, 0) };
        check(&[(key(1, 0), near_wrap), (key(1, 1), after_wrap)], "T -  -");
    }

    #[test]
    fn numbers_are_counted_on_when_segments_and_breaks_leave() {
        let mut list = LiveList::resume(None, Utc90k::from_seconds(100), &[]);
        for (epoch, number) in [(1, 0), (1, 1), (2, 0), (2, 1)] {
            list.push(key(epoch, number), timing(number as i64, 0));
        }
        list.push(key(1, 5), timing(5, 0));
        let numbers = |list: &LiveList| {
            let playlist = list.playlist();
            let text = String::from_utf8(playlist.text.to_vec()).unwrap();
            let value = |tag: &str| text.lines().find_map(|line| line.strip_prefix(tag)?.parse::<u64>().ok());
            assert_eq!(value("#EXT-X-MEDIA-SEQUENCE:"), Some(playlist.media_sequence));
            (playlist.media_sequence, value("#EXT-X-DISCONTINUITY-SEQUENCE:"), playlist.segments)
        };
        assert_eq!(numbers(&list), (100, Some(0), 4), "one that comes too late is not listed");
        assert!(list.remove(key(1, 0)));
        assert_eq!(numbers(&list), (101, Some(0), 3));
        list.keep(1);
        assert_eq!(numbers(&list), (103, Some(1), 1));
        assert!(!list.remove(key(1, 0)));

        // A restart finds the last two files, then a third.
        let present = [(key(2, 0), timing(0, 0)), (key(2, 1), timing(1, 0)), (key(3, 0), timing(2, 0))];
        let resumed = LiveList::resume(list.state(), Utc90k(0), &present);
        assert_eq!(numbers(&resumed), (103, Some(1), 2), "what had left the list does not come back");
        let without_last = LiveList::resume(list.state(), Utc90k(0), &present[2..]);
        assert_eq!(numbers(&without_last), (104, Some(1), 1));
    }
}
