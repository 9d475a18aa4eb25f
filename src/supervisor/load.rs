//! How busy the machine is: CPU, iowait and I/O pressure, read every two seconds and published as a snapshot; four times
//! as often while somebody watches closely.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix::{Actor, AsyncContext, Context};
use arc_swap::ArcSwap;
use procfs::{Current, CurrentSI};
use serde::Serialize;

use super::{History, kin};
use crate::telemetry::Metrics;

/// Long enough that a short burst does not throttle the background, short enough to yield within one work item.
const READ_EVERY: Duration = Duration::from_secs(2);
/// A background encoder is to stop within a second of somebody else's work.
const WATCH_EVERY: Duration = Duration::from_millis(500);
/// Readings over which iowait is told while they come more often: half a second of it is noise.
const IO_READINGS: usize = 4;

/// The whole machine's load, in percent. Zero until the second reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Load {
    /// Of all cores: 100 means that every core is busy.
    pub cpu_percent: f64,
    /// The same without our own children.
    pub foreign_cpu_percent: f64,
    /// Share of CPU time spent idle with I/O outstanding (`/proc/stat`), of the last two seconds; a hint only, see proc(5).
    pub io_wait_percent: f64,
    /// PSI `io some avg10`: share of the last 10 s in which some task waited for I/O; absent without PSI.
    pub io_pressure_percent: Option<f64>,
    /// Counts readings: whoever waits for a fresh one sees it move.
    pub readings: u64,
}

/// Who holds one has the load read more often.
#[derive(Clone, Default)]
pub struct LoadWatch(Arc<AtomicUsize>);

/// As long as it lives.
pub struct Watching(LoadWatch);

impl LoadWatch {
    pub fn begin(&self) -> Watching {
        self.0.fetch_add(1, Ordering::AcqRel);
        Watching(self.clone())
    }

    fn is_on(&self) -> bool {
        self.0.load(Ordering::Acquire) > 0
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The one reader of the load.
pub struct LoadActor {
    reader: LoadReader,
    watch: LoadWatch,
    ticks: u32,
    published: Arc<ArcSwap<Load>>,
    metrics: Arc<Metrics>,
    /// None: nobody asks for it.
    history: Option<Arc<History>>,
}

impl LoadActor {
    pub fn new(published: Arc<ArcSwap<Load>>, watch: LoadWatch, metrics: Arc<Metrics>) -> Self {
        Self { reader: LoadReader::default(), watch, ticks: 0, published, metrics, history: None }
    }

    pub fn noting(self, history: Arc<History>) -> Self {
        Self { history: Some(history), ..self }
    }

    fn tick(&mut self) {
        self.ticks = self.ticks.wrapping_add(1);
        let every = if self.watch.is_on() { 1 } else { (READ_EVERY.as_millis() / WATCH_EVERY.as_millis()) as u32 };
        if self.ticks.is_multiple_of(every) {
            self.read();
        }
    }

    fn read(&mut self) {
        let load = self.reader.read();
        self.metrics.cpu_percent.set(load.cpu_percent);
        self.metrics.foreign_cpu_percent.set(load.foreign_cpu_percent);
        self.metrics.io_wait_percent.set(load.io_wait_percent);
        self.metrics.io_pressure_percent.set(load.io_pressure_percent.unwrap_or(0.0));
        self.published.store(Arc::new(load));
        // The first reading has nothing to compare with.
        if let Some(history) = self.history.as_ref().filter(|_| load.readings > 1) {
            history.note(&load);
        }
    }
}

impl Actor for LoadActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.read();
        ctx.run_interval(WATCH_EVERY, |actor, _| actor.tick());
    }
}

/// Reads the load since it was read before.
#[derive(Debug, Default)]
pub struct LoadReader {
    system: sysinfo::System,
    before: Option<CpuTimes>,
    io_wait: VecDeque<CpuTimes>,
    readings: u64,
}

impl LoadReader {
    pub fn read(&mut self) -> Load {
        self.system.refresh_cpu_usage();
        let times = CpuTimes::read();
        self.readings += 1;
        let mut load = Load {
            cpu_percent: f64::from(self.system.global_cpu_usage()),
            io_pressure_percent: procfs::IoPressure::current().ok().map(|psi| f64::from(psi.some.avg10)),
            readings: self.readings,
            ..Load::default()
        };
        if let (Some(before), Some(now)) = (self.before, times) {
            load.foreign_cpu_percent = now.foreign_percent_since(before);
        }
        if let Some(now) = times {
            let oldest = self.io_wait.front().copied().unwrap_or(now);
            load.io_wait_percent = now.io_wait_percent_since(oldest);
            self.io_wait.push_back(now);
            if self.io_wait.len() > IO_READINGS {
                self.io_wait.pop_front();
            }
        }
        self.before = times;
        load
    }
}

/// Clock ticks since boot, summed over all cores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct CpuTimes {
    all: u64,
    idle: u64,
    io_wait: u64,
    /// Of our children, dead or alive.
    kin: u64,
}

impl CpuTimes {
    fn read() -> Option<Self> {
        let cpu = procfs::KernelStats::current().ok()?.total;
        let io_wait = cpu.iowait.unwrap_or(0);
        // Guest time is contained in user time already (proc(5)).
        let rest = [cpu.irq, cpu.softirq, cpu.steal].map(|ticks| ticks.unwrap_or(0)).iter().sum::<u64>();
        let all = cpu.user + cpu.nice + cpu.system + cpu.idle + io_wait + rest;
        Some(Self { all, idle: cpu.idle, io_wait, kin: kin::ticks() })
    }

    /// Of everything but our children.
    fn foreign_percent_since(self, before: Self) -> f64 {
        let all = self.all.saturating_sub(before.all);
        if all == 0 {
            return 0.0;
        }
        let rested = (self.idle + self.io_wait).saturating_sub(before.idle + before.io_wait);
        let busy = all.saturating_sub(rested);
        // A child that another process has taken over counts for nobody: then it is less than before.
        let foreign = busy.saturating_sub(self.kin.saturating_sub(before.kin));
        foreign as f64 * 100.0 / all as f64
    }

    /// iowait may run backwards (proc(5)): then it is 0.
    fn io_wait_percent_since(self, before: Self) -> f64 {
        let all = self.all.saturating_sub(before.all);
        let io_wait = self.io_wait.saturating_sub(before.io_wait);
        if all == 0 { 0.0 } else { (io_wait as f64 * 100.0 / all as f64).min(100.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iowait_is_a_share_of_the_ticks_between_two_readings() {
        let check = |before: (u64, u64), now: (u64, u64), expected: f64| {
            let times = |(all, io_wait)| CpuTimes { all, io_wait, ..CpuTimes::default() };
            assert_eq!(times(now).io_wait_percent_since(times(before)), expected, "{before:?} → {now:?}");
        };
        check((1000, 10), (1200, 60), 25.0);
        check((1000, 10), (1000, 10), 0.0);
        check((1000, 60), (1200, 10), 0.0);
    }

    #[test]
    fn what_our_children_take_is_not_foreign() {
        let check = |before: [u64; 4], now: [u64; 4], expected: f64| {
            let times = |[all, idle, io_wait, kin]: [u64; 4]| CpuTimes { all, idle, io_wait, kin };
            assert_eq!(times(now).foreign_percent_since(times(before)), expected, "{before:?} → {now:?}");
        };
        check([0, 0, 0, 0], [200, 100, 0, 80], 10.0);
        check([0, 0, 0, 0], [200, 60, 40, 0], 50.0);
        // The kernel's two books differ by a tick, or a child went with its time.
        check([0, 0, 0, 0], [200, 100, 0, 101], 0.0);
        check([0, 0, 0, 500], [200, 100, 0, 400], 50.0);
        check([200, 100, 0, 0], [200, 100, 0, 0], 0.0);
    }

    #[test]
    fn this_machine_can_be_read() {
        let published = Arc::new(ArcSwap::from_pointee(Load { cpu_percent: -1.0, ..Load::default() }));
        let mut actor = LoadActor::new(published.clone(), LoadWatch::default(), Arc::new(Metrics::new()));
        actor.read();
        actor.read();
        let load = published.load();
        assert!((0.0..=100.0).contains(&load.cpu_percent), "{load:?}");
        assert!((0.0..=100.0).contains(&load.foreign_cpu_percent), "{load:?}");
        assert!(CpuTimes::read().is_some_and(|times| times.all > times.io_wait));
    }

    #[test]
    fn readings_come_four_times_as_often_while_somebody_watches() {
        let (published, watch) = (Arc::new(ArcSwap::default()), LoadWatch::default());
        let mut actor = LoadActor::new(published.clone(), watch.clone(), Arc::new(Metrics::new()));
        let mut read_in = |ticks: u32| {
            let before = published.load().readings;
            (0..ticks).for_each(|_| actor.tick());
            published.load().readings - before
        };
        assert_eq!(read_in(8), 2);
        let watching = watch.begin();
        assert_eq!(read_in(8), 8);
        drop(watching);
        assert_eq!(read_in(8), 2);
    }
}
