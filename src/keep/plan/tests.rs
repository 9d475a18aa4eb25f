//! Tables and a simulated archive under clock steps.

use proptest::prelude::*;

use super::*;
use crate::{clock::ManualClock, storage::Retention};

/// 2026-11-20T03:00:00Z, the start of an hour.
const NOW: i64 = 1_795_143_600;
const HOUR: i64 = 3600;
const DAY: Duration = Duration::from_secs(86_400);

fn chunk(device: usize, start_s: i64, settled: bool) -> ChunkView {
    ChunkView {
        device,
        key: ChunkKey { start_ms: start_s * 1000, generation: 0 },
        start: Utc90k::from_seconds(start_s),
        end: Utc90k::from_seconds(start_s + 600),
        bytes: 100,
        settled,
        known_for: Duration::MAX,
    }
}

/// Chunks of one device that start so many minutes before `NOW`; which are deleted, in minutes?
fn check(minutes_ago: &[i64], wall_s: i64, retention_s: i64, window: Option<Duration>, free: u64, expected: &[i64]) {
    let chunks: Vec<_> = minutes_ago.iter().map(|minutes| chunk(0, NOW - minutes * 60, true)).collect();
    let moment = Moment { wall: Utc90k::from_seconds(wall_s), retention: Utc90k::from_seconds(retention_s) };
    let deleted: Vec<i64> = plan(&chunks, moment, Wanted { window, free_bytes: free })
        .iter()
        .map(|deletion| (NOW - deletion.key.start_ms / 1000) / 60)
        .collect();
    assert_eq!(deleted, expected, "{minutes_ago:?} {window:?} {free}");
}

#[test]
fn a_chunk_expires_when_its_end_leaves_the_window() {
    let day = 24 * 60;
    check(&[10, day + 9, day + 10, day + 20], NOW, NOW, Some(DAY), 0, &[day + 20, day + 10]);
    check(&[10, day + 20], NOW, NOW, None, 0, &[]);
    check(&[day + 20], NOW, NOW, Some(DAY), 0, &[]);
}

#[test]
fn the_earlier_clock_decides() {
    let day = 24 * 60;
    check(&[10, day - 60], NOW + 2 * HOUR, NOW, Some(DAY), 0, &[]);
    check(&[10, day + 60], NOW, NOW - 2 * HOUR, Some(DAY), 0, &[]);
    check(&[10, day + 60], NOW - 2 * HOUR, NOW, Some(DAY), 0, &[]);
    // A wall clock in 1970 says nothing; the retention clock goes on.
    check(&[10, day + 60], 100, NOW, Some(DAY), 0, &[day + 60]);
}

#[test]
fn space_takes_the_oldest_but_never_the_current_hour() {
    check(&[200, 100, 150, 50], NOW, NOW, None, 150, &[200, 150]);
    check(&[30, 20, 10, 0], NOW + 1800, NOW + 1800, None, 1000, &[30, 20, 10]);
    check(&[-10, -20, -30], NOW + 1800, NOW + 1800, None, 1000, &[]);
    // Expired footage counts towards what is needed.
    let day = 24 * 60;
    check(&[day + 30, 200, 100, 50], NOW, NOW, Some(DAY), 100, &[day + 30]);
    check(&[day + 30, 200, 100, 50], NOW, NOW, Some(DAY), 101, &[day + 30, 200]);
}

#[test]
fn a_label_older_than_the_chunk_is_known_for_does_not_expire_it() {
    // Recorded while the clock was a day behind, which has been put right since.
    let behind = ChunkView { known_for: Duration::from_secs(600), ..chunk(0, NOW - 25 * HOUR, true) };
    let moment = Moment { wall: Utc90k::from_seconds(NOW), retention: Utc90k::from_seconds(NOW) };
    let wanted = Wanted { window: Some(DAY), free_bytes: 0 };
    assert_eq!(plan(&[behind, chunk(0, NOW - 60, true)], moment, wanted), []);
}

#[test]
fn footage_from_before_the_clock_was_set_ages_from_when_it_was_seen() {
    let unset = |known_for| ChunkView { known_for, ..chunk(0, 300, true) };
    let moment = Moment { wall: Utc90k::from_seconds(NOW), retention: Utc90k::from_seconds(NOW) };
    let deleted = |known_for, free_bytes| {
        let chunks = [unset(known_for), chunk(0, NOW - 7200, true), chunk(0, NOW - 60, false)];
        let wanted = Wanted { window: Some(DAY), free_bytes };
        plan(&chunks, moment, wanted).iter().map(|deletion| deletion.key.start_ms / 1000).collect::<Vec<_>>()
    };
    assert!(deleted(Duration::from_secs(3600), 0).is_empty());
    assert_eq!(deleted(DAY, 0), [300]);
    assert_eq!(deleted(Duration::from_secs(60), 1), [NOW - 7200], "two hours old goes before one minute old");
}

#[test]
fn every_device_keeps_its_newest_and_its_open_chunk() {
    let old = NOW - 48 * HOUR;
    let chunks = [chunk(0, old, true), chunk(0, old + 600, true), chunk(1, old, true), chunk(2, old, false)];
    let moment = Moment { wall: Utc90k::from_seconds(NOW), retention: Utc90k::from_seconds(NOW) };
    let deleted = plan(&chunks, moment, Wanted { window: Some(DAY), free_bytes: u64::MAX });
    assert_eq!(
        deleted.iter().map(|deletion| (deletion.device, deletion.key.start_ms)).collect::<Vec<_>>(),
        [(0, old * 1000)]
    );
}

/// A device that records a chunk every 10 minutes of true time, labelled by the wall clock, cleaned each time.
struct Sim {
    manual: ManualClock,
    retention: Retention,
    /// With the true second of its end.
    chunks: Vec<(ChunkView, i64)>,
    true_s: i64,
}

impl Sim {
    fn new() -> Self {
        let manual = ManualClock::at(Utc90k::from_seconds(NOW));
        let retention = Retention::at(Utc90k::from_seconds(NOW), manual.clock());
        Self { manual, retention, chunks: Vec::new(), true_s: NOW }
    }

    fn set_wall(&self, second: i64) {
        self.manual.step_wall(Utc90k::from_seconds(second));
    }

    /// Ten minutes go by; returns the true ages, in seconds, of what was deleted.
    fn step(&mut self) -> Vec<i64> {
        let label_s = self.manual.clock().wall().as_seconds();
        self.manual.advance(Duration::from_secs(600));
        self.true_s += 600;
        self.chunks.push((chunk(0, label_s, true), self.true_s));
        for (chunk, end_s) in &mut self.chunks {
            chunk.known_for = Duration::from_secs((self.true_s - *end_s) as u64);
        }
        let views: Vec<_> = self.chunks.iter().map(|(chunk, _)| *chunk).collect();
        let moment = self.retention.now();
        let plan = plan(&views, moment, Wanted { window: Some(DAY), free_bytes: 0 });
        let mut ages = Vec::new();
        for deletion in plan {
            let (gone, end_s) = self.chunks.remove(self.chunks.iter().position(|c| c.0.key == deletion.key).unwrap());
            assert!(!in_current_hour(&gone, moment.wall), "the current hour was deleted");
            ages.push(self.true_s - end_s);
        }
        assert!(!self.chunks.is_empty());
        ages
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// The wall clock is wrong by hours, a day, or unset for spells of up to three hours, then right again.
    #[test]
    fn no_clock_step_deletes_early_or_keeps_for_ever(
        spells in prop::collection::vec(
            (prop_oneof![Just(HOUR), Just(-HOUR), Just(24 * HOUR), Just(-24 * HOUR), Just(-NOW), -9000..9000_i64],
             1..18_usize, 1..80_usize),
            1..6,
        )
    ) {
        let mut sim = Sim::new();
        for _ in 0..160 {
            sim.step();
        }
        for (offset_s, wrong_steps, right_steps) in spells {
            sim.set_wall((sim.true_s + offset_s).max(0));
            for i in 0..wrong_steps + right_steps {
                if i == wrong_steps {
                    sim.set_wall(sim.true_s);
                }
                for age in sim.step() {
                    prop_assert!(age >= 86_400, "deleted after {age} s");
                }
            }
        }
        // Long after: labels up to a day ahead have passed, the retention clock has met the wall clock.
        for _ in 0..4 * 144 {
            sim.step();
        }
        prop_assert!(sim.chunks.len() <= 145, "{} chunks are kept", sim.chunks.len());
    }
}
