//! How busy the machine is: CPU, iowait and I/O pressure, read every two seconds and published as a snapshot.

use std::{sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Context};
use arc_swap::ArcSwap;
use procfs::{Current, CurrentSI};
use serde::Serialize;

use crate::telemetry::Metrics;

/// Long enough that a short burst does not throttle the background, short enough to yield within one work item.
const READ_EVERY: Duration = Duration::from_secs(2);

/// The whole machine's load, in percent. Zero until the second reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Load {
    /// Of all cores: 100 means that every core is busy.
    pub cpu_percent: f64,
    /// Share of CPU time spent idle with I/O outstanding (`/proc/stat`); a hint only, see proc(5).
    pub io_wait_percent: f64,
    /// PSI `io some avg10`: share of the last 10 s in which some task waited for I/O; absent without PSI.
    pub io_pressure_percent: Option<f64>,
}

/// The one reader of the load.
pub struct LoadActor {
    system: sysinfo::System,
    before: Option<CpuTimes>,
    published: Arc<ArcSwap<Load>>,
    metrics: Arc<Metrics>,
}

impl LoadActor {
    pub fn new(published: Arc<ArcSwap<Load>>, metrics: Arc<Metrics>) -> Self {
        Self { system: sysinfo::System::new(), before: None, published, metrics }
    }

    fn read(&mut self) {
        self.system.refresh_cpu_usage();
        let times = CpuTimes::read();
        let io_wait_percent = match (self.before, times) {
            (Some(before), Some(now)) => now.io_wait_percent_since(before),
            _ => 0.0,
        };
        self.before = times;
        let load = Load {
            cpu_percent: f64::from(self.system.global_cpu_usage()),
            io_wait_percent,
            io_pressure_percent: procfs::IoPressure::current().ok().map(|psi| f64::from(psi.some.avg10)),
        };
        self.metrics.cpu_percent.set(load.cpu_percent);
        self.metrics.io_wait_percent.set(load.io_wait_percent);
        self.metrics.io_pressure_percent.set(load.io_pressure_percent.unwrap_or(0.0));
        self.published.store(Arc::new(load));
    }
}

impl Actor for LoadActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.read();
        ctx.run_interval(READ_EVERY, |actor, _| actor.read());
    }
}

/// Clock ticks since boot, summed over all cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CpuTimes {
    all: u64,
    io_wait: u64,
}

impl CpuTimes {
    fn read() -> Option<Self> {
        let cpu = procfs::KernelStats::current().ok()?.total;
        let io_wait = cpu.iowait.unwrap_or(0);
        // Guest time is contained in user time already (proc(5)).
        let rest = [cpu.irq, cpu.softirq, cpu.steal].map(|ticks| ticks.unwrap_or(0)).iter().sum::<u64>();
        Some(Self { all: cpu.user + cpu.nice + cpu.system + cpu.idle + io_wait + rest, io_wait })
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
            let times = |(all, io_wait)| CpuTimes { all, io_wait };
            assert_eq!(times(now).io_wait_percent_since(times(before)), expected, "{before:?} → {now:?}");
        };
        check((1000, 10), (1200, 60), 25.0);
        check((1000, 10), (1000, 10), 0.0);
        check((1000, 60), (1200, 10), 0.0);
    }

    #[test]
    fn this_machine_can_be_read() {
        let published = Arc::new(ArcSwap::from_pointee(Load { cpu_percent: -1.0, ..Load::default() }));
        let mut actor = LoadActor::new(published.clone(), Arc::new(Metrics::new()));
        actor.read();
        actor.read();
        let load = published.load();
        assert!((0.0..=100.0).contains(&load.cpu_percent), "{load:?}");
        assert!(CpuTimes::read().is_some_and(|times| times.all > times.io_wait));
    }
}
