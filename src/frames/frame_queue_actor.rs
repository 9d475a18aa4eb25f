//! Sees to it that a device's frames are looked at; the looking is a job of the pool.

use std::{sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Context, Handler, Message};

use super::FrameQueue;

/// For frames whose notice was refused, or came while no actor was there.
const TICK: Duration = Duration::from_secs(1);

/// Frames may wait: a notice without content, for the ring knows them.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct FrameArrived;

/// One generation.
pub struct FrameQueueActor(Arc<FrameQueue>);

impl FrameQueueActor {
    pub fn new(queue: Arc<FrameQueue>) -> Self {
        Self(queue)
    }
}

impl Actor for FrameQueueActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.0.start();
        ctx.run_interval(TICK, |actor, _| actor.0.start());
    }
}

impl Handler<FrameArrived> for FrameQueueActor {
    type Result = ();

    fn handle(&mut self, _: FrameArrived, _: &mut Self::Context) {
        self.0.start();
    }
}
