//! What waits for the writing thread: the newest state of each incident, and what people ask for.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::Connection;

use super::sqlite::savepoint;
use crate::{
    error::{Error, Kind, Result},
    incident::Incident,
    telemetry::Metrics,
};

/// Incidents that wait while the disk takes none: then those that were told first are forgotten.
const INCIDENTS_MAX: usize = 1024;
/// Requests of people; one more is refused.
const EDITS_MAX: usize = 64;
/// Incidents that were let go of and whose evidence nobody came to delete; none is let go of beyond.
const EXPIRED_MAX: usize = 4096;
/// One transaction takes so long to gather, unless so many incidents or a person wait.
const BATCH: Duration = Duration::from_secs(1);
const BATCH_CHANGES: usize = 64;
/// How often an open connection is looked after while there is nothing to do.
const TICK: Duration = Duration::from_secs(1);

/// Work of one turn.
#[derive(Default)]
pub struct Work {
    pub incidents: Vec<Waiting>,
    pub edits: Vec<Box<dyn Asked>>,
    pub tidy: bool,
    /// A person asks, or it is time to try again.
    pub wanted: bool,
    pub end: bool,
}

/// One incident's newest state.
#[derive(Clone)]
pub struct Waiting {
    pub number: u64,
    pub incident: Incident,
}

/// What somebody waits for.
pub trait Asked: Send {
    /// Inside the transaction. What is returned failed for the database's sake, and so would all that is asked with it.
    fn run(&mut self, connection: &Connection) -> Option<Error>;
    /// After it: durable, or not.
    fn answer(self: Box<Self>, committed: &Result<()>);
}

pub struct Inbox {
    metrics: Arc<Metrics>,
    inner: Mutex<Inner>,
    wake: Condvar,
    done: Condvar,
}

#[derive(Default)]
struct Inner {
    next: u64,
    dropped: u64,
    waiting: HashMap<String, Waiting>,
    edits: VecDeque<Box<dyn Asked>>,
    expired: Vec<Incident>,
    /// The disk refused: incidents wait until somebody says [`Inbox::retry`].
    failing: bool,
    retry: bool,
    tidy: bool,
    end: bool,
    ended: bool,
    /// The database was looked at once, with whatever outcome.
    opened: bool,
}

impl Inbox {
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, inner: Mutex::default(), wake: Condvar::new(), done: Condvar::new() }
    }

    /// Never waits. A newer state of an incident replaces the one that waits.
    pub fn save(&self, incident: &Incident) {
        let mut inner = self.lock();
        let number = inner.next;
        inner.next += 1;
        inner.waiting.insert(incident.id.clone(), Waiting { number, incident: incident.clone() });
        if inner.waiting.len() > INCIDENTS_MAX
            && let Some(oldest) = inner.waiting.values().min_by_key(|it| it.number).map(|it| it.incident.id.clone())
        {
            inner.waiting.remove(&oldest);
            inner.dropped += 1;
            self.metrics.db_dropped.inc();
        }
        self.changed(&inner);
    }

    /// `reply` is called on the writing thread. [`Kind::Unavailable`] when too many ask.
    pub fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
        reply: impl FnOnce(Result<T>) + Send + 'static,
    ) -> Result<()> {
        let mut inner = self.lock();
        if inner.edits.len() >= EDITS_MAX || inner.ended {
            return Err(Error::new(Kind::Unavailable, "too much waits for the database"));
        }
        inner.edits.push_back(Box::new(Question { work: Some(work), outcome: None, reply }));
        self.changed(&inner);
        Ok(())
    }

    /// What is not written yet, in no order.
    pub fn incidents(&self) -> Vec<Incident> {
        self.lock().waiting.values().map(|it| it.incident.clone()).collect()
    }

    pub fn incident(&self, id: &str) -> Option<Incident> {
        self.lock().waiting.get(id).map(|it| it.incident.clone())
    }

    pub fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    pub fn retry(&self) {
        let mut inner = self.lock();
        inner.retry = true;
        self.wake.notify_all();
    }

    pub fn tidy(&self) {
        let mut inner = self.lock();
        inner.tidy = true;
        self.wake.notify_all();
    }

    /// Asks the thread to write what waits and to end.
    pub fn end(&self) {
        self.lock().end = true;
        self.wake.notify_all();
    }

    /// The same, and waits for it.
    pub fn finish(&self, limit: Duration) {
        self.end();
        let inner = self.lock();
        drop(self.done.wait_timeout_while(inner, limit, |inner| !inner.ended));
    }

    /// Returns at once when the database was looked at.
    pub fn wait_opened(&self, limit: Duration) {
        let inner = self.lock();
        drop(self.done.wait_timeout_while(inner, limit, |inner| !inner.opened && !inner.ended));
    }

    pub fn take_expired(&self) -> Vec<Incident> {
        mem::take(&mut self.lock().expired)
    }

    /// For the thread: the next turn. With `looking`, returns at least each second.
    pub fn next(&self, looking: bool) -> Work {
        let mut inner = self.lock();
        if !inner.has_work() {
            inner = match looking {
                true => self.wait(inner, TICK, |inner| !inner.has_work()),
                false => self.wake.wait_while(inner, |inner| !inner.has_work()).unwrap_or_else(PoisonError::into_inner),
            };
        }
        if inner.has_work() && !inner.is_pressed() {
            inner = self.wait(inner, BATCH, |inner| !inner.is_pressed());
        }
        let wanted = inner.retry || !inner.edits.is_empty() || inner.end;
        let take = !inner.failing || wanted;
        Work {
            incidents: if take { inner.waiting.values().cloned().collect() } else { Vec::new() },
            edits: mem::take(&mut inner.edits).into(),
            tidy: mem::take(&mut inner.tidy),
            wanted: mem::take(&mut inner.retry) || wanted,
            end: inner.end,
        }
    }

    /// For the thread: those were written down, or refused by the disk.
    pub fn wrote(&self, incidents: &[Waiting], committed: bool) {
        let mut inner = self.lock();
        inner.failing = !committed;
        if committed {
            for written in incidents {
                if inner.waiting.get(&written.incident.id).is_some_and(|it| it.number == written.number) {
                    inner.waiting.remove(&written.incident.id);
                }
            }
        }
        self.changed(&inner);
    }

    /// For the thread: how many more may be let go of.
    pub fn room_for_expired(&self) -> usize {
        EXPIRED_MAX.saturating_sub(self.lock().expired.len())
    }

    pub fn add_expired(&self, incidents: Vec<Incident>) {
        self.lock().expired.extend(incidents);
    }

    /// For the thread: it knows whether the database can be used.
    pub fn opened(&self) {
        self.lock().opened = true;
        self.done.notify_all();
    }

    /// For the thread: its last words.
    pub fn ended(&self) {
        let mut inner = self.lock();
        inner.ended = true;
        // Their senders go with them, so that nobody waits for an answer.
        inner.edits.clear();
        self.done.notify_all();
    }

    fn changed(&self, inner: &Inner) {
        let depth = inner.waiting.len() + inner.edits.len();
        self.metrics.db_queue_depth.set(i64::try_from(depth).unwrap_or(i64::MAX));
        self.wake.notify_all();
    }

    fn wait<'a>(
        &self,
        inner: MutexGuard<'a, Inner>,
        limit: Duration,
        while_: impl FnMut(&mut Inner) -> bool,
    ) -> MutexGuard<'a, Inner> {
        self.wake.wait_timeout_while(inner, limit, while_).unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn has_work(&self) -> bool {
        self.is_pressed() || (!self.failing && !self.waiting.is_empty())
    }

    /// No longer to be gathered.
    fn is_pressed(&self) -> bool {
        let many = !self.failing && self.waiting.len() >= BATCH_CHANGES;
        many || !self.edits.is_empty() || self.retry || self.tidy || self.end
    }
}

struct Question<F, T, R> {
    work: Option<F>,
    outcome: Option<Result<T>>,
    reply: R,
}

impl<T, F, R> Asked for Question<F, T, R>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T> + Send,
    R: FnOnce(Result<T>) + Send,
{
    fn run(&mut self, connection: &Connection) -> Option<Error> {
        self.outcome = self.work.take().map(|work| savepoint(connection, work));
        let failed = self.outcome.as_ref()?.as_ref().err()?;
        is_of_the_database(failed).then(|| Error::new(failed.kind, failed.message.clone()))
    }

    fn answer(self: Box<Self>, committed: &Result<()>) {
        let outcome = match (self.outcome, committed) {
            // What was refused is refused whatever became of the rest.
            (Some(Err(error)), _) if !is_of_the_database(&error) => Err(error),
            (Some(outcome), Ok(())) => outcome,
            (_, Err(error)) => Err(Error::new(error.kind, error.message.clone())),
            (None, Ok(())) => Err(Error::new(Kind::Internal, "the database was not asked")),
        };
        (self.reply)(outcome);
    }
}

/// Whether the disk refused, not we.
fn is_of_the_database(error: &Error) -> bool {
    matches!(error.kind, Kind::Io | Kind::Full)
}
