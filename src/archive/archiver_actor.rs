//! Evicts from hot on every arrival and every second, and says when footage is lost.

use std::{sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Context, Handler, Message};
use slog::{Logger, error, info, o};

use super::budget::{Spell, Tidings};
use crate::{
    clock::{Clock, Mono},
    storage::HotDevice,
};

const TICK: Duration = Duration::from_secs(1);
/// Half-written files of killed runs: a few hundred KB each, so a minute is soon enough.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Something new is in hot. A wake-up only: when the mailbox is full, one that waits does the same work.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Arrived;

/// The books and the files are [`HotDevice`]'s, which also sheds by itself should this actor be down.
pub struct ArchiverActor {
    hot: Arc<HotDevice>,
    clock: Clock,
    log: Logger,
    spell: Spell,
    swept: Option<Mono>,
}

impl ArchiverActor {
    pub fn new(hot: Arc<HotDevice>, clock: Clock, log: &Logger) -> Self {
        let log = log.new(o!("device" => hot.id().to_string()));
        Self { hot, clock, log, spell: Spell::default(), swept: None }
    }

    fn evict(&mut self) {
        let evicted = self.hot.evict();
        match self.spell.apply(&evicted, &self.hot.status(), self.clock.mono()) {
            Some(Tidings::Begins { waiting_bytes, quota_bytes }) => {
                error!(self.log, "hot is full, oldest footage is being lost";
                    "waiting_bytes" => waiting_bytes, "quota_bytes" => quota_bytes);
            }
            Some(Tidings::Ends { lasted, shed_seconds, segments }) => {
                info!(self.log, "hot has room again";
                    "lasted_seconds" => lasted.as_secs(), "shed_seconds" => shed_seconds, "segments" => segments);
            }
            None => {}
        }
    }

    fn tick(&mut self) {
        self.evict();
        let now = self.clock.mono();
        if self.swept.is_none_or(|swept| now.since(swept) >= SWEEP_EVERY) {
            self.swept = Some(now);
            self.hot.sweep_leftovers();
        }
    }
}

impl Actor for ArchiverActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.tick();
        context.run_interval(TICK, |actor, _| actor.tick());
    }
}

impl Handler<Arrived> for ArchiverActor {
    type Result = ();

    fn handle(&mut self, _: Arrived, _: &mut Self::Context) {
        self.evict();
    }
}
