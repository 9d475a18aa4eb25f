//! Says when to clean; the work is the [`Cleaner`]'s, on its own thread.

use std::{sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Context};

use super::{
    cleaner::{Cleaner, Job},
    limits::{Gate, KeepLimits},
};
use crate::clock::{Clock, Mono};

const TICK: Duration = Duration::from_secs(1);
/// Volume and hot are looked at every 5 s, so that trouble is told within that (design §9).
const WATCH_EVERY: Duration = Duration::from_secs(5);

/// The timetable of one cleaner. A tick that finds the thread busy asks again with the next.
pub struct CleanerActor {
    cleaner: Arc<Cleaner>,
    clock: Clock,
    timetable: Timetable,
    /// Those of the last look.
    limits: KeepLimits,
}

impl CleanerActor {
    pub fn new(cleaner: Arc<Cleaner>, clock: Clock) -> Self {
        Self { limits: cleaner.limits(), cleaner, clock, timetable: Timetable::default() }
    }

    fn tick(&mut self) {
        let now = self.clock.mono();
        let limits = self.cleaner.limits();
        if std::mem::replace(&mut self.limits, limits) != limits {
            // Whoever changed them waits to see what comes of it.
            self.timetable.cleaned = None;
        }
        let status = self.cleaner.status();
        let every = match status.gate {
            _ if status.backlog => TICK,
            // It is known in a moment, as after a start; or somebody is at work on the database.
            Gate::Pins => WATCH_EVERY.min(limits.interval),
            _ => limits.interval,
        };
        if let Some(job) = self.timetable.due(now, every)
            && self.cleaner.ask(job)
        {
            self.timetable.asked(job, now);
        }
    }
}

impl Actor for CleanerActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.tick();
        context.run_interval(TICK, |actor, _| actor.tick());
    }
}

/// When each job was last asked for.
#[derive(Debug, Default)]
struct Timetable {
    watched: Option<Mono>,
    cleaned: Option<Mono>,
}

impl Timetable {
    fn due(&self, now: Mono, clean_every: Duration) -> Option<Job> {
        let due = |last: Option<Mono>, every| last.is_none_or(|last| now.since(last) >= every);
        if due(self.cleaned, clean_every) {
            Some(Job::Clean)
        } else {
            due(self.watched, WATCH_EVERY).then_some(Job::Watch)
        }
    }

    fn asked(&mut self, job: Job, now: Mono) {
        self.watched = Some(now);
        if job == Job::Clean {
            self.cleaned = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volume_and_hot_are_watched_between_cleanings() {
        let mut timetable = Timetable::default();
        let mut jobs = Vec::new();
        for second in 0..=21 {
            let now = Mono::ZERO + Duration::from_secs(second);
            if let Some(job) = timetable.due(now, Duration::from_secs(12)) {
                timetable.asked(job, now);
                jobs.push((second, job));
            }
        }
        use Job::{Clean, Watch};
        assert_eq!(jobs, [(0, Clean), (5, Watch), (10, Watch), (12, Clean), (17, Watch)]);
    }
}
