//! Keeps one device's hot files within their budgets.

pub mod archiver_actor;
pub mod budget;

pub use archiver_actor::{ArchiverActor, Arrived};
