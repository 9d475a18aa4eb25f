//! The one thread that writes to a volume: a card that hangs for half a minute stops commits, and nothing else.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{SyncSender, TrySendError, sync_channel},
    thread,
};

use crate::error::{Error, Kind, Result};

/// Work that may block as long as the disk does.
pub type Job = Box<dyn FnOnce() + Send>;

/// A handle on the thread, cheap to clone; it ends when the last handle is gone and its queue is done.
#[derive(Clone)]
pub struct Committer(SyncSender<Job>);

impl Committer {
    /// `jobs_max`: how many may wait. One commit per device and one epoch reservation are all there should be.
    pub fn start(name: &str, jobs_max: usize, log: slog::Logger) -> Result<Self> {
        let (sender, jobs) = sync_channel::<Job>(jobs_max.max(1));
        let run = move || {
            for job in jobs {
                // A job's own guards have put its device back in order; the thread goes on for the others.
                if catch_unwind(AssertUnwindSafe(job)).is_err() {
                    slog::error!(log, "a commit job panicked");
                }
            }
        };
        let spawned = thread::Builder::new().name(name.to_owned()).spawn(run);
        spawned.map_err(|error| Error::io("starting the commit thread", name, error))?;
        Ok(Self(sender))
    }

    /// [`Kind::Unavailable`] when the queue is full: the caller's segments wait in hot, it asks again at its next tick.
    pub fn submit(&self, job: Job) -> Result<()> {
        self.0.try_send(job).map_err(|error| {
            let why = match error {
                TrySendError::Full(_) => "the commit queue is full",
                TrySendError::Disconnected(_) => "the commit thread has ended",
            };
            Error::new(Kind::Unavailable, why)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_panicking_job_does_not_end_the_others() {
        let log = slog::Logger::root(slog::Discard, slog::o!());
        let committer = Committer::start("commit", 8, log).unwrap();
        let (done, wait) = mpsc::channel();
        committer.submit(Box::new(|| panic!("on purpose"))).unwrap();
        committer.submit(Box::new(move || done.send(7).unwrap())).unwrap();
        assert_eq!(wait.recv(), Ok(7));
    }

    #[test]
    fn a_full_queue_refuses() {
        let log = slog::Logger::root(slog::Discard, slog::o!());
        let committer = Committer::start("commit", 1, log).unwrap();
        let (started, running) = mpsc::channel();
        let (release, held) = mpsc::channel::<()>();
        committer
            .submit(Box::new(move || {
                started.send(()).unwrap();
                let _ = held.recv();
            }))
            .unwrap();
        running.recv().unwrap();
        committer.submit(Box::new(|| ())).unwrap();
        let refused = committer.submit(Box::new(|| ())).unwrap_err();
        assert_eq!(refused.kind, Kind::Unavailable);
        drop(release);
    }
}
