//! Faults that tests put between Capstan and the disk: the n-th write fails, an fdatasync stalls until released.
//!
//! Compiled in always, because tests that matter run the real daemon; without a rule the cost is one atomic load.

use std::{
    io,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

/// What is about to be done to the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Read,
    Create,
    Write,
    /// fdatasync or fsync of a file.
    SyncFile,
    SyncDir,
    Rename,
    Link,
    Unlink,
    Mkdir,
}

/// What happens instead, or first.
#[derive(Clone, Debug)]
pub enum Effect {
    /// The call fails with this errno (`libc::EIO`, `libc::ENOSPC`…).
    Fail(i32),
    /// The call waits until the gate opens, as on a card that hangs, then goes on.
    Stall(Arc<Gate>),
}

/// Closed until somebody opens it.
#[derive(Debug, Default)]
pub struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    pub fn closed() -> Arc<Self> {
        Arc::default()
    }

    pub fn open(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_while(open, |open| !*open).unwrap_or_else(PoisonError::into_inner));
    }
}

#[derive(Debug)]
struct Rule {
    op: Op,
    skip: u32,
    times: u32,
    effect: Effect,
}

/// The rules in force.
#[derive(Debug, Default)]
pub struct Faults {
    armed: AtomicBool,
    rules: Mutex<Vec<Rule>>,
    /// Changes that still get through before a power cut; none is planned below zero.
    until_cut: AtomicI64,
}

impl Faults {
    /// Lets `skip` operations of kind `op` pass, then strikes the next `times` ones (`u32::MAX`: until cleared).
    pub fn arm(&self, op: Op, skip: u32, times: u32, effect: Effect) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).push(Rule { op, skip, times, effect });
        self.armed.store(true, Ordering::Release);
    }

    /// Power goes after so many more changes of whatever kind: then nothing is written or read until cleared.
    pub fn cut_power_after(&self, changes: u32) {
        self.until_cut.store(i64::from(changes) + 1, Ordering::Release);
        self.armed.store(true, Ordering::Release);
    }

    /// Whether that has happened.
    pub fn is_cut(&self) -> bool {
        self.until_cut.load(Ordering::Acquire) == 1
    }

    pub fn clear(&self) {
        self.armed.store(false, Ordering::Release);
        self.until_cut.store(0, Ordering::Release);
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Called before each operation.
    pub fn strike(&self, op: Op) -> io::Result<()> {
        if !self.armed.load(Ordering::Acquire) {
            return Ok(());
        }
        if self.passes_cut(op) {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        match self.next(op) {
            None => Ok(()),
            Some(Effect::Fail(errno)) => Err(io::Error::from_raw_os_error(errno)),
            Some(Effect::Stall(gate)) => {
                gate.pass();
                Ok(())
            }
        }
    }

    /// Counts down to 1, where it stays.
    fn passes_cut(&self, op: Op) -> bool {
        let count = |left: i64| (left > 1 && op != Op::Read).then_some(left - 1);
        self.until_cut.fetch_update(Ordering::AcqRel, Ordering::Acquire, count) == Err(1)
    }

    fn next(&self, op: Op) -> Option<Effect> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        for rule in rules.iter_mut().filter(|rule| rule.op == op && rule.times > 0) {
            if rule.skip > 0 {
                rule.skip -= 1;
            } else {
                rule.times -= u32::from(rule.times != u32::MAX);
                return Some(rule.effect.clone());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_write_fails_once() {
        let faults = Faults::default();
        faults.arm(Op::Write, 2, 1, Effect::Fail(libc::EIO));
        let outcomes: Vec<bool> = (0..4).map(|_| faults.strike(Op::Write).is_ok()).collect();
        assert_eq!(outcomes, [true, true, false, true]);
        assert!(faults.strike(Op::Rename).is_ok());
    }

    #[test]
    fn after_a_cut_nothing_goes() {
        let faults = Faults::default();
        faults.cut_power_after(2);
        let ops = [Op::Write, Op::Read, Op::Rename, Op::Read, Op::Write, Op::Read, Op::SyncDir];
        let passed: Vec<bool> = ops.iter().map(|op| faults.strike(*op).is_ok()).collect();
        assert_eq!(passed, [true, true, true, false, false, false, false]);
        assert!(faults.is_cut());
        faults.clear();
        assert!(faults.strike(Op::Write).is_ok() && !faults.is_cut());
    }

    #[test]
    fn a_stalled_call_goes_on_when_the_gate_opens() {
        let (faults, gate) = (Arc::new(Faults::default()), Gate::closed());
        faults.arm(Op::SyncFile, 0, u32::MAX, Effect::Stall(gate.clone()));
        let other = faults.clone();
        let stalled = std::thread::spawn(move || other.strike(Op::SyncFile).is_ok());
        assert!(!stalled.is_finished());
        gate.open();
        assert!(stalled.join().unwrap());
    }
}
