//! The life of one kept child: start, watch, restart by policy, replace a tree that hangs, end.

use actix::{Actor, Context};
use actix_rt::Arbiter;
use slog::{crit, warn};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    child::{Birth, ChildSpec, Ground, Scope, Token},
    heartbeat::Heartbeat,
    members::{HangWatch, Member, Members},
    policy::{RestartPolicy, Verdict},
    tree::NodeState,
    watched::{self, Conditions, Exit, Watched},
};
use crate::telemetry::ActorLabel;

/// The keeping of one child; runs until the child is asked to end or its scope ends.
pub(super) struct Keeping<A: Actor> {
    name: String,
    spec: ChildSpec<A>,
    scope: Scope,
    policy: RestartPolicy,
    asked: CancellationToken,
    /// Tells the [`Keeper`](super::Keeper) when this is dropped, also with its arbiter.
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
    pub fn new(name: String, spec: ChildSpec<A>, scope: Scope, asked: CancellationToken, ended: DropGuard) -> Self {
        Self { name, policy: RestartPolicy::new(spec.limits.clone()), spec, scope, asked, _ended: ended }
    }

    pub async fn run(mut self, mut first: Option<Begun<A>>) {
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
                () = tokio::time::sleep(wait) => false,
                () = self.asked.cancelled() => true,
                () = self.scope.token.cancelled() => true,
            };
            if ended {
                ground.board.set(&self.name, generation, NodeState::Stopped);
                return;
            }
        }
    }

    /// Starts the next generation.
    pub fn begin(&self) -> Begun<A> {
        let ground = &self.scope.ground;
        let generation = ground.board.next_generation(&self.name);
        if generation > 1 {
            ground.metrics.actor_restarts.get_or_create(&ActorLabel { actor: self.name.clone() }).inc();
        }
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
        ground.board.set(&self.name, generation, NodeState::Running);
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
        // On a blocked thread nobody can end.
        if hung.is_none() || members.on_turn().is_none() {
            let _ = tokio::time::timeout(ground.timing.wind_down, members.gone()).await;
        }
        let ended = |member: &Member, exit: &Exit| {
            ground.board.ended(&member.name, member.generation, exit, ground.clock.wall(), NodeState::Stopped);
        };
        members.list().iter().for_each(|member| ended(member, &Exit::Stopped));
        // Even if it came to after all: it is the one to look into. The board keeps a fault over a later "stopped".
        if let Some(hung) = hung {
            ended(&hung, &Exit::Hang(hung.name.clone()));
        }
        arbiter.stop();
    }
}

/// A generation, or why there is none.
pub(super) struct Begun<A: Actor> {
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
