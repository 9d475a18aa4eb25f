//! The root: keeps the trees of devices and singletons, and tells the service manager that supervision is alive.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use actix::{Actor, AsyncContext, Context};
use actix_rt::Arbiter;
use slog::{crit, info};
use tokio_util::sync::CancellationToken;

use super::{
    child::{ChildSpec, Ground, Keeper, Scope},
    faults::Injector,
    heartbeat::Heartbeat,
    slot::Slot,
    tree::{Node, NodeState, StateBoard},
};
use crate::error::{Error, Kind, Result};

/// A failed tree counts as recovered after so many ticks (seconds) without a failed actor: a rare retry that panics
/// at once must not read as "recovered, failed" every five minutes.
const RECOVERED_AFTER_TICKS: u32 = 10;

/// The handle on all trees. Cheap to clone, usable from any thread.
///
/// The keepers live on an arbiter of their own and not in [`SupervisorActor`], so that a restart of that actor leaves
/// every tree alone.
#[derive(Clone)]
pub struct Supervisor(Arc<Inner>);

struct Inner {
    scope: Scope,
    arbiter: Arbiter,
    token: CancellationToken,
    trees: Mutex<BTreeMap<String, Keeper>>,
    actor: Keeper,
    /// Beaten on the keepers' arbiter.
    keepers_pulse: Heartbeat,
    /// Beaten by each generation of [`SupervisorActor`].
    actor_pulse: Heartbeat,
}

impl Supervisor {
    /// Starts the keepers' arbiter and [`SupervisorActor`]. Call it on a thread with an actix `System`.
    pub fn start(ground: Ground) -> Result<Self> {
        let arbiter = Arbiter::try_new().map_err(|error| Error::io("starting the supervisor's thread", "", error))?;
        let token = CancellationToken::new();
        let keepers_pulse = Heartbeat::new(ground.clock.clone());
        let actor_pulse = Heartbeat::new(ground.clock.clone());
        let beat_every = ground.timing.beat_every;
        let (pulse, end) = (keepers_pulse.clone(), token.clone());
        arbiter.spawn(async move {
            let mut beats = tokio::time::interval(beat_every);
            while !end.is_cancelled() {
                beats.tick().await;
                pulse.beat();
            }
        });
        let scope = Scope::root(arbiter.handle(), token.clone(), ground.clone());
        let pulse = actor_pulse.clone();
        let spec = ChildSpec::new("supervisor", &Slot::new(), move |birth| SupervisorActor {
            ground: birth.scope.ground().clone(),
            pulse: pulse.clone(),
            alarms: Alarms::default(),
        });
        let actor = scope.start(spec.own_arbiter());
        let trees = Mutex::default();
        Ok(Self(Arc::new(Inner { scope, arbiter, token, trees, actor, keepers_pulse, actor_pulse })))
    }

    pub fn board(&self) -> &StateBoard {
        &self.0.scope.ground().board
    }

    /// Breaks actors on purpose, in tests of the whole daemon.
    pub fn injector(&self) -> &Injector {
        &self.0.scope.ground().injector
    }

    /// Starts a tree on an arbiter of its own and keeps it alive. Its name is its identity: `device/cam1`, `load`.
    pub fn add<A: Actor<Context = Context<A>>>(&self, spec: ChildSpec<A>) -> Result<()> {
        let mut trees = self.0.trees.lock().unwrap_or_else(PoisonError::into_inner);
        if trees.get(spec.name()).is_some_and(|keeper| !keeper.has_ended()) || spec.name() == "supervisor" {
            return Err(Error::new(Kind::Conflict, "an actor of that name runs already").at(spec.name()));
        }
        trees.insert(spec.name().to_owned(), self.0.scope.start(spec.own_arbiter()));
        Ok(())
    }

    /// Ends a tree in order, waits until it is gone, and takes it off the board.
    pub async fn remove(&self, name: &str) -> Result<()> {
        let keeper = self.0.trees.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        keeper.ok_or_else(|| Error::new(Kind::NotFound, "no such actor").at(name))?.stop().await;
        self.0.trees.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        self.board().forget(name);
        Ok(())
    }

    pub fn names(&self) -> Vec<String> {
        self.0.trees.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Ends all trees in parallel, then the root. The caller bounds it; see [`super::shutdown`].
    pub async fn stop(&self) {
        let trees: Vec<_> = self.0.trees.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        futures_util::future::join_all(trees.iter().map(Keeper::stop)).await;
        self.0.actor.stop().await;
        self.0.token.cancel();
        self.0.arbiter.stop();
    }

    /// True while the root supervises: both its actor and the keepers' arbiter have beaten within `limit`.
    pub fn is_alive(&self, limit: Duration) -> bool {
        self.0.keepers_pulse.age() <= limit && self.0.actor_pulse.age() <= limit
    }
}

/// Watches the board each second: raises and clears the alarm of a tree, and beats for the service manager.
pub struct SupervisorActor {
    ground: Ground,
    pulse: Heartbeat,
    alarms: Alarms,
}

impl Actor for SupervisorActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.tick();
        ctx.run_interval(self.ground.timing.look_every, |actor, _| actor.tick());
    }
}

impl SupervisorActor {
    fn tick(&mut self) {
        self.pulse.beat();
        for alarm in self.alarms.apply(&self.ground.board.snapshot()) {
            match alarm {
                Alarm::Raised(tree) => crit!(self.ground.log, "tree failed"; "tree" => tree),
                Alarm::Cleared(tree) => info!(self.ground.log, "tree recovered"; "tree" => tree),
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Alarm {
    Raised(String),
    Cleared(String),
}

/// Which trees are in alarm, and for how many ticks each has been well again. Pure.
#[derive(Default)]
struct Alarms(BTreeMap<String, u32>);

impl Alarms {
    fn apply(&mut self, nodes: &[Node]) -> Vec<Alarm> {
        let failed: BTreeSet<_> =
            nodes.iter().filter(|node| node.state == NodeState::Failed).map(|node| tree_of(&node.name)).collect();
        let mut effects = Vec::new();
        for tree in &failed {
            if self.0.insert((*tree).to_owned(), 0).is_none() {
                effects.push(Alarm::Raised((*tree).to_owned()));
            }
        }
        self.0.retain(|tree, well| {
            *well += u32::from(!failed.contains(tree.as_str()));
            let cleared = *well >= RECOVERED_AFTER_TICKS;
            if cleared {
                effects.push(Alarm::Cleared(tree.clone()));
            }
            !cleared
        });
        effects
    }
}

/// `device/cam1/merger` belongs to `device/cam1`, `load` to itself.
fn tree_of(name: &str) -> &str {
    match name.match_indices('/').nth(1) {
        Some((end, _)) => name.get(..end).unwrap_or(name),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, state: NodeState) -> Node {
        Node { name: name.into(), state, generation: 1, restarts: 0, last_exit: None, exit_generation: 0 }
    }

    #[test]
    fn an_alarm_is_raised_once_and_cleared_after_ten_good_ticks() {
        let mut alarms = Alarms::default();
        let sick = [node("device/a/merger", NodeState::Failed), node("device/b", NodeState::Running)];
        let well = [node("device/a/merger", NodeState::Running), node("device/b", NodeState::Running)];
        assert_eq!(alarms.apply(&sick), [Alarm::Raised("device/a".into())]);
        // A retry that fails again within ten ticks is the same alarm.
        assert!(alarms.apply(&well).is_empty());
        assert!(alarms.apply(&sick).is_empty());
        for _ in 1..RECOVERED_AFTER_TICKS {
            assert!(alarms.apply(&well).is_empty());
        }
        assert_eq!(alarms.apply(&well), [Alarm::Cleared("device/a".into())]);
        assert!(alarms.apply(&well).is_empty());
    }
}
