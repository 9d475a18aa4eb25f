//! Tables, properties over random archives, and a simulated archive under clock steps.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{
    clock::{ManualClock, Mono},
    keep::ledger::Claim,
    storage::{DeviceIndex, Pin, Retention, layout::RingSlot, retention::Moment},
};

/// 2026-11-20T03:00:00Z, the start of an hour.
const NOW: i64 = 1_795_143_600;
const HOUR: i64 = 3600;
const DAY_S: i64 = 86_400;
const DAY: Duration = Duration::from_secs(DAY_S as u64);
const MINUTE: i64 = 60;

const RING: Limits = Limits { window: DAY, retention: Duration::ZERO, max_bytes: 0, device_max_bytes: 0 };
const WEEK: Limits = Limits { retention: Duration::from_secs(7 * DAY_S as u64), ..RING };

const HOME: Wanted = Wanted {
    on: Shelf::Home,
    limits: Some(RING),
    free_bytes: 0,
    takes_away: false,
    away_is_there: true,
    most: usize::MAX,
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Lies {
    Temp,
    Ring,
    Home,
    Away,
}

fn entry(start_s: i64, lies: Lies) -> ChunkEntry {
    let start = Utc90k::from_seconds(start_s);
    let slot = RingSlot::of(start, 600);
    ChunkEntry {
        key: ChunkKey { start_ms: start_s * 1000, generation: 0 },
        place: match lies {
            Lies::Temp => Place::Temp,
            Lies::Ring => Place::Ring(slot),
            Lies::Home => Place::Library(slot, Shelf::Home),
            Lies::Away => Place::Library(slot, Shelf::Away),
        },
        start,
        end: Utc90k::from_seconds(start_s + 600),
        bytes: 100,
        codecs: "".into(),
        gaps: 0,
        holes: None,
        sealed: lies != Lies::Temp,
        original: false,
    }
}

/// Devices that an earlier daemon recorded, looked at at one moment.
struct Host {
    indexes: Vec<DeviceIndex>,
    ages: Vec<Ages>,
    now: Now,
    pins: Option<Pins>,
}

impl Host {
    fn at(wall_s: i64, retention_s: i64) -> Self {
        let moment = Moment { wall: Utc90k::from_seconds(wall_s), retention: Utc90k::from_seconds(retention_s) };
        Self { indexes: vec![], ages: vec![], now: Now { moment, mono: Mono::ZERO }, pins: Some(Pins::default()) }
    }

    fn device(mut self, chunks: impl IntoIterator<Item = ChunkEntry>) -> Self {
        let index = DeviceIndex::new(format!("cam-{}", self.indexes.len()).parse().unwrap());
        index.put_absent(chunks.into_iter().collect());
        self.ages.push(Ages::new(self.now.moment, self.now.mono));
        self.ages.last_mut().unwrap().note(&index.snapshot(), self.now.mono);
        self.indexes.push(index);
        self
    }

    fn pin(mut self, device: usize, from_s: i64, to_s: i64, original: bool) -> Self {
        let mut list = self.pins.take().unwrap_or_default().list().to_vec();
        list.push(Pin {
            id: list.len() as i64,
            device: self.indexes[device].device().clone(),
            start: Utc90k::from_seconds(from_s),
            end: Utc90k::from_seconds(to_s),
            until: None,
            original,
            why: String::new(),
            by: String::new(),
            created: Utc90k::from_seconds(0),
        });
        self.pins = Some(Pins::new(list));
        self
    }

    fn plan(&self, wanted: Wanted) -> Plan {
        let snapshots: Vec<_> = self.indexes.iter().map(|index| (index.snapshot(), index.originals())).collect();
        let footage: Vec<_> = (self.indexes.iter().zip(&self.ages).zip(&snapshots))
            .map(|((index, ages), (chunks, originals))| Footage { device: index.device(), chunks, originals, ages })
            .collect();
        plan(&footage, self.pins.as_ref(), self.now, wanted)
    }

    /// Device, minutes ago, deed.
    fn deeds(&self, wanted: Wanted) -> Vec<(usize, i64, Deed)> {
        let told = |action: &Action| (action.device, (NOW - action.key.start_ms / 1000) / MINUTE, action.deed);
        self.plan(wanted).actions.iter().map(told).collect()
    }
}

/// Chunks of one device in the ring that start so many minutes before `NOW`; which are deleted, in minutes?
fn check(minutes_ago: &[i64], wall_s: i64, retention_s: i64, limits: Option<Limits>, free: u64, expected: &[i64]) {
    let chunks = minutes_ago.iter().map(|minutes| entry(NOW - minutes * MINUTE, Lies::Ring));
    let deeds = Host::at(wall_s, retention_s).device(chunks).deeds(Wanted { limits, free_bytes: free, ..HOME });
    assert!(deeds.iter().all(|(_, _, deed)| matches!(deed, Deed::Delete(_))));
    let deleted: Vec<i64> = deeds.iter().map(|(_, minutes, _)| *minutes).collect();
    assert_eq!(deleted, expected, "{minutes_ago:?} {limits:?} {free}");
}

const ONE_DAY: i64 = 24 * 60;

#[test]
fn a_chunk_expires_when_its_end_leaves_the_window() {
    let day = ONE_DAY;
    check(&[10, day + 9, day + 10, day + 20], NOW, NOW, Some(RING), 0, &[day + 20, day + 10]);
    check(&[10, day + 20], NOW, NOW, None, 0, &[]);
    check(&[day + 20], NOW, NOW, Some(RING), 0, &[]);
}

#[test]
fn the_earlier_clock_decides() {
    let day = ONE_DAY;
    check(&[10, day - 60], NOW + 2 * HOUR, NOW, Some(RING), 0, &[]);
    check(&[10, day + 60], NOW, NOW - 2 * HOUR, Some(RING), 0, &[]);
    check(&[10, day + 60], NOW - 2 * HOUR, NOW, Some(RING), 0, &[]);
    // A wall clock in 1970 says nothing; the retention clock goes on.
    check(&[10, day + 60], 100, NOW, Some(RING), 0, &[day + 60]);
}

#[test]
fn space_takes_the_oldest_but_never_the_current_hour() {
    check(&[200, 100, 150, 50], NOW, NOW, None, 150, &[200, 150]);
    check(&[30, 20, 10, 0], NOW + 1800, NOW + 1800, None, 1000, &[30, 20, 10]);
    check(&[-10, -20, -30], NOW + 1800, NOW + 1800, None, 1000, &[]);
    // Expired footage counts towards what is needed.
    let day = ONE_DAY;
    check(&[day + 30, 200, 100, 50], NOW, NOW, Some(RING), 100, &[day + 30]);
    check(&[day + 30, 200, 100, 50], NOW, NOW, Some(RING), 101, &[day + 30, 200]);
}

#[test]
fn the_library_takes_what_leaves_the_ring() {
    use Deed::{Delete, MoveAway, Shelve};
    let day = ONE_DAY;
    let host = || {
        Host::at(NOW, NOW).device([
            entry(NOW - (9 * day + 10) * MINUTE, Lies::Away),
            entry(NOW - (8 * day + 10) * MINUTE, Lies::Home),
            entry(NOW - 2 * day * MINUTE, Lies::Home),
            entry(NOW - (day + 20) * MINUTE, Lies::Ring),
            entry(NOW - (day + 10) * MINUTE, Lies::Ring),
            entry(NOW - 500 * MINUTE, Lies::Ring),
            entry(NOW - 10 * MINUTE, Lies::Temp),
        ])
    };
    let wanted = Wanted { limits: Some(WEEK), ..HOME };
    let expired = Delete(Why::Expired);
    let shelved = [(0, day + 20, Shelve), (0, day + 10, Shelve)];
    assert_eq!(host().deeds(wanted), [vec![(0, 8 * day + 10, expired)], shelved.to_vec()].concat());
    let away = Wanted { on: Shelf::Away, takes_away: true, ..wanted };
    assert_eq!(host().deeds(away), [(0, 9 * day + 10, expired), (0, 2 * day, MoveAway)]);
    assert_eq!(host().deeds(Wanted { away_is_there: false, takes_away: false, ..away }), []);
    // The days went by before it came to the library: it is not moved first.
    let late = Host::at(NOW, NOW).device([entry(NOW - 9 * DAY_S, Lies::Ring), entry(NOW, Lies::Temp)]);
    assert_eq!(late.deeds(wanted), [(0, 9 * day, expired)]);
    let all = host().deeds(HOME);
    assert_eq!(all.len(), 4, "{all:?}");
    assert!(all.iter().all(|(_, _, deed)| *deed == expired));
}

#[test]
fn pinned_footage_stays_but_leaves_the_ring() {
    let day = ONE_DAY;
    let minutes = |minutes: i64| NOW - minutes * MINUTE;
    let host = Host::at(NOW, NOW)
        .device([
            entry(minutes(3 * day), Lies::Home),
            entry(minutes(day + 30), Lies::Ring),
            entry(minutes(day + 20), Lies::Ring),
            entry(minutes(0), Lies::Temp),
        ])
        .pin(0, minutes(4 * day), minutes(day + 25), false);
    let expected = [(0, day + 20, Deed::Delete(Why::Expired)), (0, day + 30, Deed::Shelve)];
    assert_eq!(host.deeds(HOME), expected);
    let short = Wanted { limits: None, free_bytes: u64::MAX, ..HOME };
    assert_eq!(host.deeds(short), [(0, day + 20, Deed::Delete(Why::Space))]);
}

#[test]
fn nothing_is_deleted_while_it_is_not_known_what_is_pinned() {
    let day = ONE_DAY;
    let chunks = || [entry(NOW - (day + 30) * MINUTE, Lies::Ring), entry(NOW, Lies::Temp)];
    let mut host = Host::at(NOW, NOW).device(chunks());
    host.pins = None;
    for wanted in [HOME, Wanted { free_bytes: 1, limits: None, ..HOME }] {
        let plan = host.plan(wanted);
        assert!(plan.actions.is_empty() && plan.waits_for_pins);
    }
    // Into the library it may go all the same.
    assert_eq!(host.deeds(Wanted { limits: Some(WEEK), ..HOME }), [(0, day + 30, Deed::Shelve)]);
}

#[test]
fn bytes_of_a_device_and_of_all_are_bounded() {
    let chunks = |ago: &[i64]| {
        let mut chunks: Vec<_> = ago.iter().map(|minutes| entry(NOW - minutes * MINUTE, Lies::Ring)).collect();
        chunks.push(entry(NOW, Lies::Temp));
        chunks
    };
    let host = Host::at(NOW, NOW).device(chunks(&[500, 400, 300, 200])).device(chunks(&[450, 350]));
    let bytes = |device_max_bytes, max_bytes| {
        let limits = Limits { device_max_bytes, max_bytes, ..RING };
        host.deeds(Wanted { limits: Some(limits), ..HOME })
    };
    let (each, all) = (Deed::Delete(Why::DeviceBytes), Deed::Delete(Why::TotalBytes));
    assert_eq!(bytes(0, 0), []);
    assert_eq!(bytes(300, 0), [(0, 500, each), (0, 400, each)]);
    assert_eq!(bytes(0, 600), [(0, 500, all), (1, 450, all)]);
    assert_eq!(bytes(400, 600), [(0, 500, each), (1, 450, all)]);
    assert_eq!(bytes(1, 1).len(), 6, "the open ones stay whatever the limit");
}

#[test]
fn kept_originals_go_first_when_space_is_short() {
    let minutes = |minutes: i64| NOW - minutes * MINUTE;
    let host = Host::at(NOW, NOW)
        .device([entry(minutes(500), Lies::Ring), entry(minutes(300), Lies::Ring), entry(NOW, Lies::Temp)])
        .pin(0, minutes(500), minutes(490), true);
    for ago in [500, 300] {
        let mut original = entry(minutes(ago), Lies::Ring);
        original.key.generation = 1;
        host.indexes[0].put_original(original);
    }
    let short = |free_bytes| host.deeds(Wanted { limits: None, free_bytes, ..HOME });
    assert_eq!(short(100), [(0, 300, Deed::DropOriginal(Why::Space))]);
    let both = [(0, 300, Deed::DropOriginal(Why::Space)), (0, 300, Deed::Delete(Why::Space))];
    assert_eq!(short(u64::MAX), both, "what is pinned as an original stays twice");
    let host = Host::at(NOW, NOW).device([entry(minutes(900), Lies::Home), entry(NOW, Lies::Temp)]);
    let away = Wanted { on: Shelf::Away, takes_away: true, limits: None, ..HOME };
    assert_eq!(host.deeds(away), [(0, 900, Deed::MoveAway)]);
    host.indexes[0].put_original(ChunkEntry {
        key: ChunkKey { generation: 1, ..entry(minutes(900), Lies::Home).key },
        ..entry(minutes(900), Lies::Home)
    });
    assert_eq!(host.deeds(away), []);
}

#[test]
fn a_label_older_than_the_chunk_is_known_for_does_not_expire_it() {
    // Recorded while the clock was a day behind, which has been put right since.
    let behind = entry(NOW - 25 * HOUR, Lies::Temp);
    let mut host = Host::at(NOW, NOW).device([behind.clone(), entry(NOW - 60, Lies::Temp)]);
    host.indexes[0].put(ChunkEntry { place: Place::Ring(RingSlot::of(behind.start, 600)), sealed: true, ..behind });
    assert_eq!(host.deeds(HOME), []);
    host.now.mono = mono(DAY_S + 1);
    host.now.moment.wall = Utc90k::from_seconds(NOW + DAY_S);
    host.now.moment.retention = host.now.moment.wall;
    assert_eq!(host.deeds(HOME).len(), 1);
}

#[test]
fn footage_from_before_the_clock_was_set_ages_from_when_it_was_seen() {
    let deleted = |known_s: i64, free_bytes| {
        let mut host = Host::at(NOW, NOW).device([
            entry(300, Lies::Ring),
            entry(NOW - 7200, Lies::Ring),
            entry(NOW - 60, Lies::Temp),
        ]);
        host.now.mono = mono(known_s);
        let plan = host.plan(Wanted { free_bytes, ..HOME });
        plan.actions.iter().map(|action| action.key.start_ms / 1000).collect::<Vec<_>>()
    };
    assert!(deleted(3600, 0).is_empty());
    assert_eq!(deleted(DAY_S, 0), [300]);
    assert_eq!(deleted(60, 1), [NOW - 7200], "two hours old goes before one minute old");
}

fn mono(seconds: i64) -> Mono {
    let manual = ManualClock::at(Utc90k::from_seconds(NOW));
    manual.advance(Duration::from_secs(seconds as u64));
    manual.clock().mono()
}

#[test]
fn every_device_keeps_its_newest_and_its_open_chunk() {
    let old = NOW - 48 * HOUR;
    let host = Host::at(NOW, NOW)
        .device([entry(old, Lies::Ring), entry(old + 600, Lies::Ring)])
        .device([entry(old, Lies::Ring)])
        .device([entry(old, Lies::Temp)]);
    let deeds = host.deeds(Wanted { free_bytes: u64::MAX, ..HOME });
    assert_eq!(deeds, [(0, 48 * 60, Deed::Delete(Why::Expired))]);
}

#[test]
fn the_oldest_age_leaves_pinned_footage_out() {
    let host = Host::at(NOW, NOW)
        .device([entry(NOW - 9 * HOUR, Lies::Home), entry(NOW - 5 * HOUR, Lies::Ring), entry(NOW, Lies::Temp)])
        .pin(0, NOW - 9 * HOUR, NOW - 8 * HOUR, false);
    let (chunks, originals) = (host.indexes[0].snapshot(), host.indexes[0].originals());
    let id = host.indexes[0].device();
    let of = Footage { device: id, chunks: &chunks, originals: &originals, ages: &host.ages[0] };
    let hours = |pins: Option<&Pins>| oldest_90k(&of, pins, host.now, true) / HOUR / TICKS_PER_SECOND;
    assert_eq!((hours(host.pins.as_ref()), hours(None)), (5, 9));
}

fn lies() -> impl Strategy<Value = Lies> {
    prop_oneof![Just(Lies::Ring), Just(Lies::Home), Just(Lies::Away)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is asked of whatever there is.
    #[test]
    fn no_plan_takes_what_must_stay(
        devices in prop::collection::vec(prop::collection::btree_map(0..400_i64, lies(), 1..60), 1..4),
        pins in prop::collection::vec((0..4_usize, 0..400_i64, 1..50_i64, any::<bool>()), 0..4),
        originals in prop::collection::vec((0..4_usize, 0..400_i64), 0..6),
        free in prop_oneof![Just(0_u64), 0..5000_u64],
        max in prop_oneof![Just(0_u64), 0..5000_u64],
        each in prop_oneof![Just(0_u64), 0..3000_u64],
        retention_h in prop_oneof![Just(0_u64), 0..60_u64],
        by_age in any::<bool>(),
        away in any::<bool>(),
        most in 1..64_usize,
        pins_known in prop::bool::weighted(0.9),
    ) {
        let at = |ten_minutes: i64| NOW + 1200 - ten_minutes * 600;
        let mut host = Host::at(NOW + 1800, NOW + 1800);
        for chunks in &devices {
            let chunks: BTreeMap<i64, Lies> = chunks.clone();
            host = host.device(chunks.iter().map(|(ago, lies)| entry(at(*ago), *lies)));
        }
        for (device, ago, long, original) in pins.iter().filter(|pin| pin.0 < devices.len()) {
            host = host.pin(*device, at(*ago), at(*ago) + long * 600, *original);
        }
        for (device, ago) in originals.iter().filter(|it| it.0 < devices.len()) {
            if let Some(lies) = devices[*device].get(ago) {
                let original = entry(at(*ago), *lies);
                let key = ChunkKey { generation: 1, ..original.key };
                host.indexes[*device].put_original(ChunkEntry { key, ..original });
            }
        }
        let all_pins = host.pins.clone().unwrap();
        host.pins = host.pins.filter(|_| pins_known);
        let limits = Limits {
            retention: Duration::from_secs(retention_h * 3600), max_bytes: max, device_max_bytes: each, ..RING
        };
        let wanted = Wanted {
            on: if away { Shelf::Away } else { Shelf::Home },
            limits: by_age.then_some(limits),
            free_bytes: free,
            takes_away: away,
            away_is_there: true,
            most,
        };
        let plan = host.plan(wanted);
        prop_assert!(plan.actions.len() <= most);
        let mut seen = HashSet::new();
        for action in &plan.actions {
            prop_assert!(seen.insert((action.device, action.key)), "twice: {action:?}");
            let index = &host.indexes[action.device];
            let chunk = index.get(&action.key).unwrap();
            let (start, end) = (chunk.start, chunk.end);
            let pinned = all_pins.hold(index.device(), start, end, host.now.moment.wall);
            let newest = index.snapshot().last().unwrap().start == start;
            match action.deed {
                Deed::Delete(why) => {
                    prop_assert!(pins_known && !pinned && !newest && !in_hour_of(&chunk, host.now.moment.wall));
                    prop_assert!(shelf_of(&chunk) == wanted.on);
                    let age = NOW + 1800 - end.as_seconds();
                    prop_assert!(why != Why::Expired || age >= DAY_S + retention_h as i64 * 3600);
                }
                Deed::DropOriginal(_) => {
                    prop_assert!(pins_known && chunk.original && shelf_of(&chunk) == wanted.on);
                    prop_assert!(!all_pins.hold_original(index.device(), start, end, host.now.moment.wall));
                }
                Deed::Shelve => {
                    prop_assert!(matches!(chunk.place, Place::Ring(_)) && !newest && by_age && !away);
                    prop_assert!(retention_h > 0 || pinned);
                    prop_assert!(NOW + 1800 - end.as_seconds() >= DAY_S);
                }
                Deed::MoveAway => prop_assert!(matches!(chunk.place, Place::Library(_, Shelf::Home)) && away),
            }
        }
        let whole = host.plan(Wanted { most: usize::MAX, on: Shelf::Home, takes_away: false, ..wanted });
        let mut deletes = whole.actions.iter().filter(|it| matches!(it.deed, Deed::Delete(Why::Space)));
        let freed: u64 = whole.actions.iter().filter(|it| it.deed != Deed::Shelve).map(|it| it.bytes).sum();
        let last = deletes.next_back().map_or(0, |action| action.bytes);
        prop_assert!(last == 0 || freed < free + last || max > 0 || each > 0 || by_age, "{freed} for {free}");
    }
}

/// A device that records a chunk every 10 minutes of true time, labelled by the wall clock, cleaned each time.
struct Sim {
    manual: ManualClock,
    retention: Retention,
    index: DeviceIndex,
    ages: Ages,
    /// The true second of each chunk's end.
    ends_s: BTreeMap<ChunkKey, i64>,
    true_s: i64,
}

impl Sim {
    fn new() -> Self {
        let manual = ManualClock::at(Utc90k::from_seconds(NOW));
        let retention = Retention::at(Utc90k::from_seconds(NOW), manual.clock());
        let ages = Ages::new(retention.now(), manual.clock().mono());
        let index = DeviceIndex::new("cam".parse().unwrap());
        Self { manual, retention, index, ages, ends_s: BTreeMap::new(), true_s: NOW }
    }

    fn set_wall(&self, second: i64) {
        self.manual.step_wall(Utc90k::from_seconds(second));
    }

    /// Ten minutes go by; returns the true ages, in seconds, of what was deleted.
    fn step(&mut self) -> Vec<i64> {
        let label_s = self.manual.clock().wall().as_seconds();
        self.manual.advance(Duration::from_secs(600));
        self.true_s += 600;
        let mut open = entry(label_s, Lies::Temp);
        // The same label again, after a step back.
        while self.index.get(&open.key).is_some() {
            open.key.generation += 1;
        }
        self.ends_s.insert(open.key, self.true_s);
        self.index.put(open.clone());
        let now = Now { moment: self.retention.now(), mono: self.manual.clock().mono() };
        self.ages.note(&self.index.snapshot(), now.mono);
        self.index.put(ChunkEntry { place: entry(label_s, Lies::Ring).place, sealed: true, ..open });
        let (chunks, originals) = (self.index.snapshot(), self.index.originals());
        let of = Footage { device: self.index.device(), chunks: &chunks, originals: &originals, ages: &self.ages };
        let plan = plan(&[of], Some(&Pins::default()), now, HOME);
        let mut ages = Vec::new();
        for action in plan.actions {
            let gone = Claim::take(&self.index, &action.key).unwrap().entry.clone();
            assert!(!in_hour_of(&gone, now.moment.wall), "the current hour was deleted");
            ages.push(self.true_s - self.ends_s[&gone.key]);
        }
        assert!(!self.index.snapshot().is_empty());
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
        let left = sim.index.snapshot().len();
        prop_assert!(left <= 145, "{left} chunks are kept");
    }
}
