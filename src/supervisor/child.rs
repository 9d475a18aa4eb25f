//! What a supervised actor is made from and given: spec, scope, birth, token; and the handle on keeping it.

use std::{sync::Arc, time::Duration};

use actix::{Actor, Context, Handler, Message, dev::ToEnvelope};
use actix_rt::ArbiterHandle;
use futures_util::{FutureExt, future::BoxFuture};
use slog::Logger;
use tokio_util::sync::CancellationToken;

use super::{
    faults::Injector, heartbeat::Heartbeat, keeping::Keeping, members::Members, policy::Limits, slot::Slot,
    tree::StateBoard,
};
use crate::{clock::Clock, telemetry::Metrics};

/// How fast supervision is. Tests make it faster.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    pub beat_every: Duration,
    pub look_every: Duration,
    /// A tree of which one actor has not beaten for so long is replaced.
    pub hang_after: Duration,
    /// How long an ending generation may take before it is abandoned.
    pub wind_down: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            beat_every: Duration::from_secs(1),
            look_every: Duration::from_secs(1),
            hang_after: Duration::from_secs(5),
            wind_down: Duration::from_secs(1),
        }
    }
}

/// What every supervised actor stands on.
#[derive(Clone)]
pub struct Ground {
    pub clock: Clock,
    pub log: Logger,
    pub metrics: Arc<Metrics>,
    pub board: StateBoard,
    pub injector: Injector,
    pub timing: Timing,
}

/// Asks an actor to finish its work in order; it answers when it is done and is then ended.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Finish;

/// One generation's right to act. Whatever outlives an actor checks it before every write, publish and unlink.
#[derive(Clone, Debug)]
pub struct Token {
    pub(super) generation: u64,
    pub(super) cancel: CancellationToken,
}

impl Token {
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// False from the moment the generation has ended, was asked to, or its tree was replaced.
    pub fn is_current(&self) -> bool {
        !self.cancel.is_cancelled()
    }

    pub async fn revoked(&self) {
        self.cancel.cancelled().await;
    }
}

/// What a factory is given to build one generation.
pub struct Birth {
    /// Full name, e.g. `device/cam1/merger`.
    pub name: String,
    pub token: Token,
    /// Beats already from the actor's own context; reading it is enough.
    pub heartbeat: Heartbeat,
    /// Children started here live on the actor's arbiter and end with this generation.
    pub scope: Scope,
}

type Factory<A> = Arc<dyn Fn(Birth) -> A + Send + Sync>;
type FinishCall<A> = Arc<dyn Fn(Slot<A>) -> BoxFuture<'static, ()> + Send + Sync>;

/// How to make and keep one actor.
pub struct ChildSpec<A: Actor> {
    name: String,
    pub(super) slot: Slot<A>,
    pub(super) mailbox: usize,
    pub(super) limits: Limits,
    pub(super) own_arbiter: bool,
    pub(super) finish: Option<FinishCall<A>>,
    pub(super) factory: Factory<A>,
}

impl<A: Actor<Context = Context<A>>> ChildSpec<A> {
    /// `name` is appended to the scope's: `merger` below `device/cam1`. The slot is filled with each generation.
    /// Every generation comes fresh from `factory`, which runs on the child's arbiter; a panic in it counts as one
    /// of the actor. Defaults: mailbox 16, [`Limits::default`], the arbiter of the scope.
    pub fn new(name: &str, slot: &Slot<A>, factory: impl Fn(Birth) -> A + Send + Sync + 'static) -> Self {
        Self {
            name: name.to_owned(),
            slot: slot.clone(),
            mailbox: 16,
            limits: Limits::default(),
            own_arbiter: false,
            finish: None,
            factory: Arc::new(factory),
        }
    }

    /// Messages that may wait; the next one is refused as [`Undelivered::Full`](super::Undelivered::Full).
    pub fn mailbox(mut self, capacity: usize) -> Self {
        self.mailbox = capacity;
        self
    }

    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Gives each generation a thread of its own. Such a child is the root of a tree: when it or anything below it
    /// hangs, the thread is abandoned and the tree starts anew. [`Supervisor::add`](super::Supervisor::add) sets it.
    pub fn own_arbiter(mut self) -> Self {
        self.own_arbiter = true;
        self
    }

    /// On request to end, sends [`Finish`] and waits for the answer up to `limit`.
    pub fn finish_within(mut self, limit: Duration) -> Self
    where
        A: Handler<Finish>,
        A::Context: ToEnvelope<A, Finish>,
    {
        self.finish = Some(Arc::new(move |slot: Slot<A>| {
            async move {
                // Vacant, lost or late: it is ended all the same.
                let _ = slot.send(Finish, limit).await;
            }
            .boxed()
        }));
        self
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A place for children: an arbiter, a name, and a life that ends with the token.
#[derive(Clone)]
pub struct Scope {
    pub(super) name: String,
    pub(super) arbiter: ArbiterHandle,
    pub(super) token: CancellationToken,
    pub(super) members: Members,
    pub(super) ground: Ground,
}

impl Scope {
    /// A nameless scope on an arbiter that nobody replaces.
    pub(super) fn root(arbiter: ArbiterHandle, token: CancellationToken, ground: Ground) -> Self {
        Self { name: String::new(), arbiter, token, members: Members::new(), ground }
    }

    pub fn ground(&self) -> &Ground {
        &self.ground
    }

    /// Starts a child and keeps it alive until [`Keeper::stop`] or the end of the scope. A child on the scope's
    /// arbiter is in its slot when this returns; one with its own arbiter a moment later.
    pub fn start<A: Actor<Context = Context<A>>>(&self, spec: ChildSpec<A>) -> Keeper {
        let name = if self.name.is_empty() { spec.name.clone() } else { format!("{}/{}", self.name, spec.name) };
        let keeper = Keeper { asked: CancellationToken::new(), ended: CancellationToken::new() };
        self.ground.board.expect(&name);
        let own_arbiter = spec.own_arbiter;
        let ended = keeper.ended.clone().drop_guard();
        let keeping = Keeping::new(name, spec, self.clone(), keeper.asked.clone(), ended);
        let first = (!own_arbiter).then(|| keeping.begin());
        // Refused only when the arbiter is gone: then the guard in `keeping` tells that the child has ended.
        let _ = self.arbiter.spawn(keeping.run(first));
        keeper
    }
}

/// The handle on a kept child.
#[derive(Clone, Debug)]
pub struct Keeper {
    asked: CancellationToken,
    ended: CancellationToken,
}

impl Keeper {
    /// Asks the child to end; does not wait.
    pub fn ask_to_stop(&self) {
        self.asked.cancel();
    }

    /// Asks the child to end and waits until it has. Takes at most the limit of
    /// [`finish_within`](ChildSpec::finish_within) plus twice [`Timing::wind_down`], unless the keeping arbiter hangs.
    pub async fn stop(&self) {
        self.asked.cancel();
        self.ended.cancelled().await;
    }

    pub fn has_ended(&self) -> bool {
        self.ended.is_cancelled()
    }
}
