//! Restarts what fails: watched actors, restart policy, heartbeats, the tree that `/api/host/state` shows.
//!
//! A [`Supervisor`] keeps trees, each on an arbiter (thread) of its own; the root actor of a tree keeps its stages on
//! that same arbiter. Both say it the same way: [`Scope::start`] with a [`ChildSpec`]. A panic restarts one actor; a
//! hang of any actor replaces its whole tree on a fresh arbiter. Neighbours hold a [`Slot`], which outlives restarts.

mod child;
mod faults;
pub mod heartbeat;
mod history;
mod keeping;
pub mod kin;
mod load;
mod members;
mod policy;
pub mod shutdown;
mod slot;
mod supervisor_actor;
pub mod systemd;
mod tree;
pub mod watched;

pub use child::{Birth, ChildSpec, Finish, Ground, Keeper, Scope, Timing, Token};
pub use faults::{Injector, Poison};
pub use heartbeat::Heartbeat;
pub use history::{History, Point, STEP, Sums};
pub use load::{Load, LoadActor, LoadReader, LoadWatch, Watching};
pub use members::Witness;
pub use policy::{Limits, RestartPolicy, Verdict};
pub use slot::{Slot, Undelivered};
pub use supervisor_actor::{Supervisor, SupervisorActor};
pub use tree::{LastExit, Node, NodeState, StateBoard};
pub use watched::Exit;

#[cfg(test)]
mod tests;
