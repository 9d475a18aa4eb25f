//! Threads that read the database, each with a connection of its own: a slow question holds up neither writing nor the
//! other questions.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, PoisonError, atomic::Ordering},
    thread,
    time::Duration,
};

use rusqlite::Connection;

use super::{
    Shared, State,
    sqlite::{self, failed},
};
use crate::error::{Error, Kind, Result};

const THREADS: usize = 5;
/// Questions that wait for a thread; one more is refused.
const QUEUE: usize = 64;
/// A question may take so long.
const LIMIT: Duration = Duration::from_secs(2);
/// Steps of SQLite's machine between two looks at the clock: well below a millisecond.
const STEPS: i32 = 1000;
/// Seconds without a question after which the file is closed.
const QUIET_TICKS: u32 = 5;
const TICK: Duration = Duration::from_secs(1);

type Job = Box<dyn FnOnce(Result<&Connection>) -> Outcome + Send>;

/// What an answer says of the connection.
#[derive(Clone, Copy, PartialEq)]
enum Outcome {
    Fine,
    Damaged,
    Failed,
}

#[derive(Default)]
struct Queue {
    jobs: Mutex<(VecDeque<Job>, bool)>,
    wake: Condvar,
    /// A thread has ended.
    ended: Condvar,
}

pub struct Readers(Arc<Queue>);

impl Readers {
    pub fn start(shared: &Arc<Shared>) -> Result<Self> {
        let queue = Arc::<Queue>::default();
        for number in 0..THREADS {
            let mut reader = Reader { shared: shared.clone(), open: None };
            let queue = queue.clone();
            let name = format!("registry-{number}");
            let spawned = thread::Builder::new().name(name).stack_size(512 << 10).spawn(move || reader.run(&queue));
            spawned.map_err(|error| Error::io("starting the registry's readers", "", error))?;
        }
        Ok(Self(queue))
    }

    /// `reply` is called on the reader's thread. [`Kind::Unavailable`] when too many questions wait.
    pub fn ask<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
        reply: impl FnOnce(Result<T>) + Send + 'static,
    ) -> Result<()> {
        let job: Job = Box::new(move |connection| {
            let found = connection.and_then(work);
            let outcome = match found.as_ref().map_err(|error| error.kind) {
                Err(Kind::Corrupt) => Outcome::Damaged,
                Err(Kind::Io | Kind::Internal) => Outcome::Failed,
                _ => Outcome::Fine,
            };
            // Errno and damage are for the log and the health check; to whoever asks it is the same.
            reply(found.map_err(|error| match error.kind {
                Kind::Io | Kind::Corrupt => Error::new(Kind::Unavailable, error.message),
                _ => error,
            }));
            outcome
        });
        let mut jobs = self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.0.len() >= QUEUE {
            return Err(Error::new(Kind::Unavailable, "too many questions wait for the database"));
        }
        jobs.0.push_back(job);
        self.0.wake.notify_one();
        Ok(())
    }

    /// No more questions; returns when no file is held, or after `limit`.
    pub fn end(&self, shared: &Shared, limit: Duration) {
        let mut jobs = self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.1 = true;
        self.0.wake.notify_all();
        drop(self.0.ended.wait_timeout_while(jobs, limit, |_| shared.is_read()));
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.0.wake.notify_all();
    }
}

impl Queue {
    /// None at the end; `Some(None)` when nothing came for a second, which is told only to those who look.
    fn next(&self, looking: bool) -> Option<Option<Job>> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = |(jobs, ended): &mut (VecDeque<Job>, bool)| jobs.is_empty() && !*ended;
        let mut jobs = match looking {
            true => self.wake.wait_timeout_while(jobs, TICK, idle).unwrap_or_else(PoisonError::into_inner).0,
            false => self.wake.wait_while(jobs, idle).unwrap_or_else(PoisonError::into_inner),
        };
        match (jobs.0.pop_front(), jobs.1) {
            (None, true) => None,
            (job, _) => Some(job),
        }
    }
}

struct Reader {
    shared: Arc<Shared>,
    open: Option<Open>,
}

/// A connection, and of what.
struct Open {
    /// None while it is dropped: the file is closed before it is no longer counted.
    connection: Option<Connection>,
    /// Mounts of the volume and files that took this one's place: while these stay, so does the file.
    of: (u64, u64),
    shared: Arc<Shared>,
}

impl Open {
    fn new(connection: Connection, of: (u64, u64), shared: &Arc<Shared>) -> Self {
        shared.readers.fetch_add(1, Ordering::AcqRel);
        Self { connection: Some(connection), of, shared: shared.clone() }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connection = None;
        self.shared.readers.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Reader {
    fn run(&mut self, queue: &Queue) {
        let mut quiet = 0;
        while let Some(job) = queue.next(self.open.is_some()) {
            if self.open.as_ref().is_some_and(|open| open.of != self.shared.file()) {
                self.open = None;
            }
            let Some(job) = job else {
                quiet += 1;
                if quiet >= QUIET_TICKS {
                    self.open = None;
                }
                continue;
            };
            quiet = 0;
            // A panic costs whoever asked the answer, and the connection.
            let outcome = catch_unwind(AssertUnwindSafe(|| job(self.connection()))).unwrap_or(Outcome::Failed);
            if outcome != Outcome::Fine {
                self.open = None;
            }
            if outcome == Outcome::Damaged {
                self.shared.suspect();
            }
        }
        self.open = None;
        drop(queue.jobs.lock());
        queue.ended.notify_all();
    }

    fn connection(&mut self) -> Result<&Connection> {
        let (parts, of) = (&self.shared.parts, self.shared.file());
        match self.shared.status.load().state {
            State::Opening => return Err(Error::new(Kind::Unavailable, "the database is being opened")),
            State::Newer => return Err(Error::new(Kind::Unavailable, "the database is of a newer Capstan")),
            State::Ready | State::Failing => {}
        }
        if self.open.is_none() {
            let path = parts.volume.layout().database();
            // By the held folder: what lies beneath an unmounted one is not ours.
            parts.volume.metadata(&path).map_err(|error| Error::new(Kind::Io, error.to_string()))?;
            let doing = failed("opening the database");
            let connection = sqlite::open_read(&parts.volume.root().join(path)).map_err(&doing)?;
            self.open = Some(Open::new(connection, of, &self.shared));
        }
        let open = self.open.as_ref().and_then(|open| open.connection.as_ref());
        let open = open.ok_or_else(|| Error::new(Kind::Internal, "the database is not open"))?;
        let (clock, began) = (parts.clock.clone(), parts.clock.mono());
        let is_late = move || clock.mono().since(began) > LIMIT;
        open.progress_handler(STEPS, Some(is_late)).map_err(failed("limiting a question"))?;
        Ok(open)
    }
}
