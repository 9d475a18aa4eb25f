//! The job that runs, as others steer it: how far it is, its process group stopped and continued, its end.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};

use super::{Steer, gate::Gate};
use crate::clock::{Clock, Mono};

/// One job's.
pub struct Control {
    clock: Clock,
    cancelled: AtomicBool,
    written_bytes: AtomicU64,
    inner: Mutex<Inner>,
}

struct Inner {
    group: Option<Pid>,
    held: Option<Held>,
    paused: Duration,
    share: f64,
    speed: f64,
    /// When it last got on, or was let go on.
    moved: Mono,
    gave_up: bool,
}

#[derive(Clone, Copy)]
struct Held {
    gate: Gate,
    since: Mono,
}

/// What steering changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    None,
    Paused(Gate),
    /// After so long.
    Resumed(Duration),
    /// It was held for too long: it ends now.
    GaveUp(Gate),
}

/// How it goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Told {
    pub share: f64,
    pub speed: f64,
    pub held_by: Option<Gate>,
    pub paused: Duration,
    /// Since it last got on, while nothing held it.
    pub quiet: Duration,
}

impl Control {
    pub fn new(clock: Clock) -> Self {
        let inner = Inner {
            group: None,
            held: None,
            paused: Duration::ZERO,
            share: 0.0,
            speed: 0.0,
            moved: clock.mono(),
            gave_up: false,
        };
        Self { clock, cancelled: AtomicBool::new(false), written_bytes: AtomicU64::new(0), inner: Mutex::new(inner) }
    }

    /// Stops what runs while `gate` is closed, and gives up when that lasts longer than `limit`.
    pub fn hold(&self, gate: Gate, limit: Duration) -> Change {
        let now = self.clock.mono();
        let mut inner = self.lock();
        match (inner.held, gate) {
            (None, Gate::Open) => Change::None,
            (None, gate) => {
                inner.held = Some(Held { gate, since: now });
                inner.signal(Signal::STOP);
                Change::Paused(gate)
            }
            (Some(held), Gate::Open) => {
                let lasted = now.since(held.since);
                inner.held = None;
                inner.paused += lasted;
                inner.moved = now;
                inner.signal(Signal::CONT);
                Change::Resumed(lasted)
            }
            (Some(held), gate) => {
                inner.held = Some(Held { gate, ..held });
                if inner.gave_up || now.since(held.since) < limit {
                    return Change::None;
                }
                inner.gave_up = true;
                self.end(&inner);
                Change::GaveUp(gate)
            }
        }
    }

    /// Ends it, running or stopped.
    pub fn cancel(&self) {
        self.end(&self.lock());
    }

    /// By the job so far, thrown away or not.
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes.load(Ordering::Relaxed)
    }

    /// It was held for too long.
    pub fn gave_up(&self) -> bool {
        self.lock().gave_up
    }

    pub fn told(&self) -> Told {
        let now = self.clock.mono();
        let inner = self.lock();
        let lasts = inner.held.map_or(Duration::ZERO, |held| now.since(held.since));
        Told {
            share: inner.share,
            speed: inner.speed,
            held_by: inner.held.map(|held| held.gate),
            paused: inner.paused + lasts,
            quiet: if inner.held.is_some() { Duration::ZERO } else { now.since(inner.moved) },
        }
    }

    /// Whoever waits for its output sees the end of it at once; a stopped process dies by this as well.
    fn end(&self, inner: &Inner) {
        self.cancelled.store(true, Ordering::Release);
        inner.signal(Signal::KILL);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// It may have ended already.
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Steer for Control {
    fn encodes(&self, group: Option<i32>) {
        let mut inner = self.lock();
        // 0 and 1 would be our own group and everything.
        inner.group = group.filter(|group| *group > 1).and_then(Pid::from_raw);
        inner.moved = self.clock.mono();
        if self.is_cancelled() {
            inner.signal(Signal::KILL);
        } else if inner.held.is_some() {
            inner.signal(Signal::STOP);
        }
    }

    fn tell(&self, share: f64, speed: f64) {
        let mut inner = self.lock();
        if share.is_finite() && share > inner.share {
            inner.moved = self.clock.mono();
            inner.share = share.min(1.0);
        }
        inner.speed = if speed.is_finite() { speed.max(0.0) } else { 0.0 };
    }

    fn wrote(&self, bytes: u64) {
        self.written_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::process::{CommandExt, ExitStatusExt},
        process::{Child, Command},
    };

    use super::*;
    use crate::clock::{ManualClock, Utc90k};

    const LIMIT: Duration = Duration::from_secs(600);

    /// A real process in a group of its own, with a child that works too.
    fn burner() -> (Child, i32) {
        let script = "(while :; do :; done) & while :; do :; done";
        let child = Command::new("sh").args(["-c", script]).process_group(0).spawn().expect("sh");
        let group = i32::try_from(child.id()).unwrap();
        (child, group)
    }

    /// The states of all processes of the group.
    fn states(group: i32) -> String {
        let of = |entry: std::fs::DirEntry| {
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
            let (state, _, in_group) = (fields.next()?.to_owned(), fields.next()?, fields.next()?.parse::<i32>().ok()?);
            (in_group == group).then_some(state)
        };
        let mut found: Vec<_> = std::fs::read_dir("/proc").unwrap().flatten().filter_map(of).collect();
        found.sort();
        found.concat()
    }

    fn until(what: &str, mut holds: impl FnMut() -> bool) {
        let clock = Clock::system();
        let began = clock.mono();
        while !holds() {
            assert!(clock.mono().since(began) < Duration::from_secs(20), "{what}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_real_group_is_stopped_continued_and_ended_whole() {
        let manual = ManualClock::at(Utc90k::from_seconds(0));
        let control = Control::new(manual.clock());
        let (mut child, group) = burner();
        control.encodes(Some(group));
        until("both run", || states(group) == "RR");
        assert_eq!(control.hold(Gate::Open, LIMIT), Change::None);
        assert_eq!(control.hold(Gate::Cpu, LIMIT), Change::Paused(Gate::Cpu));
        until("both stand", || states(group) == "TT");
        manual.advance(Duration::from_secs(7));
        assert_eq!(control.hold(Gate::IoWait, LIMIT), Change::None);
        assert_eq!((control.told().held_by, control.told().paused), (Some(Gate::IoWait), Duration::from_secs(7)));
        assert_eq!(control.hold(Gate::Open, LIMIT), Change::Resumed(Duration::from_secs(7)));
        until("both run again", || states(group) == "RR");

        control.hold(Gate::Cpu, LIMIT);
        manual.advance(LIMIT);
        assert_eq!(control.hold(Gate::Cpu, LIMIT), Change::GaveUp(Gate::Cpu));
        assert_eq!(control.hold(Gate::Cpu, LIMIT), Change::None, "told once");
        assert!(control.gave_up() && control.is_cancelled());
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        until("none is left", || states(group).is_empty());
    }

    #[test]
    fn what_begins_while_it_is_held_does_not_run() {
        let manual = ManualClock::at(Utc90k::from_seconds(0));
        let control = Control::new(manual.clock());
        control.hold(Gate::Recorder, LIMIT);
        let (mut child, group) = burner();
        control.encodes(Some(group));
        until("both stand", || ["T", "TT"].contains(&states(group).as_str()));
        control.cancel();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        // As on a way out: the next step's process does not get to work either.
        let (mut late, group) = burner();
        control.encodes(Some(group));
        assert_eq!(late.wait().unwrap().signal(), Some(9));
        assert!(!control.gave_up());
    }

    #[test]
    fn quiet_is_time_in_which_it_could_have_got_on() {
        let manual = ManualClock::at(Utc90k::from_seconds(0));
        let control = Control::new(manual.clock());
        let quiet = || control.told().quiet.as_secs();
        manual.advance(Duration::from_secs(10));
        assert_eq!(quiet(), 10);
        control.tell(0.25, 3.5);
        assert_eq!((quiet(), control.told().share, control.told().speed), (0, 0.25, 3.5));
        manual.advance(Duration::from_secs(5));
        for (share, speed) in [(0.25, 1.0), (0.1, f64::NAN), (f64::NAN, -1.0)] {
            control.tell(share, speed);
        }
        assert_eq!((quiet(), control.told().share, control.told().speed), (5, 0.25, 0.0));
        control.hold(Gate::Cpu, LIMIT);
        manual.advance(Duration::from_secs(100));
        assert_eq!(quiet(), 0);
        control.hold(Gate::Open, LIMIT);
        assert_eq!((quiet(), control.told().paused.as_secs()), (0, 100));
        for group in [0, 1, -5] {
            control.encodes(Some(group));
            control.hold(Gate::Cpu, LIMIT);
            control.hold(Gate::Open, LIMIT);
        }
    }
}
