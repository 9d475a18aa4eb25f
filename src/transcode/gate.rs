//! Which gate holds the transcoder: pure. What the machine does can stop a running encoder; the rest only a next one.

use std::time::Duration;

use serde::Serialize;

use crate::clock::Mono;

/// Why nothing runs, or why what runs is stopped. The name is also the label in metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    #[default]
    Open,
    /// Totals, failures and the switch are not known, or could not be written down.
    Database,
    /// By the settings or by somebody.
    Disabled,
    /// The archive volume is not what it should be.
    Volume,
    /// The library's own volume does not answer, and what is in work lies there.
    Library,
    /// Outside `run_schedule`.
    Schedule,
    /// Others want the processor.
    Cpu,
    IoWait,
    /// Tasks wait for disks, by PSI.
    IoPressure,
    /// A device's recorder is not well, or commits are late.
    Recorder,
    /// The host runs on its battery.
    Battery,
    /// The host is too hot, or its supply too weak.
    Thermal,
    Space,
    /// No encoder that is asked for works here.
    Encoder,
    /// `max_write_bytes_per_day` is used up.
    WriteBudget,
    /// After a file.
    Pause,
    /// After a failure.
    ErrorPause,
    /// Nothing qualified when it was last looked.
    Idle,
}

impl Gate {
    pub const ALL: [Self; 18] = [
        Self::Open,
        Self::Database,
        Self::Disabled,
        Self::Volume,
        Self::Library,
        Self::Schedule,
        Self::Cpu,
        Self::IoWait,
        Self::IoPressure,
        Self::Recorder,
        Self::Battery,
        Self::Thermal,
        Self::Space,
        Self::Encoder,
        Self::WriteBudget,
        Self::Pause,
        Self::ErrorPause,
        Self::Idle,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Database => "database",
            Self::Disabled => "disabled",
            Self::Volume => "volume",
            Self::Library => "library",
            Self::Schedule => "schedule",
            Self::Cpu => "cpu",
            Self::IoWait => "io_wait",
            Self::IoPressure => "io_pressure",
            Self::Recorder => "recorder",
            Self::Battery => "battery",
            Self::Thermal => "thermal",
            Self::Space => "space",
            Self::Encoder => "encoder",
            Self::WriteBudget => "write_budget",
            Self::Pause => "pause",
            Self::ErrorPause => "error_pause",
            Self::Idle => "idle",
        }
    }
}

/// What the settings allow the machine to be busy with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MachineLimits {
    pub cpu_percent: f64,
    pub io_wait_percent: f64,
    pub io_pressure_percent: f64,
}

impl MachineLimits {
    /// Below a fifth, the recorder's own commits to a slow card would hold the transcoder for ever.
    const PRESSURE_MIN: f64 = 20.0;

    /// PSI counts one task that waits as all of the time, iowait as the share of one core: so many times the limit.
    pub fn new(cpu_percent: f64, io_wait_percent: f64, cores: usize) -> Self {
        let io_pressure_percent = (io_wait_percent * cores as f64).clamp(Self::PRESSURE_MIN, 100.0);
        Self { cpu_percent, io_wait_percent, io_pressure_percent }
    }
}

/// What the machine does at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Machine {
    /// Of everything but our own children, percent of the whole machine.
    pub foreign_cpu_percent: f64,
    pub io_wait_percent: f64,
    pub io_pressure_percent: Option<f64>,
    pub recorder_suffers: bool,
    pub on_battery: bool,
    pub is_throttled: bool,
    pub is_scheduled: bool,
}

/// A limit that was passed must be undershot by a fifth, for [`CALM`], before work goes on: an encoder stopped and
/// continued every second would get nowhere.
const REOPEN_SHARE: f64 = 0.8;
const CALM: Duration = Duration::from_secs(5);

/// The gate of the machine, with its memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttle {
    closed: Option<Gate>,
    calm_since: Option<Mono>,
}

impl Throttle {
    /// Closes at once, opens late. [`Gate::Open`] when work may go on.
    pub fn apply(&mut self, machine: &Machine, limits: &MachineLimits, now: Mono) -> Gate {
        let Some(before) = self.closed else {
            let gate = holds(machine, limits, 1.0);
            self.closed = (gate != Gate::Open).then_some(gate);
            self.calm_since = None;
            return gate;
        };
        let gate = holds(machine, limits, REOPEN_SHARE);
        if gate != Gate::Open {
            // What is told is what is above its limit; what only has not calmed down yet keeps the name it had.
            let sharp = holds(machine, limits, 1.0);
            self.closed = Some(if sharp == Gate::Open { before } else { sharp });
            self.calm_since = None;
        } else {
            let since = *self.calm_since.get_or_insert(now);
            // A time of day does not tremble.
            if now.since(since) >= CALM || before == Gate::Schedule {
                *self = Self::default();
            }
        }
        self.closed.unwrap_or_default()
    }
}

fn holds(machine: &Machine, limits: &MachineLimits, share: f64) -> Gate {
    let Machine { foreign_cpu_percent, io_wait_percent, io_pressure_percent, .. } = *machine;
    if !machine.is_scheduled {
        Gate::Schedule
    } else if machine.recorder_suffers {
        Gate::Recorder
    } else if foreign_cpu_percent > limits.cpu_percent * share {
        Gate::Cpu
    } else if io_wait_percent > limits.io_wait_percent * share {
        Gate::IoWait
    } else if io_pressure_percent.is_some_and(|percent| percent > limits.io_pressure_percent * share) {
        Gate::IoPressure
    } else if machine.on_battery {
        Gate::Battery
    } else if machine.is_throttled {
        Gate::Thermal
    } else {
        Gate::Open
    }
}

/// Why no next file is begun, the machine apart: what is certain first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    pub database_ready: bool,
    pub enabled: bool,
    pub volume_ok: bool,
    /// Until when to rest, and why.
    pub rest: Option<(Mono, Gate)>,
}

impl Admission {
    pub fn gate(&self, now: Mono) -> Gate {
        if !self.enabled {
            Gate::Disabled
        } else if !self.database_ready {
            Gate::Database
        } else if !self.volume_ok {
            Gate::Volume
        } else {
            self.rest.filter(|(until, _)| now < *until).map_or(Gate::Open, |(_, why)| why)
        }
    }
}

/// What one file needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    pub free_bytes: u64,
    /// `min_free_space_gb`
    pub min_free_bytes: u64,
    /// What the recorder keeps free for itself.
    pub recorder_bytes: u64,
    /// Of the source: a successor that gets larger is given up.
    pub source_bytes: u64,
    /// Today.
    pub written_bytes: u64,
    /// 0: no limit.
    pub written_bytes_max: u64,
}

impl Room {
    pub fn gate(&self) -> Gate {
        let needed = self.recorder_bytes.saturating_add(self.source_bytes);
        if self.free_bytes < self.min_free_bytes.max(needed) {
            Gate::Space
        } else if self.written_bytes_max > 0
            && self.written_bytes.saturating_add(self.source_bytes) > self.written_bytes_max
        {
            Gate::WriteBudget
        } else {
            Gate::Open
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: MachineLimits = MachineLimits { cpu_percent: 15.0, io_wait_percent: 5.0, io_pressure_percent: 20.0 };

    fn calm() -> Machine {
        Machine { is_scheduled: true, ..Machine::default() }
    }

    #[test]
    fn the_machine_closes_its_gate_at_once() {
        let check = |change: fn(&mut Machine), expected: Gate| {
            let mut machine = calm();
            change(&mut machine);
            assert_eq!(Throttle::default().apply(&machine, &LIMITS, Mono::ZERO), expected, "{machine:?}");
        };
        check(|_| {}, Gate::Open);
        check(|m| m.foreign_cpu_percent = 15.0, Gate::Open);
        check(|m| m.foreign_cpu_percent = 15.1, Gate::Cpu);
        check(|m| m.io_wait_percent = 5.5, Gate::IoWait);
        check(|m| m.io_pressure_percent = Some(19.0), Gate::Open);
        check(|m| m.io_pressure_percent = Some(21.0), Gate::IoPressure);
        check(|m| m.recorder_suffers = true, Gate::Recorder);
        check(|m| m.on_battery = true, Gate::Battery);
        check(|m| m.is_throttled = true, Gate::Thermal);
        check(|m| m.is_scheduled = false, Gate::Schedule);
        check(|m| (m.is_scheduled, m.foreign_cpu_percent) = (false, 90.0), Gate::Schedule);
    }

    #[test]
    fn it_opens_after_a_calm_while_below_the_limit() {
        let mut throttle = Throttle::default();
        let mut told = Vec::new();
        // Percent of foreign CPU, one reading a second.
        for (second, percent) in [10, 50, 14, 11, 11, 11, 13, 11, 11, 11, 11, 11, 11, 14, 16].into_iter().enumerate() {
            let machine = Machine { foreign_cpu_percent: f64::from(percent), ..calm() };
            let now = Mono::ZERO + Duration::from_secs(second as u64);
            told.push(throttle.apply(&machine, &LIMITS, now) == Gate::Open);
        }
        let expected = "o..... ......oo.".replace(' ', "");
        assert_eq!(told.iter().map(|open| if *open { 'o' } else { '.' }).collect::<String>(), expected);
    }

    #[test]
    fn the_reason_told_is_the_one_that_holds_now() {
        let mut throttle = Throttle::default();
        let mut at =
            |second: u64, machine: Machine| throttle.apply(&machine, &LIMITS, Mono::ZERO + Duration::from_secs(second));
        assert_eq!(at(0, Machine { foreign_cpu_percent: 50.0, ..calm() }), Gate::Cpu);
        assert_eq!(at(1, Machine { io_wait_percent: 50.0, ..calm() }), Gate::IoWait);
        assert_eq!(at(2, Machine { foreign_cpu_percent: 13.0, ..calm() }), Gate::IoWait);
        assert_eq!(at(3, Machine { is_scheduled: false, ..calm() }), Gate::Schedule);
        assert_eq!(at(4, calm()), Gate::Open, "a time of day needs no calm");
    }

    #[test]
    fn pressure_is_of_one_task_and_iowait_of_all_cores() {
        let check = |io_wait, cores, expected| {
            assert_eq!(MachineLimits::new(15.0, io_wait, cores).io_pressure_percent, expected);
        };
        check(5.0, 2, 20.0);
        check(5.0, 8, 40.0);
        check(50.0, 8, 100.0);
    }

    #[test]
    fn a_next_file_waits_for_what_is_certain_first() {
        let well = Admission { database_ready: true, enabled: true, volume_ok: true, rest: None };
        let check = |admission: Admission, expected: Gate| {
            assert_eq!(admission.gate(Mono::ZERO + Duration::from_secs(10)), expected, "{admission:?}");
        };
        let until = |second| Mono::ZERO + Duration::from_secs(second);
        check(well, Gate::Open);
        check(Admission { enabled: false, database_ready: false, ..well }, Gate::Disabled);
        check(Admission { database_ready: false, ..well }, Gate::Database);
        check(Admission { volume_ok: false, rest: Some((until(11), Gate::Idle)), ..well }, Gate::Volume);
        check(Admission { rest: Some((until(11), Gate::Pause)), ..well }, Gate::Pause);
        check(Admission { rest: Some((until(10), Gate::ErrorPause)), ..well }, Gate::Open);
    }

    #[test]
    fn a_file_needs_room_and_a_budget() {
        let room =
            Room { free_bytes: 100, min_free_bytes: 50, recorder_bytes: 20, source_bytes: 30, ..Room::default() };
        let check = |room: Room, expected: Gate| assert_eq!(room.gate(), expected, "{room:?}");
        check(room, Gate::Open);
        check(Room { free_bytes: 49, ..room }, Gate::Space);
        check(Room { source_bytes: 81, ..room }, Gate::Space);
        check(Room { source_bytes: u64::MAX, ..room }, Gate::Space);
        check(Room { written_bytes: 70, written_bytes_max: 100, ..room }, Gate::Open);
        check(Room { written_bytes: 71, written_bytes_max: 100, ..room }, Gate::WriteBudget);
        check(Room { written_bytes: u64::MAX, ..room }, Gate::Open);
    }
}
