//! Which chunk is next: pure, over ring and library of all devices.

use std::{collections::HashMap, sync::Arc, time::Duration};

use crate::{
    clock::ticks_90k,
    ids::DeviceId,
    registry::transcode::FailedInput,
    storage::{
        ChunkEntry, Pins, Place,
        layout::{ChunkKey, Shelf},
        retention::{Moment, PLAUSIBLE},
    },
};

/// Attempts that ran out of time before an input counts as one that always does.
pub const LATE_MAX: u32 = 3;

/// Inputs that failed, by what they are.
pub type Failures = HashMap<(DeviceId, ChunkKey), FailedInput>;

/// What to choose by.
pub struct Rules<'a> {
    pub moment: Moment,
    pub min_age: Duration,
    /// Somebody wants all: age does not count.
    pub force: bool,
    pub pins: &'a Pins,
    pub failures: &'a Failures,
    /// Whether the library's own volume is there.
    pub away_ok: bool,
}

/// Why a chunk is left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    Growing,
    /// HEVC already, or sound alone, or a kept original.
    Codec,
    Young,
    Pinned,
    /// The same input failed before.
    Failed,
    Away,
}

impl Unfit {
    /// For whoever named the file.
    pub fn why(self) -> &'static str {
        match self {
            Self::Growing => "it is not finished yet",
            Self::Codec => "it is not H.264, or was transcoded already",
            Self::Young => "it is younger than transcode.min_age_days",
            Self::Pinned => "it is pinned as recorded",
            Self::Failed => "it failed before, and would again",
            Self::Away => "its volume is not there",
        }
    }
}

impl Rules<'_> {
    /// None when the chunk qualifies.
    pub fn unfit(&self, device: &DeviceId, chunk: &ChunkEntry) -> Option<Unfit> {
        if !chunk.sealed || !chunk.place.is_settled() {
            return Some(Unfit::Growing);
        }
        if chunk.original || !is_h264(&chunk.codecs) {
            return Some(Unfit::Codec);
        }
        // Footage without a known age has none that would do.
        let age = self.moment.for_ages() - chunk.end;
        if !self.force && (chunk.end < PLAUSIBLE || age < ticks_90k(self.min_age)) {
            return Some(Unfit::Young);
        }
        if matches!(chunk.place, Place::Library(_, Shelf::Away)) && !self.away_ok {
            return Some(Unfit::Away);
        }
        if self.failures.get(&(device.clone(), chunk.key)).is_some_and(|failed| failed.holds(chunk.bytes)) {
            return Some(Unfit::Failed);
        }
        let pinned = self.pins.hold_original(device, chunk.start, chunk.end, self.moment.wall);
        pinned.then_some(Unfit::Pinned)
    }

    /// The oldest that qualifies, of all devices' chunks, each device's sorted by start. None is passed over in a long
    /// history without a look at it, but a look is a few comparisons.
    pub fn next<'c>(
        &self,
        devices: impl Iterator<Item = (&'c DeviceId, &'c [Arc<ChunkEntry>])>,
    ) -> Option<(&'c DeviceId, &'c Arc<ChunkEntry>)> {
        let first = devices.filter_map(|(device, chunks)| {
            chunks.iter().find(|chunk| self.unfit(device, chunk).is_none()).map(|chunk| (device, chunk))
        });
        first.min_by(|a, b| (a.1.start, a.0).cmp(&(b.1.start, b.0)))
    }
}

fn is_h264(codecs: &str) -> bool {
    codecs.split(',').any(|codec| codec.starts_with("avc1") || codec.starts_with("avc3"))
}

impl FailedInput {
    /// Whether an input of that size would fail in the same way.
    pub fn holds(&self, bytes: u64) -> bool {
        self.bytes == bytes && (self.is_final || self.attempts >= LATE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Utc90k, storage::Pin};

    const DAY: i64 = 86_400;
    const NOW: i64 = 1_795_146_600;

    fn chunk(ago_days: i64) -> ChunkEntry {
        let start = Utc90k::from_seconds(NOW - ago_days * DAY);
        ChunkEntry {
            key: ChunkKey { start_ms: start.as_ms(), generation: 0 },
            place: Place::Library(crate::storage::layout::RingSlot::of(start, 600), Shelf::Home),
            start,
            end: start + 600 * 90_000,
            bytes: 100,
            codecs: "avc1.64001f,mp4a.40.2".into(),
            gaps: 0,
            holes: None,
            sealed: true,
            original: false,
        }
    }

    struct Case {
        wall: i64,
        retention: i64,
        force: bool,
        away_ok: bool,
        pins: Pins,
        failures: Failures,
    }

    impl Case {
        fn new() -> Self {
            let (pins, failures) = (Pins::default(), Failures::new());
            Self { wall: NOW, retention: NOW, force: false, away_ok: true, pins, failures }
        }

        fn rules(&self) -> Rules<'_> {
            let at = Utc90k::from_seconds;
            Rules {
                moment: Moment { wall: at(self.wall), retention: at(self.retention) },
                min_age: Duration::from_secs(7 * 86_400),
                force: self.force,
                pins: &self.pins,
                failures: &self.failures,
                away_ok: self.away_ok,
            }
        }
    }

    fn check(chunk: &ChunkEntry, change: impl FnOnce(&mut Case), expected: Option<Unfit>) {
        let mut case = Case::new();
        change(&mut case);
        assert_eq!(case.rules().unfit(&"cam".parse().unwrap(), chunk), expected, "{chunk:?}");
    }

    #[test]
    fn what_qualifies() {
        let old = chunk(8);
        let failed = |bytes, is_final, attempts| {
            let key = ("cam".parse().unwrap(), chunk(8).key);
            Failures::from([(key, FailedInput { bytes, is_final, attempts })])
        };
        let pin = |original| {
            let (start, end) = (chunk(8).end + -90_000, chunk(8).end + 90_000);
            let pin = Pin {
                id: 1,
                device: "cam".parse().unwrap(),
                start,
                end,
                until: None,
                original,
                why: String::new(),
                by: String::new(),
                created: start,
            };
            Pins::new(vec![pin])
        };
        check(&old, |_| {}, None);
        check(&chunk(6), |_| {}, Some(Unfit::Young));
        check(&chunk(6), |case| case.force = true, None);
        check(&ChunkEntry { sealed: false, ..old.clone() }, |case| case.force = true, Some(Unfit::Growing));
        check(&ChunkEntry { place: Place::Temp, ..old.clone() }, |_| {}, Some(Unfit::Growing));
        for codecs in ["hvc1.1.6.L93.B0,mp4a.40.2", "mp4a.40.2", ""] {
            check(&ChunkEntry { codecs: codecs.into(), ..old.clone() }, |_| {}, Some(Unfit::Codec));
        }
        check(&ChunkEntry { original: true, ..old.clone() }, |_| {}, Some(Unfit::Codec));
        check(&old, |case| case.failures = failed(100, true, 1), Some(Unfit::Failed));
        check(&old, |case| case.failures = failed(101, true, 1), None);
        check(&old, |case| case.failures = failed(100, false, LATE_MAX - 1), None);
        check(&old, |case| case.failures = failed(100, false, LATE_MAX), Some(Unfit::Failed));
        check(&old, |case| case.pins = pin(true), Some(Unfit::Pinned));
        check(&old, |case| case.pins = pin(false), None);
        let Place::Library(slot, _) = old.place else { panic!() };
        let away = ChunkEntry { place: Place::Library(slot, Shelf::Away), ..old };
        check(&away, |_| {}, None);
        check(&away, |case| case.away_ok = false, Some(Unfit::Away));
    }

    #[test]
    fn a_clock_that_steps_makes_nothing_old() {
        // Ahead by a month: the retention clock has not followed.
        check(&chunk(1), |case| case.wall += 30 * DAY, Some(Unfit::Young));
        // Never set: the retention clock alone counts.
        check(&chunk(8), |case| case.wall = 100, None);
        // Back by a day: what was old enough waits a little.
        check(&chunk(8), |case| case.wall -= 2 * DAY, Some(Unfit::Young));
        let mut unknown = chunk(0);
        (unknown.start, unknown.end) = (Utc90k::from_seconds(5), Utc90k::from_seconds(605));
        check(&unknown, |_| {}, Some(Unfit::Young));
        check(&unknown, |case| case.force = true, None);
    }

    #[test]
    fn the_oldest_of_all_devices_is_next() {
        let list = |ages: &[i64]| ages.iter().map(|age| Arc::new(chunk(*age))).collect::<Vec<_>>();
        let (a, b): (DeviceId, DeviceId) = ("a".parse().unwrap(), "b".parse().unwrap());
        let (of_a, mut of_b) = (list(&[10, 9]), list(&[12, 11, 3]));
        of_b[0] = Arc::new(ChunkEntry { codecs: "hvc1".into(), ..of_b[0].as_ref().clone() });
        let case = Case::new();
        let next = |of_a: &[Arc<ChunkEntry>], of_b: &[Arc<ChunkEntry>]| {
            let found = case.rules().next([(&a, of_a), (&b, of_b)].into_iter());
            found.map(|(device, chunk)| (device.to_string(), (NOW - chunk.start.as_seconds()) / DAY))
        };
        assert_eq!(next(&of_a, &of_b), Some(("b".into(), 11)));
        assert_eq!(next(&of_a, &of_b[2..]), Some(("a".into(), 10)));
        assert_eq!(next(&list(&[10]), &list(&[10])), Some(("a".into(), 10)));
        assert_eq!(next(&[], &of_b[2..]), None);
    }
}
