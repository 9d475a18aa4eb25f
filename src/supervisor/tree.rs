//! The published state of the actor tree: what `/api/host/state` shows and health checks read.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use serde::Serialize;

use super::watched::Exit;
use crate::clock::Utc90k;

/// Where an actor is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// Being made.
    Starting,
    /// In its slot.
    Running,
    /// Ended unasked; its next generation starts soon.
    Restarting,
    /// Failed too often; tried again only rarely.
    Failed,
    /// Asked to end, not gone yet.
    Stopping,
    Stopped,
}

/// The end of the generation before this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastExit {
    #[serde(flatten)]
    pub exit: Exit,
    /// RFC 3339.
    pub at: String,
}

/// One actor, by its full name: `supervisor`, `device/cam1`, `device/cam1/merger`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    pub name: String,
    pub state: NodeState,
    /// Counts from 1; 0 before the first start.
    pub generation: u64,
    /// Starts after the first one.
    pub restarts: u64,
    pub last_exit: Option<LastExit>,
    /// The generation that `last_exit` tells of.
    #[serde(skip)]
    pub(super) exit_generation: u64,
}

/// All nodes, in the order of their names. Reads take no lock; changes are rare (transitions only).
#[derive(Clone)]
pub struct StateBoard(Arc<Board>);

struct Board {
    nodes: Mutex<BTreeMap<String, Node>>,
    published: ArcSwap<Vec<Node>>,
    changes: AtomicU64,
}

impl Default for StateBoard {
    fn default() -> Self {
        Self::new()
    }
}

impl StateBoard {
    pub fn new() -> Self {
        Self(Arc::new(Board { nodes: Mutex::default(), published: ArcSwap::default(), changes: AtomicU64::new(0) }))
    }

    pub fn snapshot(&self) -> Arc<Vec<Node>> {
        self.0.published.load_full()
    }

    /// While this stays, snapshots tell the same.
    pub fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::Acquire)
    }

    pub fn node(&self, name: &str) -> Option<Node> {
        self.snapshot().iter().find(|node| node.name == name).cloned()
    }

    /// True when `name` or any actor below it has failed: then its device has failed.
    pub fn has_failed(&self, name: &str) -> bool {
        self.snapshot().iter().any(|node| node.state == NodeState::Failed && is_within(&node.name, name))
    }

    /// Takes `name` and everything below it off the board, as when a device is removed.
    pub fn forget(&self, name: &str) {
        self.change(|nodes| nodes.retain(|node, _| !is_within(node, name)));
    }

    /// Makes the node when it is new.
    pub(super) fn expect(&self, name: &str) {
        self.change(|nodes| {
            entry(nodes, name);
        });
    }

    /// A new generation is about to start; returns its number. Numbers never repeat for a name, so that whoever
    /// comes late with an old one is known by it.
    pub(super) fn next_generation(&self, name: &str) -> u64 {
        self.change(|nodes| {
            let node = entry(nodes, name);
            node.generation += 1;
            node.restarts = node.generation - 1;
            node.state = NodeState::Starting;
            node.generation
        })
    }

    /// Sets the state of that generation; false when a newer one has taken over.
    pub(super) fn set(&self, name: &str, generation: u64, state: NodeState) -> bool {
        self.of_generation(name, generation, |node| node.state = state)
    }

    /// How that generation ended. A fault stands over a later "stopped": so says the keeper of an actor that hung.
    pub(super) fn ended(&self, name: &str, generation: u64, exit: &Exit, at: Utc90k, state: NodeState) -> bool {
        self.of_generation(name, generation, |node| {
            node.state = state;
            if node.exit_generation != generation || !exit.is_wanted() {
                node.exit_generation = generation;
                node.last_exit = Some(LastExit { exit: exit.clone(), at: at.rfc3339() });
            }
        })
    }

    fn of_generation(&self, name: &str, generation: u64, change: impl FnOnce(&mut Node)) -> bool {
        self.change(|nodes| match nodes.get_mut(name) {
            Some(node) if node.generation == generation => {
                change(node);
                true
            }
            _ => false,
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<String, Node>) -> T) -> T {
        let mut nodes = self.0.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut nodes);
        self.0.published.store(Arc::new(nodes.values().cloned().collect()));
        self.0.changes.fetch_add(1, Ordering::AcqRel);
        result
    }
}

fn entry<'a>(nodes: &'a mut BTreeMap<String, Node>, name: &str) -> &'a mut Node {
    nodes.entry(name.to_owned()).or_insert_with(|| Node {
        name: name.to_owned(),
        state: NodeState::Starting,
        generation: 0,
        restarts: 0,
        last_exit: None,
        exit_generation: 0,
    })
}

/// `device/cam1/merger` is within `device/cam1`; `device/cam10` is not.
fn is_within(name: &str, tree: &str) -> bool {
    name.strip_prefix(tree).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_of_a_node() {
        let board = StateBoard::new();
        let first = board.next_generation("device/cam1/merger");
        board.ended(
            "device/cam1/merger",
            first,
            &Exit::Panic("index 3 (src/x.rs:1:2)".into()),
            Utc90k::from_ms(1_700_000_000_125),
            NodeState::Restarting,
        );
        let second = board.next_generation("device/cam1/merger");
        board.set("device/cam1/merger", second, NodeState::Running);
        assert_eq!(
            serde_json::to_value(&*board.snapshot()).unwrap(),
            serde_json::json!([{
                "name": "device/cam1/merger", "state": "running", "generation": 2, "restarts": 1,
                "last_exit": { "kind": "panic", "message": "index 3 (src/x.rs:1:2)", "at": "2023-11-14T22:13:20.125Z" },
            }])
        );
    }

    #[test]
    fn an_old_generation_no_longer_speaks_for_the_node() {
        let board = StateBoard::new();
        let old = board.next_generation("load");
        board.next_generation("load");
        assert!(!board.set("load", old, NodeState::Failed));
        assert_eq!(board.node("load").unwrap().state, NodeState::Starting);
    }

    #[test]
    fn a_fault_is_not_hidden_by_the_stop_after_it() {
        let board = StateBoard::new();
        let at = Utc90k::default();
        let generation = board.next_generation("load");
        for exit in [Exit::Stopped, Exit::Hang("load".into()), Exit::Stopped] {
            board.ended("load", generation, &exit, at, NodeState::Stopped);
        }
        assert_eq!(board.node("load").unwrap().last_exit.unwrap().exit, Exit::Hang("load".into()));
        board.ended("load", board.next_generation("load"), &Exit::Stopped, at, NodeState::Stopped);
        assert_eq!(board.node("load").unwrap().last_exit.unwrap().exit, Exit::Stopped);
    }

    #[test]
    fn a_failed_stage_fails_its_device_only() {
        let board = StateBoard::new();
        let generation = board.next_generation("device/cam1/merger");
        board.next_generation("device/cam10/merger");
        board.set("device/cam1/merger", generation, NodeState::Failed);
        assert!(board.has_failed("device/cam1") && !board.has_failed("device/cam10"));
        board.forget("device/cam1");
        assert_eq!(board.snapshot().len(), 1);
    }
}
