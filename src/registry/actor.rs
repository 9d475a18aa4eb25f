//! Says when the registry tries again and tidies up; the work is its threads'.

use std::{sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Context};

use super::{Registry, State};
use crate::clock::{Clock, Mono};

const TICK: Duration = Duration::from_secs(1);
/// Between two tries on a disk that takes nothing: a second, then twice as long each time up to this.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// Old incidents go, and the copy is made, within so long after they are due.
const TIDY_EVERY: Duration = Duration::from_secs(3600);

/// Takes the paths of pictures whose incidents were let go of.
pub type Forget = Arc<dyn Fn(Vec<String>) + Send + Sync>;

/// The timetable of one registry.
pub struct RegistryActor {
    registry: Arc<Registry>,
    forget: Forget,
    clock: Clock,
    timetable: Timetable,
}

impl RegistryActor {
    pub fn new(registry: Arc<Registry>, clock: Clock, forget: Forget) -> Self {
        Self { registry, forget, clock, timetable: Timetable::default() }
    }

    fn tick(&mut self) {
        match self.timetable.due(self.clock.mono(), self.registry.status().state) {
            Some(Job::Retry) => self.registry.retry(),
            Some(Job::Tidy) => self.registry.tidy(),
            None => {}
        }
        let evidence: Vec<_> = self.registry.expired().into_iter().flat_map(|incident| incident.evidence).collect();
        if !evidence.is_empty() {
            (self.forget)(evidence);
        }
    }
}

impl Actor for RegistryActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(TICK, |actor, _| actor.tick());
    }
}

#[derive(Debug, Default)]
struct Timetable {
    tidied: Option<Mono>,
    /// The last try and the pause after it.
    tried: Option<(Mono, Duration)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Job {
    Retry,
    Tidy,
}

impl Timetable {
    fn due(&mut self, now: Mono, state: State) -> Option<Job> {
        match state {
            State::Opening | State::Newer => None,
            State::Failing => {
                let pause = match self.tried {
                    Some((at, pause)) if now.since(at) < pause => return None,
                    Some((_, pause)) => (2 * pause).min(RETRY_MAX),
                    None => TICK,
                };
                self.tried = Some((now, pause));
                Some(Job::Retry)
            }
            State::Ready => {
                self.tried = None;
                let due = self.tidied.is_none_or(|at| now.since(at) >= TIDY_EVERY);
                due.then(|| {
                    self.tidied = Some(now);
                    Job::Tidy
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_disk_is_asked_less_and_less_often() {
        let mut timetable = Timetable::default();
        let mut jobs = Vec::new();
        for second in 0..100 {
            let state = match second {
                0 => State::Opening,
                1..70 => State::Failing,
                _ => State::Ready,
            };
            if let Some(job) = timetable.due(Mono::ZERO + Duration::from_secs(second), state) {
                jobs.push((second, job));
            }
        }
        use Job::{Retry, Tidy};
        let tries = [1, 2, 4, 8, 16, 32, 62].map(|second| (second, Retry));
        assert_eq!(jobs, tries.into_iter().chain([(70, Tidy)]).collect::<Vec<_>>());
    }
}
