//! How quickly a running encoder makes way for somebody else's work, and how much of that work it slows.
//!
//! A real libx265 in a group of its own, at the lowest priority, under the real gate; the other work is a process that is
//! none of our children. On a machine that others keep busy the figures are theirs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "common.rs"]
mod common;

use std::{
    io::Read,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    time::Duration,
};

use capstan::{
    clock::{Clock, Mono},
    supervisor::LoadReader,
    transcode::{
        Steer,
        control::{Change, Control},
        gate::{Gate, Machine, MachineLimits, Throttle},
    },
};

const ROUNDS: usize = 8;
/// As the actors do while a job runs.
const READ_EVERY: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Others' work, on every core at once.
const WORK: &str = "import os,time\n\
    n=os.cpu_count()\n\
    for _ in range(n-1):\n    \
        if os.fork()==0: break\n\
    t=time.monotonic()\n\
    i=0\n\
    while i<LOOPS: i+=1\n";

/// The encoder under its gate.
struct Held {
    clock: Clock,
    control: Control,
    throttle: Throttle,
    limits: MachineLimits,
    reader: LoadReader,
    machine: Machine,
    read: Mono,
    encoder: Child,
}

impl Held {
    fn start(limits: MachineLimits) -> Self {
        let clock = Clock::system();
        let mut encode = Command::new("nice");
        encode.args(["-n", "19", "ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=s=1280x720:r=30"]);
        encode.args(["-threads", "1", "-c:v", "libx265", "-preset", "medium", "-x265-params", "log-level=error"]);
        encode.args(["-f", "null", "-"]).stderr(Stdio::null()).process_group(0);
        let encoder = encode.spawn().expect("ffmpeg");
        let control = Control::new(clock.clone());
        control.encodes(i32::try_from(encoder.id()).ok());
        let mut reader = LoadReader::default();
        reader.read();
        let (read, throttle) = (clock.mono(), Throttle::default());
        let machine = Machine { is_scheduled: true, ..Machine::default() };
        Self { clock, control, throttle, limits, reader, machine, read, encoder }
    }

    /// One look, as the actor's.
    fn look(&mut self) -> Change {
        std::thread::sleep(LOOK_EVERY);
        let now = self.clock.mono();
        if now.since(self.read) >= READ_EVERY {
            let load = self.reader.read();
            self.machine.foreign_cpu_percent = load.foreign_cpu_percent;
            self.read = now;
        }
        let gate = self.throttle.apply(&self.machine, &self.limits, now);
        self.control.hold(gate, Duration::from_secs(3600))
    }

    /// Until it runs and others are quiet; false when they are not for a minute.
    fn settle(&mut self) -> bool {
        let began = self.clock.mono();
        while self.clock.mono().since(began) < Duration::from_secs(60) {
            self.look();
            if self.control.told().held_by.is_none() && self.clock.mono().since(began) > Duration::from_secs(2) {
                return true;
            }
        }
        false
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.control.cancel();
        let _ = self.encoder.wait();
    }
}

/// Reparented at once: nobody's child of ours. Its pid.
fn burner() -> rustix::process::Pid {
    let script = "setsid sh -c 'while :; do :; done' >/dev/null 2>&1 & echo $!";
    let out = Command::new("sh").args(["-c", script]).output().expect("sh");
    let pid = String::from_utf8_lossy(&out.stdout).trim().parse().expect("its pid");
    rustix::process::Pid::from_raw(pid).expect("its pid")
}

/// Seconds that others' work takes from its beginning to its end, all cores together; `meanwhile` is called until then.
fn others_work(loops: u64, mut meanwhile: impl FnMut()) -> f64 {
    let program = WORK.replace("LOOPS", &loops.to_string());
    // The orphan writes when it is done; reading ends when all its processes have closed the pipe.
    let script = format!("setsid python3 -c '{program}' & exit 0");
    let clock = Clock::system();
    let began = clock.mono();
    let mut child = Command::new("sh").args(["-c", &script]).stdout(Stdio::piped()).spawn().expect("sh");
    let mut pipe = child.stdout.take().expect("a pipe");
    let waiting = std::thread::spawn(move || {
        let _ = pipe.read_to_end(&mut Vec::new());
    });
    let _ = child.wait();
    while !waiting.is_finished() {
        meanwhile();
    }
    clock.mono().since(began).as_secs_f64()
}

fn main() {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let limits = MachineLimits::new(15.0, 100.0, cores);
    let mut held = Held::start(limits);
    let mut reactions = Vec::new();
    for round in 0..ROUNDS {
        if !held.settle() {
            println!("round {round}: others keep the machine busy, not measured");
            continue;
        }
        let began = held.clock.mono();
        let pid = burner();
        while !matches!(held.look(), Change::Paused(Gate::Cpu)) {
            assert!(held.clock.mono().since(began) < Duration::from_secs(10), "not stopped");
        }
        reactions.push(held.clock.mono().since(began));
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    if let Some(worst) = reactions.iter().max() {
        let median = common::median(reactions.clone());
        println!("stopped after {median:.2?} in the median, {worst:.2?} at worst, of {} rounds", reactions.len());
        println!("claim\tgate_reaction\t\t{:.2} s", worst.as_secs_f64());
    }

    // Ten seconds of work on all cores, beside an encoder that may run until its gate closes, and alone.
    let sleep = || std::thread::sleep(LOOK_EVERY);
    let loops = (40e6 / others_work(4_000_000, sleep).max(0.01)) as u64;
    let (mut beside, mut alone) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS / 2 {
        held.settle();
        beside.push(others_work(loops, || {
            held.look();
        }));
        // Stopped before it begins.
        held.control.hold(Gate::Disabled, Duration::from_secs(3600));
        alone.push(others_work(loops, sleep));
        held.throttle = Throttle::default();
    }
    let median = |seconds: &[f64]| {
        let mut sorted = seconds.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    };
    let slowed = (median(&beside) / median(&alone) - 1.0) * 100.0;
    println!("others' work: {:.2} s beside it, {:.2} s alone", median(&beside), median(&alone));
    println!("claim\tgate_slows\t\t{slowed:.1} %");
}
