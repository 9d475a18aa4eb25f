//! The lock that one daemon holds on its archive and on its hot folder; the kernel lets go of a dead daemon's.

use std::{fs::File, thread, time::Duration};

use rustix::{
    fs::{FlockOperation, flock},
    io::{Errno, Result},
};

/// A lock outlives its daemon by the moment between fork and exec of a child it was just starting.
const TRIES: u32 = 25;
const PAUSE: Duration = Duration::from_millis(20);

/// Locks `file` for this process alone; false when another one still holds it after half a second.
pub(super) fn lock(file: &File) -> Result<bool> {
    for attempt in 0..TRIES {
        if attempt > 0 {
            thread::sleep(PAUSE);
        }
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {}
            done => return done.map(|()| true),
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_gets_it_when_the_first_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let open = || File::open(folder.path()).unwrap();
        let first = open();
        assert!(lock(&first).unwrap());
        assert!(!lock(&open()).unwrap());
        drop(first);
        assert!(lock(&open()).unwrap());
    }
}
