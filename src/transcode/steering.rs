//! The runner's hand on a job: stopped while the machine is wanted by others, given up when that lasts, ended with us.

use std::{sync::PoisonError, time::Duration};

use serde_json::json;
use slog::info;

use super::{
    Steer as _,
    control::Change,
    gate::{Gate, Machine},
    power::PowerReading,
    runner::{Inner, Runner},
};
use crate::clock::{Mono, ticks_90k};

/// A job that was held so long is given up: what it wrote takes space, and the source may go meanwhile.
pub const HELD_MAX: Duration = Duration::from_secs(1800);
/// Flushes of a few names; a disk may have to wake up first.
const SWAPS_WITHIN: Duration = Duration::from_secs(120);
/// Batteries and heat are slow.
const POWER_EVERY: Duration = Duration::from_secs(5);

impl Runner {
    /// Looks at the machine, and stops or continues what runs. Costs a few system calls; call it often while a job runs.
    pub fn steer(&self) {
        let (load, recorder, now) = (self.parts.load.load_full(), (self.parts.recorders)(), self.parts.clock.mono());
        let wall = self.parts.clock.wall();
        let tuning = self.tuning();
        let mut inner = self.lock();
        let power = inner.read_power(now);
        let in_window = tuning.schedule.is_open(wall);
        if in_window && !inner.was_scheduled && matches!(inner.rest, Some((_, Gate::Idle))) {
            // What had nothing to do before the window may have now.
            inner.rest = None;
        }
        inner.was_scheduled = in_window;
        let forced = inner.force_all || !inner.wanted.is_empty();
        let machine = Machine {
            foreign_cpu_percent: load.foreign_cpu_percent,
            io_wait_percent: load.io_wait_percent,
            io_pressure_percent: load.io_pressure_percent,
            recorder_suffers: recorder.is_some(),
            on_battery: power.on_battery,
            is_throttled: power.is_throttled,
            is_scheduled: in_window || inner.running.as_ref().map_or(forced, |running| running.forced),
        };
        let gate = inner.throttle.apply(&machine, &tuning.limits, now);
        inner.machine = gate;
        inner.detail = match gate {
            Gate::Recorder => recorder,
            Gate::Cpu => Some(format!("others take {:.0} % of the processor", load.foreign_cpu_percent)),
            Gate::IoWait => Some(format!("{:.0} % of time in iowait", load.io_wait_percent)),
            _ => None,
        };
        // Nobody waits half an hour for a window that opens in the evening.
        let until_window = tuning.schedule.next_open(wall).map_or(0, |at| at - wall);
        let limit =
            if gate == Gate::Schedule && until_window > ticks_90k(HELD_MAX) { Duration::ZERO } else { HELD_MAX };
        if self.is_lost(&inner) {
            // The thread hangs in the kernel until that volume answers; the encoder need not.
            if let Some(running) = inner.running.as_ref().filter(|running| !running.control.is_cancelled()) {
                running.control.cancel();
            }
            return self.tell_gate(&mut inner, Gate::Library);
        }
        self.steer_job(&mut inner, gate, limit);
        let told = inner.running.is_some().then_some(gate);
        if let Some(gate) = told {
            self.tell_gate(&mut inner, gate);
        }
    }

    /// What the thread is at lies on the library's own volume, and that does not answer.
    pub(super) fn is_lost(&self, inner: &Inner) -> bool {
        let swaps_since = inner.running.as_ref().and_then(|running| running.swaps_since);
        let takes_long = swaps_since.is_some_and(|since| self.parts.clock.mono().since(since) > SWAPS_WITHIN);
        inner.is_away && (takes_long || self.parts.volume.library().is_some_and(|away| !away.is_ok()))
    }

    fn steer_job(&self, inner: &mut Inner, gate: Gate, limit: Duration) {
        let Some(running) = &mut inner.running else { return };
        let metrics = &self.parts.metrics.transcode;
        let mut change = running.control.hold(gate, limit);
        if matches!(change, Change::Paused(_)) && limit.is_zero() {
            change = running.control.hold(gate, limit);
        }
        let told = running.control.told();
        metrics.progress.set(told.share);
        let log = &self.parts.log;
        let file = running.path.display().to_string();
        match change {
            Change::Paused(gate) => {
                metrics.pauses.inc();
                metrics.paused.set(1);
                info!(log, "transcoding paused"; "file" => &file, "gate" => gate.name());
                self.tell("job_paused", &running.device, json!({"file": file, "gate": gate}));
            }
            Change::Resumed(after) => {
                metrics.paused.set(0);
                metrics.paused_seconds.inc_by(after.as_secs_f64());
                info!(log, "transcoding goes on"; "file" => &file, "seconds" => after.as_secs());
                self.tell("job_resumed", &running.device, json!({"file": file}));
            }
            Change::GaveUp(gate) => {
                info!(log, "transcoding given up, it was held too long"; "file" => &file, "gate" => gate.name());
            }
            Change::None => {}
        }
        let tenths = (told.share * 10.0) as u32;
        if tenths > running.tenths {
            running.tenths = tenths;
            let progress = (told.share * 1000.0).round() / 1000.0;
            let data = json!({"file": file, "progress": progress, "speed": (told.speed * 100.0).round() / 100.0});
            self.tell("job_progress", &running.device, data);
        }
    }

    /// Ends what runs, for the end of the daemon. [`Self::wait_ended`] waits for it.
    pub fn abandon(&self) {
        let mut inner = self.lock();
        inner.ending = true;
        if let Some(running) = &inner.running {
            running.control.cancel();
        }
    }

    /// Whether nothing runs any more.
    pub fn wait_ended(&self, limit: Duration) -> bool {
        let inner = self.lock();
        let waited = self.job_ended.wait_timeout_while(inner, limit, |inner| inner.running.is_some());
        waited.unwrap_or_else(PoisonError::into_inner).0.running.is_none()
    }
}

impl Inner {
    fn read_power(&mut self, now: Mono) -> PowerReading {
        match self.power_read {
            Some((at, reading)) if now.since(at) < POWER_EVERY => reading,
            _ => {
                let reading = self.power.read();
                self.power_read = Some((now, reading));
                reading
            }
        }
    }
}
