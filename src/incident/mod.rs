//! From observations to incidents: when one begins, goes on and ends, and what proves it.

pub mod evidence;
mod lane;
pub mod model;
mod proof;
pub mod state;
mod told;
pub mod tracker;

pub use evidence::Evidence;
pub use lane::{Change, Mark, Owner, Proof, What};
pub use model::{Book, Incident, IncidentKind, MUTED, Severity};
pub use state::{Signal, State};
pub use told::{Told, told};
pub use tracker::{Tracker, TrackerParts};
