//! One device with real files: what is told, written down and kept of its trouble.

use std::{collections::HashMap, fs, sync::atomic::AtomicBool, sync::atomic::Ordering};

use futures_util::FutureExt;

use super::*;
use crate::{
    clock::{ManualClock, TICKS_PER_SECOND},
    config,
    events::{Heard, Listener},
    ids::{DeviceId, Epoch, SegmentKey},
    storage::{Effect, Gate, HotLayout, HotLimits, Op, Volume, layout::HotKind},
};

const START: Utc90k = Utc90k::from_seconds(1_795_143_600);

/// Remembers like the database: the newest state of each, and how often it was asked.
#[derive(Default)]
struct Remembered(Mutex<(HashMap<String, Incident>, usize)>);

impl Book for Remembered {
    fn save(&self, incident: &Incident) {
        let mut all = self.0.lock().unwrap();
        all.0.insert(incident.id.clone(), incident.clone());
        all.1 += 1;
    }
}

struct Rig {
    root: tempfile::TempDir,
    layout: HotLayout,
    _hot: tempfile::TempDir,
    volume: Arc<Volume>,
    manual: ManualClock,
    book: Arc<Remembered>,
    listener: Listener,
    muted: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
    tracker: Arc<Tracker>,
    frame: u64,
}

fn device() -> DeviceId {
    "cam".parse().unwrap()
}

fn key(frame: u64) -> SegmentKey {
    SegmentKey { epoch: Epoch(1), number: frame * 20 }
}

impl Rig {
    fn new() -> Self {
        let (root, hot_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap());
        let manual = ManualClock::at(START);
        let clock = manual.clock();
        let storage = config::Storage { root: root.path().to_owned(), ..config::Storage::default() };
        let volume = Volume::open(&storage, &clock).unwrap();
        let layout = HotLayout::new(hot_dir.path());
        let limits =
            HotLimits { segments: 5, segment_max_age: None, captures: 20, thumbnails: 20, device_bytes: 8 << 20 };
        let metrics = Arc::new(Metrics::new());
        let device_metrics = metrics.device(&device());
        let hot = Arc::new(HotDevice::new(device(), layout.clone(), limits, clock.clone(), device_metrics.clone()));
        hot.prepare().unwrap();
        let (book, muted) = (Arc::<Remembered>::default(), Arc::<AtomicBool>::default());
        let events = Events::new(clock.clone());
        let listener = events.listen(None);
        let log = Logger::root(slog::Discard, slog::o!());
        let is_muted = muted.clone();
        let tracker = Tracker::new(TrackerParts {
            owner: Owner { host: "host".into(), device: device() },
            clock: clock.clone(),
            log: log.clone(),
            detect: Arc::new(ArcSwap::from_pointee(Detect::default())),
            hot,
            book: book.clone(),
            events,
            metrics: metrics.clone(),
            device_metrics,
            evidence: Some(Evidence::start(volume.clone(), 0, clock, log).unwrap()),
            muted: Arc::new(move |_| is_muted.load(Ordering::SeqCst)),
        });
        Self { root, layout, _hot: hot_dir, volume, manual, book, listener, muted, metrics, tracker, frame: 0 }
    }

    /// Five frames a second, each with its capture.
    fn play(&mut self, frames: u32, black: bool) {
        for _ in 0..frames {
            let (key, at) = (key(self.frame), self.manual.clock().wall());
            for kind in [PictureKind::Thumbnail, PictureKind::Capture] {
                let text = format!("{kind:?} {} {}", self.frame, if black { "black" } else { "fine" });
                let file = self.layout.file(&device(), HotKind::Picture(kind), key);
                fs::write(file, &text).unwrap();
                self.hot().picture_arrived(kind, key, text.len() as u64, at);
            }
            self.hot().evict();
            // The darkest is the third.
            let percent = if self.frame % 100 == 2 { 100.0 } else { 97.0 };
            let seen = Observation {
                key,
                at,
                black: Some(black),
                black_percent: Some(if black { percent } else { 0.0 }),
                freeze: Some(false),
                no_signal: Some(false),
                ..Observation::default()
            };
            self.tracker.observe(&seen);
            self.frame += 1;
            self.manual.advance(Duration::from_millis(200));
            if self.frame.is_multiple_of(5) {
                self.tracker.tick(Signal::There);
            }
        }
    }

    fn hot(&self) -> &Arc<HotDevice> {
        &self.tracker.parts.hot
    }

    /// Kinds of the events since the last call, with their incidents.
    fn heard(&mut self) -> Vec<(&'static str, serde_json::Value)> {
        let next = || match self.listener.next().now_or_never()? {
            Some(Heard::Event(event)) => Some((event.kind, event.json()["incident"].clone())),
            other => panic!("{other:?}"),
        };
        std::iter::from_fn(next).collect()
    }

    fn names(&mut self) -> Vec<&'static str> {
        self.heard().into_iter().map(|(name, _)| name).collect()
    }

    /// Waits for the evidence thread.
    fn until(&self, what: &str, met: impl Fn(&Self) -> bool) {
        let clock = Clock::system();
        let began = clock.mono();
        while !met(self) {
            assert!(clock.mono().since(began) < Duration::from_secs(20), "waited in vain for {what}");
            std::thread::yield_now();
        }
    }

    fn saved(&self) -> Vec<Incident> {
        self.book.0.lock().unwrap().0.values().cloned().collect()
    }

    fn evidence(&self) -> Vec<String> {
        let evidence = self.saved().first().map(|incident| incident.evidence.clone()).unwrap_or_default();
        // What is written down is told under the same lock.
        drop(self.tracker.lock());
        evidence
    }

    fn open_count(&self) -> i64 {
        self.metrics.incidents_open.get_or_create_owned(&KindLabel { kind: "blackscreen" }).get()
    }
}

#[test]
fn an_incident_is_told_written_down_and_proved() {
    let mut rig = Rig::new();
    rig.play(11, true);
    assert_eq!((rig.names(), rig.open_count()), (vec!["incident_opened"], 1));
    rig.until("the first picture", |rig| rig.evidence().len() == 1);
    assert_eq!(rig.names(), ["incident_changed"]);
    // Long enough for the first and the worst to leave hot, were they not leased.
    rig.play(40, true);
    rig.play(6, false);
    rig.until("all pictures", |rig| rig.evidence().len() == 3);
    assert_eq!(rig.open_count(), 0);
    let heard = rig.heard();
    let names: Vec<_> = heard.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["incident_changed", "incident_closed", "incident_changed", "incident_changed"]);

    let incident = &heard[3].1;
    let start = START.as_ms();
    assert_eq!(incident["id"], format!("cam-{start}-blackscreen"));
    assert_eq!(incident["kind"], "blackscreen");
    assert_eq!((&incident["state"], &incident["severity"]), (&"closed".into(), &"major".into()));
    assert_eq!(incident["start"], START.rfc3339());
    assert_eq!(incident["duration_seconds"], 10.2);
    let day = START.rfc3339()[..10].to_owned();
    for (shot, expected) in [("first", "Capture 0 black"), ("worst", "Capture 2 black"), ("last", "Capture 50 black")] {
        let path = format!("cam/evidence/{day}/{start}-blackscreen-{shot}.jpg");
        assert!(
            incident["evidence"].as_array().unwrap().contains(&format!("/host/stream/{path}").into()),
            "{incident}"
        );
        assert_eq!(fs::read_to_string(rig.root.path().join(path)).unwrap(), expected);
    }
    let written = rig.metrics.device(&device()).written_bytes();
    assert_eq!(written, 15 + 15 + 16);
    // All leases are given back: hot is within its counts.
    rig.play(1, false);
    assert_eq!(rig.hot().status().captures, 20);

    let deleted = rig.evidence();
    assert!(rig.tracker.parts.evidence.as_ref().unwrap().delete(deleted));
    let folder = rig.root.path().join("cam/evidence").join(day);
    rig.until("its deletion", |_| !folder.exists());
}

#[test]
fn a_long_incident_is_written_down_twice_a_minute() {
    let mut rig = Rig::new();
    rig.play(11, true);
    rig.until("the first picture", |rig| rig.evidence().len() == 1);
    let before = rig.book.0.lock().unwrap().1;
    rig.play(5 * 180, true);
    let saves = rig.book.0.lock().unwrap().1 - before;
    // Every 30 s, and for each severity.
    assert!((5..=8).contains(&saves), "{saves}");
    rig.tracker.finish();
    let last_bad = rig.saved()[0].last_bad;
    assert_eq!(last_bad, START + 910 * TICKS_PER_SECOND / 5, "as it is when the daemon ends");
}

#[test]
fn a_disk_that_hangs_keeps_nobody_waiting() {
    let mut rig = Rig::new();
    let gate = Gate::closed();
    rig.volume.faults().arm(Op::SyncFile, 0, 1, Effect::Stall(gate.clone()));
    for _ in 0..4 {
        rig.play(11, true);
        rig.play(30, false);
    }
    assert_eq!(rig.names().iter().filter(|name| **name == "incident_closed").count(), 4);
    // What waited for more than half a minute is let go of.
    rig.manual.advance(Duration::from_secs(40));
    gate.open();
    let dropped = |rig: &Rig| rig.metrics.device(&device()).evidence_dropped.get();
    rig.until("the queue to be empty", |rig| {
        dropped(rig) + rig.saved().iter().map(|it| it.evidence.len() as u64).sum::<u64>() == 12
    });
    assert!(dropped(&rig) >= 8, "{}", dropped(&rig));
}

#[test]
fn a_full_disk_drops_the_proof_alone() {
    let mut rig = Rig::new();
    rig.volume.faults().arm(Op::Write, 0, 1, Effect::Fail(libc::ENOSPC));
    rig.play(11, true);
    rig.until("the drop", |rig| rig.metrics.device(&device()).evidence_dropped.get() == 1);
    rig.play(6, false);
    rig.until("the other two", |rig| rig.evidence().len() == 2);
    assert_eq!(rig.names()[..2], ["incident_opened", "incident_closed"]);
    let left: Vec<_> = walk(rig.root.path()).into_iter().filter(|name| name.ends_with(".tmp")).collect();
    assert_eq!(left, Vec::<String>::new(), "no half of a picture is left");
}

fn walk(folder: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| {
            let path = entry.path();
            if path.is_dir() { walk(&path) } else { vec![path.display().to_string()] }
        })
        .collect()
}

#[test]
fn nobody_is_told_of_what_is_muted() {
    let mut rig = Rig::new();
    rig.play(11, true);
    rig.muted.store(true, Ordering::SeqCst);
    rig.play(30, true);
    rig.until("the first picture", |rig| !rig.evidence().is_empty());
    let mut heard = rig.heard();
    heard.retain(|(name, _)| *name != "incident_changed");
    let told: Vec<_> = heard.iter().map(|(name, told)| (*name, told["comment"].as_str())).collect();
    assert_eq!(told, [("incident_opened", None), ("incident_closed", Some("maintenance"))]);
    rig.muted.store(false, Ordering::SeqCst);
    rig.play(12, true);
    assert!(rig.names().contains(&"incident_opened"), "trouble that lasts is another incident");
}

#[test]
fn the_daemon_that_comes_back_goes_on() {
    let mut rig = Rig::new();
    rig.play(11, true);
    rig.until("the first picture", |rig| rig.evidence().len() == 1);
    let open = rig.saved();
    let mut next = Rig::new();
    next.manual.advance(Duration::from_secs(20));
    next.tracker.restore(open.clone());
    assert_eq!(next.open_count(), 1);
    next.play(3, true);
    next.play(6, false);
    next.until("all pictures", |rig| rig.evidence().len() == 3);
    let heard = next.heard();
    assert!(heard.iter().any(|(name, told)| *name == "incident_closed" && told["id"] == open[0].id), "{heard:?}");
    assert_eq!((next.saved().len(), next.open_count()), (1, 0));
}

#[test]
fn without_captures_the_thumbnail_is_the_proof() {
    let mut rig = Rig::new();
    let hot = rig.hot().clone();
    rig.play(1, false);
    let thumbnail = rig.layout.file(&device(), HotKind::Picture(PictureKind::Thumbnail), key(0));
    assert!(thumbnail.exists());
    fs::remove_dir_all(rig.layout.folder(&device(), HotKind::Picture(PictureKind::Capture))).unwrap();
    fs::create_dir(rig.layout.folder(&device(), HotKind::Picture(PictureKind::Capture))).unwrap();
    hot.rescan().unwrap();
    let mut leases = Leases::default();
    let mark = Mark { key: key(0), at: START, since: START, badness: 0.0 };
    let lease = leases.take(&hot, IncidentKind::Freeze, Shot::First, mark, key(0)..=key(0)).unwrap();
    assert_eq!((lease.kind(), lease.key()), (PictureKind::Thumbnail, key(0)));
}
