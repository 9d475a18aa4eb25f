//! The transcoder's timetable; the work is the [`Runner`]'s, on its own thread.

use std::{sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Context};

use super::runner::Runner;

/// Of a second, in which a running encoder must be stopped: half a reading of the load and this.
const TICK: Duration = Duration::from_millis(100);
/// Ticks between two looks while nothing runs.
const REST_TICKS: u32 = 10;

pub struct TranscoderActor {
    runner: Arc<Runner>,
    ticks: u32,
}

impl TranscoderActor {
    pub fn new(runner: Arc<Runner>) -> Self {
        Self { runner, ticks: 0 }
    }

    fn tick(&mut self) {
        self.ticks = self.ticks.wrapping_add(1);
        if self.runner.is_running() {
            self.runner.steer();
        } else if self.ticks.is_multiple_of(REST_TICKS) {
            self.runner.steer();
            self.runner.ask();
        }
    }
}

impl Actor for TranscoderActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(TICK, |actor, _| actor.tick());
    }
}
