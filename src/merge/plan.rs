//! When to commit: pure. Every `commit_seconds`, each device at its own point of that time; earlier when hot fills.

use std::time::Duration;

use crate::{
    clock::{Mono, Utc90k, anchor::is_unset, ticks_90k},
    storage::HotSegment,
};

/// First wait after a failed commit. Evicting makes space at once, so the second attempt need not wait long.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// A disk that stays sick is asked this often.
const RETRY_MAX: Duration = Duration::from_secs(10);
/// Hot is committed early from a quarter of its quota on: three quarters are left to sit out a stalled disk.
const PRESSURE_DIVISOR: u64 = 4;
/// How long footage waits for a clock that was never set. Routers need two to three minutes after a power failure, and
/// without them there is no time; but a host that is always offline must not lose more than a commit's worth for ever.
const UNSET_WAIT: Duration = Duration::from_secs(180);
/// A run's first segment comes late (probing, buffering); by the eighth one has come with the usual delay.
const LEAD_SEGMENTS: usize = 8;

/// Why a job should run now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// The files on disk were not looked through yet.
    Start,
    /// The device's point in the commit interval.
    Beat,
    /// Much waits in hot.
    Pressure,
    /// The last job failed, and it is time to try again.
    Retry,
    /// The chunk's time is over and nothing more arrives: finish it, so that it does not stay half open.
    Idle,
    /// Asked for: the daemon stops, or somebody wants to see the newest seconds.
    Final,
    /// The device is off or gone: commit what waits, and leave nothing open.
    Last,
}

/// What the decision looks at.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    pub mono: Mono,
    pub wall: Utc90k,
    /// Segments that wait, and their bytes.
    pub waiting: usize,
    pub waiting_bytes: u64,
    pub quota_bytes: u64,
    /// The grid line behind the open chunk.
    pub chunk_until: Option<Utc90k>,
}

/// The commit rhythm of one device.
#[derive(Clone, Debug)]
pub struct Rhythm {
    period: Duration,
    phase: Duration,
    beat: u64,
    began: Mono,
    failures: u32,
    retry_at: Option<Mono>,
}

impl Rhythm {
    /// `stagger`: which of how many devices. Their commits spread evenly over the interval, so the disk sees one
    /// write now and then, not all of them in one second.
    pub fn new(commit_seconds: u32, stagger: (usize, usize), now: Mono) -> Self {
        let period = Duration::from_secs(u64::from(commit_seconds.max(1)));
        let (index, count) = (stagger.0 as u128, stagger.1.max(1) as u128);
        let phase = period.as_nanos() * (index % count) / count;
        let phase = Duration::from_nanos(u64::try_from(phase).unwrap_or(0));
        let mut rhythm = Self { period, phase, beat: 0, began: now, failures: 0, retry_at: None };
        rhythm.beat = rhythm.beat_of(now);
        rhythm
    }

    /// Counts interval points since the monotonic clock began, which is one origin for all devices.
    fn beat_of(&self, now: Mono) -> u64 {
        let since = now.since(Mono::ZERO) + self.period - self.phase;
        u64::try_from(since.as_nanos() / self.period.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Whether to start a job now; asked about once a second while none runs.
    pub fn due(&mut self, now: &Situation) -> Option<Due> {
        let passed = self.beat_of(now.mono) > self.beat;
        if let Some(at) = self.retry_at {
            return (now.mono >= at).then_some(Due::Retry);
        }
        if now.waiting > 0 && now.waiting_bytes.saturating_mul(PRESSURE_DIVISOR) >= now.quota_bytes {
            return Some(Due::Pressure);
        }
        // A board without a battery starts in 1970: while there is room, wait a little until the clock is set and the
        // footage gets its true time.
        let waits_for_clock = is_unset(now.wall) && now.mono.since(self.began) < UNSET_WAIT;
        if !passed || waits_for_clock {
            return None;
        }
        if now.waiting > 0 {
            return Some(Due::Beat);
        }
        let over = now.chunk_until.is_some_and(|until| now.wall - until >= ticks_90k(self.period));
        over.then_some(Due::Idle)
    }

    /// A job ended at `now`.
    pub fn ended(&mut self, now: Mono, ok: bool) {
        self.beat = self.beat_of(now);
        if ok {
            (self.failures, self.retry_at) = (0, None);
        } else {
            let wait = RETRY_FIRST.saturating_mul(1 << self.failures.min(8)).min(RETRY_MAX);
            self.failures = self.failures.saturating_add(1);
            self.retry_at = Some(now + wait);
        }
    }
}

/// How much less delay (≤ 0) the segments behind the first had than the first itself, judged by arrival and length.
pub fn lead_90k(segments: &[HotSegment]) -> i64 {
    let Some((first, rest)) = segments.split_first() else { return 0 };
    let (mut media_90k, mut lead_90k, mut number) = (0_i64, 0, first.key.number);
    for segment in rest.iter().take(LEAD_SEGMENTS) {
        if segment.key.epoch != first.key.epoch || segment.key.number != number + 1 {
            break;
        }
        number += 1;
        media_90k = media_90k.saturating_add(segment.duration_90k);
        lead_90k = lead_90k.min((segment.arrived - first.arrived).saturating_sub(media_90k));
    }
    lead_90k
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Epoch, SegmentKey};

    fn at(seconds: u64) -> Mono {
        Mono::ZERO + Duration::from_secs(seconds)
    }

    fn situation(seconds: u64, waiting: usize, waiting_bytes: u64) -> Situation {
        let wall = Utc90k::from_seconds(1_790_000_000 + seconds as i64);
        Situation { mono: at(seconds), wall, waiting, waiting_bytes, quota_bytes: 400, chunk_until: None }
    }

    #[test]
    fn devices_commit_one_after_the_other() {
        let mut moments = Vec::new();
        for index in 0..4 {
            let mut rhythm = Rhythm::new(60, (index, 4), at(1000));
            for second in 1000..1240 {
                if rhythm.due(&situation(second, 1, 1)) == Some(Due::Beat) {
                    moments.push(second);
                    rhythm.ended(at(second), true);
                }
            }
        }
        moments.sort_unstable();
        assert_eq!(moments.len(), 16, "one commit per device and minute");
        assert!(moments.windows(2).all(|pair| pair[1] - pair[0] == 15));
    }

    #[test]
    fn due_in_time_and_never_for_nothing() {
        let check = |seconds, waiting, bytes, expected| {
            let mut rhythm = Rhythm::new(60, (0, 1), at(0));
            assert_eq!(rhythm.due(&situation(seconds, waiting, bytes)), expected, "{seconds} s, {waiting}, {bytes} B");
        };
        check(59, 5, 99, None);
        check(60, 5, 99, Some(Due::Beat));
        check(60, 0, 0, None);
        check(5, 5, 100, Some(Due::Pressure));
    }

    #[test]
    fn a_chunk_whose_time_is_over_is_finished_when_nothing_arrives() {
        let mut rhythm = Rhythm::new(60, (0, 1), at(0));
        let now = situation(600, 0, 0);
        let until = |ago_s: i64| Situation { chunk_until: Some(now.wall + -ago_s * 90_000), ..now };
        assert_eq!(rhythm.due(&until(59)), None);
        assert_eq!(rhythm.due(&until(60)), Some(Due::Idle));
    }

    #[test]
    fn footage_waits_for_an_unset_clock_while_there_is_room_but_not_for_ever() {
        let mut rhythm = Rhythm::new(60, (0, 1), at(0));
        let unset = |seconds, bytes| Situation { wall: Utc90k::from_seconds(90), ..situation(seconds, 5, bytes) };
        assert_eq!(rhythm.due(&unset(90, 99)), None);
        assert_eq!(rhythm.due(&unset(90, 100)), Some(Due::Pressure));
        assert_eq!(rhythm.due(&unset(179, 99)), None);
        assert_eq!(rhythm.due(&unset(180, 99)), Some(Due::Beat));
        assert_eq!(rhythm.due(&situation(91, 5, 99)), Some(Due::Beat));
    }

    #[test]
    fn failures_are_retried_with_growing_distance() {
        let mut rhythm = Rhythm::new(60, (0, 1), at(0));
        let mut now = 100;
        for wait in [1, 2, 4, 8, 10, 10] {
            rhythm.ended(at(now), false);
            assert_eq!(rhythm.due(&situation(now + wait - 1, 5, 400)), None);
            assert_eq!(rhythm.due(&situation(now + wait, 5, 400)), Some(Due::Retry));
            now += wait;
        }
        rhythm.ended(at(now), true);
        assert_eq!(rhythm.due(&situation(now + 1, 5, 0)), None);
    }

    #[test]
    fn the_lead_is_what_later_segments_were_faster() {
        let segment = |number, arrived_ms: i64| HotSegment {
            key: SegmentKey { epoch: Epoch(1), number },
            bytes: 1,
            arrived: Utc90k::from_ms(arrived_ms),
            duration_90k: 90_000,
            pts_90k: None,
            starts_with_sync: true,
        };
        let check = |segments: &[HotSegment], expected_ms: i64| assert_eq!(lead_90k(segments), expected_ms * 90);
        check(&[], 0);
        check(&[segment(0, 5000)], 0);
        check(&[segment(0, 5000), segment(1, 5200), segment(2, 6200)], -800);
        check(&[segment(0, 5000), segment(1, 6500)], 0);
        check(&[segment(0, 5000), segment(2, 5100)], 0);
    }
}
