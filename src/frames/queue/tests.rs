//! Frames through the ring and the pool with eyes that do as told: order, counts, panics, floods.

use std::sync::mpsc;

use super::*;
use crate::{frames::Sound, telemetry::Metrics};

/// Sees in a frame what its bytes say: `b` black, `c` corrupt, `p` panic, `w` wait for the word to go on.
struct Told(Option<Arc<Mutex<mpsc::Receiver<()>>>>);

impl Look for Told {
    fn reset(&mut self) {}

    fn look(&mut self, _: Utc90k, jpeg: &[u8], detect: &Detect) -> Result<Seen> {
        match jpeg.first() {
            Some(b'c') => return Err(Error::new(Kind::Corrupt, "as told")),
            Some(b'p') => panic!("as told"),
            Some(b'w') => drop(self.0.as_ref().map(|go| go.lock().unwrap().recv())),
            _ => {}
        }
        let black_percent = Some(detect.black_luma.into());
        Ok(Seen { black: Some(jpeg.first() == Some(&b'b')), black_percent, ..Seen::default() })
    }
}

struct Rig {
    queue: Arc<FrameQueue>,
    told: mpsc::Receiver<Observation>,
    go: mpsc::Sender<()>,
    metrics: DeviceMetrics,
    detect: Arc<ArcSwap<Detect>>,
}

fn pool(threads: usize) -> Pool {
    Pool::start(threads, &Logger::root(slog::Discard, slog::o!())).unwrap()
}

fn rig(pool: &Pool, frames_max: usize) -> Rig {
    let clock = Clock::system();
    let metrics = Metrics::new().device(&"cam".parse().unwrap());
    let ((tell, told), (go, wait)) = (mpsc::channel(), mpsc::channel());
    let wait = Arc::new(Mutex::new(wait));
    let tell = Mutex::new(tell);
    let detect = Arc::<ArcSwap<Detect>>::default();
    let parts = FrameParts {
        run_clock: Arc::new(RunClock::new(clock.clone())),
        clock,
        log: Logger::root(slog::Discard, slog::o!()),
        metrics: metrics.clone(),
        pool: pool.clone(),
        frames_max,
        detect: detect.clone(),
        hearing: Arc::new(Hearing::new()),
        eyes: Arc::new(move || Box::new(Told(Some(wait.clone())))),
        witnesses: vec![
            Arc::new(|observation, _| assert!(observation.key.number != 13, "a witness that panics")),
            Arc::new(move |observation, _| drop(tell.lock().unwrap().send(observation.clone()))),
        ],
    };
    Rig { queue: FrameQueue::new(parts), told, go, metrics, detect }
}

impl Rig {
    fn arrives(&self, number: u64, shows: &'static str) {
        let key = SegmentKey { epoch: Epoch(1), number };
        self.queue.arrived(key, Clock::system().wall(), Some(Bytes::from_static(shows.as_bytes())));
    }

    fn next(&self) -> Observation {
        self.told.recv_timeout(Duration::from_secs(20)).expect("a verdict")
    }

    /// Nothing waits and nobody works.
    fn settle(&self) {
        let clock = Clock::system();
        let began = clock.mono();
        while self.queue.ring.depth() > 0 || self.queue.busy.load(Ordering::Acquire) {
            assert!(clock.mono().since(began) < Duration::from_secs(20), "it does not settle");
            std::thread::yield_now();
        }
    }
}

#[test]
fn verdicts_come_in_order_and_a_bad_frame_is_its_own_loss() {
    let rig = rig(&pool(2), 100);
    for (number, shows) in (10..).zip(["-", "b", "c", "b", "p", "b"]) {
        rig.arrives(number, shows);
    }
    rig.queue.arrived(SegmentKey { epoch: Epoch(1), number: 16 }, Clock::system().wall(), None);
    rig.arrives(17, "-");
    rig.arrives(12, "b");
    rig.queue.start();
    let verdicts: Vec<_> = (0..7).map(|_| rig.next()).collect();
    let seen: Vec<_> = verdicts.iter().map(|it| (it.key.number, it.black, it.skipped)).collect();
    let expected = [
        (10, Some(false), 0),
        (11, Some(true), 0),
        (12, None, 0),
        (13, Some(true), 0),
        (14, None, 0),
        (15, Some(true), 0),
        (17, Some(false), 1),
    ];
    assert_eq!(seen, expected);
    rig.settle();
    let metrics = &rig.metrics;
    assert_eq!((metrics.frames_failed.get(), metrics.frames_dropped.get(), metrics.frames_skipped.get()), (3, 0, 0));
    assert!(verdicts.windows(2).all(|pair| pair[0].at < pair[1].at));
    assert!(verdicts.iter().all(|it| it.sound == Sound::default()));
}

#[test]
fn a_flood_is_counted_to_the_frame_and_told() {
    let rig = rig(&pool(1), 1000);
    rig.arrives(0, "w");
    rig.queue.start();
    // Only when it is being looked at is its place in the ring free.
    while rig.queue.ring.depth() > 0 {
        std::thread::yield_now();
    }
    (1..=10_000).for_each(|number| rig.arrives(number, "-"));
    assert_eq!(rig.metrics.frames_dropped.get(), 9000);
    assert_eq!(rig.metrics.frame_queue_depth.get(), 1000);
    rig.go.send(()).unwrap();
    assert_eq!(rig.next().key.number, 0);
    let next = rig.next();
    assert_eq!((next.key.number, next.skipped), (10_000, 9999), "the newest, and all others are told");
    assert!(next.skipped_from.is_some_and(|from| from < next.at));
    assert_eq!(rig.metrics.frames_skipped.get(), 999);
    rig.settle();
    assert_eq!(rig.metrics.frame_queue_depth.get(), 0);
}

#[test]
fn a_flooding_device_leaves_the_others_their_turn() {
    let pool = pool(1);
    let (flood, quiet) = (rig(&pool, 1000), rig(&pool, 1000));
    (20..=300).for_each(|number| flood.arrives(number, "w"));
    flood.queue.start();
    quiet.arrives(0, "b");
    quiet.queue.start();
    // Enough for one turn of the flood; its next one would wait for ever.
    (0..BATCH).for_each(|_| flood.go.send(()).unwrap());
    assert_eq!(quiet.next().black, Some(true));
    assert_eq!(flood.told.iter().take(BATCH).count(), BATCH);
}

#[test]
fn the_next_actor_goes_on_from_the_ring() {
    let rig = rig(&pool(1), 100);
    let looked = |rig: &Rig| [rig.next(), rig.next()].map(|it| it.key.number);
    actix_rt::System::new().block_on(async {
        for numbers in [[20, 21], [22, 23]] {
            numbers.iter().for_each(|number| rig.arrives(*number, "-"));
            // Nobody gave notice: they came while no actor was there.
            let actor = actix::Actor::start(crate::frames::FrameQueueActor::new(rig.queue.clone()));
            let queue = rig.queue.clone();
            while queue.ring.depth() > 0 {
                actix_rt::task::yield_now().await;
            }
            drop(actor);
        }
    });
    assert_eq!([looked(&rig), looked(&rig)], [[20, 21], [22, 23]]);
}

#[test]
fn thresholds_change_while_it_runs() {
    let rig = rig(&pool(1), 100);
    let level = |rig: &Rig| {
        rig.queue.start();
        rig.next().black_percent
    };
    rig.arrives(20, "-");
    let before = level(&rig);
    rig.detect.store(Arc::new(Detect { black_luma: 99, ..Detect::default() }));
    rig.arrives(21, "-");
    assert_eq!((before, level(&rig)), (Some(10.0), Some(99.0)));
}

#[test]
fn overflows_of_file_events_are_told_as_skipped() {
    let rig = rig(&pool(1), 100);
    rig.arrives(10, "-");
    let keys = [5, 11, 12].map(|number| SegmentKey { epoch: Epoch(1), number });
    rig.queue.unnoticed(&keys, Clock::system().wall());
    rig.arrives(13, "-");
    rig.queue.start();
    assert_eq!([rig.next(), rig.next()].map(|it| (it.key.number, it.skipped)), [(10, 0), (13, 2)]);
    assert_eq!(rig.metrics.frames_skipped.get(), 2);
}
