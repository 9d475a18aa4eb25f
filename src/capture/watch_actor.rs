//! Looks every few seconds whether the hot folders are still watched: hot may have been mounted anew meanwhile.

use std::time::Duration;

use actix::{Actor, AsyncContext, Context};

use super::Watcher;

/// With the re-check of hot and the archive (design §9: told within 5 s).
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// The timetable of [`Watcher::check`]; the reading itself is on the watcher's own thread.
pub struct WatchActor(Watcher);

impl WatchActor {
    pub fn new(watcher: Watcher) -> Self {
        Self(watcher)
    }
}

impl Actor for WatchActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(CHECK_EVERY, |actor, _| actor.0.check());
    }
}
