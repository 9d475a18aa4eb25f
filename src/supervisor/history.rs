//! A day of the host's figures in RAM, a point for each minute: what a page shows of the time before somebody opened it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::Load;
use crate::clock::{Clock, Mono, Utc90k};

pub const STEP: Duration = Duration::from_secs(60);
/// A day. With some 80 bytes each, the ring stays below 128 KiB; the oldest point goes.
pub const POINTS_MAX: usize = 1440;

/// What only ever grows, and what hot holds now: of the whole host.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    pub written_bytes: u64,
    pub media_bytes: u64,
    /// Times that something was handed to the archive's file system.
    pub writes: u64,
    pub lost_seconds: f64,
    pub hot_bytes: u64,
}

/// One minute. Loads are means of it, sums what it added.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Its end.
    pub at: Utc90k,
    pub cpu_percent: f64,
    pub io_wait_percent: f64,
    /// None without PSI.
    pub io_pressure_percent: Option<f64>,
    pub sums: Sums,
}

/// Outlives the restarts of whoever notes.
pub struct History {
    clock: Clock,
    sums: Arc<dyn Fn() -> Sums + Send + Sync>,
    ring: Mutex<Ring>,
}

impl History {
    /// `sums` is called once a minute, and by whoever asks within the first: a snapshot only.
    pub fn new(clock: Clock, sums: Arc<dyn Fn() -> Sums + Send + Sync>) -> Self {
        let ring = Ring::begin(clock.mono(), sums());
        Self { clock, sums, ring: Mutex::new(ring) }
    }

    /// A reading of the load; with the first one of another minute the point of the one before is made.
    pub fn note(&self, load: &Load) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.loads.add(load);
        let now = self.clock.mono();
        if now.since(ring.began) >= STEP {
            ring.end_minute(now, self.clock.wall(), (self.sums)());
        }
    }

    /// Oldest first; those that ended after `from`. While the first minute is not over, what there is of it: a page has
    /// something to show once the load was read.
    pub fn points(&self, from: Option<Utc90k>) -> Vec<Point> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let is_young = ring.points.is_empty() && ring.loads.count > 0;
        let begun = is_young.then(|| ring.loads.point(self.clock.wall(), (self.sums)().since(&ring.before)));
        let all = ring.points.iter().copied().chain(begun);
        all.filter(|point| from.is_none_or(|from| point.at > from)).collect()
    }
}

struct Ring {
    points: VecDeque<Point>,
    began: Mono,
    before: Sums,
    loads: Loads,
}

impl Ring {
    fn begin(began: Mono, before: Sums) -> Self {
        Self { points: VecDeque::new(), began, before, loads: Loads::default() }
    }

    fn end_minute(&mut self, now: Mono, at: Utc90k, sums: Sums) {
        let loads = std::mem::take(&mut self.loads);
        self.points.push_back(loads.point(at, sums.since(&self.before)));
        while self.points.len() > POINTS_MAX {
            self.points.pop_front();
        }
        (self.began, self.before) = (now, sums);
    }
}

impl Sums {
    /// A camera that was removed takes its sums along: then nothing was added.
    fn since(&self, before: &Self) -> Self {
        Self {
            written_bytes: self.written_bytes.saturating_sub(before.written_bytes),
            media_bytes: self.media_bytes.saturating_sub(before.media_bytes),
            writes: self.writes.saturating_sub(before.writes),
            lost_seconds: (self.lost_seconds - before.lost_seconds).max(0.0),
            hot_bytes: self.hot_bytes,
        }
    }
}

/// Of the readings of a minute.
#[derive(Default)]
struct Loads {
    count: u32,
    cpu: f64,
    io_wait: f64,
    io_pressure: f64,
    has_pressure: bool,
}

impl Loads {
    fn add(&mut self, load: &Load) {
        self.count += 1;
        self.cpu += load.cpu_percent;
        self.io_wait += load.io_wait_percent;
        self.io_pressure += load.io_pressure_percent.unwrap_or(0.0);
        self.has_pressure |= load.io_pressure_percent.is_some();
    }

    fn point(&self, at: Utc90k, sums: Sums) -> Point {
        // To the hundredth: more is noise, and makes the answer longer.
        let mean = |sum: f64| (sum / f64::from(self.count.max(1)) * 100.0).round() / 100.0;
        Point {
            at,
            cpu_percent: mean(self.cpu),
            io_wait_percent: mean(self.io_wait),
            io_pressure_percent: self.has_pressure.then(|| mean(self.io_pressure)),
            sums,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    struct Rig {
        manual: ManualClock,
        sums: Arc<Mutex<Sums>>,
        history: History,
    }

    impl Rig {
        fn new() -> Self {
            let manual = ManualClock::at(Utc90k::from_seconds(1_700_000_000));
            let sums = Arc::new(Mutex::new(Sums { written_bytes: 500, lost_seconds: 2.0, ..Sums::default() }));
            let read = sums.clone();
            let history = History::new(manual.clock(), Arc::new(move || *read.lock().unwrap()));
            Self { manual, sums, history }
        }

        fn note(&self, cpu_percent: f64, after_seconds: u64) {
            self.manual.advance(Duration::from_secs(after_seconds));
            self.history.note(&Load { cpu_percent, io_pressure_percent: Some(cpu_percent / 2.0), ..Load::default() });
        }
    }

    #[test]
    fn a_minute_is_the_mean_of_its_loads_and_what_was_added_to_the_sums() {
        let rig = Rig::new();
        assert!(rig.history.points(None).is_empty(), "nothing was read yet");
        rig.note(10.0, 30);
        *rig.sums.lock().unwrap() =
            Sums { written_bytes: 800, media_bytes: 290, writes: 4, lost_seconds: 2.5, hot_bytes: 77 };
        let begun = rig.history.points(None);
        assert_eq!((begun.len(), begun[0].at.as_seconds()), (1, 1_700_000_030), "the first minute is not over");
        assert_eq!((begun[0].cpu_percent, begun[0].sums.written_bytes), (10.0, 300), "what there is of it");
        rig.note(30.0, 30);
        let added = Sums { written_bytes: 300, media_bytes: 290, writes: 4, lost_seconds: 0.5, hot_bytes: 77 };
        let first = Point {
            at: Utc90k::from_seconds(1_700_000_060),
            cpu_percent: 20.0,
            io_wait_percent: 0.0,
            io_pressure_percent: Some(10.0),
            sums: added,
        };
        assert_eq!(rig.history.points(None), [first]);
        // A device went with its counters.
        *rig.sums.lock().unwrap() = Sums { hot_bytes: 5, ..Sums::default() };
        rig.note(50.0, 60);
        let points = rig.history.points(Some(first.at));
        assert_eq!(points.len(), 1, "what ended after that alone");
        assert_eq!((points[0].cpu_percent, points[0].sums), (50.0, Sums { hot_bytes: 5, ..Sums::default() }));
    }

    #[test]
    fn a_day_is_kept_whatever_the_wall_clock_does() {
        let rig = Rig::new();
        for _ in 0..POINTS_MAX + 10 {
            rig.note(1.0, 60);
        }
        let points = rig.history.points(None);
        assert_eq!(points.len(), POINTS_MAX);
        assert_eq!(points.last().unwrap().at - points[0].at, (POINTS_MAX as i64 - 1) * 60 * 90_000);
        rig.manual.step_wall(Utc90k::from_seconds(5));
        rig.note(1.0, 59);
        assert_eq!(rig.history.points(None).last(), points.last(), "a minute is one of the clock that nobody sets");
        rig.note(1.0, 1);
        assert_eq!(rig.history.points(None).last().unwrap().at, Utc90k::from_seconds(65));
    }
}
