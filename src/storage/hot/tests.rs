//! On real tmpfs: arrivals, commits, restarts and shedding, one by one and in any order.

use std::{collections::BTreeMap, fs, path::Path, sync::atomic::AtomicBool, sync::atomic::Ordering};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{clock::ManualClock, telemetry::Metrics};

/// One device in a folder of its own on tmpfs, with files of 1000 bytes.
struct Bench {
    folder: TempDir,
    manual: ManualClock,
    metrics: DeviceMetrics,
    limits: HotLimits,
    hot: HotDevice,
}

const LIMITS: HotLimits =
    HotLimits { segments: 5, segment_max_age: None, captures: 3, thumbnails: 2, device_bytes: 1 << 20 };
const NOW: Utc90k = Utc90k::from_seconds(1_795_143_600);

impl Bench {
    fn new(limits: HotLimits) -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let manual = ManualClock::at(NOW);
        let metrics = Metrics::new().device(&"cam".parse().unwrap());
        let hot = Self::device(&folder, &manual, &metrics, limits);
        hot.prepare().unwrap();
        Self { folder, manual, metrics, limits, hot }
    }

    fn device(folder: &TempDir, manual: &ManualClock, metrics: &DeviceMetrics, limits: HotLimits) -> HotDevice {
        let layout = HotLayout::new(folder.path());
        HotDevice::new("cam".parse().unwrap(), layout, limits, manual.clock(), metrics.clone())
    }

    /// The daemon ends and starts again; hot survives.
    fn restart(&mut self) {
        self.hot = Self::device(&self.folder, &self.manual, &self.metrics, self.limits);
        self.hot.prepare().unwrap();
    }

    fn write(&self, kind: HotKind, key: SegmentKey) {
        fs::write(self.hot.layout.file(&self.hot.id, kind, key), [0; 1000]).unwrap();
    }

    fn arrive(&self, key: SegmentKey) {
        self.manual.advance(Duration::from_secs(1));
        self.write(HotKind::Segment, key);
        self.hot.segment_arrived(key, 1000, self.manual.clock().wall());
    }

    fn arrive_run(&self, epoch: u32, numbers: std::ops::Range<u64>) {
        numbers.for_each(|number| self.arrive(key(epoch, number)));
    }

    fn lost(&self, reason: LossReason) -> f64 {
        self.metrics.lost(reason).get()
    }

    /// Sequence number of each listed file.
    fn listed(&self) -> BTreeMap<String, u64> {
        let live = self.hot.live();
        let text = std::str::from_utf8(&live.text).unwrap();
        let names = text.lines().filter(|line| line.ends_with(".ts"));
        names.enumerate().map(|(i, name)| (name.to_owned(), live.media_sequence + i as u64)).collect()
    }

    fn folder(&self, kind: HotKind) -> std::path::PathBuf {
        self.hot.layout.folder(&self.hot.id, kind)
    }

    fn files(&self, kind: HotKind) -> Vec<SegmentKey> {
        let mut keys = self.hot.list(kind).unwrap();
        keys.sort_unstable();
        keys
    }
}

fn key(epoch: u32, number: u64) -> SegmentKey {
    SegmentKey { epoch: Epoch(epoch), number }
}

fn keys(segments: &[HotSegment]) -> Vec<SegmentKey> {
    segments.iter().map(|segment| segment.key).collect()
}

#[test]
fn segments_wait_until_committed_and_stay_for_the_live_window() {
    let bench = Bench::new(LIMITS);
    bench.arrive_run(1, 0..8);
    bench.hot.segment_arrived(key(1, 3), 1000, NOW);
    assert_eq!(bench.hot.evict(), Evicted::default());
    assert_eq!((bench.hot.waiting().len(), bench.hot.waiting_bytes()), (8, 8000));

    let claimed = bench.hot.claim(6);
    assert_eq!((claimed.len(), keys(&bench.hot.waiting())), (6, vec![key(1, 6), key(1, 7)]));
    bench.hot.mark_committed(&keys(&claimed));
    assert_eq!(bench.hot.evict().segments, 3, "eight segments, a window of five");
    assert_eq!(bench.files(HotKind::Segment), (3..8).map(|number| key(1, number)).collect::<Vec<_>>());
    assert_eq!(bench.listed().len(), 5);
    let status = bench.hot.status();
    assert_eq!((status.segments, status.waiting, status.bytes), (5, 2, 5000));
    assert_eq!(status.newest_segment_age_seconds, Some(0.0));
}

#[test]
fn pictures_stay_within_their_counts_and_the_newest_is_known() {
    let bench = Bench::new(LIMITS);
    for number in 0..5 {
        for kind in [PictureKind::Capture, PictureKind::Thumbnail] {
            bench.write(HotKind::Picture(kind), key(1, number));
            // One hiccup among pictures that come every second.
            let arrived = NOW + 90_000 * [0, 1, 7, 8, 9][number as usize];
            bench.hot.picture_arrived(kind, key(1, number), 1000, arrived);
        }
    }
    let interval = bench.hot.newest_picture(PictureKind::Capture).and_then(|newest| newest.interval);
    assert_eq!(interval, Some(Duration::from_secs(1)));
    bench.manual.advance(Duration::from_secs(2));
    assert_eq!(bench.hot.evict().pictures, 5);
    let newest = bench.hot.newest_picture(PictureKind::Capture).unwrap();
    assert_eq!((newest.key, newest.age), (key(1, 4), Duration::from_secs(2)));
    assert_eq!(bench.files(HotKind::Picture(PictureKind::Capture)), [key(1, 2), key(1, 3), key(1, 4)]);
    let open = |number| bench.hot.open(HotKind::Picture(PictureKind::Thumbnail), key(1, number));
    assert!(open(4).is_ok());
    assert_eq!(open(0).unwrap_err().kind, Kind::NotFound);
}

#[test]
fn what_waits_survives_a_restart_once() {
    let mut bench = Bench::new(LIMITS);
    bench.arrive_run(1, 0..4);
    bench.arrive_run(3, 0..2);
    let before = bench.listed();
    let sequence = bench.hot.live().media_sequence;
    bench.restart();
    assert_eq!(bench.hot.highest_epoch(), Some(Epoch(3)));
    assert_eq!((bench.listed(), bench.hot.live().media_sequence), (before, sequence));
    // The archive's last mark says how far the previous daemon came.
    bench.hot.mark_committed_up_to(key(1, 2));
    assert_eq!(keys(&bench.hot.waiting()), [key(1, 3), key(3, 0), key(3, 1)]);
    // A late event for something committed long ago changes nothing.
    bench.hot.segment_arrived(key(1, 0), 1000, NOW);
    assert_eq!(bench.hot.waiting().len(), 3);
}

#[test]
fn after_a_reboot_numbers_begin_above_all_earlier_ones() {
    let mut bench = Bench::new(LIMITS);
    bench.arrive_run(1, 0..3);
    let before = bench.hot.live().media_sequence + 3;
    for kind in HotKind::ALL {
        fs::remove_dir_all(bench.folder(kind)).unwrap();
    }
    bench.restart();
    assert_eq!(bench.hot.live().segments, 0);
    bench.arrive_run(2, 0..1);
    assert!(bench.hot.live().media_sequence >= before);
}

#[test]
fn a_shed_segment_is_lost_only_if_its_job_does_not_commit_it() {
    let limits = HotLimits { device_bytes: 6400, ..LIMITS };
    let check = |commit: bool, expected_lost: f64| {
        let bench = Bench::new(limits);
        bench.arrive_run(1, 0..2);
        let claimed = keys(&bench.hot.claim(2));
        bench.arrive_run(1, 2..8);
        // The device sheds by itself above 6400 bytes, down to 6000.
        assert_eq!(bench.files(HotKind::Segment), (2..8).map(|number| key(1, number)).collect::<Vec<_>>());
        assert_eq!(bench.lost(LossReason::hot_full), 0.0);
        assert!(bench.hot.status().losing);
        match commit {
            true => bench.hot.mark_committed(&claimed),
            false => bench.hot.release(&claimed),
        }
        assert_eq!(bench.lost(LossReason::hot_full), expected_lost);
        assert_eq!(bench.hot.waiting().len(), 6);
        assert_eq!(bench.hot.status().segments, 6);
        // Unclaimed ones are lost at once.
        bench.arrive_run(1, 8..10);
        assert_eq!(bench.lost(LossReason::hot_full), expected_lost + 2.0);
        bench.hot.mark_committed(&keys(&bench.hot.waiting()));
        assert!(!bench.hot.status().losing);
    };
    check(true, 0.0);
    check(false, 2.0);
}

#[test]
fn a_vanished_or_corrupt_segment_is_counted_once() {
    let bench = Bench::new(LIMITS);
    bench.arrive_run(1, 0..4);
    let claimed = bench.hot.claim(1);
    bench.hot.lost(&keys(&claimed), LossReason::corrupt);
    bench.hot.lost(&keys(&claimed), LossReason::corrupt);
    assert_eq!(bench.lost(LossReason::corrupt), 1.0);
    fs::remove_file(bench.hot.segment_path(key(1, 2))).unwrap();
    bench.hot.rescan().unwrap();
    bench.hot.rescan().unwrap();
    assert_eq!(bench.lost(LossReason::vanished), 1.0);
    assert_eq!(keys(&bench.hot.waiting()), [key(1, 1), key(1, 3)]);
    assert_eq!(bench.listed().keys().collect::<Vec<_>>(), ["segment_1_000000003.ts"], "numbers stay contiguous");
}

#[test]
fn missed_events_are_made_up_for_by_a_scan() {
    let bench = Bench::new(LIMITS);
    bench.arrive_run(1, 0..1);
    for number in 1..4 {
        bench.write(HotKind::Segment, key(1, number));
    }
    fs::write(bench.folder(HotKind::Segment).join("notes.txt"), "a stranger's").unwrap();
    bench.hot.rescan().unwrap();
    assert_eq!((bench.hot.waiting().len(), bench.listed().len()), (4, 4));
    assert!(bench.folder(HotKind::Segment).join("notes.txt").exists());
}

#[test]
fn half_written_files_of_killed_runs_are_swept() {
    let bench = Bench::new(LIMITS);
    bench.arrive_run(2, 0..1);
    let segments = bench.folder(HotKind::Segment);
    for name in ["segment_1_000000009.ts.tmp", "segment_2_000000001.ts.tmp", "ffmpeg.m3u8.tmp"] {
        fs::write(segments.join(name), "x").unwrap();
    }
    assert_eq!((bench.hot.sweep_leftovers(), bench.hot.sweep_leftovers()), (1, 0));
    assert!(segments.join("segment_2_000000001.ts.tmp").exists(), "the running FFmpeg writes it");
}

#[test]
fn a_stepped_wall_clock_does_not_age_the_live_window() {
    let bench = Bench::new(HotLimits { segment_max_age: Some(Duration::from_secs(60)), ..LIMITS });
    bench.arrive_run(1, 0..3);
    bench.hot.mark_committed_up_to(key(1, 2));
    bench.manual.step_wall(NOW + 86_400 * TICKS_PER_SECOND);
    assert_eq!(bench.hot.evict().segments, 0);
    bench.manual.advance(Duration::from_secs(60));
    assert_eq!(bench.hot.evict().segments, 2);
}

#[test]
fn readers_never_find_a_listed_file_gone() {
    let bench = Bench::new(LIMITS);
    let done = AtomicBool::new(false);
    let exists = |name: &str, folder: &Path| folder.join(name).exists();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = 0_u64;
            while !done.load(Ordering::Acquire) {
                for name in bench.listed().into_keys() {
                    // It may go between the two looks; then it must have been unpublished before.
                    let there = exists(&name, &bench.folder(HotKind::Segment));
                    assert!(there || !bench.listed().contains_key(&name), "{name} is listed but gone");
                    seen += 1;
                }
            }
            seen
        });
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                bench.hot.mark_committed(&keys(&bench.hot.claim(2)));
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                bench.hot.evict();
            }
        });
        bench.arrive_run(1, 0..2000);
        done.store(true, Ordering::Release);
        assert!(reader.join().unwrap() > 0);
    });
    bench.hot.mark_committed(&keys(&bench.hot.claim(usize::MAX)));
    bench.hot.evict();
    assert_eq!((bench.lost(LossReason::hot_full), bench.files(HotKind::Segment).len()), (0.0, 5));
}

#[derive(Clone, Debug)]
enum Step {
    Arrive,
    NewRun,
    Picture,
    Claim(usize),
    Commit,
    Release,
    Evict,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Arrive),
        1 => Just(Step::NewRun),
        2 => Just(Step::Picture),
        2 => (1..6_usize).prop_map(Step::Claim),
        2 => Just(Step::Commit),
        1 => Just(Step::Release),
        3 => Just(Step::Evict),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order: books and folder agree, the playlist keeps its promises, and every second
    /// that arrived is waiting, committed or counted as lost.
    #[test]
    fn books_files_and_playlist_agree(steps in prop::collection::vec(step(), 1..120)) {
        let mut bench = Bench::new(HotLimits { device_bytes: 12_800, ..LIMITS });
        let (mut epoch, mut number, mut arrived, mut committed) = (1, 0, 0, 0);
        let mut claimed: Vec<SegmentKey> = Vec::new();
        let mut durable: Option<SegmentKey> = None;
        let mut numbers: BTreeMap<String, u64> = BTreeMap::new();
        let mut highest = 0;
        for step in steps {
            match step {
                Step::Arrive => {
                    bench.arrive(key(epoch, number));
                    (number, arrived) = (number + 1, arrived + 1);
                }
                Step::NewRun => (epoch, number) = (epoch + 1, 0),
                Step::Picture => {
                    bench.write(HotKind::Picture(PictureKind::Capture), key(epoch, number));
                    bench.hot.picture_arrived(PictureKind::Capture, key(epoch, number), 1000, NOW);
                }
                Step::Claim(most) if claimed.is_empty() => claimed = keys(&bench.hot.claim(most)),
                Step::Claim(_) => {}
                Step::Commit => {
                    durable = durable.max(claimed.last().copied());
                    committed += claimed.len();
                    bench.hot.mark_committed(&std::mem::take(&mut claimed));
                }
                Step::Release => bench.hot.release(&std::mem::take(&mut claimed)),
                Step::Evict => drop(bench.hot.evict()),
                Step::Restart => {
                    // The books of claimed files that were shed end with the daemon: release them as its stop does.
                    bench.hot.release(&std::mem::take(&mut claimed));
                    bench.restart();
                    if let Some(durable) = durable {
                        bench.hot.mark_committed_up_to(durable);
                    }
                }
            }
            let files: usize = HotKind::ALL.into_iter().map(|kind| bench.files(kind).len()).sum();
            let status = bench.hot.status();
            prop_assert_eq!(status.bytes, files as u64 * 1000);
            prop_assert!(status.bytes <= 12_800);
            for (name, sequence) in bench.listed() {
                prop_assert!(bench.folder(HotKind::Segment).join(&name).exists());
                prop_assert_eq!(*numbers.entry(name).or_insert(sequence), sequence);
            }
            let sequence = bench.hot.live().media_sequence;
            prop_assert!(sequence >= highest, "MEDIA-SEQUENCE fell from {} to {}", highest, sequence);
            highest = sequence;
            if claimed.is_empty() {
                let lost = bench.lost(LossReason::hot_full) as usize;
                prop_assert_eq!(arrived, committed + lost + bench.hot.waiting().len());
                prop_assert_eq!(bench.lost(LossReason::vanished), 0.0);
            }
        }
    }
}
