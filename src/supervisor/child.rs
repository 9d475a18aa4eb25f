//! Keeps one actor alive: starts it from its factory, notices its end, restarts it by policy, ends it on request.

use std::{sync::Arc, time::Duration};

use actix::{Actor, Context, Handler, Message, dev::ToEnvelope};
use actix_rt::{Arbiter, ArbiterHandle};
use futures_util::{FutureExt, future::BoxFuture};
use slog::{Logger, crit, warn};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    faults::Injector,
    heartbeat::Heartbeat,
    members::{HangWatch, Member, Members},
    policy::{Limits, RestartPolicy, Verdict},
    slot::Slot,
    tree::{NodeState, StateBoard},
    watched::{self, Conditions, Exit, Watched},
};
use crate::{
    clock::Clock,
    telemetry::{ActorLabel, Metrics},
};

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
    generation: u64,
    cancel: CancellationToken,
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
    slot: Slot<A>,
    mailbox: usize,
    limits: Limits,
    own_arbiter: bool,
    finish: Option<FinishCall<A>>,
    factory: Factory<A>,
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
    name: String,
    arbiter: ArbiterHandle,
    token: CancellationToken,
    members: Members,
    ground: Ground,
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
        let keeping = Keeping {
            policy: RestartPolicy::new(spec.limits.clone()),
            name,
            spec,
            scope: self.clone(),
            asked: keeper.asked.clone(),
            _ended: keeper.ended.clone().drop_guard(),
        };
        self.ground.board.expect(&keeping.name);
        let first = (!keeping.spec.own_arbiter).then(|| keeping.begin());
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

struct Keeping<A: Actor> {
    name: String,
    spec: ChildSpec<A>,
    scope: Scope,
    policy: RestartPolicy,
    asked: CancellationToken,
    _ended: DropGuard,
}

/// One generation and what was made for it.
struct Running<A: Actor> {
    generation: u64,
    token: CancellationToken,
    watched: Watched<A>,
    /// Arbiter and members of the tree, when this is the root of one.
    tree: Option<(Arbiter, Members)>,
}

impl<A: Actor<Context = Context<A>>> Keeping<A> {
    async fn run(mut self, mut first: Option<Begun<A>>) {
        loop {
            let ground = self.scope.ground.clone();
            let began = ground.clock.mono();
            let Begun { generation, running } = first.take().unwrap_or_else(|| self.begin());
            let exit = match running {
                Ok(running) => self.to_the_end(running).await,
                Err(exit) => exit,
            };
            let at = ground.clock.wall();
            if self.asked.is_cancelled() || self.scope.token.is_cancelled() {
                ground.board.ended(&self.name, generation, &exit, at, NodeState::Stopped);
                return;
            }
            let now = ground.clock.mono();
            let (state, wait) = match self.policy.failed(now, now.since(began)) {
                Verdict::Restart { after } => (NodeState::Restarting, after),
                Verdict::Failed { retry_after, first } => {
                    if first {
                        crit!(ground.log, "actor failed"; "actor" => &self.name, "exit" => %exit,
                            "retry_seconds" => retry_after.as_secs());
                    }
                    (NodeState::Failed, retry_after)
                }
            };
            if state == NodeState::Restarting {
                warn!(ground.log, "actor restarts"; "actor" => &self.name, "exit" => %exit,
                    "generation" => generation, "wait_ms" => u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            }
            ground.board.ended(&self.name, generation, &exit, at, state);
            let ended = tokio::select! {
                () = tokio::time::sleep(wait), if !wait.is_zero() => false,
                () = std::future::ready(()), if wait.is_zero() => false,
                () = self.asked.cancelled() => true,
                () = self.scope.token.cancelled() => true,
            };
            if ended {
                ground.board.set(&self.name, generation, NodeState::Stopped);
                return;
            }
            ground.metrics.actor_restarts.get_or_create(&ActorLabel { actor: self.name.clone() }).inc();
        }
    }

    /// Starts the next generation.
    fn begin(&self) -> Begun<A> {
        let ground = &self.scope.ground;
        let generation = ground.board.next_generation(&self.name);
        let tree = match self.spec.own_arbiter.then(Arbiter::try_new) {
            Some(Ok(arbiter)) => Some((arbiter, Members::new())),
            Some(Err(error)) => return Begun { generation, running: Err(Exit::ArbiterLost(error.to_string())) },
            None => None,
        };
        let token = self.scope.token.child_token();
        let scope = Scope {
            name: self.name.clone(),
            arbiter: tree.as_ref().map_or_else(|| self.scope.arbiter.clone(), |(arbiter, _)| arbiter.handle()),
            token: token.clone(),
            members: tree.as_ref().map_or_else(|| self.scope.members.clone(), |(_, members)| members.clone()),
            ground: ground.clone(),
        };
        let heartbeat = Heartbeat::new(ground.clock.clone());
        let conditions = Conditions {
            mailbox: self.spec.mailbox,
            heartbeat: heartbeat.clone(),
            beat_every: ground.timing.beat_every,
            token: token.clone(),
            poison: ground.injector.listen(&self.name),
            witness: scope.members.join(self.name.clone(), generation, heartbeat.clone()),
        };
        let arbiter = scope.arbiter.clone();
        let birth =
            Birth { name: self.name.clone(), token: Token { generation, cancel: token.clone() }, heartbeat, scope };
        let factory = self.spec.factory.clone();
        let watched = watched::start(&arbiter, conditions, move |_| factory(birth));
        self.spec.slot.fill(generation, watched.addr.clone());
        Begun { generation, running: Ok(Running { generation, token, watched, tree }) }
    }

    /// Follows one generation to its end and clears up behind it.
    async fn to_the_end(&self, mut running: Running<A>) -> Exit {
        let timing = self.scope.ground.timing;
        let mut hung = None;
        let exit = tokio::select! {
            biased;
            exit = running.watched.exit() => Some(exit),
            member = first_to_hang(running.tree.as_ref(), &self.scope.ground) => {
                let name = member.name.clone();
                hung = Some(member);
                Some(Exit::Hang(name))
            }
            () = self.scope.token.cancelled() => None,
            () = self.asked.cancelled() => None,
        };
        let exit = match exit {
            Some(exit) => exit,
            None => {
                self.scope.ground.board.set(&self.name, running.generation, NodeState::Stopping);
                if let (Some(finish), false) = (&self.spec.finish, self.scope.token.is_cancelled()) {
                    tokio::select! {
                        () = finish(self.spec.slot.clone()) => {}
                        _ = running.watched.exit() => {}
                        () = self.scope.token.cancelled() => {}
                    }
                }
                Exit::Stopped
            }
        };
        self.spec.slot.clear(running.generation);
        running.token.cancel();
        if exit == Exit::Stopped {
            let _ = tokio::time::timeout(timing.wind_down, running.watched.exit()).await;
        }
        if let Some((arbiter, members)) = running.tree {
            self.clear_tree(arbiter, members, hung).await;
        }
        exit
    }

    /// Ends what is left of a tree whose token is revoked. What can not end, because its thread is stuck, is
    /// abandoned: should the thread ever go on, it finds its token revoked and its arbiter stopped.
    async fn clear_tree(&self, arbiter: Arbiter, members: Members, hung: Option<Member>) {
        let ground = &self.scope.ground;
        let _ = tokio::time::timeout(ground.timing.wind_down, members.gone()).await;
        for member in members.list().iter().filter(|member| member.name != self.name) {
            let exit = match &hung {
                Some(hung) if hung.id == member.id => Exit::Hang(hung.name.clone()),
                _ => Exit::Stopped,
            };
            ground.board.ended(&member.name, member.generation, &exit, ground.clock.wall(), NodeState::Stopped);
        }
        arbiter.stop();
    }
}

/// A generation, or why there is none.
struct Begun<A: Actor> {
    generation: u64,
    running: Result<Running<A>, Exit>,
}

/// Resolves with the member of the tree that hangs. Without a tree of its own: never, its thread is ours.
async fn first_to_hang(tree: Option<&(Arbiter, Members)>, ground: &Ground) -> Member {
    let Some((_, members)) = tree else { return std::future::pending().await };
    let mut watch = HangWatch::new(ground.timing.hang_after, ground.timing.look_every);
    let mut looks = tokio::time::interval(ground.timing.look_every);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let list = members.list();
        let beats: Vec<_> = list.iter().map(|member| (member.id, member.heartbeat.last())).collect();
        if let Some(still) = watch.look(&beats, ground.clock.mono())
            && let id = members.on_turn().unwrap_or(still)
            && let Some(member) = list.into_iter().find(|member| member.id == id)
        {
            return member;
        }
    }
}
